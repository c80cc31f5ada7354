"""Rows that come after something newer was delivered (design.md, invariant 1).

A late row loses against a newer delivered one and is left out. A late remove_all takes with it what was
delivered of its user and is older; what is newer must be said again behind it. What is not newer than the
horizon cannot be judged: a removal is sent all the same, an add is set aside. That holds for an add too that
would be said again behind a remove_all as old: what took it back may be in a run that is retired.
"""

from dataclasses import dataclass

import numpy as np
import polars as pl

from bridge.audience.audience import Audience
from bridge.audience.merge import first_of, latest
from bridge.audience.overtaking import overtaking
from bridge.audience.rows import REMOVE, everything, historical, user_columns

_SAID_AGAIN = 0
"""Stands for the run of a row that was delivered and is sent again: no run has this number and none a smaller
one, so that a pending copy of the same write goes before it."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Settled:
    """What becomes of pending rows once history has been asked."""

    send: pl.DataFrame
    """What goes into the file, sorted by user and segment."""
    superseded: int
    """Pending rows left out, as something newer was delivered."""
    beyond_horizon: pl.DataFrame
    """Adds that nothing kept can judge, pending ones and those to be said again; not sent."""


def late_rows(pending: pl.DataFrame, newest_delivered: int | None) -> pl.DataFrame:
    """The rows that are not newer than the newest delivered event time (epoch ms; None: nothing was)."""
    if newest_delivered is None:
        return pending.clear()
    return pending.filter(pl.col("event_time") <= newest_delivered)


def settle(audience: Audience, pending: pl.DataFrame, history: pl.DataFrame, horizon: int | None) -> Settled:
    """Judge pending rows.

    Args:
        audience: Whose rows these are.
        pending: `merge.latest` of what is not delivered, with `run`.
        history: Every delivered row of the users with late rows that is newer than their oldest; more does no
            harm. Of two copies of one write the pending one counts: who sends it again means to.
        horizon: Epoch ms; older rows of history may be retired. None: nothing was ever retired.
    """
    against = overtaking(audience, pending, history)
    send = pending if against.is_empty() else _judged(audience, pending, against)
    beyond = send.clear()
    superseded = len(pending) - int(send["run"].ne(_SAID_AGAIN).sum())
    if horizon is not None:
        unjudged = (pl.col("timestamp") != REMOVE) & (pl.col("event_time") <= horizon)
        beyond, send = send.filter(unjudged), send.filter(~unjudged)
    return Settled(send=send, superseded=superseded, beyond_horizon=beyond)


def _judged(audience: Audience, pending: pl.DataFrame, against: pl.DataFrame) -> pl.DataFrame:
    """The pending rows that have not lost, and what is to be said again behind remove_alls among them."""
    user = user_columns(audience)
    affected = pending.with_row_index("place").join(against.select(user).unique(), on=user, how="semi")
    again, nowhere = pl.lit(_SAID_AGAIN, dtype=pl.UInt32), pl.lit(None, dtype=pl.UInt32)
    before = against.with_columns(run=again, place=nowhere).select(affected.columns)
    state = latest(audience, pl.concat([before, affected]))
    waits = pl.col("place").is_not_null()
    stays = np.ones(len(pending), dtype=np.bool_)
    stays[affected["place"].to_numpy()] = False
    stays[state.filter(waits)["place"].to_numpy()] = True
    send = pending.filter(pl.Series(stays))
    empties = pl.when(first_of(user)).then(waits & (pl.col("segment") == everything(audience))).forward_fill()
    behind = state.filter(~waits & empties).select(pending.columns)
    if behind.is_empty():
        return send
    return pl.concat([send, behind.with_columns(historical(pl.lit(value=True)))]).sort([*user, "segment"])
