"""A layer: slabs that follow each other, read as one sorted sequence of rows."""

from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from itertools import groupby
from operator import attrgetter
from typing import NamedTuple

import numpy as np
import polars as pl

from bridge.sync.table.contents import Key
from bridge.sync.table.rows import SCHEMA
from bridge.sync.table.slab import Block, Slab

_BITS_PER_ID = 16
"""One row in 16 to 32 that nobody asked for is taken for one of these ids, until it is compared."""


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

    def __init__(self, parts: Sequence[Part], namespace: str, columns: Sequence[str] = tuple(SCHEMA)) -> None:
        """`columns`: of `rows.SCHEMA`, those that are read; `id` is one of them."""
        self._places = [
            _Place(block, part)
            for part in parts
            for block in part.slab.blocks.get(namespace, [])
            if (namespace, block.last) >= part.start
        ]
        self._namespace = namespace
        self._schema = pl.Schema({name: SCHEMA[name] for name in columns})
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

    def of(self, ids: pl.Series) -> pl.DataFrame:
        """The rows of these ids (ascending, each once, at least one), sorted by id.

        Raises:
            TableDamaged: As `range`.
        """
        rows = _likely(self._read(self._holding(ids)), ids)
        return rows.join(ids.to_frame("id"), on="id", how="semi", maintain_order="left")

    def _holding(self, ids: pl.Series) -> list[_Place]:
        low, high = bisect_left(self._lasts, ids[0]), bisect_right(self._firsts, ids[-1])
        if low >= high:
            return []
        begin = ids.search_sorted(pl.Series(self._firsts[low:high]), "left")
        end = ids.search_sorted(pl.Series(self._lasts[low:high]), "right")
        return [self._places[low + at] for at in (begin < end).arg_true()]

    def _read(self, places: Sequence[_Place]) -> pl.DataFrame:
        """The rows of places that ascend, of which the first may be the one that is kept."""
        frames = [self._schema.to_frame()]
        if places and self._kept is not None and places[0].block is self._kept[0]:
            frames.append(self._kept[1])
            places = places[1:]
        for part, group in groupby(places, attrgetter("part")):
            blocks = [place.block for place in group]
            rows = part.slab.rows(blocks, self._schema.names())
            last = blocks[-1]
            if part.start > (self._namespace, blocks[0].first):
                rows = rows[rows["id"].search_sorted(part.start[1], "left") :]
            self._kept = last, rows[-min(last.rows, rows.height) :]
            frames.append(rows)
        return pl.concat(frames)


def _likely(rows: pl.DataFrame, ids: pl.Series) -> pl.DataFrame:
    """The rows of these ids, and a few others: by a bit for each hash.

    Of a large table most rows that are read are nobody's who is asked for, and to compare each of them with
    the ids would cost as much as to read them.
    """
    wanted = np.zeros(1 << (_BITS_PER_ID * len(ids)).bit_length(), dtype=np.bool_)
    last = len(wanted) - 1
    wanted[(ids.hash() & last).to_numpy()] = True
    return rows.filter(pl.Series(wanted[(rows["id"].hash() & last).to_numpy()]))
