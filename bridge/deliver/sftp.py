"""SFTP as a remote: the safe way of uploading (facts.md, SFTP; design.md, invariant 5).

One connection an upload: it cannot have dropped while idle, and is never used again after a fault.
"""

import os
import posixpath
import stat
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO, TypeVar

from paramiko.sftp import SFTP_NO_SUCH_FILE, SFTP_PERMISSION_DENIED

from bridge.clock import SECOND, Clock
from bridge.config import SftpSettings
from bridge.deliver.remote import (
    TOLD_EVERY,
    Measured,
    Outcome,
    Progress,
    Reason,
    Receipt,
    Step,
    UploadFailed,
    UploadStage,
    outcome_of,
    unheard,
)
from bridge.deliver.sftp_client import CheckedClient, CheckedFile, Refused
from bridge.deliver.sftp_faults import Explanation, explain
from bridge.deliver.ssh import Connection, Patience
from bridge.name_service import NameService

CHUNK = 32_768
"""Bytes a write request: the largest that every server takes."""

HALF_SECOND = SECOND // 2
"""An mtime is a whole second, cut off: on average half a second too early."""

Result = TypeVar("Result")
Told = TypeVar("Told")


class SftpRemote:
    """One account's directory on its SFTP server; the contract is that of `remote.Remote`."""

    def __init__(
        self,
        settings: SftpSettings,
        clock: Clock,
        patience: Patience | None = None,
        names: NameService | None = None,
    ) -> None:
        """`patience` and `names`: None, the real ones."""
        self._settings = settings
        self._names = names or NameService()
        self._clock = clock
        self._patience = patience or Patience()
        self._attempt: Attempt | None = None
        self._abandoned = False

    def upload(self, local: Path, name: str, progress: Progress, measured: Measured = unheard) -> Receipt:
        """Log in, write under the temporary name, check, rename."""
        attempt = self._begin()
        progress(UploadStage.CONNECTING)
        began = self._clock.now()
        with _opened(local, attempt) as source:
            size = os.fstat(source.fileno()).st_size
            found = attempt.run(lambda client: attempt.upload(client, source, name, progress, measured))
        seconds = (self._clock.now() - began) / SECOND
        progress(UploadStage.RENAMED)
        return Receipt(bytes=size, seconds=seconds, found=found)

    def exists(self, name: str) -> int | None:
        """Size of the file `name`; None where there is none."""
        attempt = self._begin()
        return attempt.run(lambda client: attempt.size_of(client, name))

    def check(self) -> None:
        """Log in, and find the directory."""
        attempt = self._begin()
        attempt.run(attempt.find_directory)

    def abandon(self) -> None:
        """Make the upload under way, and each later one, fail at once."""
        self._abandoned = True
        if self._attempt is not None:
            self._attempt.cut()

    def _begin(self) -> "Attempt":
        attempt = self._attempt = Attempt(self._settings, self._clock, self._patience, self._names)
        if self._abandoned:
            raise attempt.failure(Explanation(Reason.CONNECTION_LOST, "abandoned, as the process stops"))
        return attempt


def _opened(local: Path, attempt: "Attempt") -> BinaryIO:
    try:
        return local.open("rb")
    except OSError as error:
        detail = f"the built file {local} cannot be read: {error.strerror}"
        raise attempt.failure(Explanation(Reason.OTHER, detail)) from error


