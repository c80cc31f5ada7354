"""A disk that forgets what was not synced when the power is cut, and fails when it is told to.

It works on real files, and keeps what it needs to undo: of each file how far it is synced, and of each name
that came, went or was replaced since its folder was last synced what was there before.
"""

import errno
import os
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

from bridge.spool.disk import Disk
from tests.simulation.process import Process


@dataclass(frozen=True, kw_only=True)
class Change:
    """A name that changed and may be forgotten."""

    folder: Path
    """Whose sync makes it last."""
    path: Path
    """The name."""
    before: Path | None
    """Another name of the file that had it; None: nobody had."""
    source: Path | None
    """The name that the file had, where it was renamed."""


@dataclass
class Platter:
    """What is there whatever process writes."""

    attic: Path
    """A folder of the same file system, for what was replaced."""
    synced: dict[int, int] = field(default_factory=dict)
    """Bytes of each file (by inode) that outlive a power cut, where that is not all."""
    changes: list[Change] = field(default_factory=list)
    """In the order they came."""

    def keep(self, path: Path) -> Path | None:
        """Another name for what is at `path`, if anything is."""
        if not path.exists():
            return None
        kept = self.attic / str(sum(1 for _ in self.attic.iterdir()))
        os.link(path, kept)
        return kept

    def lasts(self, path: Path) -> bool:
        """Whether the file and its name outlive a power cut."""
        return path.stat().st_ino not in self.synced and all(one.path != path for one in self.changes)

    def cut(self, rng: Random, files: Callable[[], list[Path]]) -> None:
        """The power is cut: the newest changes of names are undone, unsynced data is gone or garbage."""
        kept = rng.choice([0, 0, len(self.changes), rng.randint(0, len(self.changes))])
        for change in reversed(self.changes[kept:]):
            self._undo(change)
        self.changes.clear()
        for path in files():
            length = self.synced.get(path.stat().st_ino)
            if length is not None:
                _spoil(path, length, rng)
        self.synced.clear()

    def _undo(self, change: Change) -> None:
        if change.source is not None and change.path.exists():
            change.path.rename(change.source)
        if change.before is not None:
            change.path.unlink(missing_ok=True)
            os.link(change.before, change.path)


def _spoil(path: Path, length: int, rng: Random) -> None:
    """Bytes above `length` may be there, be zeros, or not be there."""
    size = path.stat().st_size
    match rng.randrange(3):
        case 0:
            os.truncate(path, length)
        case 1:
            os.truncate(path, length)
            os.truncate(path, size)


class PowerDisk(Disk):
    """The disk of one process."""

    def __init__(self, platter: Platter, process: Process, synced: Callable[[Path], None]) -> None:
        self._platter = platter
        self._process = process
        self._synced = synced
        self.fault: Callable[[str], int | None] = lambda _: None
        """Error number that an operation (its name) fails with, if it is to fail."""

    def open(self, path: Path) -> int:
        """A new file."""
        self._before("open", path.parent)
        descriptor = super().open(path)
        self._platter.synced[os.fstat(descriptor).st_ino] = 0
        return descriptor

    def write(self, descriptor: int, data: bytes | memoryview) -> int:
        """Now and then not all of it is taken; of a write to a full disk perhaps a part."""
        try:
            self._before("write")
        except OSError as error:
            if error.errno == errno.ENOSPC:
                super().write(descriptor, data[: len(data) // 2])
            raise
        return super().write(descriptor, data[: len(data) // 2 + 1])

    def fsync(self, descriptor: int) -> None:
        """What was written lasts."""
        self._before("fsync")
        self._platter.synced.pop(os.fstat(descriptor).st_ino, None)

    def close(self, descriptor: int) -> None:
        """As the real one, for the dead too: their descriptors go with them."""
        super().close(descriptor)

    def rename(self, source: Path, target: Path) -> None:
        """It lasts once the target's folder is synced."""
        self._before("rename", target.parent)
        before = self._platter.keep(target)
        super().rename(source, target)
        self._platter.changes.append(Change(folder=target.parent, path=target, before=before, source=source))

    def fsync_folder(self, folder: Path) -> None:
        """The names in it last."""
        self._before("fsync_folder", folder)
        changes = self._platter.changes
        changes[:] = [one for one in changes if one.folder != folder]
        self._synced(folder)

    def unlink(self, path: Path) -> None:
        """It lasts once the folder is synced."""
        self._before("unlink", path.parent)
        before = self._platter.keep(path)
        super().unlink(path)
        self._platter.changes.append(Change(folder=path.parent, path=path, before=before, source=None))

    def _before(self, operation: str, folder: Path | None = None) -> None:
        where = "" if folder is None else f" {folder.name}"
        self._process.step(f"disk {operation}{where}")
        number = self.fault(operation)
        if number is not None:
            raise OSError(number, os.strerror(number))
