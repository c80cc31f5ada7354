"""A layer: slabs that follow each other, read as one sorted sequence of rows."""

from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from itertools import groupby
from operator import attrgetter
from typing import NamedTuple

import polars as pl

from bridge.sync.table.contents import Key
from bridge.sync.table.rows import SCHEMA
from bridge.sync.table.slab import Block, Slab


class Part(NamedTuple):
    """What counts of a slab."""

    slab: Slab
    """The open file."""
    start: Key
    """Rows of smaller keys do not count."""


class _Place(NamedTuple):
    """A block, and where it is."""

    block: Block
    part: Part


class LayerReader:
    """Reads one namespace of a layer. It keeps the last block: ids that ascend decode each block once."""

    def __init__(self, parts: Sequence[Part], namespace: str) -> None:
        self._places = [
            _Place(block, part)
            for part in parts
            for block in part.slab.blocks.get(namespace, [])
            if (namespace, block.last) >= part.start
        ]
        self._namespace = namespace
        self._firsts = [place.block.first for place in self._places]
        self._lasts = [place.block.last for place in self._places]
        self._kept: tuple[Block, pl.DataFrame] | None = None

    def fences(self, known_after: int = -1) -> Iterator[tuple[str, int]]:
        """First id and rows of each block that holds rows known later than that."""
        return ((block.first, block.rows) for block, _ in self._places if block.newest > known_after)

    def fences_of(self, ids: pl.Series) -> list[tuple[str, int]]:
        """First id and rows of each block that may hold one of these ids (ascending, at least one)."""
        return [(place.block.first, place.block.rows) for place in self._holding(ids)]

    def range(self, start: str, stop: str | None, known_after: int = -1) -> pl.DataFrame:
        """Rows of ids from `start` up to but without `stop` (None: to the last).

        Blocks without a row known later than `known_after` are skipped; rows are not filtered by that.

        Raises:
            TableDamaged: A block that is needed is not what was written.
        """
        low = bisect_left(self._lasts, start)
        high = len(self._places) if stop is None else bisect_left(self._firsts, stop)
        rows = self._read([place for place in self._places[low:high] if place.block.newest > known_after])
        first = rows["id"].search_sorted(start, "left")
        last = rows.height if stop is None else rows["id"].search_sorted(stop, "left")
        return rows[first:last]

    def around(self, ids: pl.Series) -> pl.DataFrame:
        """All rows of the blocks that may hold these ids (ascending, each once, at least one).

        Raises:
            TableDamaged: As `range`.
        """
        return self._read(self._holding(ids))

    def _holding(self, ids: pl.Series) -> list[_Place]:
        low, high = bisect_left(self._lasts, ids[0]), bisect_right(self._firsts, ids[-1])
        if low >= high:
            return []
        begin = ids.search_sorted(pl.Series(self._firsts[low:high]), "left")
        end = ids.search_sorted(pl.Series(self._lasts[low:high]), "right")
        return [self._places[low + at] for at in (begin < end).arg_true()]

    def _read(self, places: Sequence[_Place]) -> pl.DataFrame:
        """The rows of places that ascend, of which the first may be the one that is kept."""
        frames = [SCHEMA.to_frame()]
        if places and self._kept is not None and places[0].block is self._kept[0]:
            frames.append(self._kept[1])
            places = places[1:]
        for part, group in groupby(places, attrgetter("part")):
            blocks = [place.block for place in group]
            rows = part.slab.rows(blocks)
            last = blocks[-1]
            if part.start > (self._namespace, blocks[0].first):
                rows = rows[rows["id"].search_sorted(part.start[1], "left") :]
            self._kept = last, rows[-min(last.rows, rows.height) :]
            frames.append(rows)
        return pl.concat(frames)
