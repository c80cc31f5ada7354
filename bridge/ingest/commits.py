"""Commits on their way: what is wanted, and whether it is time to ask for it (again)."""

from typing import TYPE_CHECKING

from bridge.backoff import Backoff

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from bridge.clock import Clock
    from bridge.ingest.partition import Partition


class Commits:
    """The offsets that are not yet known to be committed.

    Commits are asked for without waiting. One that is lost or late does no harm: the runs hold the offsets,
    and at a start the larger one counts (design.md, invariant 3).
    """

    def __init__(self, clock: "Clock") -> None:
        self._clock = clock
        self._attempt = Backoff()
        self._unanswered = 0
        self.wanted: dict[Partition, int] = {}
        """The newest offset to commit of each partition."""
        self.run = 0
        """The newest run, which holds all of them."""

    @property
    def due(self) -> bool:
        """Something is wanted, no answer is outstanding, and the pause after a failure is over."""
        return bool(self.wanted) and not self._unanswered and self._clock.now() >= self._attempt.due

    def want(self, offsets: "Mapping[Partition, int]", run: int) -> None:
        """These offsets, all held by runs up to this one, are to be committed."""
        self.wanted |= offsets
        self.run = run

    def sent(self) -> None:
        """All that is wanted was asked for."""
        self._unanswered += 1

    def settled(self, offsets: "Mapping[Partition, int]") -> None:
        """These offsets are committed, or need not be any more."""
        self._unanswered -= 1
        self._attempt = Backoff()
        self.wanted = {at: offset for at, offset in self.wanted.items() if offsets.get(at) != offset}

    def failed(self) -> None:
        """One that was asked for failed; it is worth another try after a growing pause."""
        self._unanswered -= 1
        self._attempt.failed(self._clock.now())

    def forget(self, partitions: "Collection[Partition]") -> None:
        """These partitions are not ours any more."""
        self.wanted = {at: offset for at, offset in self.wanted.items() if at not in partitions}
