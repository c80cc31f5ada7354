"""Audiences by number: what lets rows of many audiences stand in one frame, with a column that says whose."""

from collections.abc import Iterable

import polars as pl

from bridge.audience.audience import Audience

WHOSE = "audience"
"""The column (UInt32) of such a frame: the number of a row's audience."""


class Roster:
    """Numbers audiences in the order in which they are first asked for."""

    def __init__(self) -> None:
        self._numbers: dict[Audience, int] = {}
        self._audiences: list[Audience] = []

    def __getitem__(self, number: int) -> Audience:
        """The audience of a number that was given."""
        return self._audiences[number]

    def number(self, audience: Audience) -> int:
        """The audience's number, from now on."""
        if audience not in self._numbers:
            self._numbers[audience] = len(self._audiences)
            self._audiences.append(audience)
        return self._numbers[audience]

    def present(self, rows: pl.DataFrame) -> list[int]:
        """The numbers that occur in the column `audience`, ascending."""
        whose = rows[WHOSE]
        if rows.is_empty() or whose.min() == whose.max():
            return whose.head(1).to_list()
        return whose.unique().sort().to_list()

    def split(self, frames: Iterable[pl.DataFrame]) -> dict[Audience, pl.DataFrame]:
        """The rows of frames with the same columns, apart by audience; without that column, in order."""
        rows = pl.concat(frames)
        present = self.present(rows)
        if len(present) == 1:
            return {self[present[0]]: rows.drop(WHOSE)}
        parts = rows.partition_by(WHOSE, maintain_order=True, include_key=False, as_dict=True)
        return {self[int(number)]: part for (number,), part in parts.items()}
