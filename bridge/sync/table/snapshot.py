"""The table as it was at one instant, for those who join: it stays readable while the table goes on.

What a translation of partner ids into MM UUIDs needs, and nothing else: `Reader.join` for a sorted range of
ids at a time, `Changes.since` for what is to be joined again, and `Changes.opted_out_since` for what is to be
taken back.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import polars as pl

from bridge.spool.ranges import range_starts
from bridge.sync.table.layer import LayerReader, Part
from bridge.sync.table.rows import NEVER, SCHEMA
from bridge.sync.table.settling import live, opted_out, settled

_JOINED = ("id", "hi", "lo", "forgotten", "synced_at")
"""All that says whether a mapping is true. Not to read the others is a third of the work."""

RANGE_ROWS = 250_000
"""About how many rows of the table are in memory at once, over all layers."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Snapshot:
    """What the table held."""

    known_at: int
    """The newest batch in it, epoch ms: what to give to the next `Changes.since`; 0: it is empty."""
    layers: tuple[tuple[Part, ...], ...]
    """The oldest first."""

    def reader(self, namespace: str, range_rows: int = RANGE_ROWS) -> "Reader":
        """Reads the ids of one namespace; for one thread, and for ids that ascend from call to call."""
        return Reader([LayerReader(layer, namespace, _JOINED) for layer in self.layers], range_rows)

    def changes(self, namespace: str, range_rows: int = RANGE_ROWS) -> "Changes":
        """Reads what is new of one namespace; for one thread."""
        return Changes([LayerReader(layer, namespace) for layer in self.layers], range_rows)


class Reader:
    """Asks a snapshot. Only blocks that may hold what is asked for are read, each once as ids ascend."""

    def __init__(self, layers: Sequence[LayerReader], range_rows: int) -> None:
        self._layers = layers
        self._range_rows = range_rows

    def join(self, ids: pl.Series) -> pl.DataFrame:
        """The mappings of these ids that are true; an id may have several, and many have none.

        Memory is bounded by the ids given and what is found, however far they are apart in the table.

        Args:
            ids: Partner ids (String), ascending, each once.

        Returns:
            id, hi, lo (the halves of the MM UUID), synced_at (epoch ms), opted_out_at (epoch ms: what
            happened up to then is not to be sent; 0: never), sorted by id.

        Raises:
            TableDamaged: A block that is needed is not what was written; the table is made anew by itself.
        """
        return pl.concat(map(live, _held(self._layers, ids, self._range_rows))).drop("known_at")


class Changes:
    """Asks a snapshot what it knows that an earlier one did not."""

    def __init__(self, layers: Sequence[LayerReader], range_rows: int) -> None:
        self._layers = layers
        self._range_rows = range_rows

    def since(self, known_at: int) -> Iterator[pl.DataFrame]:
        """The mappings that are true, and that the table did not know, or not as true, at that instant.

        A user who merely syncs again is not among them.

        Args:
            known_at: That of the snapshot that was asked before.

        Returns:
            As `Reader.join`, and `known_at` (epoch ms): what was joined with a snapshot of then or later has
            had the mapping already. In pieces that ascend by id.

        Raises:
            TableDamaged: As `Reader.join`.
        """
        for ids in self._ids_since(known_at):
            changed = pl.concat(map(live, _held(self._layers, ids, self._range_rows)))
            yield changed.filter(pl.col("known_at") > known_at)

    def opted_out_since(self, known_at: int) -> Iterator[pl.DataFrame]:
        """All mappings, true ones and those that ended, of ids whose opt-out was not known at that instant.

        Each of these browsers is to be taken out of what it was in at `opted_out_at`. Mappings that ended are
        kept for `merging.FORGOTTEN_AFTER`.

        Returns:
            id, hi, lo, opted_out_at (epoch ms), in pieces that ascend by id.

        Raises:
            TableDamaged: As `Reader.join`.
        """
        for ids in self._ids_since(known_at):
            held = _held(self._layers, ids, self._range_rows)
            yield pl.concat(opted_out(rows, known_at) for rows in held)

    def _ids_since(self, known_at: int) -> Iterator[pl.Series]:
        """The ids of all rows known later, in pieces that ascend."""
        fences = (fence for layer in self._layers for fence in layer.fences(known_at))
        starts = list(range_starts(fences, self._range_rows))
        for start, stop in zip(["", *starts], [*starts, None], strict=True):
            found = (layer.range(start, stop, known_at) for layer in self._layers)
            rows = pl.concat([SCHEMA.to_frame(), *found])
            yield rows.filter(pl.col("known_at") > known_at)["id"].unique().sort()


def _held(layers: Sequence[LayerReader], ids: pl.Series, range_rows: int) -> Iterator[pl.DataFrame]:
    """What the layers hold of these ids, settled, in portions that ascend; one, if there are none."""
    return (_settled(layers, some) for some in _portions(layers, ids, range_rows))


def _settled(layers: Sequence[LayerReader], ids: pl.Series) -> pl.DataFrame:
    """What the layers hold of these ids; `known_at` is 0 and `data_centre` null where they are not read."""
    found = [rows for layer in layers if (rows := layer.of(ids)).height] if len(ids) else []
    rows = pl.concat([SCHEMA.to_frame(), *found], how="diagonal")
    rows = rows.with_columns(pl.col("known_at").fill_null(NEVER))
    return rows if len(found) == 1 else settled(rows)  # a layer by itself is settled


def _portions(layers: Sequence[LayerReader], ids: pl.Series, range_rows: int) -> Iterator[pl.Series]:
    """The ids in portions, for each of which a bounded number of rows is read; one, if there are none."""
    fences = [fence for layer in layers for fence in layer.fences_of(ids)] if len(ids) else []
    starts = list(range_starts(fences, range_rows))
    cuts = ids.search_sorted(pl.Series(starts, dtype=pl.String), "left").to_list() if starts else []
    for low, high in zip([0, *cuts], [*cuts, len(ids)], strict=True):
        yield ids[low:high]
