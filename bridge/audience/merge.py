"""Last write wins, as columns (design.md, invariant 1).

A user's segment is what the last write says of it. A remove_all is a write on every segment at once, and
comes before the segments of its own event: what is older than it is gone, what its event or a later one says
stays.
Merging is associative and idempotent, so it may be done at the seal, in the background and at delivery alike.
"""

from collections.abc import Iterable

import polars as pl

from bridge.audience.audience import Audience
from bridge.audience.ranking import last_writes
from bridge.audience.roster import WHOSE
from bridge.audience.rows import ORDER, everything, user_columns


def latest(audience: Audience, rows: pl.DataFrame) -> pl.DataFrame:
    """The rows that win among `rows`, sorted by user and segment, a remove_all row first in its user.

    Args:
        audience: Whose rows these are.
        rows: Columns of `rows.schema`, with or without `run`, in any order. Rows of several audiences with
            the same columns may be merged at once: then `audience` (integers) says whose each row is, and is
            sorted by first.

    Returns:
        The same columns. Of two copies of one write (an event read twice) the one in the newer run stays.
    """
    user = [*([WHOSE] if WHOSE in rows.columns else []), *user_columns(audience)]
    key = [*user, "segment"]
    run = ["run"] if "run" in rows.columns else []
    numeric = audience.uuids and not audience.hashed and WHOSE not in rows.columns and not rows.is_empty()
    places = last_writes(rows, [*ORDER, *run]) if numeric else None
    winners = rows.sort([*key, *ORDER, *run]).filter(_last_of(key)) if places is None else rows[places]
    if not (winners["segment"] == everything(audience)).any():
        return winners
    return winners.filter(_not_before_remove_all(user, everything(audience)))


def first_of(columns: Iterable[str]) -> pl.Expr:
    """True for a row that differs from the one before it in any of `columns`."""
    return pl.any_horizontal(pl.col(name).ne_missing(pl.col(name).shift(1)) for name in columns)


def _last_of(columns: Iterable[str]) -> pl.Expr:
    return pl.any_horizontal(pl.col(name).ne_missing(pl.col(name).shift(-1)) for name in columns)


def _not_before_remove_all(user: Iterable[str], everything_: int | str) -> pl.Expr:
    """True where a row's place in the order is not below that of its user's remove_all.

    The remove_all is its user's first row, so filling its place forward over the user needs no join.
    """
    first = first_of(user)
    removes = pl.col("segment") == everything_
    verdict = pl.lit(value=True)
    for name in reversed(ORDER):
        floor = pl.when(first).then(pl.when(removes).then(pl.col(name)).otherwise(pl.col(name).lower_bound()))
        removed_at = floor.forward_fill()
        verdict = (pl.col(name) > removed_at) | ((pl.col(name) == removed_at) & verdict)
    return verdict
