"""The platform's side of the server: takes each file away as soon as it is there, and keeps what it took."""

import hashlib
import threading
import time
from dataclasses import dataclass
from pathlib import Path

from tests.parts.openssh import OpenSsh

LOOK = 0.01
"""Seconds between two looks."""


@dataclass(frozen=True, kw_only=True)
class Arrival:
    """A file as it was when it had its final name."""

    account: str
    """The folder in which it was found."""
    name: str
    at: float
    """Epoch seconds."""
    mtime: float
    """When the server wrote its last byte, epoch seconds."""
    size: int
    sha256: str
    copy: Path
    """Its bytes at that moment."""
    taken: Path
    """The file itself: what is written to it later shows here."""


class Platform:
    """Watches the folders of all accounts; `arrivals` are in order."""

    def __init__(self, sshd: OpenSsh, folders: dict[str, Path], kept: Path) -> None:
        self.arrivals: list[Arrival] = []
        self.opened: dict[tuple[str, str], float] = {}
        """When a file was first seen, be it in part: account and name to epoch seconds."""
        self._folders = folders
        self._kept = kept
        self._taken = sshd.base / "taken"  # on the server's own file system: to take is to rename
        self._taken.mkdir()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="platform")

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Take what is left, and end."""
        self._stop.set()
        if self._thread.ident is not None:
            self._thread.join()

    def _run(self) -> None:
        while not self._stop.wait(LOOK):
            self._look()
        self._look()

    def _look(self) -> None:
        for account, folder in self._folders.items():
            for path in sorted(folder.iterdir()):
                self.opened.setdefault((account, path.name.removesuffix(".part")), time.time())
                if path.name.endswith(".log.gz"):
                    self._take(account, path)

    def _take(self, account: str, path: Path) -> None:
        taken = self._taken / f"{len(self.arrivals):06}"
        path.rename(taken)
        data = taken.read_bytes()
        copy = self._kept / f"{len(self.arrivals):06}" / path.name
        copy.parent.mkdir(parents=True)
        copy.write_bytes(data)
        self.arrivals.append(
            Arrival(
                account=account,
                name=path.name,
                at=time.time(),
                mtime=taken.stat().st_mtime,
                size=len(data),
                sha256=hashlib.sha256(data).hexdigest(),
                copy=copy,
                taken=taken,
            )
        )
