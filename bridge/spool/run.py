"""A run: one sealed window, or several merged, in one file that never changes.

Why a container of our own: each block has a checksum that is really checked, an exact range of users, and can
be copied as it is into another run; and a run of any size is written and read a block at a time.
"""

import os
import weakref
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from types import MappingProxyType, TracebackType
from typing import Self

import polars as pl
from zlib_ng.zlib_ng import crc32

from bridge.audience.audience import Audience
from bridge.audience.rows import first_at, sealed_schema
from bridge.errors import BridgeError
from bridge.spool.footer import KIND, MAGIC, TRAILER, AudienceStatistics, Block, Footer, Position, PositionKey

__all__ = [
    "AudienceStatistics",
    "Block",
    "Footer",
    "Identity",
    "Position",
    "PositionKey",
    "Run",
    "RunDamaged",
    "file_name",
    "identity",
    "number_of",
]

Identity = tuple[int, int, int]
"""Inode, size, time of the last change: tells two files apart that had one name after the other."""

_SUFFIX = ".run"
_DIGITS = 12


class RunDamaged(BridgeError):  # noqa: N818  # it names a state, as people say it
    """A run is not what was written; nothing of it may be delivered."""


def file_name(number: int) -> str:
    """The name of a run's file; names sort as numbers do."""
    return f"{number:0{_DIGITS}}{_SUFFIX}"


def number_of(name: str) -> int | None:
    """The number in a run's file name; None where it is not one."""
    digits = name.removesuffix(_SUFFIX)
    is_run = name.endswith(_SUFFIX) and len(digits) == _DIGITS and digits.isascii() and digits.isdigit()
    return int(digits) if is_run else None


def identity(status: os.stat_result) -> Identity:
    """Which file it is."""
    return (status.st_ino, status.st_size, status.st_mtime_ns)


