"""Asking the name service, which knows no time limit of its own: its answer is waited for so long, no longer.

A question that hangs goes on in its thread; whoever asks the same meanwhile waits for that answer, so that a
name service that never answers costs one thread a name.
"""

import socket
import threading
from collections.abc import Callable
from typing import TypeAlias

Address: TypeAlias = tuple[socket.AddressFamily, socket.SocketKind, int, tuple[str | int | bytes, ...]]
"""Family, kind, protocol, and what to connect to."""

LookUp: TypeAlias = Callable[[str, int], list[Address]]

SLICE = 0.1
"""Seconds between two looks whether the answer is still wanted."""


def _system(host: str, port: int) -> list[Address]:
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return [(family, kind, protocol, address) for family, kind, protocol, _, address in found]


class _Question:
    """One question, and what became of it."""

    def __init__(self) -> None:
        self.over = threading.Event()
        self.addresses: list[Address] = []
        self.failure: Exception | None = None


class NoAnswer(Exception):  # noqa: N818  # it says what happened
    """The name service gave no answer in time; the text is one line with the remedy."""


class NotWanted(Exception):  # noqa: N818  # as above
    """Nobody wants the answer any more."""


class NameService:
    """The system's, or in a test another."""

    def __init__(self, look_up: LookUp = _system) -> None:
        self._look_up = look_up
        self._asked: dict[tuple[str, int], _Question] = {}

    def addresses(
        self, host: str, port: int, seconds: float, wanted: Callable[[], bool] = lambda: True
    ) -> list[Address]:
        """Where to connect to; `wanted` says from time to time whether anybody still wants to know.

        Raises:
            OSError: The name is not known, or the name service failed.
            NoAnswer: There is none within `seconds`.
            NotWanted: It is not wanted any more.
        """
        question = self._asked.get((host, port)) or self._ask(host, port)
        for _ in range(max(1, round(seconds / SLICE))):
            if question.over.wait(SLICE):
                break
            if not wanted():
                raise NotWanted
        else:
            raise NoAnswer(
                f"the name service gives no answer within {seconds:g} s; check this machine's resolver"
            )
        self._asked.pop((host, port), None)
        if question.failure is not None:
            raise question.failure
        return question.addresses

    def _ask(self, host: str, port: int) -> _Question:
        question = self._asked[host, port] = _Question()

        def ask() -> None:
            try:
                question.addresses = self._look_up(host, port)
            except Exception as failure:  # noqa: BLE001  # told to whoever waits
                question.failure = failure
            finally:
                question.over.set()

        threading.Thread(target=ask, name="name-service", daemon=True).start()
        return question
