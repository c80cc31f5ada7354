"""What the rows of an id come to: pure rules, the same while rows are taken in, merged and asked for.

1. Of a mapping, or of an opt-out, the newest is true (`synced_at`), in whatever order they are read.
2. A tombstone forgets what its key said up to its time. It stays beside what is newer, or something older
   that comes later would live again.
3. An opt-out ends all mappings of its id that were synced up to its time. They stay for a while, as somebody
   has to hear of it.

So `settled` is idempotent, and associative over batches that follow each other.
"""

import numpy as np
import polars as pl

from bridge.audience.merge import first_of
from bridge.sync.table.rows import IS_OPT_OUT, KEY, NEVER, SCHEMA

_ORDER = {"forgotten": True, "synced_at": False, "data_centre": False, "known_at": True}
"""Within a key: whether it descends. Tombstones come first; the last of all is true."""

_NOT_KNOWN = np.iinfo(np.int64).max

_ENDED = ~IS_OPT_OUT & ~pl.col("forgotten") & (pl.col("synced_at") <= pl.col("opted_out_at"))
"""True for mappings that an opt-out ended."""


def settled(rows: pl.DataFrame, forget_before: int | None = None) -> pl.DataFrame:
    """Of each key the newest tombstone and what is newer than that, sorted by id, hi, lo.

    `known_at` of a mapping is that of its oldest row since it last came to life: who syncs again every day is
    known since the first.

    Args:
        rows: Columns of `rows.SCHEMA`, of one namespace, in any order.
        forget_before: Tombstones known before this instant (epoch ms) go, and mappings that ended by an
            opt-out known before it; None: nothing goes. Only where no older rows are elsewhere.
    """
    ordered = rows.sort([*KEY, *_ORDER], descending=[False] * len(KEY) + list(_ORDER.values()))
    alone = first_of(["id"]) & first_of(["id"]).shift(-1, fill_value=True)
    going = pl.col("forgotten") & (pl.col("known_at") < (forget_before or NEVER))
    if ordered.select(alone.all()).item():
        return ordered.filter(~going)
    judged = _judged(ordered)
    kept = pl.col("forgotten") & (pl.col("ends") | ~pl.col("forgotten").shift(-1, fill_value=False))
    kept |= ~pl.col("forgotten") & pl.col("ends") & (pl.col("synced_at") > pl.col("forgotten_at"))
    going |= _ENDED & (pl.col("opted_out_known_at") < (forget_before or NEVER))
    return judged.with_columns(_known_since(judged)).filter(kept & ~going).select(*SCHEMA)


def live(rows: pl.DataFrame) -> pl.DataFrame:
    """The mappings that are true, of rows that are settled.

    Returns:
        The columns id, hi, lo, synced_at, opted_out_at (epoch ms; NEVER: never), and known_at: since when it
        is known to be true, or later. Sorted as before.
    """
    true = ~IS_OPT_OUT & ~pl.col("forgotten") & (pl.col("synced_at") > pl.col("opted_out_at"))
    known_at = pl.max_horizontal("known_at", "opt_in_known_at")
    return _with_opt_outs(rows).filter(true).select(*KEY, "synced_at", "opted_out_at", known_at=known_at)


def opted_out(rows: pl.DataFrame, known_after: int) -> pl.DataFrame:
    """The mappings, ended ones too, of the ids whose opt-out is known later than that; rows are settled.

    Returns:
        The columns id, hi, lo, opted_out_at (epoch ms), sorted as before.
    """
    told = ~IS_OPT_OUT & ~pl.col("forgotten") & (pl.col("opted_out_known_at") > known_after)
    return _with_opt_outs(rows).filter(told).select(*KEY, "opted_out_at")


def _judged(ordered: pl.DataFrame) -> pl.DataFrame:
    """Sorted rows, whether they begin and end their key, and what was forgotten and opted out of when."""
    begins = first_of(KEY)
    marked = ordered.with_columns(begins=begins, ends=begins.shift(-1, fill_value=True))
    forgotten_at = pl.when("forgotten").then("synced_at").when("begins").then(NEVER)
    return _with_opt_outs(marked.with_columns(forgotten_at=forgotten_at.forward_fill()))


def _with_opt_outs(rows: pl.DataFrame) -> pl.DataFrame:
    """Sorted rows with what their id's opt-out says, which stands first in the id; NEVER where there is none.

    When it was (`opted_out_at`), since when that is known, and since when it is known that one is forgotten
    (`opt_in_known_at`).
    """
    true = IS_OPT_OUT & ~pl.col("forgotten")
    if "forgotten_at" in rows.columns:
        true &= pl.col("synced_at") > pl.col("forgotten_at")
    return rows.with_columns(
        opted_out_at=_within_id(true, "synced_at"),
        opted_out_known_at=_within_id(true, "known_at"),
        opt_in_known_at=_within_id(IS_OPT_OUT & pl.col("forgotten"), "known_at"),
    )


def _within_id(where: pl.Expr, column: str) -> pl.Expr:
    """The column's value in the last row of the id where that is true, for the rows from there on."""
    return pl.when(where).then(column).when(first_of(["id"])).then(NEVER).forward_fill()


def _known_since(judged: pl.DataFrame) -> pl.Series:
    """`known_at` of each row; of a living mapping that of the oldest of its key's rows that live."""
    lives = ~IS_OPT_OUT & ~pl.col("forgotten") & ~_ENDED & (pl.col("synced_at") > pl.col("forgotten_at"))
    living = judged.select(lives).to_series().to_numpy()
    own = judged["known_at"].to_numpy()
    begins = judged["begins"].to_numpy()
    oldest = np.minimum.reduceat(np.where(living, own, _NOT_KNOWN), np.flatnonzero(begins))
    return pl.Series("known_at", np.where(living, oldest[np.cumsum(begins) - 1], own))
