"""What an audience file holds, in numbers and first rows."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from bridge.audience.audience_file import Row, read_text
from bridge.audience.file_text import unpack
from bridge.audience.header import Header
from bridge.audience.rows import REMOVE

MOST_STATEMENTS = 500_000
"""Of a user, from which on no more rows are kept: none has as many, but a file may unpack to any number."""


@dataclass(kw_only=True, slots=True)
class Summary:
    """Filled while the file is read once."""

    header: Header
    users: int = 0
    """Neighbouring rows of one user are one."""
    lines: int = 0
    """Rows; the header's lines are not among them."""
    adds: int = 0
    """Placeholders behind a lone -1 among them: nothing tells them from real segments."""
    removals: int = 0
    remove_alls: int = 0
    bytes: int = 0
    """Of the gzip file."""
    text_bytes: int = 0
    """Unpacked, with the header."""
    rows: list[Row] = field(default_factory=list)
    """The first ones, or those of the user that was asked for."""
    further_rows: int = 0
    """Those of that user beyond MOST_STATEMENTS."""

    @property
    def ratio(self) -> float:
        """Text bytes a gzip byte."""
        return round(self.text_bytes / self.bytes, 2)


def summarise(chunks: Iterable[bytes], *, user: str | None, first_rows: int) -> Summary:
    """Count a gzip file's rows, and keep its first ones, or with `user` the rows of that user.

    Raises:
        BadGzip: The file is not one whole gzip member.
    """
    sizes = {"packed": 0, "text": 0}
    header, rows = read_text(_measured(unpack(_measured(chunks, sizes, "packed")), sizes, "text"))
    summary = Summary(header=header)
    wanted = user.lower() if user is not None and header.uuids else user
    last: str | None = None
    kept = 0
    for row in rows:
        _count(summary, row)
        summary.users += row.user != last
        last = row.user
        if row.user == wanted and kept > MOST_STATEMENTS:
            summary.further_rows += 1
        elif row.user == wanted or (wanted is None and len(summary.rows) < first_rows):
            summary.rows.append(row)
            kept += len(row.segments) + 1
    summary.bytes, summary.text_bytes = sizes["packed"], sizes["text"]
    return summary


def _count(summary: Summary, row: Row) -> None:
    removals = sum(timestamp == REMOVE for _, timestamp in row.segments)
    summary.lines += 1
    summary.remove_alls += row.remove_all
    summary.removals += removals
    summary.adds += len(row.segments) - removals


def _measured(pieces: Iterable[bytes], sizes: dict[str, int], name: str) -> Iterator[bytes]:
    for piece in pieces:
        sizes[name] += len(piece)
        yield piece
