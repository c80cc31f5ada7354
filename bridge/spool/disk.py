"""The disk port, and files that appear whole and synced under their final name or not at all.

After a failed fsync the data may be gone while the next fsync succeeds (facts.md, Disk): it is fatal, and is
never tried again. A full disk is not fatal: what was begun is removed, and the caller may try later.
"""

import contextlib
import errno
import fcntl
import os
import uuid
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Self

from bridge.errors import BridgeError

FULL = frozenset({errno.ENOSPC, errno.EDQUOT})
"""Error numbers that say: no room now, perhaps later."""

MODE = 0o600
"""The spool's files are for its own user alone: they hold user ids."""


class SpoolFull(BridgeError):  # noqa: N818  # it names a state, as people say it
    """The disk is full; nothing half-written is left, and the same call may be tried later."""


class SpoolFailed(BridgeError):  # noqa: N818  # it names a state, as people say it
    """The disk failed: what was written may be lost, and this process must not write any more."""


class Disk:
    """The real disk. A simulation overrides it to let the n-th operation fail.

    Contract: every method raises OSError when it fails; `write` may write less than it is given.
    """

    def open(self, path: Path) -> int:
        """A descriptor of a new file, under an exclusive flock: whoever finds it unlocked may remove it."""
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, MODE)
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        return descriptor

    def write(self, descriptor: int, data: bytes | memoryview) -> int:
        """How many bytes of `data` were written."""
        return os.write(descriptor, data)

    def fsync(self, descriptor: int) -> None:
        """What was written outlives a power cut."""
        os.fsync(descriptor)

    def close(self, descriptor: int) -> None:
        """The descriptor is given back, and its flock with it."""
        os.close(descriptor)

    def rename(self, source: Path, target: Path) -> None:
        """`target` is replaced in one step."""
        os.rename(source, target)  # noqa: PTH104  # the system call's own name

    def fsync_folder(self, folder: Path) -> None:
        """Names that came and went in `folder` outlive a power cut."""
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

    def unlink(self, path: Path) -> None:
        """The name is gone; the file too, once nobody has it open."""
        os.unlink(path)  # noqa: PTH108  # as rename


def failed(path: Path, error: OSError) -> SpoolFailed:
    """The error that a person reads when the disk under `path` failed."""
    return SpoolFailed(
        f"{path}: the disk failed ({error.strerror or error}): check the disk, its mount (read-only?) and "
        f"its owner, then start again; what is not in a run is read from Kafka again"
    )


@contextlib.contextmanager
def refusals(path: Path) -> Iterator[None]:
    """Disk errors about `path` become SpoolFull or SpoolFailed."""
    try:
        yield
    except OSError as error:
        if error.errno in FULL:
            raise SpoolFull(
                f"{path}: the disk is full ({error.strerror}): free space, or give the spool a larger disk"
            ) from error
        raise failed(path, error) from error


@contextlib.contextmanager
def fatal(path: Path) -> Iterator[None]:
    """Disk errors about `path` become SpoolFailed, a full disk too: for fsync."""
    try:
        yield
    except OSError as error:
        raise failed(path, error) from error


class DurableFile:
    """A file that is written under a temporary name, synced, and then renamed to its final one.

    Used as a context manager: what was not published is removed at the end.
    """

    def __init__(self, disk: Disk, folder: Path) -> None:
        """Opens a new file in `folder`, which must be of the same file system as the final name."""
        self._disk = disk
        self._descriptor: int | None = None
        with refusals(folder):
            self.path, self._descriptor = _new_file(disk, folder)
        self._published = False
        self.size = 0
        """Bytes written."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._close()
        if not self._published:
            # Where removing fails too, the error under way says more; clean_up removes it at the next start.
            with contextlib.suppress(OSError):
                self._disk.unlink(self.path)

    def write(self, data: bytes) -> None:
        """All of `data` is handed to the disk.

        Raises:
            SpoolFull: There is no room.
            SpoolFailed: The disk refused for any other reason.
        """
        rest = memoryview(data)
        with refusals(self.path):
            while rest:
                written = self._disk.write(self._open(), rest)
                self.size += written
                rest = rest[written:]

    def sync(self) -> None:
        """What was written outlives a power cut.

        Raises:
            SpoolFailed: It may not; nothing of this file can be trusted, and no second try helps.
        """
        with fatal(self.path):
            self._disk.fsync(self._open())

    def publish(self, target: Path) -> None:
        """The synced file appears as `target`, durably.

        Raises:
            SpoolFull: The folder has no room for the name.
            SpoolFailed: The folder could not be synced: the name may vanish in a power cut.
        """
        with refusals(target):
            self._disk.rename(self.path, target)
        self._published = True
        with fatal(target.parent):
            self._disk.fsync_folder(target.parent)
        self._close()

    def _open(self) -> int:
        if self._descriptor is None:
            raise ValueError(f"{self.path} is closed")
        return self._descriptor

    def _close(self) -> None:
        """What closing fails at does not matter: the file is synced by now, or goes."""
        descriptor, self._descriptor = self._descriptor, None
        if descriptor is not None:
            with contextlib.suppress(OSError):
                self._disk.close(descriptor)


def write_durably(disk: Disk, temporary: Path, target: Path, data: bytes) -> None:
    """`target` holds `data`, whole and synced, or what it held before.

    Raises:
        SpoolFull: There is no room.
        SpoolFailed: The disk failed.
    """
    with DurableFile(disk, temporary) as file:
        file.write(data)
        file.sync()
        file.publish(target)


def _new_file(disk: Disk, folder: Path) -> tuple[Path, int]:
    """A new name in `folder`, and its locked descriptor.

    Between its making and its flock another process may take it for a leftover: then it has no link.
    """
    while True:
        path = folder / f"{uuid.uuid4().hex}.tmp"
        descriptor = disk.open(path)
        if os.fstat(descriptor).st_nlink:
            return path, descriptor
        disk.close(descriptor)


def size_of(folder: Path) -> int:
    """Bytes of the files below `folder`; one that goes meanwhile counts nothing."""
    total = 0
    with os.scandir(folder) as entries:
        for entry in entries:
            with contextlib.suppress(FileNotFoundError):
                inside = entry.is_dir(follow_symlinks=False)
                total += size_of(Path(entry)) if inside else entry.stat(follow_symlinks=False).st_size
    return total
