"""How long to wait before something that failed is tried again: pauses that grow, with jitter."""

import random
from collections.abc import Callable

from tenacity import Retrying, retry_if_exception, stop_after_attempt

from bridge.clock import SECOND

FIRST = SECOND // 2
"""About how long the first pause is, ms, unless told otherwise."""

LONGEST = 30 * SECOND
"""No pause is longer, ms, unless told otherwise."""


def growing(
    failures: int, first: int = FIRST, longest: int = LONGEST, luck: Callable[[], float] = random.random
) -> int:
    """The pause after so many failures in a row (from 1 on), in ms.

    It doubles from `first` up to `longest`; up to a half of it is left out (`luck`: 0 to 1), so that many
    bridges do not come back at once.
    """
    pause = min(longest, first << min(failures - 1, 20))
    return round(pause * (1 - luck() / 2))


class Backoff:
    """Something that failed for a passing reason, and when it is tried again."""

    def __init__(self, *, first: int = FIRST, longest: int = LONGEST) -> None:
        self._first = first
        self._longest = longest
        self.count = 0
        """How often it failed in a row."""
        self.due = 0
        """When it may be tried again (epoch ms)."""

    def failed(self, now: int) -> None:
        """It failed once more; the next pause is longer."""
        self.count += 1
        self.due = now + growing(self.count, self._first, self._longest)

    def succeeded(self) -> None:
        """The next failure is the first again."""
        self.count = self.due = 0


def retrying(
    passing: Callable[[BaseException], bool], sleep: Callable[[float], None], attempts: int
) -> Retrying:
    """Calls that are made up to so many times, with growing pauses, where the error is a passing one."""
    return Retrying(
        retry=retry_if_exception(passing),
        wait=lambda state: growing(state.attempt_number) / SECOND,
        stop=stop_after_attempt(attempts),
        sleep=sleep,
        reraise=True,
    )
