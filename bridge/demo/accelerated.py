"""A clock on which an hour takes seconds."""

import threading
import time

from bridge.clock import SECOND


class AcceleratedClock:
    """Starts at `start` (epoch ms) and runs `factor` times as fast as real time."""

    def __init__(self, *, start: int, factor: int) -> None:
        self._start = start
        self._factor = factor
        self._began = time.monotonic_ns()

    def now(self) -> int:
        """Epoch milliseconds, UTC, of this clock."""
        return self._start + (time.monotonic_ns() - self._began) * self._factor // 1_000_000

    def wait(self, signal: threading.Event, duration: int) -> bool:
        """Wait until `signal` is set (True) or `duration` milliseconds of this clock have passed (False)."""
        return signal.wait(max(0, duration) / self._factor / SECOND)
