"""The failure matrix: the rows of docs/failures.md, and the tests that are marked with their numbers.

`make failures` prints it; `python -m tests.matrix --write` brings the document's lists of tests up to date,
and `--check` says what is missing.
"""

import argparse
import contextlib
import io
import re
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
DOCUMENT = ROOT / "docs" / "failures.md"
ROWS = range(1, 71)
HEADING = re.compile(r"### (\d+)\. (.+)")
TESTS = "Tests:"


class Marked:
    """A plugin of pytest's: which tests say that they show which row."""

    def __init__(self) -> None:
        self.rows: dict[int, list[str]] = {}

    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        """Look at all that was found."""
        for item in items:
            for mark in item.iter_markers("failure"):
                for row in mark.args:
                    name = item.nodeid.partition("[")[0]
                    if name not in self.rows.setdefault(row, []):
                        self.rows[row].append(name)


def marked() -> dict[int, list[str]]:
    """Names of tests by row; those with parameters once."""
    plugin = Marked()
    told = io.StringIO()
    with contextlib.redirect_stdout(told):
        code = pytest.main(["--collect-only", "-qq", "-p", "no:cacheprovider"], plugins=[plugin])
    if code != pytest.ExitCode.OK:
        raise SystemExit(told.getvalue())
    return plugin.rows


def titles(text: str) -> dict[int, str]:
    """The rows of the document."""
    return {int(number): title for number, title in HEADING.findall(text)}


def with_tests(text: str, rows: dict[int, list[str]]) -> str:
    """The document with its lists of tests as they are."""
    lines, number = [], 0
    for line in [*text.splitlines(), ""]:
        if line.startswith(TESTS) or (number and line.startswith("- `")):
            continue
        if heading := HEADING.fullmatch(line):
            number = int(heading[1])
        if not line and number in rows:
            lines += [TESTS, *(f"- `{name.removeprefix('tests/')}`" for name in sorted(rows[number]))]
            number = 0
        lines.append(line)
    return "\n".join(lines)


def faults(text: str, rows: dict[int, list[str]]) -> list[str]:
    """What is missing."""
    known = titles(text)
    found = [f"row {row} is not in {DOCUMENT.name}" for row in ROWS if row not in known]
    found += [f"row {row} has no test" for row in ROWS if row not in rows]
    found += [f"{rows[row][0]} shows row {row}, which is none" for row in rows if row not in ROWS]
    if not found and with_tests(text, rows) != text:
        found.append(f"{DOCUMENT.name} lists other tests: python -m tests.matrix --write")
    return found


def table(text: str, rows: dict[int, list[str]]) -> str:
    """For people."""
    lines = []
    for row in ROWS:
        tests = rows.get(row, [])
        lines.append(f"{row:2}  {titles(text).get(row, '?')}")
        lines += [f"      {name}" for name in tests] or ["      NO TEST"]
    shown = sum(row in rows for row in ROWS)
    return "\n".join([*lines, f"{shown} of {len(ROWS)} rows have a test"])


def main() -> int:
    """Print, check or write."""
    parser = argparse.ArgumentParser(prog="tests.matrix", description=__doc__)
    parser.add_argument("--check", action="store_true", help="say what is missing")
    parser.add_argument("--write", action="store_true", help="write the lists of tests")
    given = parser.parse_args()
    text, rows = DOCUMENT.read_text(), marked()
    if given.write:
        DOCUMENT.write_text(with_tests(text, rows))
    elif given.check:
        print(*faults(text, rows), sep="\n")
        return 1 if faults(text, rows) else 0
    else:
        print(table(text, rows))
    return 0


if __name__ == "__main__":
    sys.exit(main())
