"""Which of the rows that were delivered bear on what is pending: of a large history nearly none do.

A replay of what was delivered before meets all of it again. So this is done with sorted numbers, a look-up
for each row of history, before anything is put together and sorted anew.
"""

import numpy as np
import polars as pl
from numpy.typing import NDArray

from bridge.audience.audience import Audience
from bridge.audience.merge import first_of
from bridge.audience.rows import ORDER, everything, user_columns

Flags = NDArray[np.bool_]
Places = NDArray[np.int64]


def overtaking(audience: Audience, pending: pl.DataFrame, history: pl.DataFrame) -> pl.DataFrame:
    """The rows of `history` that bear on `pending`; of some that do not, more may be among them.

    That is: later writes of a pending user's pending segment; remove_alls not older than all that is pending
    of their user; and everything of users that are pending with a remove_all.

    Args:
        audience: Whose rows these are.
        pending: `merge.latest` of what is not delivered, at least one row.
        history: Rows with the same columns, in any order.
    """
    if history.is_empty():
        return history
    if audience.uuids and not audience.hashed:
        users = pending.select(first_of(user_columns(audience)).arg_true()).to_series().to_numpy()
        upper = pending["hi"].to_numpy()[users]
        if (upper[1:] != upper[:-1]).all():  # nearly always: then the upper half of an id says who it is
            return _by_numbers(pending, history, users)
    return _by_joins(audience, pending, history)


def _by_numbers(pending: pl.DataFrame, history: pl.DataFrame, users: Places) -> pl.DataFrame:
    """`users`: where each pending user begins."""
    upper, lower = (pending[name].to_numpy()[users] for name in ("hi", "lo"))
    theirs = history["hi"].to_numpy()
    user = np.minimum(np.searchsorted(upper, theirs), len(upper) - 1)
    known = np.flatnonzero((upper[user] == theirs) & (lower[user] == history["lo"].to_numpy()))
    user = user[known]
    segments, own = history["segment"].to_numpy()[known], pending["segment"].to_numpy()
    counts = np.diff(np.append(users, len(pending)))
    keys, wanted = np.repeat(np.arange(len(users)), counts) << 32 | own, user << 32 | segments
    place = np.minimum(np.searchsorted(keys, wanted), len(keys) - 1)
    bears = (own[users] == 0)[user]
    same = np.flatnonzero(keys[place] == wanted)
    bears[same] |= _later(history, known[same], pending, place[same])
    emptied = np.flatnonzero(segments == 0)
    oldest = np.minimum.reduceat(pending["event_time"].to_numpy(), users)[user[emptied]]
    bears[emptied] |= history["event_time"].to_numpy()[known[emptied]] >= oldest
    bearing: Places = known[bears]
    return history[bearing]


def _later(history: pl.DataFrame, theirs: Places, pending: pl.DataFrame, ours: Places) -> Flags:
    """Whether each of these rows of history is a later write than the pending one beside it."""
    verdict: Flags = np.zeros(len(theirs), dtype=np.bool_)
    for name in reversed(ORDER):
        delivered, waits = history[name].to_numpy()[theirs], pending[name].to_numpy()[ours]
        verdict = (delivered > waits) | ((delivered == waits) & verdict)
    return verdict


def _by_joins(audience: Audience, pending: pl.DataFrame, history: pl.DataFrame) -> pl.DataFrame:
    user, all_ = user_columns(audience), pl.col("segment") == everything(audience)
    users = pending.select(user).unique()
    same = pending.select(*user, "segment", same=pl.lit(value=True))
    empties = pending.filter(all_).select(*user, empties=pl.lit(value=True))
    rows = history.join(users, on=user, how="semi")
    marked = rows.join(same, on=[*user, "segment"], how="left").join(empties, on=user, how="left")
    return marked.filter(pl.col("same").is_not_null() | all_ | pl.col("empties").is_not_null()).select(
        history.columns
    )
