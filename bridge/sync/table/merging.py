"""Which layers become one, and how: a slab at a time, so that disk and memory are bounded.

After each slab the keys that are in it count in the merged layer alone, and slabs that hold no others go. A
merge of the whole table so needs room for a few slabs, not for a second table.
"""

from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass

import polars as pl

from bridge.clock import DAY
from bridge.spool.disk import DurableFile
from bridge.spool.ranges import range_starts
from bridge.sync.table.contents import Contents, Key, SlabRecord
from bridge.sync.table.layer import LayerReader, Part
from bridge.sync.table.settling import settled
from bridge.sync.table.slab_writer import BLOCK_ROWS, SlabWriter
from bridge.sync.table.snapshot import RANGE_ROWS

FAN_IN = 4
"""So many layers of like size become one, at least."""

WIDEST = 32
"""So many at most, as a merge holds a block of each."""

GROWTH = 4
"""From one size to the next."""

SMALLEST = 10_000
"""Layers of fewer rows count as this large."""

SHARE = 2
"""The newer layers hold at most one row for so many of the oldest: more, and the disk would hold the same
mappings again and again."""

FORGOTTEN_AFTER = 35 * DAY
"""How long what is not true any more is kept, ms: for those who have yet to hear of it, and for older rows of
its key that come late."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Sizes:
    """How much is read and written at once."""

    slab_rows: int = 2_000_000
    """Rows of a merged slab: about 80 MB."""
    range_rows: int = RANGE_ROWS
    """About how many rows a merge has in memory, over all layers."""
    block_rows: int = BLOCK_ROWS
    """Most rows of a block."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Plan:
    """Neighbours that are to become one layer."""

    first: int
    """The place of the oldest of them."""
    count: int
    """How many."""


def plan_merge(contents: Contents, now: int) -> Plan | None:
    """What to merge next; None: all is well.

    All of them, where the newer ones have grown beside the oldest, or where what is not true any more has
    waited long enough to be forgotten; else the first neighbours of like size.
    """
    sizes = contents.sizes
    grown = len(sizes) > 1 and sum(sizes[1:]) > max(sizes[0] // SHARE, SMALLEST)
    if grown or (sizes and now - contents.purged_at > FORGOTTEN_AFTER):
        return Plan(first=0, count=min(len(sizes), WIDEST))
    tiers = [_tier(size) for size in sizes]
    for tier in sorted(set(tiers)):
        for first, count in _stretches([own <= tier for own in tiers]):
            if count >= FAN_IN:
                return Plan(first=first, count=min(count, WIDEST))
    return None


def merged(
    layers: Sequence[Sequence[Part]],
    *,
    new_file: Callable[[], DurableFile],
    publish: Callable[[SlabWriter], SlabRecord],
    forget_before: int | None,
    sizes: Sizes,
) -> Generator[tuple[SlabRecord | None, Key | None]]:
    """Merges layers, the oldest first, a slab at a step.

    Args:
        layers: What to merge.
        new_file: Makes the file of a slab.
        publish: Gives it a number and its name, durably.
        forget_before: As `settling.settled`.
        sizes: Of slabs, ranges and blocks.

    Yields:
        The slab that was written (None: of the last keys nothing is left), and the key up to but without
        which all is merged (None: to the end).

    Raises:
        TableDamaged: A block is not what was written.
        SpoolFull, SpoolFailed: As the disk says.
    """
    with ExitStack() as stack:
        writer: SlabWriter | None = None
        for namespace, stop, rows in _ranges(layers, sizes.range_rows):
            if writer is None:
                writer = stack.enter_context(SlabWriter(new_file(), sizes.block_rows))
            writer.add(namespace, settled(rows, forget_before))
            if writer.rows >= sizes.slab_rows:
                record = publish(writer)
                stack.close()
                writer = None
                yield record, (namespace, stop) if stop is not None else (namespace + "\0", "")
        yield publish(writer) if writer is not None and writer.rows else None, None


def _ranges(
    layers: Sequence[Sequence[Part]], range_rows: int
) -> Iterator[tuple[str, str | None, pl.DataFrame]]:
    """Namespace, the id up to but without which they are (None: to the last), and the rows, ascending."""
    for namespace in sorted({name for layer in layers for part in layer for name in part.slab.blocks}):
        readers = [LayerReader(layer, namespace) for layer in layers]
        starts = list(range_starts((fence for one in readers for fence in one.fences()), range_rows))
        for start, stop in zip(["", *starts], [*starts, None], strict=True):
            yield namespace, stop, pl.concat(reader.range(start, stop) for reader in readers)


def _tier(size: int) -> int:
    """How large a layer is, by powers of GROWTH."""
    tier = 0
    while size >= SMALLEST * GROWTH ** (tier + 1):
        tier += 1
    return tier


def _stretches(alike: Sequence[bool]) -> Iterator[tuple[int, int]]:
    """First place and length of each stretch of neighbours that are alike."""
    first = None
    for place, one in enumerate([*alike, False]):
        if one and first is None:
            first = place
        elif not one and first is not None:
            yield first, place - first
            first = None
