"""Reading a taxonomy's CSV (seed: Taxonomy Format), a line at a time.

Names hold no line ends, so a row is a line, and a quote that is never closed spoils its own line alone.
"""

import csv
import difflib
from collections.abc import Iterable, Iterator
from itertools import count

from bridge.taxonomy import names
from bridge.taxonomy.fault import Faults, Place, Severity, Unreadable, Wrong, quoted
from bridge.taxonomy.rules import MOST_LEVELS, MOST_NODES, Rules
from bridge.taxonomy.tree import TABLE, Cell, Tree

COLUMNS = ("full_path", "code", "uniques", "wholesale_cpm", "retail_cpm", "buyable")
"""In the seed's order."""

HEADER = ",".join(COLUMNS)

LONGEST_LINE = 1 << 16
"""Bytes: 32 names of 255 characters, each of them an entity, have fewer."""

MOST_LINES = 2 * MOST_NODES
"""Of a file: a row a node, and as many that are blank or wrong."""

_BOM = "\ufeff"
_UTF_16 = (b"\xff\xfe", b"\xfe\xff")
_DELIMITERS = {";": "semicolons", "\t": "tabs"}
_COMMA = ","

_CSV_ERRORS = {
    "end of data": "a quote is not closed in its line",
    "expected after": "text stands behind a closing quote",
    "new-line": "a carriage return stands within the line",
}
"""Words of the parser's errors, and ours: its own hold what is in the file."""

_Line = tuple[int, str]


def read(lines: Iterable[bytes], faults: Faults, rules: Rules) -> Tree:
    """The rows of a file as a tree.

    Args:
        lines: Each with its end; one longer than LONGEST_LINE may come cut there.
        faults: Grows.
        rules: What the file cannot say.

    Raises:
        Unreadable: No row can be read, or none behind this place.
    """
    tree = Tree(faults, rules, TABLE)
    texts = _texts(lines, faults)
    first = next(texts, None)
    if first is None:
        raise Unreadable(Place(1, 1), "is empty", f"begin with the header {HEADER}")
    delimiter = _delimiter(first, faults)
    if first[1].lstrip('" ').startswith(names.PIPE):
        faults.add(Place(first[0], 1), "", "the header is missing", f"begin with the line {HEADER}")
        _add(first, COLUMNS, delimiter, tree, faults)
        columns: tuple[str, ...] = COLUMNS
    else:
        columns = _columns(first, delimiter, faults)
    for line in texts:
        _add(line, columns, delimiter, tree, faults)
    return tree


def _texts(lines: Iterable[bytes], faults: Faults) -> Iterator[_Line]:
    """Every line that is not blank, with its number, without its end."""
    for number, line in zip(count(1), lines, strict=False):
        if number == 1 and line.startswith(_UTF_16):
            raise Unreadable(Place(1, 1), "is UTF-16", "save it as UTF-8")
        if number > MOST_LINES:
            raise Unreadable(Place(number, 1), f"has more than {MOST_LINES:,} lines", "is it a taxonomy?")
        if len(line) > LONGEST_LINE:
            raise Unreadable(
                Place(number, 1), f"a line has more than {LONGEST_LINE:,} bytes", "is it a taxonomy?"
            )
        text = _text(number, line.rstrip(b"\r\n"), faults)
        if number == 1 and text.startswith(_BOM):
            remedy = "save it without; convert leaves it out"
            faults.add(Place(1, 1), "", "begins with a byte order mark", remedy, Severity.WARNING)
            text = text.removeprefix(_BOM)
        if text.strip():
            yield number, text


def _text(number: int, line: bytes, faults: Faults) -> str:
    try:
        return line.decode()
    except UnicodeDecodeError as error:
        column = line[: error.start].count(b",") + 1
        field = COLUMNS[column - 1] if column <= len(COLUMNS) else ""
        faults.add(Place(number, column), field, "is not UTF-8", "save the file as UTF-8")
        return line.decode(errors="replace")


