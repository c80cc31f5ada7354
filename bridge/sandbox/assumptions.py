"""What nothing public confirms, and this stand-in does all the same: on its page, and in docs/sandbox.md."""

import re
from functools import cache
from importlib import resources

_LINE = re.compile(r"- \*\*(.+?)\.\*\* (.+)")


@cache
def assumptions() -> tuple[tuple[str, str], ...]:
    """What it is about, and what is assumed; they lie beside this module, one a line."""
    lines = text().splitlines()
    return tuple((match[1], match[2].replace("`", "")) for line in lines if (match := _LINE.fullmatch(line)))


def text() -> str:
    """The list in Markdown."""
    return resources.files("bridge.sandbox").joinpath("assumptions.md").read_text(encoding="utf-8")
