"""A deliverer on its own: a real spool and ledger, a folder that fails when told to, a hand-moved clock."""

import uuid
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

from bridge.audience.audience import Audience
from bridge.clock import DAY, HOUR, MINUTE, SECOND
from bridge.config import Account, RollSettings
from bridge.deliver.deliverer import Deliverer, DelivererParts
from bridge.deliver.folder import FolderRemote
from bridge.deliver.ledger import Ledger
from bridge.deliver.observer import SilentObserver
from bridge.deliver.remote import Outcome, Reason, UploadFailed, UploadStage, unheard
from bridge.spool.disk import Disk
from bridge.spool.spool import Spool
from bridge.spool.store import Sizes
from tests.parts import oracle
from tests.parts.audiences import DISPLAY
from tests.parts.clocks import HandClock
from tests.parts.spools import position, seal

START = 1_790_000_000_000 // DAY * DAY + 9 * HOUR + 30 * MINUTE
"""Half past nine: no reset is near."""

EVENT_TIME = START - DAY
"""Of the first event; milliseconds."""


class Fault(Enum):
    """How an upload fails."""

    UNREACHABLE = "no connection"
    CUT = "the connection is lost in the middle"
    REPLY_LOST = "the file has its final name, and nobody tells"
    KILLED = "our process dies when the file has its final name"


class Killed(BaseException):
    """The process ends here."""


