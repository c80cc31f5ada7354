"""How many requests a second the platform answers."""

from collections import deque

from bridge.clock import SECOND


class Pace:
    """Remembers the requests of the last second that it let pass."""

    def __init__(self, per_second: int) -> None:
        self._passed: deque[int] = deque(maxlen=per_second)

    def admits(self, now: int) -> bool:
        """Whether another one may pass at `now`, ms of a clock that is never set."""
        full = len(self._passed) == self._passed.maxlen
        if full and now - self._passed[0] < SECOND:
            return False
        self._passed.append(now)
        return True
