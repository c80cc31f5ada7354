"""The table on disk: batches in, a merge a step at a time, snapshots out.

    DIRECTORY/contents    which slabs count, and how far the topic is in them (`contents`)
    DIRECTORY/complete_at when it last held all of its topic (`ends`)
    DIRECTORY/*.slab      sorted rows (`slab`)
    DIRECTORY/tmp/        files in the making
    DIRECTORY/lock        held by the process that writes

Everything becomes durable with the new contents: slabs that they do not name are removed, at once or at the
next start.
"""

import contextlib
import threading
from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import TracebackType
from typing import Self

import polars as pl
import structlog

from bridge.clock import Clock
from bridge.spool.disk import Disk, DurableFile, fatal, refusals, size_of, write_durably
from bridge.spool.locks import Lock
from bridge.sync.table import ends
from bridge.sync.table.contents import (
    FILE_NAME,
    Contents,
    Key,
    LayerRecord,
    SlabRecord,
    TopicIdentity,
    read,
)
from bridge.sync.table.layer import Part
from bridge.sync.table.merging import FORGOTTEN_AFTER, Plan, Sizes, merged, plan_merge
from bridge.sync.table.rows import SCHEMA
from bridge.sync.table.settling import settled
from bridge.sync.table.slab import SUFFIX, Slab, TableDamaged, file_name
from bridge.sync.table.slab_writer import SlabWriter
from bridge.sync.table.snapshot import Snapshot

_log = structlog.get_logger()


