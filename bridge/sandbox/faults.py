"""Faults on demand: what a client of the platform's APIs must live with. None unless they are asked for."""

from collections import deque
from dataclasses import dataclass
from enum import StrEnum
from threading import Lock


class Kind(StrEnum):
    """What goes wrong."""

    TOO_MANY_REQUESTS = "too_many_requests"
    """429 with Retry-After."""
    UNAVAILABLE = "unavailable"
    """503."""
    SERVER_ERROR = "server_error"
    """500."""
    SLOW = "slow"
    """The right answer, after so many seconds."""
    REPEATED_PAGE = "repeated_page"
    """The first page, whatever the offset."""
    NOT_JSON = "not_json"
    """200 with a page of HTML."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Fault:
    """One request's."""

    kind: Kind
    seconds: int = 1
    """How slow, or what Retry-After says."""


class Faults:
    """Those that are planned: each request takes the next one."""

    MOST = 1_000

    def __init__(self) -> None:
        self._lock = Lock()
        self._planned: deque[Fault] = deque(maxlen=self.MOST)

    def plan(self, fault: Fault, times: int = 1) -> None:
        """The next requests, behind those that are planned already, meet it."""
        with self._lock:
            self._planned.extend([fault] * min(times, self.MOST))

    def take(self) -> Fault | None:
        """The next one; None: all is well."""
        with self._lock:
            return self._planned.popleft() if self._planned else None
