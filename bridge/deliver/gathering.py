"""What is to be sent of an audience: its pending rows, merged, less what has lost against history.

Users are taken in ranges, so that memory is bounded however many there are.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import polars as pl

from bridge.audience.audience import Audience
from bridge.audience.late import Settled, late_users, settle
from bridge.audience.merge import latest
from bridge.audience.rows import REMOVE, everything, sealed_schema, user_columns, user_key
from bridge.deliver.records import AudienceState
from bridge.spool.ranges import range_starts
from bridge.spool.run import Reader, Run

RANGE_ROWS = 200_000
"""Rows of a range of users, before merging: enough to sort fast, about 100 MB while it is worked on."""


@dataclass(frozen=True, kw_only=True, slots=True)
class UserRange:
    """Users from `start` up to but without `stop` (None: to the last), all delivered up to the same run."""

    start: str
    stop: str | None
    delivered: int
    """The newest run delivered for them."""
    removals_sent: int
    """The newest run whose removals they were sent, in a file of removals alone or in a general one."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Gathered:
    """What one range of users has to send."""

    range: UserRange
    settled: Settled
    newest_event_time: int | None
    """Newest event time among its pending rows, epoch ms."""


def next_start(state: AudienceState, *, removals_only: bool) -> str:
    """Where the next delivery starts: with the users that are behind most."""
    return min(_starts(state), key=lambda start: (_sent(state, start, removals_only=removals_only), start))


def gather(audience: Audience, state: AudienceState, runs: Sequence[Run], start: str) -> Iterator[Gathered]:
    """What the users from `start` on have to send, range by range.

    Raises:
        RunDamaged: A run that is needed does not match its checksum.
    """
    holding = [run for run in runs if audience in run.audiences]
    readers = [Reader(run, audience) for run in holding]
    for users in user_ranges(audience, state, holding, start):
        yield _gather_range(audience, state, readers, users)


def user_ranges(audience: Audience, state: AudienceState, runs: Sequence[Run], start: str) -> list[UserRange]:
    """Ranges of users from `start` on, each of about `RANGE_ROWS` pending rows, cut where progress steps."""
    fences = (
        (max(first, start), rows)
        for run in runs
        if run.number > state.frontier.lowest
        for first, rows in run.fences(audience)
    )
    steps = (at for at in _starts(state) if at > start)
    bounds = sorted({start, *steps, *range_starts(fences, RANGE_ROWS)})
    return [
        UserRange(
            start=low,
            stop=high,
            delivered=state.frontier.at(low),
            removals_sent=_sent(state, low, removals_only=True),
        )
        for low, high in zip(bounds, [*bounds[1:], None], strict=True)
    ]


def _starts(state: AudienceState) -> set[str]:
    return {step.start for frontier in (state.frontier, state.removals) for step in frontier.steps}


def _sent(state: AudienceState, user: str, *, removals_only: bool) -> int:
    """The newest run whose rows, or at least whose removals, were sent of a user."""
    delivered = state.frontier.at(user)
    return max(delivered, state.removals.at(user)) if removals_only else delivered


def removals_alone(audience: Audience, rows: pl.DataFrame) -> pl.DataFrame:
    """The rows that a file of removals alone may hold: removals, and remove_alls with no add behind them."""
    user = user_columns(audience)
    adds = rows.filter(pl.col("timestamp") != REMOVE).select(user).unique()
    removes_all = rows.filter(pl.col("segment") == everything(audience)).select(user)
    restated = adds.join(removes_all, on=user, how="semi")
    return rows.filter(pl.col("timestamp") == REMOVE).join(
        restated, on=user, how="anti", maintain_order="left"
    )


def _gather_range(
    audience: Audience, state: AudienceState, readers: Sequence[Reader], users: UserRange
) -> Gathered:
    rows = _read(audience, [reader for reader in readers if reader.run.number > users.delivered], users, None)
    pending = latest(audience, rows.filter(pl.col("run") > users.delivered))
    newest: int | None = pending["event_time"].max()  # type: ignore[assignment]  # a column of Int64
    late = late_users(audience, pending, state.newest_delivered)
    if late.is_empty():
        settled = Settled(send=pending, superseded=0, beyond_horizon=pending.clear())
        return Gathered(range=users, settled=settled, newest_event_time=newest)
    on = user_columns(audience)
    affected = pending.join(late, on=on, how="semi", maintain_order="left")
    untouched = pending.join(late, on=on, how="anti", maintain_order="left")
    history = _history(audience, [reader.run for reader in readers], users, affected, late)
    settled = settle(audience, affected, history, state.horizon)
    send = pl.concat([untouched, settled.send]).sort([*on, "segment"])
    whole = Settled(send=send, superseded=settled.superseded, beyond_horizon=settled.beyond_horizon)
    return Gathered(range=users, settled=whole, newest_event_time=newest)


def _history(
    audience: Audience, runs: Sequence[Run], users: UserRange, affected: pl.DataFrame, late: pl.DataFrame
) -> pl.DataFrame:
    """The delivered rows of late users, from runs and blocks that reach past the oldest late row."""
    on = user_columns(audience)
    oldest = int(affected["event_time"].min())  # type: ignore[arg-type]  # not empty, a column of Int64
    reaching = [
        run for run in runs if run.low <= users.delivered and run.audiences[audience].max_event_time >= oldest
    ]
    ordered = late.sort(on)
    first, last = (user_key(audience, ordered.row(at, named=True)) for at in (0, -1))
    looked_up = replace(users, start=first, stop=_behind(audience, last, users.stop))
    rows = _read(audience, [Reader(run, audience) for run in reaching], looked_up, oldest)
    return rows.filter(pl.col("run") <= users.delivered).join(late, on=on, how="semi")


def _behind(audience: Audience, user: str, stop: str | None) -> str | None:
    """The first key behind `user`, at most `stop`."""
    if not audience.uuids:
        return user + "\0"
    return stop if user == "f" * 32 else f"{int(user, 16) + 1:032x}"


def _read(
    audience: Audience, readers: Sequence[Reader], users: UserRange, min_event_time: int | None
) -> pl.DataFrame:
    empty = sealed_schema(audience).to_frame()
    return pl.concat([empty, *(reader.read(users.start, users.stop, min_event_time) for reader in readers)])
