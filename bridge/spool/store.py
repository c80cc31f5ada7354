"""A folder of runs, and all that is done to it: seal, merge, rewrite, retire.

Several threads and processes may seal and read; who merges, rewrites or retires holds the folder's own lock:
`ingest` for the live runs, that of its replay for a replay's.
"""

import contextlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field, replace
from pathlib import Path

import polars as pl
import structlog

from bridge.audience.audience import Audience
from bridge.spool.disk import Disk, SpoolFailed, fatal, refusals
from bridge.spool.folder import RunFolder
from bridge.spool.footer import Position
from bridge.spool.locks import Lock
from bridge.spool.merging import write_merged
from bridge.spool.run import Run, file_name, identity
from bridge.spool.run_writer import RunWriter
from bridge.spool.sorting import sorted_shards

log = structlog.get_logger()


@dataclass(frozen=True, kw_only=True, slots=True)
class Sizes:
    """How much is read and written at once."""

    block_rows: int = 16_384
    """Most rows of a block: about 1 MB in memory, which a delivery holds of each run that waits, and what the
    look-up of a late user costs at least."""
    range_rows: int = 250_000
    """About how many rows a merge has in memory, over all runs."""


@dataclass(kw_only=True, slots=True)
class Tools:
    """What all folders of a spool are written with."""

    disk: Disk
    """The disk port."""
    temporary: Path
    """Where runs are made before they are renamed."""
    allot: Callable[[], int]
    """The next run number, of one series for all folders; called under the lock of `numbering`."""
    numbering: Callable[[], Lock]
    """Takes the lock under which numbers are allotted; held when it returns."""
    sizes: Sizes
    """How much is written at once."""
    failure: SpoolFailed | None = field(default=None)
    """What the disk failed with, if it did."""

    @contextlib.contextmanager
    def writing(self) -> Iterator[None]:
        """After a failure of the disk nothing is written any more: what looks synced may not be."""
        if self.failure is not None:
            raise SpoolFailed(str(self.failure))
        try:
            yield
        except SpoolFailed as failure:
            self.failure = failure
            raise

    def unlink(self, path: Path) -> None:
        """The file is gone, if it was there.

        Raises:
            SpoolFailed: The disk failed.
        """
        with refusals(path), contextlib.suppress(FileNotFoundError):
            self.disk.unlink(path)


def _nothing() -> None:
    """Nobody watches."""


class RunStore:
    """The runs of one folder."""

    def __init__(self, directory: Path, tools: Tools, replay: str | None = None) -> None:
        """`directory` is there already; `replay`: id of the replay whose runs these are, for the log."""
        self._folder = RunFolder(directory)
        self._tools = tools
        self._replay = replay

    def runs(self) -> tuple[Run, ...]:
        """All live runs, ascending by number, those of other processes too: a consistent snapshot, and cheap.

        Raises:
            RunDamaged: A footer is not what was written; the message names the file.
        """
        return self._folder.live()

    def leftovers(self) -> list[Path]:
        """Files whose rows are in a merged run too: a merge died before it removed them.

        Raises:
            RunDamaged: As `runs`.
        """
        return self._folder.leftovers()

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
        with self._tools.writing(), self._new_run() as writer:
            for audience, rows in sorted_shards(filled, self._tools.sizes.range_rows):
                writer.add(audience, rows)
            with self._tools.numbering():
                number = self._tools.allot()
                writer.finish(
                    number=number,
                    low=number,
                    sealed_at=now,
                    oldest_sealed_at=now,
                    positions=[replace(position, run=number) for position in positions],
                    oldest_read_at=oldest_read_at,
                )
                if publish_dead_letters is not None:
                    with refusals(self._folder.path):
                        publish_dead_letters(number)
                run = self._publish(writer, number)
        log.info(
            "run_sealed",
            run=number,
            replay=self._replay,
            audiences=len(filled),
            memberships=sum(rows.height for rows in filled.values()),
            bytes=run.size,
        )
        return run

    def merge(self, runs: Sequence[Run], watch: Callable[[], None] = _nothing) -> Run:
        """Neighbouring runs become one, with the largest number of them; what lost within them is gone.

        A death on the way is harmless: the merged run replaces the newest of them in one step, and a run with
        numbers within another's counts no more. Only under the folder's lock.

        Args:
            runs: What to merge, at least two.
            watch: Called again and again; what it raises ends the merge, and nothing has changed.

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
        with self._tools.writing(), self._new_run() as writer:
            self._check_current(runs)
            write_merged(writer, runs, self._tools.sizes.range_rows, watch)
            merged = self._publish(writer, number)
            self._remove_covered(merged)
        log.info("runs_merged", low=low, run=number, replay=self._replay, runs=len(runs), bytes=merged.size)
        return merged

    def rewrite(self, run: Run, drop: AbstractSet[Audience], watch: Callable[[], None] = _nothing) -> Run:
        """The run without some audiences; its number, positions and other blocks stay as they are.

        The caller has noted their horizon before. Only under the folder's lock. `watch`: as that of `merge`.

        Raises:
            RunDamaged: A block does not match its checksum; nothing has changed.
            SpoolFull: There is no room; nothing has changed.
            SpoolFailed: The disk failed.
        """
        kept = {
            audience: statistics for audience, statistics in run.audiences.items() if audience not in drop
        }
        with self._tools.writing(), self._new_run() as writer:
            self._check_current([run])
            for audience in kept:
                for block in run.blocks(audience):
                    watch()
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
            "run_rewritten",
            run=run.number,
            replay=self._replay,
            dropped=len(run.audiences) - len(kept),
            bytes=rewritten.size,
        )
        return rewritten

    def retire(self, run: Run) -> None:
        """The run is gone; who reads it may go on. The caller has noted the horizon of its audiences before.

        Only under the folder's lock.

        Raises:
            SpoolFailed: The disk failed.
        """
        with self._tools.writing():
            self._check_current([run])
            self._remove_covered(run)
            self._tools.unlink(run.path)
            self.sync()
        log.info("run_retired", run=run.number, replay=self._replay, bytes=run.size)

    def sync(self) -> None:
        """Which runs there are is durable.

        Raises:
            SpoolFailed: The disk failed.
        """
        with fatal(self._folder.path):
            self._tools.disk.fsync_folder(self._folder.path)

    def _new_run(self) -> RunWriter:
        return RunWriter(self._tools.disk, self._tools.temporary, self._tools.sizes.block_rows)

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
                self._tools.unlink(self._folder.path / file_name(number))
        self.sync()

    def _check_current(self, runs: Iterable[Run]) -> None:
        """A run that was merged or rewritten since has a successor of the same name, which is not meant."""
        for run in runs:
            if not run.path.exists() or identity(run.path.stat()) != run.identity:
                raise ValueError(f"{run} has been replaced since it was listed")
