"""Virtual time: what happens when, in one thread.

Who waits lets the others go on: `sleep` runs what is due meanwhile, nested in the sleeper's own call. So an
upload takes its minutes while windows are sealed, and nothing depends on a scheduler that is not ours.
"""

import heapq
import itertools
import threading
from collections.abc import Callable

Never: Callable[[], bool] = lambda: False  # noqa: E731  # the default of a condition


class Agenda:
    """The true time (epoch ms), which no clock of the product knows, and what is to happen."""

    def __init__(self, now: int) -> None:
        self.now = now
        self._due: list[tuple[int, int, Callable[[], None]]] = []
        self._order = itertools.count()

    def at(self, time: int, what: Callable[[], None]) -> None:
        """Something is to happen at that time; of two at the same time the first one noted goes first."""
        heapq.heappush(self._due, (max(time, self.now), next(self._order), what))

    def after(self, duration: int, what: Callable[[], None]) -> None:
        """As `at`, so many ms from now."""
        self.at(self.now + duration, what)

    def sleep(self, duration: int, until: Callable[[], bool] = Never) -> None:
        """So many ms pass, or fewer, once `until` holds; what is due meanwhile happens."""
        end = self.now + max(0, duration)
        while not until() and self._due and self._due[0][0] <= end:
            self._happen()
        if not until():
            self.now = max(self.now, end)

    def go_on(self) -> bool:
        """The next thing happens; False: nothing is to happen any more."""
        if not self._due:
            return False
        self._happen()
        return True

    def _happen(self) -> None:
        time, _, what = heapq.heappop(self._due)
        self.now = max(self.now, time)
        what()


class VirtualClock:
    """The product's clock: the agenda's time, and how far it is off."""

    def __init__(self, agenda: Agenda) -> None:
        self._agenda = agenda
        self.off = 0
        """This clock less the true time, ms."""

    def now(self) -> int:
        """Epoch ms, UTC, as this clock has it."""
        return self._agenda.now + self.off

    def elapsed(self) -> int:
        """The true time, which nobody sets."""
        return self._agenda.now

    def wait(self, signal: threading.Event, duration: int) -> bool:
        """True once the signal is set, False after so many ms."""
        self._agenda.sleep(duration, signal.is_set)
        return signal.is_set()
