"""How far rows were translated: stands in the runs' footers, as positions of a topic that there is none of.

So what was translated and how far that is become durable in one step, as data and offsets do (design.md,
invariant 2), and a run that is lost takes its part of the progress with it: its rows are translated again.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Self

from bridge.spool.footer import Position, newest
from bridge.spool.run import Run

TRANSLATION = "identity-table"
"""Stands for the cluster; no cluster's own id reads so."""

_RUN, _KNOWN_AT = 0, 1
"""Partitions: each holds one of the numbers."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Progress:
    """Up to where all that can be translated is."""

    run: int = 0
    """The unresolved rows of live runs up to this one."""
    known_at: int = 0
    """By the identity table as it was at this batch of it (`Snapshot.known_at`)."""

    @classmethod
    def of(cls, runs: Iterable[Run]) -> Self:
        """What the live runs say."""
        own = (position for run in runs for position in run.footer.positions)
        found = newest(position for position in own if position.cluster_id == TRANSLATION)
        by_partition = {position.partition: position.next_offset for position in found.values()}
        return cls(run=by_partition.get(_RUN, 1) - 1, known_at=by_partition.get(_KNOWN_AT, 1) - 1)

    def positions(self) -> tuple[Position, ...]:
        """As they are sealed with what was translated last."""
        return (_position(_RUN, self.run), _position(_KNOWN_AT, self.known_at))


def _position(partition: int, done: int) -> Position:
    return Position(
        cluster_id=TRANSLATION,
        topic_id=TRANSLATION,
        topic=TRANSLATION,
        group="",
        partition=partition,
        next_offset=done + 1,
    )
