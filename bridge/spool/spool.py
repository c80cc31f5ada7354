"""The spool on the local disk: where ingest leaves its windows, and delivery finds them.

    SPOOL/spool.json      who it is          SPOOL/files/         built audience files
    SPOOL/numbers.json    the high mark      SPOOL/dead-letters/  refused events
    SPOOL/runs/           the runs           SPOOL/tmp/           all of these in the making
    SPOOL/ledger.sqlite   deliver's ledger   SPOOL/locks/         ingest, numbers, one an account
    SPOOL/replays/        runs of replays    SPOOL/beyond-horizon/ what could not be judged
    SPOOL/segments/       which codes of each stream's taxonomy were seen
    SPOOL/identity-table/ whose browser a partner's id is (bridge/sync/table); not counted by `usage`

Data and offsets become durable in one step, the rename of a run (design.md, The way of the data). Several
threads and processes may seal and read; who merges, rewrites, retires or cleans up holds the lock `ingest`.
"""

import fcntl
import os
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import Self

import msgspec
import structlog

from bridge.clock import MINUTE, Clock
from bridge.errors import BridgeError
from bridge.spool.disk import Disk, DurableFile, refusals, size_of, write_durably
from bridge.spool.footer import Position, PositionKey, newest
from bridge.spool.locks import Lock
from bridge.spool.numbers import Numbers
from bridge.spool.replays import Replays
from bridge.spool.run import number_of
from bridge.spool.store import RunStore, Sizes, Tools

FORMAT = 1
"""Version of the spool's layout."""

IDENTITY = "spool.json"
"""Who a spool is; a folder without one is none."""

_FOLDERS = ("runs", "files", "dead-letters", "beyond-horizon", "replays", "segments", "tmp", "locks")
_COUNTED = ("runs", "files", "dead-letters", "beyond-horizon", "replays", "segments", "tmp")
_NUMBERS_WAIT = MINUTE

log = structlog.get_logger()


class _Identity(msgspec.Struct):
    """What spool.json holds."""

    id: str
    format: int


