"""What is to be sent of an audience: its pending rows, merged, less what has lost against history.

Users are taken in ranges, so that memory is bounded however many there are.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import polars as pl

from bridge.audience.audience import Audience
from bridge.audience.frontier import Frontier
from bridge.audience.late import Settled, late_users, settle
from bridge.audience.merge import latest
from bridge.audience.rows import REMOVE, everything, schema, user_columns, user_key
from bridge.spool.run import Run

RANGE_ROWS = 400_000
"""Rows of a range of users, before merging: enough to sort fast, about 100 MB while it is worked on."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Standing:
    """What the ledger knows of an audience."""

    audience: Audience
    frontier: Frontier
    """Up to where it is delivered."""
    newest_delivered: int | None
    """Newest event time ever delivered, epoch ms."""
    horizon: int | None
    """Newest event time in any retired run, epoch ms."""


@dataclass(frozen=True, kw_only=True, slots=True)
class UserRange:
    """Users from `start` up to but without `stop` (None: to the last), all delivered up to the same run."""

    start: str
    stop: str | None
    delivered: int
    """The newest run delivered for them."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Gathered:
    """What one range of users has to send."""

    range: UserRange
    settled: Settled
    newest_event_time: int | None
    """Newest event time among its pending rows, epoch ms."""


def next_start(frontier: Frontier) -> str:
    """Where the next delivery starts: with the users that are behind most."""
    return min(frontier.steps, key=lambda step: (step.run, step.start)).start


def gather(standing: Standing, runs: Sequence[Run], start: str) -> Iterator[Gathered]:
    """What the users from `start` on have to send, range by range.

    Raises:
        RunDamaged: A run that is needed does not match its checksum.
    """
    runs = [run for run in runs if standing.audience in run.audiences]
    for users in user_ranges(standing, runs, start):
        yield _gather_range(standing, runs, users)


def user_ranges(standing: Standing, runs: Sequence[Run], start: str) -> list[UserRange]:
    """Ranges of users from `start` on, each of about `RANGE_ROWS` pending rows and one frontier step."""
    audience, frontier = standing.audience, standing.frontier
    fences = sorted(
        (max(first, start), rows)
        for run in runs
        if run.number > frontier.lowest
        for first, rows in run.fences(audience)
    )
    cuts, filled = {start}, 0
    for first, rows in fences:
        if filled >= RANGE_ROWS:
            cuts.add(first)
            filled = 0
        filled += rows
    cuts |= {step.start for step in frontier.steps if step.start > start}
    bounds = sorted(cuts)
    return [
        UserRange(start=low, stop=high, delivered=frontier.at(low))
        for low, high in zip(bounds, [*bounds[1:], None], strict=True)
    ]


def removals_alone(audience: Audience, rows: pl.DataFrame) -> pl.DataFrame:
    """The rows that a file of removals alone may hold: removals, and remove_alls with no add behind them."""
    user = user_columns(audience)
    adds = rows.filter(pl.col("timestamp") != REMOVE).select(user).unique()
    removes_all = rows.filter(pl.col("segment") == everything(audience)).select(user)
    restated = adds.join(removes_all, on=user, how="semi")
    return rows.filter(pl.col("timestamp") == REMOVE).join(
        restated, on=user, how="anti", maintain_order="left"
    )


def _gather_range(standing: Standing, runs: Sequence[Run], users: UserRange) -> Gathered:
    audience = standing.audience
    rows = _read(audience, [run for run in runs if run.number > users.delivered], users, None)
    pending = latest(audience, rows.filter(pl.col("run") > users.delivered))
    newest: int | None = pending["event_time"].max()  # type: ignore[assignment]  # a column of Int64
    late = late_users(audience, pending, standing.newest_delivered)
    if late.is_empty():
        settled = Settled(send=pending, superseded=0, beyond_horizon=pending.clear())
        return Gathered(range=users, settled=settled, newest_event_time=newest)
    on = user_columns(audience)
    affected = pending.join(late, on=on, how="semi", maintain_order="left")
    untouched = pending.join(late, on=on, how="anti", maintain_order="left")
    history = _history(standing, runs, users, affected, late)
    settled = settle(audience, affected, history, standing.horizon)
    send = pl.concat([untouched, settled.send]).sort([*on, "segment"])
    whole = Settled(send=send, superseded=settled.superseded, beyond_horizon=settled.beyond_horizon)
    return Gathered(range=users, settled=whole, newest_event_time=newest)


def _history(
    standing: Standing, runs: Sequence[Run], users: UserRange, affected: pl.DataFrame, late: pl.DataFrame
) -> pl.DataFrame:
    """The delivered rows of late users, from runs and blocks that reach past the oldest late row."""
    audience, on = standing.audience, user_columns(standing.audience)
    oldest = int(affected["event_time"].min())  # type: ignore[arg-type]  # not empty, a column of Int64
    reaching = [
        run for run in runs if run.low <= users.delivered and run.audiences[audience].max_event_time >= oldest
    ]
    ordered = late.sort(on)
    first, last = (user_key(audience, ordered.row(at, named=True)) for at in (0, -1))
    looked_up = UserRange(start=first, stop=_behind(audience, last, users.stop), delivered=users.delivered)
    rows = _read(audience, reaching, looked_up, oldest)
    return rows.filter(pl.col("run") <= users.delivered).join(late, on=on, how="semi")


def _behind(audience: Audience, user: str, stop: str | None) -> str | None:
    """The first key behind `user`, at most `stop`."""
    if not audience.uuids:
        return user + "\0"
    return stop if user == "f" * 32 else f"{int(user, 16) + 1:032x}"


def _read(
    audience: Audience, runs: Sequence[Run], users: UserRange, min_event_time: int | None
) -> pl.DataFrame:
    empty = pl.DataFrame(schema=dict(schema(audience)) | {"run": pl.UInt32()})
    return pl.concat([empty, *(run.read(audience, users.start, users.stop, min_event_time) for run in runs)])
