"""The rows of one unresolved audience, read by ranges of users, so that memory is bounded."""

from collections.abc import Iterator, Sequence

import polars as pl

from bridge.audience.audience import Audience
from bridge.audience.merge import latest
from bridge.audience.rows import sealed_schema
from bridge.spool.ranges import range_starts
from bridge.spool.run import Reader, Run

RANGE_ROWS = 200_000
"""About how many rows are in memory at once, over all runs."""


def unresolved(runs: Sequence[Run]) -> list[Audience]:
    """The audiences of these runs whose users are to be translated, in order."""
    return sorted({audience for run in runs for audience in run.audiences if audience.unresolved})


class Shelf:
    """Those of its runs that hold the audience."""

    def __init__(self, audience: Audience, runs: Sequence[Run]) -> None:
        self._audience = audience
        self._runs = [run for run in runs if audience in run.audiences]

    def above(self, number: int) -> Iterator[pl.DataFrame]:
        """The rows of runs above this one, in ranges of users that ascend; within one, run by run.

        Raises:
            RunDamaged: A block is not what was written.
        """
        runs = [run for run in self._runs if run.number > number]
        fences = (fence for run in runs for fence in run.fences(self._audience))
        starts = list(range_starts(fences, RANGE_ROWS))
        readers = [Reader(run, self._audience) for run in runs]
        lowest = min((run.low for run in runs), default=0)
        for start, stop in zip(["", *starts], [*starts, None], strict=True):
            rows = self._read(readers, start, stop)
            yield rows if number < lowest else rows.filter(pl.col("run") > number)

    def of_users(self, ids: pl.Series, upto: int) -> Iterator[pl.DataFrame]:
        """Last writes of these users (ascending, each once), in runs up to this one; many have none.

        Only blocks that lie between users of a range are read.

        Raises:
            RunDamaged: As `above`.
        """
        if ids.is_empty():
            return
        runs = [run for run in self._runs if run.low <= upto]
        first, last = str(ids[0]), str(ids[-1])
        fences = (fence for run in runs for fence in run.fences(self._audience) if first < fence[0] <= last)
        starts = list(range_starts(fences, RANGE_ROWS))
        cuts = ids.search_sorted(pl.Series(starts, dtype=pl.String), "left").to_list() if starts else []
        readers = [Reader(run, self._audience) for run in runs]
        for low, high in zip([0, *cuts], [*cuts, len(ids)], strict=True):
            some = ids[low:high]
            if len(some):
                rows = self._read(readers, str(some[0]), f"{some[-1]}\0")
                wanted = rows.filter(pl.col("run") <= upto).join(some.to_frame("user"), on="user", how="semi")
                yield latest(self._audience, wanted)

    def _read(self, readers: Sequence[Reader], start: str, stop: str | None) -> pl.DataFrame:
        empty = sealed_schema(self._audience).to_frame()
        return pl.concat([empty, *(reader.read(start, stop) for reader in readers)])
