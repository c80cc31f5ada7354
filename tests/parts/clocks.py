"""Clocks for tests: one moved by hand, one of another machine, one that takes its time where it matters."""

import threading
import time

from bridge.clock import HOUR, SECOND


class HandClock:
    """Stands still until it is moved; who waits for it moves it."""

    def __init__(self, now: int) -> None:
        self._now = now
        self._set_by = 0

    def now(self) -> int:
        """Epoch milliseconds, UTC, of this clock."""
        return self._now

    def elapsed(self) -> int:
        """Milliseconds that have passed, however it was set."""
        return self._now - self._set_by

    def set_by(self, duration: int) -> None:
        """Somebody sets it forward (back, if negative)."""
        self._now += duration
        self._set_by += duration

    def wait(self, signal: threading.Event, duration: int) -> bool:
        """Nobody else is there to set the signal: the time is over at once."""
        if not signal.is_set():
            self.move(duration)
        return signal.is_set()

    def move(self, duration: int) -> None:
        """So many milliseconds pass."""
        self._now += max(0, duration)

    def move_to(self, now: int) -> None:
        """The time is this one, if it is not later already."""
        self._now = max(self._now, now)


class SetClock:
    """Stands still until `at` is set; who waits for it does so in real time, a little."""

    def __init__(self, at: int) -> None:
        self.at = at

    def now(self) -> int:
        """Epoch milliseconds, UTC, of this clock."""
        return self.at

    def elapsed(self) -> int:
        """As `now`: what is set is what passes."""
        return self.at

    def wait(self, signal: threading.Event, duration: int) -> bool:
        """Return soon: somebody may have set it."""
        return signal.wait(min(duration, 20) / SECOND)


class ShiftedClock:
    """Another clock's time, ahead by `skew` ms (behind, if negative): that of a server."""

    def __init__(self, clock, skew: int) -> None:
        self._clock = clock
        self._skew = skew

    def now(self) -> int:
        """Epoch milliseconds, UTC, of this clock."""
        return self._clock.now() + self._skew

    def elapsed(self) -> int:
        """As the other clock's."""
        return self._clock.elapsed()

    def wait(self, signal: threading.Event, duration: int) -> bool:
        """As the other clock's."""
        return self._clock.wait(signal, duration)


class HourlyClock:
    """Hurries through the hours and slows down around each reset, where an upload's seconds count.

    It starts at `start`, an hour's reset.
    """

    NEAR = 90 * SECOND
    SLOW = 60
    FAST = 900
    LOOK = 0.02
    """Seconds of real time."""

    def __init__(self, start: int) -> None:
        self._start = start
        self._began = time.monotonic()
        self._slow = self.NEAR / self.SLOW / SECOND
        self._fast = (HOUR - 2 * self.NEAR) / self.FAST / SECOND

    def now(self) -> int:
        """Epoch milliseconds, UTC, of this clock."""
        hours, left = divmod(time.monotonic() - self._began, 2 * self._slow + self._fast)
        fast = min(max(0, left - self._slow), self._fast)
        within = fast * self.FAST + (left - fast) * self.SLOW
        return self._start + int(hours) * HOUR + int(within * SECOND)

    def elapsed(self) -> int:
        """As `now`: nobody sets this clock."""
        return self.now()

    def wait(self, signal: threading.Event, duration: int) -> bool:
        """Wait until `signal` is set (True) or `duration` milliseconds of this clock have passed (False)."""
        end = self.now() + duration
        while not signal.wait(self.LOOK):
            if self.now() >= end:
                return False
        return True
