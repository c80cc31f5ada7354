"""Several runs become one: streamed by ranges of users, so that memory does not grow with the runs."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

import polars as pl

from bridge.audience.audience import Audience
from bridge.audience.merge import latest
from bridge.spool.footer import Position, PositionKey, newest
from bridge.spool.ranges import range_starts
from bridge.spool.run import Reader, Run
from bridge.spool.run_writer import RunWriter


def write_merged(writer: RunWriter, runs: Sequence[Run], range_rows: int, watch: Callable[[], None]) -> None:
    """The rows that win among `runs`, with the number of the run that each was sealed in, and the footer.

    About `range_rows` rows are in memory at once, and a block of each run; `watch` is called between ranges.

    Raises:
        RunDamaged: A block does not match its checksum.
        SpoolFull: There is no room.
        SpoolFailed: The disk failed.
    """
    for audience in sorted({audience for run in runs for audience in run.audiences}):
        holding = [run for run in runs if audience in run.audiences]
        readers = [Reader(run, audience) for run in holding]
        for start, stop in user_ranges(holding, audience, range_rows):
            watch()
            rows = pl.concat([reader.read(start, stop) for reader in readers])
            writer.add(audience, latest(audience, rows))
    writer.finish(
        number=max(run.number for run in runs),
        low=min(run.low for run in runs),
        sealed_at=max(run.footer.sealed_at for run in runs),
        oldest_sealed_at=min(run.footer.oldest_sealed_at for run in runs),
        positions=merged_positions(runs),
        oldest_read_at=_oldest_read_at(runs),
    )


def user_ranges(runs: Sequence[Run], audience: Audience, rows: int) -> Iterator[tuple[str, str | None]]:
    """Ranges [start, stop) of all users, each with about `rows` rows over all runs, or a block more each."""
    fences = (fence for run in runs for fence in run.fences(audience))
    starts = list(range_starts(fences, rows))
    return zip(["", *starts], [*starts, None], strict=True)


def merged_positions(runs: Sequence[Run]) -> list[Position]:
    """Of each partition the newest position, to be read again from the smallest offset of any of the runs."""
    every = [position for run in runs for position in run.footer.positions]
    first: dict[PositionKey, int] = {}
    for position in every:
        if position.first_offset is not None:
            first[position.key] = min(first.get(position.key, position.first_offset), position.first_offset)
    return [replace(position, first_offset=first.get(key)) for key, position in newest(every).items()]


def _oldest_read_at(runs: Sequence[Run]) -> dict[Audience, int]:
    oldest: dict[Audience, int] = {}
    for run in runs:
        for audience, statistics in run.audiences.items():
            oldest[audience] = min(oldest.get(audience, statistics.oldest_read_at), statistics.oldest_read_at)
    return oldest
