"""Opening a taxonomy file: its form by its suffix, bounded, and everything wrong with it as records."""

from collections.abc import Iterator
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import BinaryIO

from bridge.errors import UsageError
from bridge.taxonomy import document, json_values, table, yaml_values
from bridge.taxonomy.fault import Fault, Faults, Place, Severity, Unreadable
from bridge.taxonomy.model import Taxonomy
from bridge.taxonomy.render import Form
from bridge.taxonomy.rules import Rules
from bridge.taxonomy.table import LONGEST_LINE

LARGEST_DOCUMENT = 64_000_000
"""Bytes of a JSON or YAML file; a CSV is read a line at a time, up to MOST_NODES."""

_SUFFIXES = {".csv": Form.CSV, ".yaml": Form.YAML, ".yml": Form.YAML, ".json": Form.JSON}
_BOM = b"\xef\xbb\xbf"
_UTF_16 = (b"\xff\xfe", b"\xfe\xff")


@dataclass(frozen=True, kw_only=True, slots=True)
class Reading:
    """What a file holds, and what is wrong with it."""

    taxonomy: Taxonomy | None
    """None where a fault forbids it; what `convert` mends is mended here."""
    faults: tuple[Fault, ...]
    """The first thousand found, by their places."""
    further: int
    """Those beyond."""
    good: bool
    """There are warnings at most."""


def form_of(path: Path) -> Form:
    """The form of a file's suffix.

    Raises:
        UsageError: It has another.
    """
    form = _SUFFIXES.get(path.suffix.lower())
    if form is None:
        raise UsageError(f"{path} does not end with .csv, .yaml or .json; name a taxonomy file")
    return form


def read(path: Path, rules: Rules) -> Reading:
    """A file.

    Raises:
        UsageError: It cannot be read, or its suffix is another.
    """
    form = form_of(path)
    try:
        with path.open("rb") as file:
            return _read(file, str(path), form, rules)
    except OSError as error:
        raise UsageError(f"cannot read {path}: {error.strerror}; name a taxonomy file") from None


def read_bytes(content: bytes, name: str, form: Form, rules: Rules) -> Reading:
    """A content, which its faults call by this name: what is about to be written, or an answer of the API."""
    return _read(BytesIO(content), name, form, rules)


def _read(file: BinaryIO, name: str, form: Form, rules: Rules) -> Reading:
    faults = Faults(name)
    taxonomy = None
    reads = _table if form is Form.CSV else _json if form is Form.JSON else _yaml
    try:
        taxonomy = reads(file, faults, rules)
    except Unreadable as end:
        faults.add(end.place, "", end.what, end.remedy)
    kept = faults.kept()
    refused = faults.counts[Severity.FAULT] > 0
    return Reading(
        taxonomy=None if refused else taxonomy,
        faults=kept,
        further=faults.counts.total() - len(kept),
        good=not (refused or faults.counts[Severity.MENDED]),
    )


def _table(file: BinaryIO, faults: Faults, rules: Rules) -> Taxonomy | None:
    root = table.read(_lines(file), faults, rules).root()
    if root is None:
        if not faults.counts[Severity.FAULT]:
            raise Unreadable(Place(1, 1), "holds no rows", "write one for each category and segment")
        return None
    return Taxonomy(root=root, use_hash=rules.hashed)


def _lines(file: BinaryIO) -> Iterator[bytes]:
    while line := file.readline(LONGEST_LINE + 1):
        yield line


def _json(file: BinaryIO, faults: Faults, rules: Rules) -> Taxonomy | None:
    return document.read(json_values.read(_text(file, faults), faults), faults, rules, json=True)


def _yaml(file: BinaryIO, faults: Faults, rules: Rules) -> Taxonomy | None:
    return document.read(yaml_values.read(_text(file, faults), faults), faults, rules, json=False)


def _text(file: BinaryIO, faults: Faults) -> str:
    """The whole file, where it has a text."""
    content = file.read(LARGEST_DOCUMENT + 1)
    if len(content) > LARGEST_DOCUMENT:
        raise Unreadable(Place(1, 1), f"has more than {LARGEST_DOCUMENT:,} bytes", "is it a taxonomy?")
    text = _decoded(content, faults)
    if not text.strip():
        raise Unreadable(Place(1, 1), "is empty", "write a mapping with taxonomy")
    return text


def _decoded(content: bytes, faults: Faults) -> str:
    if content.startswith(_UTF_16):
        raise Unreadable(Place(1, 1), "is UTF-16", "save it as UTF-8")
    if content.startswith(_BOM):
        remedy = "save it without; convert leaves it out"
        faults.add(Place(1, 1), "", "begins with a byte order mark", remedy, Severity.WARNING)
        content = content.removeprefix(_BOM)
    try:
        return content.decode()
    except UnicodeDecodeError as error:
        before = content[: error.start]
        column = len(before.rpartition(b"\n")[2].decode(errors="replace")) + 1
        place = Place(before.count(b"\n") + 1, column)
        raise Unreadable(place, "is not UTF-8", "save the file as UTF-8") from None
