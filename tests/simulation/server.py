"""The platform's server: takes files by the port `Remote`, fails as told, and remembers all it saw.

It counts by its own clock. What it holds is what a platform would load: the files that got their final names,
in that order.
"""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from random import Random

from bridge.clock import SECOND
from bridge.deliver.remote import (
    Measured,
    Outcome,
    Progress,
    Reason,
    Receipt,
    UploadFailed,
    UploadStage,
    unheard,
)
from tests.simulation.agenda import Agenda
from tests.simulation.process import Process

TENTHS = 10


class Trouble(Enum):
    """How one upload fails."""

    UNREACHABLE = "nobody answers"
    LOG_IN = "the log-in is refused"
    OPEN_REFUSED = "opening is refused"
    OPEN_LOST = "the connection is lost while the file is opened"
    FROZEN = "it falls silent at a tenth of the bytes"
    RESET = "the connection is lost at a tenth of the bytes"
    WRITE_REFUSED = "a write is refused"
    CLOSE_FAILS = "closing fails, as the last bytes found no room"
    RENAME_REFUSED = "the final name is refused"
    RENAME_LOST = "the connection is lost before the file gets its name"
    REPLY_LOST = "the file has its name, and nobody hears of it"
    TAKEN = "the platform takes the file before anybody looks"


@dataclass(kw_only=True)
class Opened:
    """An upload that opened a file: it counts."""

    account: str
    at: int
    """Server's clock, ms."""
    until: int
    size: int
    """Bytes that it was to have."""


@dataclass(frozen=True, kw_only=True)
class Arrived:
    """A file under its final name."""

    account: str
    name: str
    at: int
    """Server's clock, ms."""
    sha256: str
    copy: Path


@dataclass(kw_only=True)
class Server:
    """All accounts' folders."""

    agenda: Agenda
    rng: Random
    kept: Path
    """Copies of what arrived."""
    skew: int = 0
    """Its clock less the true time, ms."""
    opened: list[Opened] = field(default_factory=list)
    arrived: list[Arrived] = field(default_factory=list)
    folder: dict[tuple[str, str], bytes] = field(default_factory=dict)
    """Account and name to content; the platform takes files away now and then."""
    trouble: Callable[[str], Trouble | None] = lambda _: None
    """What befalls the next upload of an account."""
    on_arrival: Callable[[Arrived], None] = lambda _: None

    @property
    def now(self) -> int:
        """Its clock."""
        return self.agenda.now + self.skew

    def arrive(self, account: str, name: str, content: bytes, *, taken: bool) -> None:
        """A file gets its final name."""
        place = self.kept / f"{len(self.arrived):05}"
        place.mkdir()
        copy = place / name
        copy.write_bytes(content)
        digest = hashlib.sha256(content).hexdigest()
        arrived = Arrived(account=account, name=name, at=self.now, sha256=digest, copy=copy)
        self.arrived.append(arrived)
        if not taken:
            self.folder[account, name] = content
        self.on_arrival(arrived)

    def load(self) -> None:
        """The platform takes all files away."""
        self.folder.clear()


class SimulatedRemote:
    """One account's log-in, of one process."""

    def __init__(self, server: Server, account: str, process: Process, clock: Callable[[], int]) -> None:
        self._server = server
        self._account = account
        self._process = process
        self._clock = clock

    def upload(self, local: Path, name: str, progress: Progress, measured: Measured = unheard) -> Receipt:
        """As the port says."""
        server, began = self._server, self._server.agenda.now
        trouble = server.trouble(self._account)
        content = local.read_bytes()
        self._pass("connect", progress, UploadStage.CONNECTING)
        if trouble in (Trouble.UNREACHABLE, Trouble.LOG_IN):
            lasting = trouble is Trouble.LOG_IN
            raise _failed(trouble, Outcome.NOT_OPENED, Reason.AUTHENTICATION if lasting else Reason.TIMEOUT)
        if (there := server.folder.get((self._account, name))) is not None and len(there) == len(content):
            return Receipt(bytes=len(content), seconds=0.1, found=True)
        if trouble is Trouble.OPEN_REFUSED:
            raise _failed(trouble, Outcome.NOT_OPENED, Reason.OTHER)
        self._process.step("remote open")
        mark = Opened(account=self._account, at=server.now, until=server.now, size=len(content))
        server.opened.append(mark)
        mtime = server.now // SECOND * SECOND
        if trouble is Trouble.OPEN_LOST:
            raise _failed(trouble, Outcome.SPENT, Reason.CONNECTION_LOST)
        self._pass("opened", progress, UploadStage.OPENED)
        measured(mtime + SECOND // 2 - self._clock())
        self._send(mark, trouble, progress)
        mark.until = server.now
        self._pass("sent", progress, UploadStage.SENT)
        self._rename(name, content, trouble)
        mark.until = server.now
        return Receipt(bytes=len(content), seconds=(server.agenda.now - began) / 1000)

    def exists(self, name: str) -> int | None:
        """Size of a file that is there."""
        content = self._server.folder.get((self._account, name))
        return None if content is None else len(content)

    def check(self) -> None:
        """Nobody asks."""

    def abandon(self) -> None:
        """Nobody asks."""

    def _send(self, mark: Opened, trouble: Trouble | None, progress: Progress) -> None:
        server, fatal = self._server, self._server.rng.randrange(TENTHS)
        pause = server.rng.choice([10, 10, 1_000, 20_000, 100_000])
        for tenth in range(TENTHS):
            server.agenda.sleep(pause)
            mark.until = server.now
            self._pass(f"tenth {tenth}", progress, UploadStage.SENDING)
            if tenth == fatal and trouble is Trouble.FROZEN:
                server.agenda.sleep(30_000)
                mark.until = server.now
                raise _failed(trouble, Outcome.SPENT, Reason.TIMEOUT)
            if tenth == fatal and trouble in (Trouble.RESET, Trouble.WRITE_REFUSED):
                raise _failed(trouble, Outcome.SPENT, Reason.CONNECTION_LOST)
        if trouble is Trouble.CLOSE_FAILS:
            raise _failed(trouble, Outcome.SPENT, Reason.DISK_FULL)

    def _rename(self, name: str, content: bytes, trouble: Trouble | None) -> None:
        self._process.step("remote rename")
        if trouble is Trouble.RENAME_REFUSED:
            raise _failed(trouble, Outcome.SPENT, Reason.OTHER)
        if trouble is not Trouble.RENAME_LOST:
            self._server.arrive(self._account, name, content, taken=trouble is Trouble.TAKEN)
        if trouble in (Trouble.RENAME_LOST, Trouble.REPLY_LOST):
            raise _failed(trouble, Outcome.UNKNOWN, Reason.CONNECTION_LOST)
        self._process.step("remote renamed")

    def _pass(self, what: str, progress: Progress, stage: UploadStage) -> None:
        self._server.agenda.sleep(self._server.rng.choice([1, 40, 900]))
        self._process.step(f"remote {what}")
        progress(stage)


def _failed(trouble: Trouble, outcome: Outcome, reason: Reason) -> UploadFailed:
    return UploadFailed(f"simulated: {trouble.value}", outcome=outcome, reason=reason)
