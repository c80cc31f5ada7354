"""Writing a run: blocks as they come, then the footer."""

import io
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np
import polars as pl
from zlib_ng.zlib_ng import crc32

from bridge.audience.audience import Audience
from bridge.audience.merge import first_of
from bridge.audience.rows import REMOVE, user_columns, user_key
from bridge.spool.disk import Disk, DurableFile
from bridge.spool.footer import MAGIC, AudienceStatistics, Block, Footer, Position


class RunWriter:
    """A run in the making, under a temporary name until it is published.

    Used as a context manager: what was not published is removed at the end.
    """

    def __init__(self, disk: Disk, folder: Path, block_rows: int) -> None:
        """Begins a new file in `folder`, with blocks of at most `block_rows` rows."""
        self._block_rows = block_rows
        self._file = DurableFile(disk, folder)
        self._audiences: list[Audience] = []
        self._blocks: list[Block] = []

    def __enter__(self) -> Self:
        self._file.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.__exit__(kind, error, trace)

    def add(self, audience: Audience, rows: pl.DataFrame) -> None:
        """Rows of users at or above those given before, sorted by user and segment, the audiences one by one.

        Raises:
            SpoolFull: There is no room.
            SpoolFailed: The disk failed.
        """
        if rows.is_empty():
            return
        pieces = list(cuts(audience, rows, self._block_rows))
        described = _described(audience, rows, [start for start, _ in pieces])
        for (start, length), block in zip(pieces, described, strict=True):
            data = io.BytesIO()
            part = rows.slice(start, length)
            part.write_parquet(data, compression="zstd", compression_level=1, statistics=False)
            self._append(audience, block, data.getvalue())

    def copy(self, audience: Audience, block: Block, data: bytes) -> None:
        """A block of another run as it is; order as with `add`.

        Raises:
            SpoolFull: There is no room.
            SpoolFailed: The disk failed.
        """
        self._append(audience, block, data)

    def finish(
        self,
        *,
        number: int,
        low: int,
        sealed_at: int,
        oldest_sealed_at: int,
        positions: Iterable[Position],
        oldest_read_at: Mapping[Audience, int],
    ) -> None:
        """The footer is written, and the file synced.

        Raises:
            SpoolFull: There is no room.
            SpoolFailed: The disk failed; a failed sync is not tried again.
        """
        footer = Footer(
            number=number,
            low=low,
            sealed_at=sealed_at,
            oldest_sealed_at=oldest_sealed_at,
            positions=tuple(sorted(positions, key=lambda position: position.key)),
            audiences=tuple(self._statistics(oldest_read_at)),
            blocks=tuple(self._blocks),
        )
        if not self._blocks:
            self._file.write(MAGIC)
        self._file.write(footer.encode())
        self._file.sync()

    def publish(self, target: Path) -> None:
        """The finished run appears as `target`, durably.

        Raises:
            SpoolFull: The folder has no room for the name.
            SpoolFailed: The folder could not be synced.
        """
        self._file.publish(target)

    def _append(self, audience: Audience, block: Block, data: bytes) -> None:
        if not self._blocks:
            self._file.write(MAGIC)
        if not self._audiences or self._audiences[-1] != audience:
            self._audiences.append(audience)
        place = len(self._audiences) - 1
        placed = replace(block, audience=place, offset=self._file.size, length=len(data), crc32=crc32(data))
        self._file.write(data)
        self._blocks.append(placed)

    def _statistics(self, oldest_read_at: Mapping[Audience, int]) -> Iterator[AudienceStatistics]:
        blocks: list[list[Block]] = [[] for _ in self._audiences]
        for block in self._blocks:
            blocks[block.audience].append(block)
        for audience, own in zip(self._audiences, blocks, strict=True):
            yield AudienceStatistics(
                audience=audience,
                rows=sum(block.rows for block in own),
                removals=sum(block.removals for block in own),
                bytes=sum(block.length for block in own),
                oldest_read_at=oldest_read_at[audience],
                min_event_time=min(block.min_event_time for block in own),
                max_event_time=max(block.max_event_time for block in own),
            )


def cuts(audience: Audience, rows: pl.DataFrame, most: int) -> Iterator[tuple[int, int]]:
    """Start and length of blocks of at most `most` rows, cut between users where no user alone is larger."""
    if rows.height <= most:
        yield from [(0, rows.height)] if rows.height else []
        return
    users = rows.select(first_of(user_columns(audience)).arg_true()).to_series().to_numpy()
    start = 0
    while start < rows.height:
        end = min(start + most, rows.height)
        if end < rows.height:
            boundary = int(users[np.searchsorted(users, end, side="right") - 1])
            end = boundary if boundary > start else end
        yield start, end - start
        start = end


def _described(audience: Audience, rows: pl.DataFrame, starts: Sequence[int]) -> list[Block]:
    """The blocks of sorted rows that begin there, as yet without a place and bytes."""
    stops = [*starts[1:], rows.height]
    times = rows["event_time"].to_numpy()
    removals = np.add.reduceat(rows["timestamp"].to_numpy() == REMOVE, starts, dtype=np.int64)
    edges = [at for start, stop in zip(starts, stops, strict=True) for at in (start, stop - 1)]
    named = rows.select(user_columns(audience))[edges].iter_rows(named=True)
    users = [user_key(audience, row) for row in named]
    found = zip(
        starts,
        stops,
        users[::2],
        users[1::2],
        removals.tolist(),
        np.minimum.reduceat(times, starts).tolist(),
        np.maximum.reduceat(times, starts).tolist(),
        strict=True,
    )
    return [
        Block(
            audience=0,
            first_user=first_user,
            last_user=last_user,
            rows=stop - start,
            removals=removed,
            min_event_time=oldest,
            max_event_time=newest,
            offset=0,
            length=0,
            crc32=0,
        )
        for start, stop, first_user, last_user, removed, oldest, newest in found
    ]
