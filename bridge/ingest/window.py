"""The window: what was read and is not yet on disk."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import polars as pl

from bridge.audience.audience import Audience
from bridge.audience.roster import Roster
from bridge.ingest.dead_letters import DeadLetter
from bridge.ingest.partition import Span

_DEAD_LETTER_BYTES = 1_000
"""What a dead letter takes beside its key and value: its fields, and its place in the list."""

_WIDTHS: dict[pl.DataType, int] = {pl.UInt32(): 4, pl.Int32(): 4, pl.UInt64(): 8, pl.Int64(): 8}
"""Bytes of a number, for each dtype of `rows.schema`."""


@dataclass(frozen=True, kw_only=True, slots=True)
class WindowContents:
    """All that one window held, to be sealed as one run."""

    frames: tuple[tuple[pl.DataFrame, ...], ...]
    """Rows (columns of `rows.schema` and `audience`), in the order they were added, frames with the same
    columns together; none is empty."""
    roster: Roster
    """Which audience a number in the column `audience` is."""
    oldest_read_at: Mapping[Audience, int]
    """When the oldest row of each audience was read (epoch ms)."""
    positions: Mapping[tuple[str, int], Span]
    """What was read, by topic and partition."""
    dead_letters: tuple[DeadLetter, ...]
    """The refused events, in the order they were added."""

    @property
    def memberships(self) -> int:
        """Number of rows."""
        return sum(len(frame) for alike in self.frames for frame in alike)

    def shards(self) -> dict[Audience, pl.DataFrame]:
        """The rows by audience, with the columns of `rows.schema`; made anew, as it takes time and memory."""
        found: dict[Audience, pl.DataFrame] = {}
        for alike in self.frames:
            found |= self.roster.split(alike)
        return found


class Window:
    """Collects rows, dead letters and positions until they are drained into a run.

    Frames are kept as they come, and put together and taken apart by audience only when they are sealed: a
    batch costs as much for 500 audiences as for one.
    """

    def __init__(self, roster: Roster) -> None:
        self._roster = roster
        self._frames: dict[tuple[pl.DataType, ...], list[pl.DataFrame]] = {}
        self._read_at: dict[int, int] = {}
        self._positions: dict[tuple[str, int], Span] = {}
        self._dead_letters: list[DeadLetter] = []
        self._bytes = 0
        self._memberships = 0
        self._oldest_read_at: int | None = None

    @property
    def bytes(self) -> int:
        """Memory taken: the rows' and the dead letters'."""
        return self._bytes

    @property
    def memberships(self) -> int:
        """Number of rows."""
        return self._memberships

    @property
    def oldest_read_at(self) -> int | None:
        """When the oldest thing in the window was read (epoch ms): a row, dead letter or position."""
        return self._oldest_read_at

    @property
    def empty(self) -> bool:
        """There is nothing to seal: not even a position that moved on."""
        return not (self._frames or self._positions or self._dead_letters)

    def add(self, frame: pl.DataFrame, *, read_at: int) -> None:
        """Take rows (columns of `rows.schema` and `audience`, in any order) that were read at `read_at`."""
        if frame.is_empty():
            return
        self._frames.setdefault(tuple(frame.dtypes), []).append(frame)
        for number in self._roster.present(frame):
            self._read_at[number] = min(read_at, self._read_at.get(number, read_at))
        self._bytes += _size(frame)
        self._memberships += len(frame)
        self._grow_older(read_at)

    def add_position(self, topic: str, partition: int, span: Span, *, read_at: int) -> None:
        """What was read of the partition within `span` is in the window."""
        known = self._positions.get((topic, partition), span)
        self._positions[topic, partition] = Span(min(known.first, span.first), max(known.next, span.next))
        self._grow_older(read_at)

    def add_dead_letters(self, letters: Iterable[DeadLetter]) -> None:
        """Take refused events."""
        for letter in letters:
            self._dead_letters.append(letter)
            self._bytes += _DEAD_LETTER_BYTES + len(letter.key or b"") + len(letter.value or b"")
            self._grow_older(letter.read_at)

    def drain(self) -> WindowContents:
        """Give all away; the window is empty after."""
        contents = WindowContents(
            frames=tuple(map(tuple, self._frames.values())),
            roster=self._roster,
            oldest_read_at={self._roster[number]: read_at for number, read_at in self._read_at.items()},
            positions=self._positions,
            dead_letters=tuple(self._dead_letters),
        )
        self._frames, self._read_at, self._positions, self._dead_letters = {}, {}, {}, []
        self._bytes = self._memberships = 0
        self._oldest_read_at = None
        return contents

    def _grow_older(self, read_at: int) -> None:
        """Something that was read at `read_at` came in."""
        oldest = self._oldest_read_at
        self._oldest_read_at = read_at if oldest is None else min(oldest, read_at)


def _size(frame: pl.DataFrame) -> int:
    """Bytes of memory that a frame takes.

    Numbers count by their width: a column of one repeated value reports only that value's bytes, but is
    written out when frames are put together.
    """
    width = sum(_WIDTHS.get(dtype, 0) for dtype in frame.dtypes)
    texts = frame.select(pl.col(pl.String)).estimated_size()
    return width * len(frame) + int(texts)
