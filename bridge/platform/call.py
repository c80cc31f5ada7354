"""A call that is waited for only so long. No library bounds one as a whole: a server may drip its headers."""

import threading
from collections.abc import Callable
from concurrent.futures import wait
from typing import TypeVar

from bridge.calls import ThreadedCalls
from bridge.name_service import SLICE, NotWanted

T = TypeVar("T")


class TooLong(Exception):  # noqa: N818  # it says what happened
    """There was no answer in time."""


def waited_for(call: Callable[[], T], seconds: float, stop: threading.Event) -> T:
    """What `call` gives, or raises, in a thread of its own, which does not keep the process from ending.

    Raises:
        TooLong: It goes on after so many seconds; whoever called ends it as it can.
        NotWanted: `stop` was set before it was over.
    """
    result = ThreadedCalls().begin("platform-call", call)
    for _ in range(max(1, round(seconds / SLICE))):
        if wait([result], SLICE).done:
            return result.result()
        if stop.is_set():
            raise NotWanted
    raise TooLong
