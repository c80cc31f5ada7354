"""The spool on the local disk: where ingest leaves its windows, and delivery finds them.

    SPOOL/spool.json      who it is          SPOOL/files/         built audience files
    SPOOL/numbers.json    the high mark      SPOOL/dead-letters/  refused events
    SPOOL/runs/           the runs           SPOOL/tmp/           all of these in the making
    SPOOL/ledger.sqlite   deliver's ledger   SPOOL/locks/         ingest, numbers, one an account

Data and offsets become durable in one step, the rename of a run (design.md, The way of the data). Several
threads and processes may seal and read; who merges, rewrites, retires or cleans up holds the lock `ingest`.
"""

import contextlib
import fcntl
import os
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Self

import msgspec
import polars as pl
import structlog

from bridge.audience.audience import Audience
from bridge.clock import MINUTE, Clock
from bridge.errors import BridgeError
from bridge.spool.disk import Disk, SpoolFailed, fatal, refusals, write_durably
from bridge.spool.folder import RunFolder
from bridge.spool.footer import Position, PositionKey, newest
from bridge.spool.locks import Lock
from bridge.spool.merging import write_merged
from bridge.spool.numbers import Numbers
from bridge.spool.run import Run, file_name, identity
from bridge.spool.run_writer import RunWriter
from bridge.spool.sorting import sorted_shards

FORMAT = 1
"""Version of the spool's layout."""

_FOLDERS = ("runs", "files", "dead-letters", "beyond-horizon", "tmp", "locks")
_COUNTED = ("runs", "files", "dead-letters", "beyond-horizon", "tmp")
_NUMBERS_WAIT = MINUTE

log = structlog.get_logger()


@dataclass(frozen=True, kw_only=True, slots=True)
class Sizes:
    """How much is read and written at once."""

    block_rows: int = 16_384
    """Most rows of a block: about 1 MB in memory, which a delivery holds of each run that waits, and what the
    look-up of a late user costs at least."""
    range_rows: int = 250_000
    """About how many rows a merge has in memory, over all runs."""


class _Identity(msgspec.Struct):
    """What spool.json holds."""

    id: str
    format: int


