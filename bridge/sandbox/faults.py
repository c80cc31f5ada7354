"""Faults on demand: what a client of the platform's APIs must live with. None unless they are asked for."""

from collections import deque
from dataclasses import dataclass
from enum import StrEnum
from threading import Lock


class Api(StrEnum):
    """Whose requests meet it."""

    PROCESSING_LOG = "processing_log"
    AUDIENCE_SEGMENTS = "audience_segments"
    LOGIN = "login"
    """Of the Audience Segments API: token and session."""


class Kind(StrEnum):
    """What goes wrong. Where an answer is not the right one, nothing is done, unless it says otherwise."""

    UNAUTHORIZED = "unauthorized"
    """401; the token and the session that were brought are good no more."""
    FORBIDDEN = "forbidden"
    """403."""
    NOT_FOUND = "not_found"
    """404."""
    CONFLICT = "conflict"
    """409."""
    TOO_MANY_REQUESTS = "too_many_requests"
    """429 with Retry-After."""
    TOO_MANY_WRITES = "too_many_concurrent_writes"
    """429 as for two writes at one time."""
    SERVER_ERROR = "server_error"
    """500."""
    UNAVAILABLE = "unavailable"
    """503 with Retry-After."""
    SLOW = "slow"
    """The right answer, after so many seconds."""
    REPEATED_PAGE = "repeated_page"
    """The log's first page, whatever the offset; no other API has pages."""
    NOT_JSON = "not_json"
    """200 with a page of HTML."""
    CUT_BEFORE = "cut_before"
    """The connection is cut before anything is done."""
    CUT_AFTER = "cut_after"
    """The connection is cut when all is done, and nothing of the answer was sent."""
    CUT_WITHIN = "cut_within"
    """The connection is cut when all is done, and half of the answer's body was sent."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Fault:
    """One request's."""

    kind: Kind
    seconds: int = 1
    """How slow, or what Retry-After says."""
    api: Api = Api.PROCESSING_LOG
    writes: bool = False
    """Only a creation or an update meets it; other requests pass by."""


class Faults:
    """Those that are planned: each request takes the next one that is for it."""

    MOST = 1_000

    def __init__(self) -> None:
        self._lock = Lock()
        self._planned: deque[Fault] = deque(maxlen=self.MOST)

    def plan(self, fault: Fault, times: int = 1) -> None:
        """The next requests, behind those that are planned already, meet it."""
        with self._lock:
            self._planned.extend([fault] * min(times, self.MOST))

    @property
    def planned(self) -> int:
        """How many were not met yet."""
        return len(self._planned)

    def take(self, api: Api = Api.PROCESSING_LOG, *, write: bool = False) -> Fault | None:
        """The next one for a request of this API; None: all is well."""
        with self._lock:
            for fault in self._planned:
                if fault.api is api and (write or not fault.writes):
                    self._planned.remove(fault)
                    return fault
            return None
