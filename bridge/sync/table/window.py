"""What was read of the topic and is not yet in the table."""

from collections import Counter
from collections.abc import Mapping

import polars as pl

from bridge.clock import SECOND
from bridge.sync.table.decoding import Skipped, Taken
from bridge.sync.table.rows import WINDOW

MOST_ROWS = 500_000
"""With so many rows it is taken into the table: about 60 MB, and thrice that while they are sorted."""

MAX_AGE = 10 * SECOND
"""At this age it is, ms: so long, at most, a mapping that was read is not joined."""


class Window:
    """Rows in memory, and up to where they were read."""

    def __init__(self) -> None:
        self._frames: list[pl.DataFrame] = []
        self._height = 0
        self._began_at: int | None = None
        self.positions: dict[int, int] = {}
        """Of each partition that was read, the offset after the last one."""
        self.skipped: Counter[Skipped] = Counter()
        """How many messages were not taken, by the reason."""

    def add(self, taken: Taken, positions: Mapping[int, int], now: int) -> None:
        """What became of messages, and up to where they go."""
        if self._began_at is None:
            self._began_at = now
        self._frames.append(taken.rows)
        self._height += taken.rows.height
        self.skipped.update(taken.skipped)
        self.positions |= positions

    def due(self, now: int) -> bool:
        """It is to be taken into the table."""
        if self._began_at is None:
            return False
        return self._height >= MOST_ROWS or now - self._began_at >= MAX_AGE

    def rows(self) -> pl.DataFrame:
        """Columns of `rows.WINDOW`, as they came."""
        return pl.concat([WINDOW.to_frame(), *self._frames])