def _delimiter(first: _Line, faults: Faults) -> str:
    number, text = first
    if _COMMA in text or text.startswith(names.PIPE):
        return _COMMA
    found = [delimiter for delimiter in _DELIMITERS if delimiter in text]
    if not found:
        return _COMMA
    what = f"fields are separated by {_DELIMITERS[found[0]]}"
    faults.add(Place(number, 1), "", what, "write commas; convert does", Severity.MENDED)
    return found[0]


def _cells(line: _Line, delimiter: str, faults: Faults) -> list[str] | None:
    """The fields of a line; None, with a fault, where its quotes are wrong."""
    number, text = line
    try:
        return next(csv.reader([text], delimiter=delimiter, strict=True), [])
    except csv.Error as error:
        told = next((what for words, what in _CSV_ERRORS.items() if words in str(error)), "is no CSV")
        faults.add(Place(number, 1), "", told, "put quotes around a whole field, and double those in it")
        return None


def _columns(first: _Line, delimiter: str, faults: Faults) -> tuple[str, ...]:
    number, _ = first
    texts = _cells(first, delimiter, faults)
    if texts is None:
        raise Unreadable(Place(number, 1), "the header cannot be read", f"write {HEADER}")
    columns = tuple("_".join(text.lower().split()) for text in texts)
    for at, (column, text) in enumerate(zip(columns, texts, strict=True)):
        place = Place(number, at + 1)
        if column not in COLUMNS:
            nearest = difflib.get_close_matches(column, COLUMNS, n=1)
            remedy = f"did you mean {nearest[0]}?" if nearest else "leave the column out"
            faults.add(place, "", f"unknown column {quoted(text)}", remedy)
        elif column in columns[:at]:
            faults.add(place, column, "stands twice in the header", "keep one")
        elif column != text:
            what = f"is written {quoted(text)}"
            faults.add(place, column, what, f"write {column}; convert does", Severity.MENDED)
    missing = [column for column in COLUMNS if column not in columns]
    if missing:
        raise Unreadable(Place(number, 1), f"has no column {', '.join(missing)}", f"write {HEADER}")
    known = tuple(column for column in columns if column in COLUMNS)
    if known != COLUMNS and len(known) == len(COLUMNS):
        remedy = f"write {HEADER}; convert does"
        faults.add(Place(number, 1), "", "has its columns in another order", remedy, Severity.WARNING)
    return columns


def _add(line: _Line, columns: tuple[str, ...], delimiter: str, tree: Tree, faults: Faults) -> None:
    number, _ = line
    texts = _cells(line, delimiter, faults)
    if texts is None:
        return
    if len(texts) != len(columns):
        what = f"has {len(texts)} fields, the header {len(columns)}"
        remedy = "write them all, and quotes around what has commas, as numbers with thousands"
        faults.add(Place(number, min(len(texts), len(columns))), "", what, remedy)
        return
    cells = {
        column: Cell(text.strip(), Place(number, at + 1))
        for at, (column, text) in enumerate(zip(columns, texts, strict=True))
    }
    at = cells["full_path"]
    # What is stripped off the other fields may be a fault of a name.
    path = _path(Cell(texts[at.place.column - 1], at.place), faults)
    if path:
        tree.add(path, at, cells)


def _path(cell: Cell, faults: Faults) -> tuple[str, ...]:
    """The names of a path; none, with a fault, where they cannot be told."""
    text, place = cell
    if not text.strip():
        faults.add(place, "full_path", "is empty", "write the path, or delete the row")
        return ()
    if not text.startswith(names.PIPE):
        what = f"{quoted(text)} does not start with a pipe"
        faults.add(place, "full_path", what, "write a pipe before each name, the first too")
        return ()
    raw = text[1:].split(names.PIPE, MOST_LEVELS)
    path = tuple(map(names.decoded, raw))
    for name in path:
        try:
            names.check(name)
        except Wrong as wrong:
            faults.add(place, "full_path", wrong.what, wrong.remedy)
            return path if name else ()
    if any(not text.isascii() and names.needs_entities(names.decoded(text)) for text in raw):
        what = "has letters that are not Latin"
        faults.add(place, "full_path", what, "write HTML entities; convert does", Severity.MENDED)
    return path
