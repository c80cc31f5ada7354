"""Calls into a C library that may not come back, with an end to the waiting."""

import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import TypeVar

T = TypeVar("T")


def begun(call: Callable[[], T]) -> Future[T]:
    """Make a call in a thread of its own, which does not keep the process from ending; the result to be."""
    result: Future[T] = Future()

    def work() -> None:
        try:
            result.set_result(call())
        except BaseException as error:  # noqa: BLE001  # raised again where the result is asked for
            result.set_exception(error)

    threading.Thread(target=work, name="patience", daemon=True).start()
    return result
