"""Whether the process works: its threads beat, it has partitions, its spool can be written."""

from collections.abc import Callable, Mapping

from bridge.clock import MINUTE

SILENCE = 5 * MINUTE
"""A thread that has not beaten for this long is taken for dead: above the longest seal or merge step."""


class Health:
    """The last beat of each thread, and what `/healthz` and `/readyz` say. Safe from any thread."""

    def __init__(self, spool_writable: Callable[[], bool]) -> None:
        self._beats: dict[str, int] = {}
        self._stopped: set[str] = set()
        self._assigned = False
        self._spool_writable = spool_writable

    def beat(self, thread: str, now: int) -> None:
        """`thread` works at `now`."""
        self._beats[thread] = now

    def ended(self, thread: str) -> None:
        """`thread` is through with its work, and beats no more."""
        self._beats.pop(thread, None)

    def stopped(self, thread: str) -> None:
        """`thread` cannot go on, and a restart would not help it: for that nobody else is to be stopped."""
        self._stopped.add(thread)
        self.ended(thread)

    @property
    def standing(self) -> frozenset[str]:
        """The threads that have stopped."""
        return frozenset(self._stopped)

    @property
    def beats(self) -> Mapping[str, int]:
        """The last beat of each thread, epoch ms; as they are now."""
        return dict(self._beats)

    def assigned(self, *, value: bool) -> None:
        """Whether partitions are assigned."""
        self._assigned = value

    def faults(self, now: int) -> list[str]:
        """What `/healthz` complains of: threads that no longer beat."""
        return [
            f"thread {thread} has been silent for {(now - last) // 1000} s"
            for thread, last in sorted(self.beats.items())
            if now - last > SILENCE
        ]

    def stops(self) -> list[str]:
        """The threads that have stopped, in a sentence each; `/healthz` does not complain of them."""
        return [f"thread {thread} has stopped, as a run is damaged" for thread in sorted(self.standing)]

    def not_ready(self) -> list[str]:
        """What `/readyz` complains of."""
        faults = [] if self._assigned else ["no partitions are assigned"]
        return faults if self._spool_writable() else [*faults, "the spool cannot be written"]
