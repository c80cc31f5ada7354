"""Keeps a bridge running, as Kubernetes does: when it has ended, for whatever reason, it is started again."""

import contextlib
import os
import signal
import threading
import time
from dataclasses import dataclass

from tests.parts.bridging import Bridge
from tests.parts.waiting import until

AGAIN = 0.3
"""Seconds between an end and the next start."""


@dataclass(kw_only=True)
class Life:
    """One process of the bridge's."""

    pid: int
    started: float
    """Monotonic seconds."""
    ended: float | None = None
    """The same; None: it lives."""
    code: int | None = None
    """How it ended."""
    ordered: signal.Signals | None = None
    """By what we ended it."""
    orders: int = 0
    """How often; a second SIGTERM ends it at once (contract.md, Commands)."""
    ordered_at: float = 0
    """When, monotonic seconds."""

    @property
    def seconds(self) -> float:
        return (self.ended or time.monotonic()) - self.started


class Keeper:
    """`lives` are its processes, the newest last."""

    def __init__(self, bridge: Bridge) -> None:
        self._bridge = bridge
        self._wanted = True
        self._thread = threading.Thread(target=self._keep, name="keeper")
        self.lives: list[Life] = []

    def start(self) -> None:
        self._thread.start()
        until(lambda: self.lives, "the bridge's start")

    def send(self, number: signal.Signals) -> None:
        """To the process that lives now; it is noted where it ends one."""
        life = self.lives[-1]
        if number in (signal.SIGKILL, signal.SIGTERM):
            life.ordered, life.ordered_at = number, time.monotonic()
            life.orders += 1
        with contextlib.suppress(ProcessLookupError):
            os.kill(life.pid, number)

    def stop(self) -> int | None:
        """End the bridge in order, the hard way after 40 s, and start none any more; its exit code."""
        if not self._thread.is_alive():
            return None
        self._wanted = False
        self.send(signal.SIGCONT)
        self.send(signal.SIGTERM)
        self._thread.join(40)
        if self._thread.is_alive():
            self.send(signal.SIGKILL)
            self._thread.join()
        return self.lives[-1].code

    def _keep(self) -> None:
        while self._wanted:
            process = self._bridge.start()
            life = Life(pid=process.pid, started=time.monotonic())
            self.lives.append(life)
            life.code = process.wait()
            life.ended = time.monotonic()
            time.sleep(AGAIN)
