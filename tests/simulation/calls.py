"""Calls that take their time without a thread."""

from collections.abc import Callable
from concurrent.futures import Future
from random import Random
from typing import TypeVar

from tests.simulation.agenda import Agenda
from tests.simulation.process import Died, Process

T = TypeVar("T")


class LaterCalls:
    """A call is made some time after it was begun, or when somebody waits for it."""

    def __init__(
        self, agenda: Agenda, rng: Random, process: Process, live: Callable[[Callable[[], None]], None]
    ) -> None:
        """`live`: does what the process is to do of itself."""
        self._live = live
        self._agenda = agenda
        self._rng = rng
        self._process = process
        self._under_way: dict[Future, tuple[int, Callable[[], None]]] = {}

    def begin(self, name: str, call: Callable[[], T]) -> Future[T]:
        """It is made in up to some seconds."""
        self._process.step(f"call {name}")
        result: Future[T] = Future()
        due = self._agenda.now + self._rng.choice([0, 50, 400, 5_000])
        self._under_way[result] = due, lambda: self._make(result, call)
        self._agenda.at(due, lambda: self._live(lambda: self._run(result)))
        return result

    def wait(self, result: Future[T], timeout: int | None = None) -> bool:
        """Time passes until it is made; the dead do not wait."""
        if self._process.dead:
            return False
        due, _ = self._under_way.get(result, (self._agenda.now, None))
        left = max(0, due - self._agenda.now)
        self._agenda.sleep(left if timeout is None else min(left, timeout), result.done)
        if timeout is None or left <= timeout:
            self._run(result)
        return result.done()

    def _run(self, result: Future) -> None:
        if result in self._under_way and not self._process.dead:
            _, make = self._under_way.pop(result)
            make()

    @staticmethod
    def _make(result: Future[T], call: Callable[[], T]) -> None:
        try:
            value = call()
        except Died:
            raise
        except BaseException as error:  # noqa: BLE001  # raised again where the result is asked for
            result.set_exception(error)
        else:
            result.set_result(value)
