"""Locks between processes: flock on a file that says who holds it. The kernel frees those of the dead."""

import fcntl
import json
import os
import socket
import threading
from pathlib import Path
from types import TracebackType
from typing import Self

from bridge.clock import SECOND, Clock
from bridge.errors import BridgeError
from bridge.spool.disk import MODE, refusals

_LOOK_AGAIN = 20
"""Milliseconds between two tries; flock cannot wait for a limited time."""


class LockHeld(BridgeError):  # noqa: N818  # it names a state, as people say it
    """Another process, or another thread of this one, holds the lock."""


class Lock:
    """One lock of a spool; each object is a holder, so two of them exclude each other within a process."""

    def __init__(self, path: Path) -> None:
        """`path`: the lock's file, in a folder that exists. It is never removed: a lock is on the file."""
        self.path = path
        self._descriptor: int | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()

    def acquire(self, timeout: int, clock: Clock, stop: threading.Event | None = None) -> Self:
        """The lock is held when this returns: `with lock.acquire(...):`.

        Args:
            timeout: How long to wait for another holder, ms; 0: one try.
            clock: What measures it.
            stop: When set, the waiting ends at once.

        Raises:
            LockHeld: Another one still holds it; the message names its process and host.
            SpoolFull, SpoolFailed: The lock's file cannot be made.
        """
        if self._descriptor is not None:
            raise ValueError(f"{self.path} is held by this object already")
        signal = stop or threading.Event()
        waited = 0
        while not self._take():
            if waited >= timeout or clock.wait(signal, _LOOK_AGAIN):
                raise LockHeld(
                    f"{self.path} is held by {self.holder()} (waited {waited // SECOND} s): stop that "
                    f"process, or give this one a spool directory of its own"
                )
            waited += _LOOK_AGAIN
        return self

    def release(self) -> None:
        """Others may have it; nothing happens if it is not held."""
        descriptor, self._descriptor = self._descriptor, None
        if descriptor is not None:
            os.close(descriptor)

    def holder(self) -> str:
        """Who took the lock last, for people."""
        try:
            who = json.loads(self.path.read_bytes())
            return f"process {who['pid']} on host {who['host']}"
        except (OSError, ValueError, TypeError, KeyError):
            return "an unknown process"

    def _take(self) -> bool:
        with refusals(self.path):
            descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, MODE)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            return False
        self._descriptor = descriptor
        self._sign(descriptor)
        return True

    def _sign(self, descriptor: int) -> None:
        """Who holds it, for the one who waits: a full disk must not keep us from holding it."""
        text = json.dumps({"pid": os.getpid(), "host": socket.gethostname()}).encode()
        try:
            os.ftruncate(descriptor, 0)
            os.pwrite(descriptor, text, 0)
        except OSError:
            return