class WeakRemote(FolderRemote):
    """A folder whose uploads fail as `fault` says, given the file's name; what arrived is kept beside it.

    The platform takes files away as soon as they are there, if `takes_away` is set.
    """

    def __init__(self, directory: Path, clock: HandClock) -> None:
        super().__init__(directory, temporary_suffix=".part", clock=clock)
        self.directory = directory
        self.kept = directory.with_name("arrived")
        self.kept.mkdir()
        self.clock = clock
        self.fault: Callable[[str], Fault | None] = lambda _: None
        self.takes_away = False
        self.tried: list[tuple[int, str]] = []
        """Time and name of each upload, in order."""
        self.contents: dict[str, set[bytes]] = {}
        """What was to be sent under each name."""
        self.arrived: list[Path] = []
        """Copies of the files that got their final names, in order."""

    def upload(self, local, name, progress, measured=unheard):
        self.tried.append((self.clock.now(), name))
        self.contents.setdefault(name, set()).add(local.read_bytes())
        fault = self.fault(name)
        if fault is Fault.UNREACHABLE:
            raise UploadFailed("nobody answers", outcome=Outcome.NOT_OPENED, reason=Reason.REFUSED)
        if fault is Fault.CUT:
            progress(UploadStage.OPENED)
            whole = local.read_bytes()
            (self.directory / f"{name}.part").write_bytes(whole[: len(whole) // 2])
            raise UploadFailed("it was cut", outcome=Outcome.SPENT, reason=Reason.CONNECTION_LOST)
        receipt = super().upload(local, name, progress, measured)
        if not receipt.found:
            self._keep(name)
        if fault is Fault.REPLY_LOST:
            raise UploadFailed("no reply", outcome=Outcome.UNKNOWN, reason=Reason.CONNECTION_LOST)
        if fault is Fault.KILLED:
            raise Killed
        return receipt

    def _keep(self, name: str) -> None:
        folder = self.kept / f"{len(self.arrived):04}"
        folder.mkdir()
        copy = folder / name
        copy.write_bytes((self.directory / name).read_bytes())
        self.arrived.append(copy)
        if self.takes_away:
            (self.directory / name).unlink()


@dataclass(frozen=True)
class Write:
    """One membership, or with segment 0 a remove_all."""

    user: int
    segment: int
    timestamp: int = 0
    audience: Audience = DISPLAY
    event_time: int | None = None
    """None: later than all before."""


class Site:
    """An account `a`, its deliverer and all that it needs; `give` events, then `deliver` or `step`."""

    def __init__(
        self,
        directory: Path,
        *,
        max_age: int = MINUTE,
        disk: Disk | None = None,
        sizes: Sizes | None = None,
        wait_for_confirmation: bool = False,
        **quota: object,
    ) -> None:
        self.directory = directory
        self.room = 10**12
        """Bytes that a built file may have."""
        self.clock = HandClock(START)
        self.account = Account(
            name="a",
            agency="Agency",
            partner="Partner",
            sftp={"host": "localhost", "username": "nobody"},
            quota=quota,
            wait_for_confirmation=wait_for_confirmation,
        )
        self.roll = RollSettings(max_age=max_age)
        self.spool = Spool.open(directory / "spool", clock=self.clock, disk=disk, sizes=sizes)
        self.ledger = Ledger.create(directory / "spool" / "ledger.sqlite", self.spool.id, START)
        (directory / "remote").mkdir()
        self.remote = WeakRemote(directory / "remote", self.clock)
        self.draining = False
        self.historical_after: dict[Audience, int] = {}
        """From which age of an event on its 0 becomes its time, by audience."""
        self.events: list[dict[str, object]] = []
        self.deliverer = self._deliverer()

    def restart(self) -> int:
        """A new process on the same disk; how many attempts it found open."""
        self.ledger.close()
        self.ledger = Ledger.open(self.directory / "spool" / "ledger.sqlite")
        self.deliverer = self._deliverer()
        open_before = [one for one in self.counted() if one.ended_at is None]
        self.deliverer.recover()
        return len(open_before)

    def give(self, *writes: Write, placed: bool = False) -> None:
        """A run of these, read now; if `placed`, it says which offsets of topic `t` it took."""
        first = len(self.events)
        window: dict[Audience, list[tuple[int, ...]]] = {}
        for write in writes:
            offset = len(self.events)
            time = EVENT_TIME + offset * SECOND if write.event_time is None else write.event_time
            self.events.append(_event(write, time, offset))
            row = (write.user, write.segment, write.timestamp, time, 0, 0, offset)
            window.setdefault(write.audience, []).append(row)
        took = position(topic="t", first_offset=first, next_offset=len(self.events))
        seal(self.spool, window, now=self.clock.now(), positions=[took] if placed else [])

    def step(self) -> int | None:
        """One decision; the clock passes over the pause that it asks for."""
        pause = self.deliverer.step()
        self.clock.move(pause or 0)
        return pause

    def until(self, condition: Callable[[], object], *, steps: int = 2_000) -> None:
        """Steps until it is so."""
        for _ in range(steps):
            if condition():
                return
            self.step()
        raise AssertionError(f"not within {steps} steps")

    def arrives(self, files: int = 1) -> None:
        """Steps until so many more files are there."""
        wanted = len(self.remote.arrived) + files
        self.until(lambda: len(self.remote.arrived) >= wanted)

    def deliver(self, *, steps: int = 2_000) -> None:
        """Steps until nothing waits; everything is due."""
        self.draining = True
        for _ in range(steps):
            if self.step() is None:
                self.draining = False
                return
        raise AssertionError(f"not delivered within {steps} steps")

    def counted(self):
        """Attempts that count in the quota."""
        return self.ledger.attempts("a", 0)

    def state(self) -> oracle.State:
        """What the platform holds."""
        return oracle.fold(self.remote.arrived)

    def differences(self) -> list[str]:
        """What the files that arrived say otherwise than the events."""
        return oracle.same(self.state(), oracle.last_write_wins(self.events))

    def of(self, user: int) -> set[int]:
        """The segments that a display user is in, by the files that arrived."""
        held = [users.get(user_id(user), {}) for users in self.state().values()]
        return {int(segment) for users in held for segment in users}

    def _deliverer(self) -> Deliverer:
        return Deliverer(
            DelivererParts(
                account=self.account,
                roll=self.roll,
                spool=self.spool,
                ledger=self.ledger,
                remote=self.remote,
                clock=self.clock,
                observer=SilentObserver(),
                placeholders={},
                fallback_placeholder=oracle.PLACEHOLDER,
                historical_after=self.historical_after,
                file_room=lambda: self.room,
                drain=lambda: self.draining,
            )
        )


def user_id(user: int) -> str:
    """As files have it."""
    return str(uuid.UUID(int=(user // 2) << 64 | user))


def _event(write: Write, time: int, offset: int) -> dict[str, object]:
    element = {"segment_id": write.segment, "timestamp": write.timestamp}
    return {
        "user_id": user_id(write.user),
        "mobile": write.audience.mobile,
        "client": write.audience.client,
        "remove_all": write.segment == 0,
        "segments": [element] if write.segment else [],
        "event_time": time,
        "topic": "t",
        "partition": 0,
        "offset": offset,
    }
