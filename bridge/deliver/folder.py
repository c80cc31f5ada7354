"""A local folder as a remote: for tests and sandboxes."""

import errno
import os
import threading
from pathlib import Path
from typing import BinaryIO

from bridge.clock import SECOND, Clock
from bridge.deliver.remote import (
    TOLD_EVERY,
    Measured,
    Progress,
    Reason,
    Receipt,
    Step,
    UploadFailed,
    UploadStage,
    outcome_of,
    unheard,
)

CHUNK = 1 << 20

REASONS = {
    errno.ENOSPC: Reason.DISK_FULL,
    errno.EDQUOT: Reason.QUOTA,
    errno.EACCES: Reason.PERMISSION,
    errno.EPERM: Reason.PERMISSION,
    errno.EROFS: Reason.PERMISSION,
}


class FolderRemote:
    """Copies files into `directory`; the contract is that of `remote.Remote`."""

    def __init__(self, directory: Path, *, temporary_suffix: str | None, clock: Clock) -> None:
        self._directory = directory
        self._suffix = temporary_suffix
        self._clock = clock
        self._abandoned = threading.Event()
        self._step = Step.LOG_IN

    def upload(self, local: Path, name: str, progress: Progress, measured: Measured = unheard) -> Receipt:
        """Copy, sync, check the size, rename."""
        began = self._clock.now()
        self._step = Step.LOG_IN
        try:
            progress(UploadStage.CONNECTING)
            self._go_on()
            self._find_directory()
            with local.open("rb") as source:
                size = os.fstat(source.fileno()).st_size
                found = self._is_there(name, size)
                if not found:
                    self._send(source, name, size, progress, measured)
        except OSError as error:
            raise self._failure(error.strerror or "failed", reason=REASONS.get(error.errno or 0)) from error
        progress(UploadStage.RENAMED)
        seconds = (self._clock.now() - began) / SECOND
        return Receipt(bytes=size, seconds=seconds, found=found)

    def exists(self, name: str) -> int | None:
        """Size of the file `name`; None where there is none."""
        path = self._directory / name
        return path.stat().st_size if path.is_file() else None

    def check(self) -> None:
        """The folder is there."""
        self._step = Step.LOG_IN
        self._find_directory()

    def abandon(self) -> None:
        """Make the upload under way, and each later one, fail at once."""
        self._abandoned.set()

    def _go_on(self) -> None:
        if self._abandoned.is_set():
            raise self._failure("abandoned, as the process stops", reason=Reason.CONNECTION_LOST)

    def _find_directory(self) -> None:
        if not self._directory.is_dir():
            raise self._failure("the directory does not exist; create it", reason=Reason.NO_DIRECTORY)

    def _is_there(self, name: str, size: int) -> bool:
        there = self.exists(name)
        if there not in (None, size) and self._suffix is not None:
            raise self._failure(
                f"{name} is there with {there} bytes, not {size}; it is not ours, move it away"
            )
        return there == size

    def _send(self, source: BinaryIO, name: str, size: int, progress: Progress, measured: Measured) -> None:
        final = self._directory / name
        temporary = self._directory / (name + (self._suffix or ""))
        self._step = Step.OPEN
        with temporary.open("wb") as target:
            skew = int(os.fstat(target.fileno()).st_mtime * SECOND) - self._clock.now()
            progress(UploadStage.OPENED)
            self._step = Step.SEND
            measured(skew)
            while chunk := source.read(CHUNK):
                self._go_on()
                target.write(chunk)
                if target.tell() % TOLD_EVERY == 0:
                    progress(UploadStage.SENDING)
            target.flush()
            os.fsync(target.fileno())
        if temporary.stat().st_size != size:
            raise self._failure(f"{name} has the wrong size after it was written")
        progress(UploadStage.SENT)
        self._step = Step.RENAME
        if temporary != final:
            temporary.rename(final)
        self._sync_directory()

    def _sync_directory(self) -> None:
        descriptor = os.open(self._directory, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

    def _failure(self, detail: str, *, reason: Reason | None = None) -> UploadFailed:
        outcome = outcome_of(self._step, refused=self._step is Step.OPEN, in_place=self._suffix is None)
        message = f"upload to {self._directory} failed: {detail}"
        return UploadFailed(message, outcome=outcome, reason=reason or Reason.OTHER)
