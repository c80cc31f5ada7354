"""The bridge's ports, of a process that dies: each counts the steps by which something outside is changed."""

import io
import os
import signal
import threading
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path

import structlog
from confluent_kafka import Consumer

from bridge.calls import ThreadedCalls
from bridge.deliver.ledger import Ledger
from bridge.deliver.records import Outcome
from bridge.deliver.remote import UploadStage, unheard
from bridge.deliver.sftp import SftpRemote
from bridge.spool.disk import Disk
from bridge.spool.footer import MAGIC
from tests.parts.crash_points import CrashPoint

PARTS = 10
"""An upload reads its file in so many pieces."""

GZIP = b"\x1f\x8b"

KINDS = {
    ("seal", MAGIC[:2]): "run",
    ("seal", GZIP): "letters",
    ("seal", b"{"): "number",
    ("deliver", GZIP): "file",
    ("housekeeping", MAGIC[:2]): "upkeep",
}
"""What a thread writes by the first bytes of it: the beginning of a label."""

STAGES = {
    UploadStage.CONNECTING: CrashPoint.CONNECTING,
    UploadStage.OPENED: CrashPoint.OPENED,
    UploadStage.SENT: CrashPoint.SENT,
    UploadStage.RENAMED: CrashPoint.RENAMED,
}
"""What the remote tells by itself; `InPieces` counts what is sent."""


class Trigger:
    """Sends the process a signal when it comes to a point for the n-th time."""

    def __init__(self, at: CrashPoint, nth: int, by: signal.Signals) -> None:
        self._at = at
        self._left = nth
        self._by = by
        self._lock = threading.Lock()

    def step(self, label: str) -> None:
        """This has happened; SIGKILL does not return from here."""
        if self.comes(label):
            self.come()

    def comes(self, label: str) -> bool:
        """Count a step: whether this is where to die."""
        if label != self._at:
            return False
        with self._lock:
            self._left -= 1
            return self._left == 0

    def come(self) -> None:
        """The signal; SIGKILL does not return from here."""
        structlog.get_logger().info("death", at=self._at)
        os.kill(os.getpid(), self._by)


class DyingDisk(Disk):
    """Tells what is written by the thread that writes it and by its first bytes."""

    def __init__(self, trigger: Trigger) -> None:
        self._trigger = trigger
        self._descriptors: dict[Path, int] = {}
        self._kinds: dict[int, str] = {}
        self._renamed: defaultdict[int, str] = defaultdict(str)  # by thread

    def open(self, path: Path) -> int:
        descriptor = super().open(path)
        self._descriptors[path] = descriptor
        self._kinds.pop(descriptor, None)
        return descriptor

    def write(self, descriptor: int, data: bytes | memoryview) -> int:
        kind = self._kinds.setdefault(descriptor, _kind(data))
        if self._trigger.comes(f"{kind}-writing"):
            half = super().write(descriptor, data[: len(data) // 2])
            self._trigger.come()
            return half
        return super().write(descriptor, data)

    def fsync(self, descriptor: int) -> None:
        self._trigger.step(f"{self._kinds[descriptor]}-written")
        super().fsync(descriptor)
        self._trigger.step(f"{self._kinds[descriptor]}-synced")

    def rename(self, source: Path, target: Path) -> None:
        super().rename(source, target)
        kind = self._kinds[self._descriptors.pop(source)]
        self._renamed[threading.get_ident()] = kind
        self._trigger.step(f"{kind}-renamed")

    def fsync_folder(self, folder: Path) -> None:
        super().fsync_folder(folder)
        self._trigger.step(f"{self._renamed.pop(threading.get_ident(), '')}-durable")

    def unlink(self, path: Path) -> None:
        super().unlink(path)
        removed = {"housekeeping": CrashPoint.RUN_REMOVED, "MainThread": CrashPoint.LEFTOVER_REMOVED}
        self._trigger.step(removed.get(threading.current_thread().name, ""))


def _kind(data: bytes | memoryview) -> str:
    """What it is that begins with `data`; empty: nothing that has a label."""
    thread = threading.current_thread().name.split(" ")[0]
    return next((KINDS[at] for at in KINDS if at[0] == thread and bytes(data[:2]).startswith(at[1])), "")


class DyingCalls(ThreadedCalls):
    """The seal is a call of its own."""

    def __init__(self, trigger: Trigger) -> None:
        self._trigger = trigger

    def begin(self, name: str, call: Callable):
        if name == "seal":
            self._trigger.step(CrashPoint.SEAL_BEGUN)
        return super().begin(name, call)


class DyingConsumer(Consumer):
    """Commits on their way."""

    def __init__(self, trigger: Trigger, settings: dict) -> None:
        told = settings["on_commit"]

        def answered(error, parts) -> None:
            told(error, parts)
            trigger.step(CrashPoint.COMMIT_ANSWERED)

        super().__init__({**settings, "on_commit": answered})
        self._trigger = trigger

    def commit(self, *arguments, **more):
        self._trigger.step(CrashPoint.COMMIT_WANTED)
        result = super().commit(*arguments, **more)
        self._trigger.step(CrashPoint.COMMIT_ASKED)
        return result


class InPieces(io.FileIO):
    """A built file that is read, and so sent, a tenth at a time."""

    def __init__(self, path: Path, trigger: Trigger) -> None:
        super().__init__(path)
        self._most = -(-path.stat().st_size // PARTS)
        self._trigger = trigger

    def read(self, size: int = -1) -> bytes:
        self._trigger.step(CrashPoint.SENDING)
        return super().read(min(size, self._most))


class LocalFile:
    """A path to a built file, as the remote opens it."""

    def __init__(self, path: Path, trigger: Trigger) -> None:
        self._path = path
        self._trigger = trigger

    def open(self, _mode: str) -> InPieces:
        return InPieces(self._path, self._trigger)


class DyingRemote(SftpRemote):
    """The stages of an upload."""

    def __init__(self, trigger: Trigger, *arguments) -> None:
        super().__init__(*arguments)
        self._trigger = trigger

    def upload(self, local, name, progress, measured=unheard):
        def told(stage: UploadStage) -> None:
            progress(stage)
            self._trigger.step(STAGES.get(stage, ""))

        return super().upload(LocalFile(local, self._trigger), name, told, measured)


def dying_ledger(trigger: Trigger) -> type[Ledger]:
    """The ledger's class, for a process that dies."""

    class DyingLedger(Ledger):
        def reserve_name(self, series, now):
            name = super().reserve_name(series, now)
            trigger.step(CrashPoint.NAME_RESERVED)
            return name

        def add_file(self, file):
            super().add_file(file)
            trigger.step(CrashPoint.FILE_NOTED)

        def begin_attempt(self, name, now, since, admits):
            def admitted(attempts) -> bool:
                answer = admits(attempts)
                trigger.step(CrashPoint.QUOTA_ADMITTED)
                return answer

            attempt = super().begin_attempt(name, now, since, admitted)
            trigger.step(CrashPoint.QUOTA_RESERVED)
            return attempt

        def set_skew(self, account, skew, attempt=None):
            super().set_skew(account, skew, attempt)
            trigger.step(CrashPoint.SKEW_NOTED)

        def end_attempt(self, attempt, now, outcome, detail="", *, reason=""):
            super().end_attempt(attempt, now, outcome, detail, reason=reason)
            if outcome is Outcome.UPLOADED:
                trigger.step(CrashPoint.MARKED)

        def raise_horizons(self, horizons, **more):
            raised = super().raise_horizons(horizons, **more)
            trigger.step(CrashPoint.HORIZON_RAISED)
            return raised

    return DyingLedger
