"""The port for calls that may take long, or never come back: who makes one need not wait for it."""

import threading
from collections.abc import Callable
from concurrent.futures import Future, wait
from typing import Protocol, TypeVar

from bridge.clock import SECOND

T = TypeVar("T")


class Calls(Protocol):
    """Makes calls beside the caller."""

    def begin(self, name: str, call: Callable[[], T]) -> Future[T]:
        """Make a call, known to people by this name; the result to be, or what it raised."""
        ...

    def wait(self, result: Future[T], timeout: int | None = None) -> bool:
        """Wait for a result, for so many ms at most (None: without end); whether it is there."""
        ...


class ThreadedCalls:
    """Each call in a thread of its own, which does not keep the process from ending."""

    def begin(self, name: str, call: Callable[[], T]) -> Future[T]:
        """Make a call in a thread of this name."""
        result: Future[T] = Future()

        def work() -> None:
            try:
                result.set_result(call())
            except BaseException as error:  # noqa: BLE001  # raised again where the result is asked for
                result.set_exception(error)

        threading.Thread(target=work, name=name, daemon=True).start()
        return result

    def wait(self, result: Future[T], timeout: int | None = None) -> bool:
        """Wait for a result."""
        wait([result], None if timeout is None else timeout / SECOND)
        return result.done()
