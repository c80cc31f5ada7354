"""A clock on which an hour takes seconds."""

import threading
import time

PAUSE = 0.05
"""Seconds of real time between two looks of a wait: whoever waits for little does not spin."""


class AcceleratedClock:
    """Starts at `start` (epoch ms) at the pace of real time; told to hurry, it is `factor` times as fast."""

    def __init__(self, *, start: int, factor: int) -> None:
        self._factor = factor
        self._leg = (time.monotonic_ns(), start, 1)
        """Since when (real time, ns), from which instant (epoch ms), how fast."""

    def now(self) -> int:
        """Epoch milliseconds, UTC, of this clock."""
        began, start, factor = self._leg
        return start + (time.monotonic_ns() - began) * factor // 1_000_000

    def elapsed(self) -> int:
        """As `now`: nobody sets this clock."""
        return self.now()

    def hurry(self) -> None:
        """Run fast from now on; a second call changes nothing."""
        if self._leg[2] != self._factor:
            self._leg = (time.monotonic_ns(), self.now(), self._factor)

    def wait(self, signal: threading.Event, duration: int) -> bool:
        """Wait until `signal` is set (True) or `duration` milliseconds of this clock have passed (False)."""
        end = self.now() + duration
        while True:
            if signal.wait(PAUSE):
                return True
            if self.now() >= end:
                return False