class Spool(RunStore):
    """The live runs, and what lies beside them. Get one with `open`."""

    def __init__(self, directory: Path, *, id: str, clock: Clock, disk: Disk, sizes: Sizes) -> None:  # noqa: A002  # its name
        self.directory = directory
        self.id = id
        """Drawn when the spool was made; a spool made anew has another."""
        self._clock = clock
        self._numbers = Numbers(directory / "numbers.json", self.temporary_directory, disk)
        tools = Tools(
            disk=disk,
            temporary=self.temporary_directory,
            allot=self._allot,
            numbering=self._numbering,
            sizes=sizes,
        )
        super().__init__(directory / "runs", tools)
        self.replays = Replays(directory / "replays", tools)
        """History that is read again, apart from the live runs."""

    @classmethod
    def open(
        cls, directory: Path, *, clock: Clock, disk: Disk | None = None, sizes: Sizes | None = None
    ) -> Self:
        """The spool in `directory`, made if there is none; nothing else is changed.

        Args:
            directory: SPOOL; its parents are made too.
            clock: What measures the waiting for locks.
            disk: The disk port; None: the real one.
            sizes: Of blocks and ranges; None: those for real loads.

        Raises:
            BridgeError: It is of another version, not readable, or the disk refused.
        """
        disk = disk or Disk()
        for folder in (directory, *(directory / name for name in _FOLDERS)):
            with refusals(folder):
                folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        path = directory / IDENTITY
        if not path.exists():
            with Lock(directory / "locks" / "numbers.lock").acquire(_NUMBERS_WAIT, clock):
                _draw_id(path, disk)
        return cls(directory, id=_read_id(path), clock=clock, disk=disk, sizes=sizes or Sizes())

    @property
    def temporary_directory(self) -> Path:
        """Where files are made before they are renamed; `clean_up` removes those without a flock."""
        return self.directory / "tmp"

    @property
    def files_directory(self) -> Path:
        """Where built audience files are kept."""
        return self.directory / "files"

    def lock(self, name: str) -> Lock:
        """A lock of this spool, not yet held: `ingest`, or one that the caller names."""
        return Lock(self.directory / "locks" / f"{name}.lock")

    def positions(self) -> Mapping[PositionKey, Position]:
        """Of each partition the position in the newest run.

        Raises:
            RunDamaged: As `runs`.
        """
        return newest(position for run in self.runs() for position in run.footer.positions)

    def usage(self) -> int:
        """Bytes of runs, built files, dead letters and what is in the making."""
        return sum(size_of(self.directory / name) for name in _COUNTED)

    def clean_up(self) -> None:
        """Removes what a process that died left behind: files in the making, and runs merged into another.

        Before that the runs' folder is synced: what that process renamed last can be seen, but might go in a
        power cut, and offsets are committed on its account. Only under the lock `ingest`.

        Raises:
            RunDamaged: As `runs`.
            SpoolFailed: The disk failed.
        """
        with self._tools.writing(), self._numbering():
            self.sync()
            for path in sorted(self.temporary_directory.iterdir()):
                if path.is_file() and self._remove_abandoned(path):
                    log.info("temporary_file_removed", path=path.name)
            for path in self.leftovers():
                self._tools.unlink(path)
                log.info("merged_run_removed", run=number_of(path.name), path=path.name)
            self.replays.clean_up()

    def keep_above(self, number: int) -> None:
        """Run numbers go on above this one: the ledger's high mark (design.md, invariant 10).

        Raises:
            SpoolFull: There is no room for the mark.
            SpoolFailed: The disk failed.
        """
        with self._tools.writing(), self._numbering():
            self._numbers.raise_to(number)

    def new_file(self) -> DurableFile:
        """A file in the making, to be published in a folder of the spool."""
        return DurableFile(self._tools.disk, self.temporary_directory)

    def remove(self, path: Path) -> None:
        """A file of the spool is gone, if it was there.

        Raises:
            SpoolFailed: The disk failed.
        """
        with self._tools.writing():
            self._tools.unlink(path)

    def write_file(self, name: str, data: bytes) -> None:
        """A file of the spool, by its path within it, holds `data`: whole and synced.

        Raises:
            SpoolFull: There is no room.
            SpoolFailed: The disk failed.
        """
        with self._tools.writing():
            write_durably(self._tools.disk, self.temporary_directory, self.directory / name, data)

    def _remove_abandoned(self, path: Path) -> bool:
        """Removes a file that no living process holds a flock on; our own flock keeps its maker waiting."""
        try:
            descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
        except OSError:
            return False
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            self._tools.unlink(path)
        except BlockingIOError:
            return False
        finally:
            os.close(descriptor)
        return True

    def _allot(self) -> int:
        """The next run number, above that of every run in any folder."""
        return self._numbers.allot(max(self._folder.highest(), self.replays.highest()))

    def _numbering(self) -> Lock:
        return self.lock("numbers").acquire(_NUMBERS_WAIT, self._clock)


def _draw_id(path: Path, disk: Disk) -> None:
    """Gives the spool its id, unless another process was first."""
    if not path.exists():
        drawn = _Identity(id=str(uuid.uuid4()), format=FORMAT)
        write_durably(disk, path.parent / "tmp", path, msgspec.json.encode(drawn))


def _read_id(path: Path) -> str:
    try:
        stored = msgspec.json.decode(path.read_bytes(), type=_Identity)
    except (OSError, msgspec.MsgspecError) as error:
        raise BridgeError(f"{path} cannot be read: bring it back from a copy, or use a new spool") from error
    if stored.format != FORMAT:
        raise BridgeError(f"{path}: layout {stored.format} is not {FORMAT}: use the version that made it")
    return stored.id
