"""Calls made in threads of their own: they may take long, or never come back."""

import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import TypeVar

T = TypeVar("T")


def begun(name: str, call: Callable[[], T]) -> Future[T]:
    """Make a call in a thread of this name, which does not keep the process from ending; the result to be."""
    result: Future[T] = Future()

    def work() -> None:
        try:
            result.set_result(call())
        except BaseException as error:  # noqa: BLE001  # raised again where the result is asked for
            result.set_exception(error)

    threading.Thread(target=work, name=name, daemon=True).start()
    return result