class Table:
    """The identity table, for the one thread that writes it; `snapshot` may be asked for by any."""

    def __init__(self, directory: Path, *, lock: Lock, disk: Disk, sizes: Sizes) -> None:
        """Use `open`."""
        self._directory = directory
        self._lock = lock
        self._disk = disk
        self._sizes = sizes
        self._contents = Contents()
        self._slabs: dict[int, Slab] = {}
        self._snapshot = Snapshot(known_at=0, layers=())
        self._damaged = threading.Event()
        self._merge: _Merge | None = None

    @classmethod
    def open(
        cls, directory: Path, *, clock: Clock, disk: Disk | None = None, sizes: Sizes | None = None
    ) -> Self:
        """The table in `directory`, made if there is none.

        One that is damaged is empty afterwards, which is told in one line: its topic is to be read anew.

        Args:
            directory: Its parents are made too.
            clock: What measures the waiting for the lock.
            disk: The disk port; None: the real one.
            sizes: Of slabs, ranges and blocks; None: those for real loads.

        Raises:
            LockHeld: Another process writes it.
            SpoolFull, SpoolFailed: The disk refused.
        """
        with refusals(directory):
            (directory / "tmp").mkdir(mode=0o700, parents=True, exist_ok=True)
        lock = Lock(directory / "lock").acquire(0, clock)
        table = cls(directory, lock=lock, disk=disk or Disk(), sizes=sizes or Sizes())
        try:
            table._load()
        except BaseException:
            lock.release()
            raise
        return table

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._abandon_merge()
        self._lock.release()

    @property
    def topic(self) -> TopicIdentity | None:
        """Which topic it is of; None: it is empty."""
        return self._contents.topic

    @property
    def positions(self) -> Mapping[int, int]:
        """Of each partition the offset after the last one that is in the table."""
        return self._contents.positions

    @property
    def complete(self) -> bool:
        """It has held all of its topic once, since it was made (anew)."""
        return self._contents.complete

    @property
    def complete_at(self) -> int | None:
        """When it last held all of its topic, epoch ms, as the disk has it; None: it never did.

        Raises:
            SpoolFailed: It cannot be read.
        """
        return ends.read(self._directory) if self.complete else None

    @property
    def damaged(self) -> bool:
        """Somebody found that a slab is not what was written: it is to be made anew (`restart`)."""
        return self._damaged.is_set()

    def snapshot(self) -> Snapshot:
        """The table as it is now."""
        return self._snapshot

    def usage(self) -> int:
        """Bytes on the disk."""
        return size_of(self._directory)

    def restart(self, topic: TopicIdentity, now: int) -> None:
        """Empty, and of this topic, to be read from its start. `known_at` grows on: no change is missed.

        Raises:
            SpoolFull: There is no room; nothing has changed.
            SpoolFailed: The disk failed.
        """
        self._abandon_merge()
        before = self._contents
        self._change(
            Contents(topic=topic, known_at=before.known_at, next_number=before.next_number, purged_at=now)
        )
        self._damaged.clear()

    def append(self, window: pl.DataFrame, positions: Mapping[int, int], now: int) -> None:
        """A batch of the topic is in the table, durably, when this returns.

        Args:
            window: Columns of `rows.WINDOW`, in any order.
            positions: Of each partition that was read, the offset after the last one.
            now: Epoch ms. With a clock that was set back, `known_at` counts on from the last batch.

        Raises:
            SpoolFull: There is no room; nothing has changed, and the same batch may be given again.
            SpoolFailed: The disk failed.
        """
        known_at = max(now, self._contents.known_at + 1)
        written = self._written(window.with_columns(known_at=pl.lit(known_at, dtype=pl.Int64)))
        self._change(self._contents.with_batch(written, positions, known_at))

    def falls_behind(self) -> None:
        """Its topic holds more than it does: until it has caught up nobody goes by it (`looking.look`).

        Raises:
            SpoolFull: There is no room; nothing has changed.
            SpoolFailed: The disk failed.
        """
        if self.complete:
            self._change(replace(self._contents, complete=False))

    def completed(self, at: int) -> None:
        """It holds all that was in the topic at `at` (epoch ms): others may go by it (`looking.look`).

        Raises:
            SpoolFull: There is no room; nothing has changed.
            SpoolFailed: The disk failed.
        """
        if not self.complete:
            self._change(replace(self._contents, complete=True))
        write_durably(self._disk, self._directory / "tmp", self._directory / ends.FILE_NAME, ends.encode(at))

    def merge_step(self, now: int) -> bool:
        """Merge on, or begin to, where there is something to merge; whether there was.

        A step takes a second or two, so that the topic does not wait for long.

        Raises:
            TableDamaged: A block is not what was written; `damaged` is true now.
            SpoolFull: There is no room; what was merged before stays merged.
            SpoolFailed: The disk failed.
        """
        merge = self._merge or self._begun(plan_merge(self._contents, now), now)
        if merge is None:
            return False
        self._merge = merge
        try:
            written, upto = next(merge.steps)
            self._change(merge.apply(self._contents, written, upto))
        except BaseException:
            self._abandon_merge()
            raise
        if upto is None:
            self._merge = None
        return True

    def _begun(self, plan: Plan | None, now: int) -> "_Merge | None":
        """The merge that is planned, with a layer to fill before those that it merges."""
        if plan is None:
            return None
        steps = merged(
            self._parts(self._contents.layers[plan.first : plan.first + plan.count]),
            new_file=self._new_file,
            publish=self._publish,
            forget_before=None if plan.first else now - FORGOTTEN_AFTER,
            sizes=self._sizes,
        )
        self._contents = self._contents.with_room(plan.first)
        return _Merge(plan=plan, steps=steps, began_at=now)

    def _abandon_merge(self) -> None:
        """What it has done stays."""
        if self._merge is not None:
            self._merge.steps.close()
            self._merge = None
        self._contents = self._contents.tidied()

    def _new_file(self) -> DurableFile:
        return DurableFile(self._disk, self._directory / "tmp")

    def _publish(self, writer: SlabWriter) -> SlabRecord:
        """The slab has its name. Until the contents name it too, the next one would replace it."""
        record = writer.finish(self._contents.next_number)
        writer.publish(self._path(record.number))
        return record

    def _written(self, window: pl.DataFrame) -> SlabRecord | None:
        if window.is_empty():
            return None
        with SlabWriter(self._new_file(), self._sizes.block_rows) as writer:
            parts = window.partition_by("namespace", as_dict=True, include_key=False)
            for (namespace,), rows in sorted(parts.items(), key=lambda item: str(item[0][0])):
                writer.add(str(namespace), settled(rows.select(*SCHEMA)))
            return self._publish(writer)

    def _change(self, contents: Contents) -> None:
        """These are the contents, durably; slabs that are in them no more go."""
        write_durably(self._disk, self._directory / "tmp", self._directory / FILE_NAME, contents.encode())
        before = set(self._slabs)
        self._take(contents)
        for number in before - set(self._slabs):
            self._unlink(self._path(number))

    def _take(self, contents: Contents) -> None:
        """The slabs of these contents are open, and the snapshot shows them."""
        named = {slab.number: slab for layer in contents.layers for slab in layer}
        self._slabs = {
            number: self._slabs.get(number) or Slab(self._path(number), record, self._damaged.set)
            for number, record in named.items()
        }
        self._snapshot = Snapshot(known_at=contents.known_at, layers=self._parts(contents.layers))
        self._contents = contents

    def _parts(self, layers: Sequence[LayerRecord]) -> tuple[tuple[Part, ...], ...]:
        return tuple(tuple(Part(self._slabs[slab.number], slab.start) for slab in layer) for layer in layers)

    def _load(self) -> None:
        """What is there, less what a process that died left behind."""
        known = Contents()
        try:
            known = read(self._directory) or Contents()
            self._take(known)
        except (ValueError, TableDamaged) as damage:
            _log.error("identity_table_damaged", reason=f"{self._directory}: {damage}")
            self._slabs = {}
            self._take(Contents(known_at=known.known_at, next_number=known.next_number))
            self._damaged.set()
        self._clean_up()

    def _clean_up(self) -> None:
        """The folder is synced before: in a power cut older contents might come back and miss slabs."""
        with fatal(self._directory):
            self._disk.fsync_folder(self._directory)
        named = {self._path(number) for number in self._slabs}
        for path in sorted({*self._directory.glob(f"*{SUFFIX}")} - named):
            self._unlink(path)
        for path in sorted((self._directory / "tmp").iterdir()):
            self._unlink(path)

    def _unlink(self, path: Path) -> None:
        with refusals(path), contextlib.suppress(FileNotFoundError):
            self._disk.unlink(path)

    def _path(self, number: int) -> Path:
        return self._directory / file_name(number)


@dataclass(frozen=True, kw_only=True, slots=True)
class _Merge:
    """A merge under way."""

    plan: Plan
    """What becomes one."""
    steps: Generator[tuple[SlabRecord | None, Key | None]]
    """Writes the slabs."""
    began_at: int
    """Epoch ms."""

    def apply(self, contents: Contents, written: SlabRecord | None, upto: Key | None) -> Contents:
        """The contents after a step; the last one of a merge from the oldest layer on purges."""
        after = contents.with_step(self.plan.first, self.plan.count, written, upto)
        return replace(after, purged_at=self.began_at) if upto is None and not self.plan.first else after
