"""The table of values in the chart's README.md, of the comments in values.yaml.

A comment that begins with `# --` describes the key below it, which may be commented out itself: it has no
default then, and its comment says so.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import yaml

BEGIN, END = "<!-- values: made by make chart-schema -->\n", "<!-- end of values -->"
"""What stands around the table in README.md."""

_KEY = re.compile(r"(?P<indent> *)(?P<out># )?(?P<key>[A-Za-z_]+):(?P<value>.*)")


@dataclass(frozen=True, kw_only=True, slots=True)
class Row:
    """One value."""

    path: tuple[str, ...]
    """Its keys, from the top."""
    default: str
    """What it is if it is not given, as YAML on one line; empty: nothing."""
    meaning: str
    """Its comment."""


def rows(text: str) -> Iterator[Row]:
    """Every key of values.yaml that has a comment of its own."""
    values: object = yaml.safe_load(text)
    path: list[tuple[int, str]] = []
    comment: list[str] = []
    for line in text.splitlines():
        key = _KEY.fullmatch(line)
        if line.strip().startswith("# -- "):
            comment = [line.strip().removeprefix("# -- ")]
        elif key is not None and (comment or not key["out"]):
            indent = len(key["indent"])
            path = [*((depth, name) for depth, name in path if depth < indent), (indent, key["key"])]
            keys = tuple(name for _, name in path)
            if comment:
                default = "" if key["out"] else _flow(_at(values, keys))
                yield Row(path=keys, default=default, meaning=" ".join(comment))
            comment = []
        elif comment and line.strip().startswith("#"):
            comment.append(line.strip().removeprefix("#").strip())
        else:
            comment = []


def table(text: str) -> str:
    """The table in Markdown."""
    lines = ["| value | default | meaning |", "|---|---|---|"]
    for row in rows(text):
        default = f"`{row.default}`" if row.default else ""
        lines.append(f"| `{'.'.join(row.path)}` | {default} | {row.meaning.replace('|', '&#124;')} |")
    return "\n".join(lines) + "\n"


def filled(readme: str, values: str) -> str:
    """README.md with the table as it is now."""
    head, rest = readme.split(BEGIN, 1)
    return head + BEGIN + "\n" + table(values) + "\n" + END + rest.split(END, 1)[1]


def write(chart: Path) -> None:
    """Make the chart's README.md current."""
    path = chart / "README.md"
    path.write_text(filled(path.read_text(), (chart / "values.yaml").read_text()))


def _at(values: object, path: tuple[str, ...]) -> object:
    for key in path:
        values = cast("dict[str, object]", values)[key]
    return values


def _flow(value: object) -> str:
    text: str = yaml.safe_dump(value, default_flow_style=True, width=10_000, sort_keys=False)
    return text.removesuffix("\n").removesuffix("\n...")