class Spool:
    """A folder of runs. Get one with `open`."""

    def __init__(self, directory: Path, *, id: str, clock: Clock, disk: Disk, sizes: Sizes) -> None:  # noqa: A002  # its name
        self.directory = directory
        self.id = id
        """Drawn when the spool was made; a spool made anew has another."""
        self._clock = clock
        self._disk = disk
        self._sizes = sizes
        self._folder = RunFolder(directory / "runs")
        self._numbers = Numbers(directory / "numbers.json", self.temporary_directory, disk)
        self._failure: SpoolFailed | None = None

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
        path = directory / "spool.json"
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

    def runs(self) -> tuple[Run, ...]:
        """All live runs, ascending by number, those of other processes too: a consistent snapshot, and cheap.

        Raises:
            RunDamaged: A footer is not what was written; the message names the file.
        """
        return self._folder.live()

    def positions(self) -> Mapping[PositionKey, Position]:
        """Of each partition the position in the newest run.

        Raises:
            RunDamaged: As `runs`.
        """
        return newest(position for run in self.runs() for position in run.footer.positions)

    def usage(self) -> int:
        """Bytes of runs, built files, dead letters and what is in the making."""
        return sum(_size(self.directory / name) for name in _COUNTED)

    def clean_up(self) -> None:
        """Removes what a process that died left behind: files in the making, and runs merged into another.

        Only under the lock `ingest`.

        Raises:
            RunDamaged: As `runs`.
            SpoolFailed: The disk failed.
        """
        with self._writing(), self._numbering():
            for path in sorted(self.temporary_directory.iterdir()):
                if path.is_file() and self._remove_abandoned(path):
                    log.info("temporary_file_removed", file=path.name)
            for path in self._folder.leftovers():
                self._unlink(path)
                log.info("merged_run_removed", file=path.name)

    def keep_above(self, number: int) -> None:
        """Run numbers go on above this one: the ledger's high mark (design.md, invariant 10).

        Raises:
            SpoolFull: There is no room for the mark.
            SpoolFailed: The disk failed.
        """
        with self._writing(), self._numbering():
            self._numbers.raise_to(number)

    def seal(
        self,
        *,
        shards: Mapping[Audience, pl.DataFrame],
        oldest_read_at: Mapping[Audience, int],
        positions: Iterable[Position],
        now: int,
        publish_dead_letters: Callable[[int], None] | None = None,
    ) -> Run:
        """A window becomes a run: durable when this returns, and only then may its offsets be committed.

        The number is allotted and the run published under one lock: no run appears below one that is there.

        Args:
            shards: Rows (`rows.schema`) by audience, in any order; none for a window of refused events alone.
            oldest_read_at: When the first event of each audience was read, epoch ms.
            positions: How far each partition was taken; their `run` is set here.
            now: Epoch ms.
            publish_dead_letters: Called with the run's number before the run appears; durable on its return.

        Raises:
            SpoolFull: There is no room; nothing is left behind, and the same window may be sealed later.
            SpoolFailed: The disk failed: the offsets must not be committed, and the process must end.
            BridgeError: What `publish_dead_letters` raised; as SpoolFull.
        """
        filled = {audience: shards[audience] for audience in sorted(shards) if shards[audience].height}
        with self._writing(), self._new_run() as writer:
            for audience, rows in sorted_shards(filled, self._sizes.range_rows):
                writer.add(audience, rows)
            with self._numbering():
                number = self._numbers.allot(self._folder.highest())
                writer.finish(
                    number=number,
                    low=number,
                    sealed_at=now,
                    oldest_sealed_at=now,
                    positions=[replace(position, run=number) for position in positions],
                    oldest_read_at=oldest_read_at,
                )
                if publish_dead_letters is not None:
                    with refusals(self.directory / "dead-letters"):
                        publish_dead_letters(number)
                run = self._publish(writer, number)
        log.info("run_sealed", run=number, audiences=len(filled), bytes=run.size)
        return run

    def write_file(self, name: str, data: bytes) -> None:
        """A file of the spool, by its path within it, holds `data`: whole and synced.

        Raises:
            SpoolFull: There is no room.
            SpoolFailed: The disk failed.
        """
        with self._writing():
            write_durably(self._disk, self.temporary_directory, self.directory / name, data)

    def merge(self, runs: Sequence[Run]) -> Run:
        """Neighbouring runs become one, with the largest number of them; what lost within them is gone.

        A death on the way is harmless: the merged run replaces the newest of them in one step, and a run with
        numbers within another's counts no more. Only under the lock `ingest`.

        Raises:
            RunDamaged: A block does not match its checksum; nothing has changed.
            SpoolFull: There is no room; nothing has changed.
            SpoolFailed: The disk failed.
        """
        low, number = min(run.low for run in runs), max(run.number for run in runs)
        between = {run.number for run in self.runs() if low <= run.number <= number}
        if len(runs) < 2 or between != {run.number for run in runs}:  # noqa: PLR2004  # one run is merged already
            raise ValueError(
                f"runs {sorted(run.number for run in runs)} are no neighbours among {sorted(between)}"
            )
        with self._writing(), self._new_run() as writer:
            self._check_current(runs)
            write_merged(writer, runs, self._sizes.range_rows)
            merged = self._publish(writer, number)
            self._remove_covered(merged)
        log.info("runs_merged", runs=len(runs), low=low, run=number, bytes=merged.size)
        return merged

    def rewrite(self, run: Run, drop: AbstractSet[Audience]) -> Run:
        """The run without some audiences; its number, positions and other blocks stay as they are.

        The caller has noted their horizon before. Only under the lock `ingest`.

        Raises:
            RunDamaged: A block does not match its checksum; nothing has changed.
            SpoolFull: There is no room; nothing has changed.
            SpoolFailed: The disk failed.
        """
        kept = {
            audience: statistics for audience, statistics in run.audiences.items() if audience not in drop
        }
        with self._writing(), self._new_run() as writer:
            self._check_current([run])
            for audience in kept:
                for block in run.blocks(audience):
                    writer.copy(audience, block, run.raw(block))
            writer.finish(
                number=run.number,
                low=run.low,
                sealed_at=run.footer.sealed_at,
                oldest_sealed_at=run.footer.oldest_sealed_at,
                positions=run.footer.positions,
                oldest_read_at={audience: statistics.oldest_read_at for audience, statistics in kept.items()},
            )
            rewritten = self._publish(writer, run.number)
        log.info(
            "run_rewritten", run=run.number, dropped=len(run.audiences) - len(kept), bytes=rewritten.size
        )
        return rewritten

    def retire(self, run: Run) -> None:
        """The run is gone; who reads it may go on. The caller has noted the horizon of its audiences before.

        Only under the lock `ingest`.

        Raises:
            SpoolFailed: The disk failed.
        """
        with self._writing():
            self._check_current([run])
            self._remove_covered(run)
            self._unlink(run.path)
            self._sync_runs()
        log.info("run_retired", run=run.number, bytes=run.size)

    def _new_run(self) -> RunWriter:
        return RunWriter(self._disk, self.temporary_directory, self._sizes.block_rows)

    def _publish(self, writer: RunWriter, number: int) -> Run:
        path = self._folder.path / file_name(number)
        writer.publish(path)
        run = Run(path)
        self._folder.keep(run)
        return run

    def _remove_covered(self, merged: Run) -> None:
        """Removes the files of the runs merged into this one; if it went first, they would live again."""
        for number in self._folder.numbers():
            if merged.low <= number < merged.number:
                self._unlink(self._folder.path / file_name(number))
        self._sync_runs()

    def _remove_abandoned(self, path: Path) -> bool:
        """Removes a file that no living process holds a flock on; our own flock keeps its maker waiting."""
        try:
            descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
        except OSError:
            return False
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            self._unlink(path)
        except BlockingIOError:
            return False
        finally:
            os.close(descriptor)
        return True

    def _unlink(self, path: Path) -> None:
        with refusals(path), contextlib.suppress(FileNotFoundError):
            self._disk.unlink(path)

    def _sync_runs(self) -> None:
        with fatal(self._folder.path):
            self._disk.fsync_folder(self._folder.path)

    def _check_current(self, runs: Iterable[Run]) -> None:
        """A run that was merged or rewritten since has a successor of the same name, which is not meant."""
        for run in runs:
            if not run.path.exists() or identity(run.path.stat()) != run.identity:
                raise ValueError(f"{run} has been replaced since it was listed")

    def _numbering(self) -> Lock:
        return self.lock("numbers").acquire(_NUMBERS_WAIT, self._clock)

    @contextlib.contextmanager
    def _writing(self) -> Iterator[None]:
        """After a failure of the disk nothing is written any more: what looks synced may not be."""
        if self._failure is not None:
            raise SpoolFailed(str(self._failure))
        try:
            yield
        except SpoolFailed as failure:
            self._failure = failure
            raise


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


def _size(folder: Path) -> int:
    """Bytes of the files below `folder`; one that goes meanwhile counts nothing."""
    total = 0
    with os.scandir(folder) as entries:
        for entry in entries:
            with contextlib.suppress(FileNotFoundError):
                inside = entry.is_dir(follow_symlinks=False)
                total += _size(Path(entry)) if inside else entry.stat(follow_symlinks=False).st_size
    return total