class Attempt:
    """One connection, what is under way on it, and what a failure of that means."""

    def __init__(self, settings: SftpSettings, clock: Clock, patience: Patience, names: NameService) -> None:
        self._settings = settings
        self._clock = clock
        self._connection = Connection(settings, patience, names)
        self._step = Step.LOG_IN
        self._in_place = settings.temporary_suffix is None
        self._removed = False
        """What stood under the final name was removed again."""
        self._callers_own: Exception | None = None
        """Raised by the caller's `progress` or `measured`: not ours to explain."""

    def run(self, work: Callable[[CheckedClient], Result]) -> Result:
        """Do `work` on a new connection; every fault of it becomes an UploadFailed."""
        watchdog = self._connection.watchdog
        try:
            with self._connection:
                return work(CheckedClient(self._connection.channel(), watchdog.beat))
        except UploadFailed:
            raise
        except Exception as error:
            if error is self._callers_own:
                raise
            raise self.failure(explain(error, self._step, cut=watchdog.fired)) from error

    def cut(self) -> None:
        """End the connection from another thread."""
        self._connection.watchdog.cut()

    def failure(self, explanation: Explanation) -> UploadFailed:
        """The error to raise now."""
        where = f"sftp {self._settings.host}:{self._settings.port}"
        outcome = outcome_of(self._step, refused=explanation.refused, in_place=self._in_place)
        if outcome is Outcome.UNKNOWN and self._removed:
            outcome = Outcome.SPENT
        return UploadFailed(f"{where}: {explanation.detail}", outcome=outcome, reason=explanation.reason)

    def upload(
        self, client: CheckedClient, source: BinaryIO, name: str, progress: Progress, measured: Measured
    ) -> bool:
        """Whether the file was there already."""
        size = os.fstat(source.fileno()).st_size
        final = self._path(name)
        if self._is_there(client, final, size):
            return True
        temporary = final + (self._settings.temporary_suffix or "")
        self._step = Step.OPEN
        file = client.create(temporary)
        self._step = Step.SEND
        self._tell(progress, UploadStage.OPENED)
        try:
            self._measure(file, measured)
            self._write(file, source, size, progress)
        except Refused:
            self._discard(client, temporary)
            raise
        self._check_size(client, temporary, size)
        self._tell(progress, UploadStage.SENT)
        self._step = Step.RENAME
        if temporary != final:
            _rename(client, temporary, final)
        return False

    def size_of(self, client: CheckedClient, name: str) -> int | None:
        """Size of the file `name`; None where there is none."""
        try:
            return client.stat(self._path(name)).st_size
        except Refused as refused:
            if refused.code == SFTP_NO_SUCH_FILE:
                return None
            raise

    def find_directory(self, client: CheckedClient) -> None:
        """The directory is one."""
        try:
            mode = client.stat(self._settings.directory).st_mode
        except Refused as refused:
            if refused.code != SFTP_NO_SUCH_FILE:
                raise
            mode = stat.S_IFREG
        if mode is not None and not stat.S_ISDIR(mode):
            detail = "sftp.directory does not exist there; correct it"
            raise self.failure(Explanation(Reason.NO_DIRECTORY, detail, refused=True))

    def _path(self, name: str) -> str:
        return posixpath.normpath(posixpath.join(self._settings.directory, name))

    def _tell(self, listener: Callable[[Told], None], what: Told) -> None:
        try:
            listener(what)
        except Exception as error:
            self._callers_own = error
            raise

    def _is_there(self, client: CheckedClient, final: str, size: int) -> bool:
        """The whole file has its final name already; where we may not look, it has not."""
        try:
            there = client.stat(final).st_size
        except Refused as refused:
            if refused.code in (SFTP_NO_SUCH_FILE, SFTP_PERMISSION_DENIED):
                return False
            raise
        if there != size and not self._in_place:
            detail = f"{final} is there with {there} bytes, not {size}; it is not ours, move it away"
            raise self.failure(Explanation(Reason.OTHER, detail, refused=True))
        return there == size

    def _measure(self, file: CheckedFile, measured: Measured) -> None:
        mtime = file.stat().st_mtime
        if mtime is not None:
            self._tell(measured, mtime * SECOND + HALF_SECOND - self._clock.now())

    def _write(self, file: CheckedFile, source: BinaryIO, size: int, progress: Progress) -> None:
        """Write and close. The last request leaves after every other was acknowledged.

        So a file has its full size only if it is whole, whatever happens after.
        """
        file.set_pipelined(pipelined=True)
        left = size
        while left > 0:
            chunk = self._read(source, min(CHUNK, left))
            if left <= 2 * CHUNK:
                file.set_pipelined(pipelined=False)
            file.write(chunk)
            self._connection.watchdog.beat()
            left -= len(chunk)
            if (size - left) % TOLD_EVERY == 0:
                self._tell(progress, UploadStage.SENDING)
        file.close()

    def _read(self, source: BinaryIO, size: int) -> bytes:
        try:
            chunk = source.read(size)
        except OSError as error:
            detail = f"the built file {source.name} cannot be read: {error.strerror}"
            raise self.failure(Explanation(Reason.OTHER, detail)) from error
        if not chunk:
            detail = f"the built file {source.name} became shorter while it was sent"
            raise self.failure(Explanation(Reason.OTHER, detail))
        return chunk

    def _discard(self, client: CheckedClient, path: str) -> None:
        """Best effort: what a refused write left behind would fill the server's disk further."""
        try:
            client.remove(path)
        except Exception:  # noqa: BLE001  # the refusal is what will be told
            return
        self._removed = True

    def _check_size(self, client: CheckedClient, path: str, size: int) -> None:
        """The size is right; a file under its final name may be taken by the platform before we look."""
        try:
            there = client.stat(path).st_size
        except Refused as refused:
            if refused.code == SFTP_NO_SUCH_FILE and self._in_place:
                return
            raise
        if there != size:
            detail = f"{path} has {there} bytes after all {size} were acknowledged"
            raise self.failure(Explanation(Reason.OTHER, detail))


def _rename(client: CheckedClient, temporary: str, final: str) -> None:
    """Atomically; a server without OpenSSH's extension gets the plain request, which never overwrites."""
    try:
        client.posix_rename(temporary, final)
    except Refused:
        client.rename(temporary, final)
