"""How long to wait before something that failed is tried again: pauses that grow, with jitter."""

import random
from collections.abc import Callable

from bridge.clock import SECOND

_DICE = random.SystemRandom()


def growing(attempt: int, first: int, longest: int, luck: Callable[[], float] = _DICE.random) -> int:
    """The pause after the attempt of this number (from 1 on), in ms.

    It doubles from `first` up to `longest`; up to a half of it is left out (`luck`: 0 to 1), so that many
    bridges do not come back at once.
    """
    pause = min(longest, first << min(attempt - 1, 20))
    return round(pause * (1 - luck() / 2))


class Attempt:
    """Something that failed for a passing reason, and when it is tried again."""

    def __init__(self, *, first: int = SECOND // 2, longest: int = 30 * SECOND) -> None:
        self._first = first
        self._longest = longest
        self.count = 0
        """How often it failed."""
        self.due = 0
        """When it may be tried again (epoch ms)."""

    def failed(self, now: int) -> None:
        """It failed once more; the next pause is longer."""
        self.count += 1
        self.due = now + growing(self.count, self._first, self._longest)

    def succeeded(self) -> None:
        """The next failure is the first again."""
        self.count = self.due = 0
