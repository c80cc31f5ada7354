"""Reading audience files, and checking them against the format.

Sources: the seed s2s_data_import, Audience File, and contract.md, Audience files. Reading is tolerant, as
files in the wild hold segments without a timestamp (domain.md); checking is not.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import chain
from typing import NamedTuple

from bridge.audience.file_header import check_header
from bridge.audience.file_rows import RowChecker
from bridge.audience.file_text import BadGzip, Line, split, unpack
from bridge.audience.header import Header
from bridge.audience.line_limit import LINE_LIMIT


@dataclass(frozen=True, slots=True)
class Fault:
    """What is wrong in a line; the reason holds no user id."""

    line: int
    """From 1; that of the last line read where the file itself is damaged."""
    reason: str


class Row(NamedTuple):
    """One line's user and statements; a long user has several rows."""

    user: str
    remove_all: bool
    segments: list[tuple[str, int | None]]
    """Code and timestamp; None where there is none, or no number."""


def check(chunks: Iterable[bytes], name: str) -> Iterator[Fault]:
    """Every fault of a file, in the order of its lines; memory does not grow with the file.

    Args:
        chunks: The gzip file's bytes.
        name: What FileIdentifier must be.
    """
    last = 0
    lines = split(unpack(chunks))
    rows: RowChecker | None = None
    head: list[Line] = []
    try:
        for line in lines:
            last = line.number
            yield from (Fault(last, reason) for reason in _faults_of_any(line))
            if rows is not None:
                yield from (Fault(number, reason) for number, reason in rows.feed(line))
            elif line.text.strip() and _is_header(line.text) and len(head) < MOST_HEADER_LINES:
                head.append(line)
            else:
                rows = RowChecker(Header.parse(map(_text, head)))
                yield from (Fault(number, reason) for number, reason in check_header(head, name, line))
                if line.text.strip():
                    yield from (Fault(number, reason) for number, reason in rows.feed(line))
    except BadGzip as error:
        yield Fault(last, str(error))
        return
    if rows is None:
        yield from (Fault(number, reason) for number, reason in check_header(head, name, None))
    else:
        yield from (Fault(number, reason) for number, reason in rows.finish())


def read(chunks: Iterable[bytes]) -> tuple[Header, Iterator[Row]]:
    """Header and rows of a gzip file's bytes, read as far as they can be.

    Raises:
        BadGzip: At once or while the rows are read.
    """
    return read_text(unpack(chunks))


def read_text(pieces: Iterable[bytes]) -> tuple[Header, Iterator[Row]]:
    """Header and rows of a text, which comes in pieces of any size."""
    lines = split(pieces)
    head: list[str] = []
    for line in lines:
        if not line.text.strip():
            break
        if not _is_header(line.text):
            lines = chain([line], lines)
            break
        if len(head) < MOST_HEADER_LINES:
            head.append(_text(line))
    return Header.parse(head), (_row(line) for line in lines if line.text.strip())


MOST_HEADER_LINES = 64
"""A header has 8 at most; further ones are not kept."""


def _is_header(text: bytes) -> bool:
    """`Name:` before any space: no row looks like that, whatever its user ids."""
    name, colon, _ = text.partition(b":")
    return bool(colon) and name.strip().isalpha()


def _text(line: Line) -> str:
    return line.text.decode("ascii", "replace")


def _row(line: Line) -> Row:
    user, *statements = _text(line).split()
    remove_all = statements[:1] == ["-1"]
    return Row(user, remove_all, [_statement(text) for text in statements[remove_all:]])


def _statement(text: str) -> tuple[str, int | None]:
    code, colon, timestamp = text.rpartition(":")
    if not colon:
        return text, None
    try:
        return code, int(timestamp)
    except ValueError:
        return code, None


def _faults_of_any(line: Line) -> Iterator[str]:
    if line.text.endswith(b"\r"):
        yield "ends with CR; lines end with LF alone"
    if not line.ended:
        yield "the last line has no LF at its end"
    if line.length >= LINE_LIMIT:
        yield f"{line.length} characters with its end; fewer than {LINE_LIMIT} are allowed"
    if not line.text.isascii():
        yield "holds bytes that are not ASCII"
