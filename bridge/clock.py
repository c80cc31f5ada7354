"""The clock port: everything that needs the time is handed one of these.

Instants are epoch milliseconds (UTC) as int, durations are milliseconds as int.
"""

import threading
import time
from typing import Protocol

SECOND = 1_000
MINUTE = 60 * SECOND
HOUR = 60 * MINUTE
DAY = 24 * HOUR

_SINCE_BOOT = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)
"""Not every system counts the time that it sleeps."""


class Clock(Protocol):
    """What time it is, and waiting for it to pass.

    Contract: `now` never needs to be monotonic (the system's clock may be set), `elapsed` is; `wait` measures
    a duration of this clock and must return early, with True, as soon as the signal is set.
    """

    def now(self) -> int:
        """Epoch milliseconds, UTC."""
        ...

    def elapsed(self) -> int:
        """Milliseconds since whenever, the machine's sleep among them; setting the clock changes nothing."""
        ...

    def wait(self, signal: threading.Event, duration: int) -> bool:
        """Wait until `signal` is set (True) or `duration` milliseconds have passed (False)."""
        ...


class SystemClock:
    """The machine's own clock."""

    def now(self) -> int:
        """Epoch milliseconds, UTC."""
        return time.time_ns() // 1_000_000

    def elapsed(self) -> int:
        """Milliseconds since the machine started."""
        return time.clock_gettime_ns(_SINCE_BOOT) // 1_000_000

    def wait(self, signal: threading.Event, duration: int) -> bool:
        """Wait until `signal` is set (True) or `duration` milliseconds have passed (False)."""
        return signal.wait(max(0, duration) / SECOND)
