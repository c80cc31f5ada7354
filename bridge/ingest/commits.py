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

    A refusal takes our partitions, and where they come back they are to be committed: whoever is refused each
    time would join, commit and lose them again without end. So there is a pause after a refusal too.
    """

    def __init__(self, clock: "Clock") -> None:
        self._clock = clock
        self._attempt = Backoff()
        self._unanswered = 0
        self.refused = False
        """The newest answer was that it came too late; what is wanted now will hardly fare better."""
        self.wanted: dict[Partition, int] = {}
        """The newest offset to commit of each partition."""
        self.run = 0
        """The newest run, which holds all of them."""

    @property
    def due(self) -> bool:
        """Something is wanted, no answer is outstanding, and there is no pause."""
        return bool(self.wanted) and not self._unanswered and not self.resting

    @property
    def resting(self) -> bool:
        """The pause after a failure or a refusal is not over."""
        return self._clock.elapsed() < self._attempt.due

    def want(self, offsets: "Mapping[Partition, int]", run: int) -> None:
        """These offsets, all held by runs up to this one, are to be committed."""
        self.wanted |= offsets
        self.run = run

    def sent(self) -> None:
        """All that is wanted was asked for."""
        self._unanswered += 1

    def settled(self, offsets: "Mapping[Partition, int]") -> None:
        """These offsets are committed."""
        self._answered(refused=False)
        self._attempt.succeeded()
        self._done_with(offsets)

    def came_too_late(self, offsets: "Mapping[Partition, int]") -> None:
        """These offsets were refused, and need not be committed any more; others wait for a growing pause."""
        self._answered(refused=True)
        self._attempt.failed(self._clock.elapsed())
        self._done_with(offsets)

    def failed(self) -> None:
        """One that was asked for failed; it is worth another try after a growing pause."""
        self._answered(refused=False)
        self._attempt.failed(self._clock.elapsed())

    def hurry(self) -> None:
        """There is no later: the pause is over."""
        self._attempt.due = 0
        self.refused = False

    def forget(self, partitions: "Collection[Partition]") -> None:
        """These partitions are not ours any more."""
        self.wanted = {at: offset for at, offset in self.wanted.items() if at not in partitions}

    def _answered(self, *, refused: bool) -> None:
        self._unanswered -= 1
        self.refused = refused

    def _done_with(self, offsets: "Mapping[Partition, int]") -> None:
        self.wanted = {at: offset for at, offset in self.wanted.items() if offsets.get(at) != offset}
