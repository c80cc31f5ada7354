"""Who waits, and how long: growing pauses with jitter, and calls that are tried again."""

import random
from collections.abc import Callable

from tenacity import Retrying, retry_if_exception, stop_after_attempt

from bridge.clock import SECOND

FIRST = SECOND // 2
"""About how long the first pause is, ms."""

LONGEST = 30 * SECOND
"""No pause is longer, ms."""

_DICE = random.SystemRandom()


def growing(attempt: int, luck: Callable[[], float] = _DICE.random) -> int:
    """The pause after the attempt of this number (from 1 on), in ms.

    It doubles from 0.5 s up to 30 s; up to a half of it is left out (`luck`: 0 to 1), so that many bridges do
    not come back at once.
    """
    longest = min(LONGEST, FIRST << min(attempt - 1, 10))
    return round(longest * (1 - luck() / 2))


class Attempt:
    """Something that failed for a passing reason, and when it is tried again."""

    def __init__(self) -> None:
        self.count = 0
        """How often it failed."""
        self.due = 0
        """When it may be tried again (epoch ms)."""

    def failed(self, now: int) -> None:
        """It failed once more; the next pause is longer."""
        self.count += 1
        self.due = now + growing(self.count)


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
