"""Rows that come after something newer was delivered (design.md, invariant 1).

A late row loses against a newer delivered one and is left out. A late remove_all takes with it what was
delivered of its user and is older; what is newer must be said again behind it. What is not newer than the
horizon cannot be judged: a removal is sent all the same, an add is set aside. That holds for an add too that
would be said again behind a remove_all as old: what took it back may be in a run that is retired.
"""

from dataclasses import dataclass

import polars as pl

from bridge.audience.audience import Audience
from bridge.audience.merge import first_of, latest
from bridge.audience.rows import REMOVE, everything, historical, user_columns


@dataclass(frozen=True, kw_only=True, slots=True)
class Settled:
    """What becomes of pending rows once history has been asked."""

    send: pl.DataFrame
    """What goes into the file, sorted by user and segment."""
    superseded: int
    """Pending rows left out, as something newer was delivered."""
    beyond_horizon: pl.DataFrame
    """Adds that nothing kept can judge, pending ones and those to be said again; not sent."""


def late_users(audience: Audience, pending: pl.DataFrame, newest_delivered: int | None) -> pl.DataFrame:
    """The users (their columns, distinct) that have a row not newer than the newest delivered event time."""
    if newest_delivered is None:
        return pending.select(user_columns(audience)).clear()
    late = pending.filter(pl.col("event_time") <= newest_delivered)
    return late.select(user_columns(audience)).unique(maintain_order=True)


def settle(audience: Audience, pending: pl.DataFrame, history: pl.DataFrame, horizon: int | None) -> Settled:
    """Judge the pending rows of users that have a late one.

    Args:
        audience: Whose rows these are.
        pending: `merge.latest` of what is not delivered, with `run`.
        history: Every delivered row of these users that is newer than the oldest late one; more does no harm.
            Of two copies of one write the pending one counts: who sends it again means to.
        horizon: Epoch ms; older rows of history may be retired. None: nothing was ever retired.
    """
    before = history.with_columns(run=pl.lit(0, dtype=pl.UInt32), pending=False)
    both = pl.concat([before, pending.with_columns(pending=True)])
    state = latest(audience, both)
    wipes = pl.col("pending") & (pl.col("segment") == everything(audience))
    wiped_now = pl.when(first_of(user_columns(audience))).then(wipes).forward_fill()
    send = state.filter(pl.col("pending") | wiped_now)
    superseded = len(pending) - int(send["pending"].sum())
    beyond = send.clear()
    if horizon is not None:
        unjudged = (pl.col("timestamp") != REMOVE) & (pl.col("event_time") <= horizon)
        beyond, send = send.filter(unjudged), send.filter(~unjudged)
    return Settled(
        send=send.with_columns(historical(~pl.col("pending"))).drop("pending"),
        superseded=superseded,
        beyond_horizon=beyond.drop("pending"),
    )
