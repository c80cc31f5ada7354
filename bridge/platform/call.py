"""A call that is waited for only so long. No library bounds one as a whole: a server may drip its headers."""

import threading
from collections.abc import Callable
from concurrent.futures import Future, wait
from typing import TypeVar

T = TypeVar("T")

SLICE = 0.1
"""Seconds between two looks whether the answer is still wanted."""


class TooLong(Exception):  # noqa: N818  # it says what happened
    """There was no answer in time."""


class NotWanted(Exception):  # noqa: N818  # as above
    """Nobody wants the answer any more."""


def waited_for(call: Callable[[], T], seconds: float, stop: threading.Event) -> T:
    """What `call` gives, or raises, in a thread of its own, which does not keep the process from ending.

    Raises:
        TooLong: It goes on after so many seconds; whoever called ends it as it can.
        NotWanted: `stop` was set before it was over.
    """
    result: Future[T] = Future()

    def work() -> None:
        try:
            result.set_result(call())
        except BaseException as failure:  # noqa: BLE001  # raised where it is waited for
            result.set_exception(failure)

    threading.Thread(target=work, name="platform-call", daemon=True).start()
    for _ in range(max(1, round(seconds / SLICE))):
        if wait([result], SLICE).done:
            return result.result()
        if stop.is_set():
            raise NotWanted
    raise TooLong