class Run:
    """An open run. It may be read by several threads at once, and after its file was removed.

    The descriptor is closed when the last user lets go of the run, or by `close`.
    """

    def __init__(self, path: Path) -> None:
        """Opens the file and checks its footer.

        Raises:
            RunDamaged: It is no run, or not whole.
            OSError: It cannot be opened (FileNotFoundError: it was merged away or retired).
        """
        self.path = path
        self._descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        self._close = weakref.finalize(self, os.close, self._descriptor)
        status = os.fstat(self._descriptor)
        self.identity = identity(status)
        self.size = status.st_size
        """Bytes of the file."""
        self.footer = self._read_footer(status)
        self.audiences: Mapping[Audience, AudienceStatistics] = MappingProxyType(
            {statistics.audience: statistics for statistics in self.footer.audiences}
        )
        self._blocks: dict[Audience, list[Block]] = {audience: [] for audience in self.audiences}
        for block in self.footer.blocks:
            self._blocks[self.footer.audiences[block.audience].audience].append(block)

    def __repr__(self) -> str:
        return f"<Run {self.low} to {self.number}: {self.path}>"

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def number(self) -> int:
        """Its number; the largest of those merged into it."""
        return self.footer.number

    @property
    def low(self) -> int:
        """The smallest run number merged into it; its own where it is fresh."""
        return self.footer.low

    def close(self) -> None:
        """Gives the descriptor back; the run cannot be read any more."""
        self._close()

    def fences(self, audience: Audience) -> list[tuple[str, int]]:
        """First user (`rows.user_key`) and rows of each block of the audience, ascending."""
        return [(block.first_user, block.rows) for block in self._blocks.get(audience, [])]

    def blocks(self, audience: Audience) -> Sequence[Block]:
        """The audience's blocks, ascending by user."""
        return tuple(self._blocks.get(audience, []))

    def read(
        self, audience: Audience, start: str = "", stop: str | None = None, min_event_time: int | None = None
    ) -> pl.DataFrame:
        """Rows of users from `start` up to but without `stop`, sorted by user and segment.

        Args:
            audience: Whose rows.
            start: First `rows.user_key` (empty: the first there is).
            stop: The key behind the last one (None: to the last there is).
            min_event_time: Blocks without an event of this instant (epoch ms) or later are skipped; rows are
                not filtered.

        Returns:
            The columns of `rows.schema` and `run` (UInt32): the number of the run that a row was sealed in.

        Raises:
            RunDamaged: A block that is needed does not match its checksum.
        """
        return Reader(self, audience).read(start, stop, min_event_time)

    def rows(self, *blocks: Block) -> pl.DataFrame:
        """The rows of blocks of one audience (at least one), checked; columns as of `read`.

        Several at once are a fifth faster than one by one.

        Raises:
            RunDamaged: They do not match their checksum.
        """
        data = [self.raw(block) for block in blocks]
        try:
            rows = pl.read_parquet(data[0] if len(data) == 1 else data)
        except (pl.exceptions.PolarsError, pl.exceptions.PanicException) as error:
            raise self._damaged(f"a block from byte {blocks[0].offset} on cannot be decoded") from error
        return rows if self.footer.merged else rows.with_columns(run=pl.lit(self.number, dtype=pl.UInt32))

    def raw(self, block: Block) -> bytes:
        """A block's bytes, checked.

        Raises:
            RunDamaged: They do not match their checksum.
        """
        data = self._pread(block.length, block.offset)
        if len(data) != block.length or crc32(data) != block.crc32:
            raise self._damaged(f"the checksum of the block at byte {block.offset} differs")
        return data

    def _read_footer(self, status: os.stat_result) -> Footer:
        trailer_at = status.st_size - TRAILER.size
        begins = self._pread(len(MAGIC), 0)
        if trailer_at < len(MAGIC) or not begins.startswith(KIND):
            raise self._unreadable(status, "it is no run, or cut short")
        checksum, length, magic = TRAILER.unpack(self._pread(TRAILER.size, trailer_at))
        if begins == magic != MAGIC:
            raise BridgeError(
                f"run {self.path}: another s2s-bridge wrote it; run that version or a later one"
            )
        if begins != MAGIC or magic != MAGIC or length > trailer_at - len(MAGIC):
            raise self._unreadable(status, "its end is missing")
        text = self._pread(length, trailer_at - length)
        if crc32(text) != checksum:
            raise self._unreadable(status, "the checksum of its footer differs")
        try:
            footer = Footer.decode(text)
        except (ValueError, RecursionError) as error:
            raise self._unreadable(status, "its footer is of another version") from error
        if (
            footer.end != trailer_at - length
            or number_of(self.path.name) != footer.number
            or not footer.consistent
        ):
            raise self._unreadable(status, "its footer does not belong to it")
        return footer

    def _pread(self, length: int, offset: int) -> bytes:
        """Up to `length` bytes; less only where the file ends."""
        parts: list[bytes] = []
        while length:
            try:
                part = os.pread(self._descriptor, length, offset)
            except OSError as error:
                raise RunDamaged(
                    f"run {self.path} cannot be read ({error.strerror}): check the disk, then start again"
                ) from error
            if not part:
                break
            parts.append(part)
            length -= len(part)
            offset += len(part)
        return b"".join(parts)

    def _damaged(self, what: str) -> RunDamaged:
        offsets = ", ".join(
            f"{position.topic} partition {position.partition} from {position.first_offset} "
            f"(up to {position.next_offset})"
            for position in self.footer.positions
            if position.first_offset is not None
        )
        again = f"reset the group's offsets to read again: {offsets}" if offsets else "replay its time again"
        return RunDamaged(
            f"run {self.path} is damaged: {what}; bring the file back from a copy, or stop, move it away and "
            f"{again}"
        )

    def _unreadable(self, status: os.stat_result, what: str) -> RunDamaged:
        changed = datetime.fromtimestamp(status.st_mtime, UTC).isoformat(timespec="seconds")
        return RunDamaged(
            f"run {self.path} is damaged: {what}; bring the file back from a copy, or stop, move it away and "
            f"reset the group's offsets to a time before {changed}, less one window"
        )


class Reader:
    """Reads one audience of a run. It keeps the last block: ranges that ascend decode each block once."""

    def __init__(self, run: Run, audience: Audience) -> None:
        self.run = run
        """Which run it is."""
        self._audience = audience
        self._blocks = run.blocks(audience)
        self._kept: tuple[Block, pl.DataFrame] | None = None

    def read(
        self, start: str = "", stop: str | None = None, min_event_time: int | None = None
    ) -> pl.DataFrame:
        """As `Run.read`."""
        wanted = [
            block
            for block in self._blocks
            if block.last_user >= start
            and (stop is None or block.first_user < stop)
            and (min_event_time is None or block.max_event_time >= min_event_time)
        ]
        if not wanted:
            return sealed_schema(self._audience).to_frame()
        rows = self._rows(wanted)
        first = first_at(self._audience, rows, start)
        last = rows.height if stop is None else first_at(self._audience, rows, stop)
        return rows[first:last]

    def _rows(self, blocks: Sequence[Block]) -> pl.DataFrame:
        """The rows of consecutive blocks, of which the first may be the one that is kept."""
        kept = [self._kept[1]] if self._kept is not None and self._kept[0] is blocks[0] else []
        new = blocks[len(kept) :]
        if not new:
            return kept[0]
        rows = self.run.rows(*new)
        self._kept = (new[-1], rows[-new[-1].rows :])
        return pl.concat([*kept, rows])
