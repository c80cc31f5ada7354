"""Last writes found by sorting numbers: two sorts of one column, a third of the work of one by all columns.

Nearly every user is alone with the upper half of its UUID. So rows are sorted by that half first; then its
rank and the segment are one number to sort by. Equal numbers are writes of one user's one segment: only
these, which are few, are compared by their place in the order of writes.
"""

from collections.abc import Sequence

import numpy as np
import polars as pl
from numpy.typing import NDArray

Places = NDArray[np.int64]
"""Positions of rows."""


def last_writes(rows: pl.DataFrame, order: Sequence[str]) -> Places | None:
    """Where the last write of each user's each segment stands, by user and segment.

    Args:
        rows: At least one; `hi`, `lo` (UInt64), `segment` (UInt32) and the columns of `order`.
        order: The columns that say which of two writes is the later one.

    Returns:
        None where two users share the upper half of their ids: then this way does not lead anywhere.
    """
    upper = rows["hi"].to_numpy()
    by_user = np.argsort(upper)
    upper = upper[by_user]
    changes = upper[1:] != upper[:-1]
    lower = rows["lo"].to_numpy()[by_user]
    if ((lower[1:] != lower[:-1]) & ~changes).any():
        return None
    keys = np.zeros(len(upper), dtype=np.uint64)
    np.cumsum(changes, out=keys[1:])
    keys <<= np.uint64(32)
    keys |= rows["segment"].to_numpy()[by_user]
    by_segment = np.argsort(keys)
    keys, places = keys[by_segment], by_user[by_segment]
    again = keys[1:] == keys[:-1]
    if again.any():
        several = np.flatnonzero(np.append(again, False) | np.append(False, again))
        places[several] = _in_order(rows, order, keys[several], places[several])
    winners: Places = places[np.append(~again, True)]
    return winners


def _in_order(rows: pl.DataFrame, order: Sequence[str], keys: NDArray[np.uint64], places: Places) -> Places:
    """The places, by their keys, and those with the same key by the order of writes."""
    writes = rows.select(order)[places].with_columns(pl.Series("key", keys))
    sorted_: Places = places[writes.select(pl.arg_sort_by("key", *order)).to_series().to_numpy()]
    return sorted_
