"""What is to be sent of an audience: its pending rows, merged, less what has lost against history.

Users are taken in ranges, so that memory is bounded however many there are.
"""

from collections.abc import Generator, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, replace

import polars as pl

from bridge.ahead import ahead
from bridge.audience.audience import Audience
from bridge.audience.late import Settled, late_rows, settle
from bridge.audience.merge import latest
from bridge.audience.rows import REMOVE, everything, sealed_schema, user_columns
from bridge.deliver.lanes import Lane, View, holding, starts
from bridge.spool.ranges import range_starts
from bridge.spool.run import Reader

RANGE_ROWS = 200_000
"""Rows of a range of users, before merging: enough to sort fast, about 100 MB while it is worked on."""


@dataclass(frozen=True, kw_only=True, slots=True)
class UserRange:
    """Users from `start` up to but without `stop` (None: to the last), alike in how far each lane is."""

    start: str
    stop: str | None
    removals_sent: int
    """The newest run whose removals they were sent, in a file of removals alone or in a general one."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Gathered:
    """What one range of users has to send."""

    range: UserRange
    settled: Settled
    newest_event_time: int | None
    """Newest event time among its pending rows, epoch ms."""


@dataclass(frozen=True, kw_only=True, slots=True)
class _Found:
    """What was read of one range of users."""

    range: UserRange
    rows: pl.DataFrame
    """What waits."""
    late: bool
    """Something delivered may have overtaken some of it."""
    against: pl.DataFrame
    """What was delivered of the users of late rows, and what only decides."""


class _Shelf:
    """One lane's rows of an audience, read by ranges of users that ascend."""

    def __init__(self, audience: Audience, lane: Lane) -> None:
        self._audience = audience
        self._lane = lane
        self._readers = [Reader(run, audience) for run in holding(audience, lane).runs]

    def pending(self, users: UserRange) -> tuple[pl.DataFrame, pl.DataFrame]:
        """What is not delivered: the rows that are to be sent, and those that only decide."""
        delivered = self._lane.frontier.at(users.start)
        waiting = [one for one in self._readers if one.run.number > delivered]
        rows = self._read(waiting, users, None)
        if any(one.run.low <= delivered for one in waiting):
            rows = rows.filter(pl.col("run") > delivered)
        if self._lane.until is None:
            return rows, rows.clear()
        return rows.filter(sent(self._lane)), rows.filter(~sent(self._lane))

    def delivered(self, users: UserRange, since: int) -> pl.DataFrame:
        """What was delivered; blocks that end before `since` (epoch ms) are left out."""
        delivered = self._lane.frontier.at(users.start)
        reaching = [
            one
            for one in self._readers
            if one.run.low <= delivered and one.run.audiences[self._audience].max_event_time >= since
        ]
        rows = self._read(reaching, users, since)
        if any(one.run.number > delivered for one in reaching):
            rows = rows.filter(pl.col("run") <= delivered)
        return rows if self._lane.until is None else rows.filter(sent(self._lane))

    def _read(self, readers: Sequence[Reader], users: UserRange, min_event_time: int | None) -> pl.DataFrame:
        empty = sealed_schema(self._audience).to_frame()
        parts = (reader.read(users.start, users.stop, min_event_time) for reader in readers)
        return pl.concat([empty, *parts])


def sent(lane: Lane) -> pl.Expr:
    """True for the rows of a lane that are to be sent, or were; false for those that only decide."""
    return pl.lit(value=True) if lane.until is None else pl.col("event_time") < lane.until


def next_start(view: View, *, removals_only: bool) -> str:
    """Where the next delivery starts: with the users that are behind most."""
    return min(_own_starts(view), key=lambda start: (_sent(view, start, removals_only=removals_only), start))


def gather(audience: Audience, view: View, start: str) -> Generator[Gathered]:
    """What the users from `start` on have to send, range by range.

    While one range is judged, what waits and what was delivered of the next is read by another thread;
    that one ends when this is closed.

    Raises:
        RunDamaged: A run that is needed does not match its checksum.
    """
    with closing(ahead(_ranges(audience, view, start))) as ranges:
        for found in ranges:
            yield _judged(audience, view, found)


def user_ranges(audience: Audience, view: View, start: str) -> list[UserRange]:
    """Ranges of users from `start` on, each of about `RANGE_ROWS` pending rows, cut where progress steps."""
    fences = (
        (max(first, start), rows)
        for run in holding(audience, view.own).runs
        if run.number > view.own.frontier.lowest
        for first, rows in run.fences(audience)
    )
    steps = (at for at in starts(view) if at > start)
    bounds = sorted({start, *steps, *range_starts(fences, RANGE_ROWS)})
    return [
        UserRange(start=low, stop=high, removals_sent=_sent(view, low, removals_only=True))
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


def _own_starts(view: View) -> set[str]:
    return {step.start for frontier in (view.own.frontier, view.removals) for step in frontier.steps}


def _sent(view: View, user: str, *, removals_only: bool) -> int:
    """The newest run whose rows, or at least whose removals, were sent of a user."""
    delivered = view.own.frontier.at(user)
    return max(delivered, view.removals.at(user)) if removals_only else delivered


def _ranges(audience: Audience, view: View, start: str) -> Iterator[_Found]:
    """What waits of each range of users, and what may judge it."""
    own = _Shelf(audience, view.own)
    # what was delivered of the own lane is read apart from what waits in it
    history = [_Shelf(audience, lane) for lane in (view.own, *view.others)]
    for users in user_ranges(audience, view, start):
        rows, deciding = own.pending(users)
        late = late_rows(rows, view.newest_delivered)
        against = pl.concat([_delivered(audience, history, users, late), deciding])
        yield _Found(range=users, rows=rows, late=not late.is_empty(), against=against)


def _judged(audience: Audience, view: View, found: _Found) -> Gathered:
    pending = latest(audience, found.rows)
    newest: int | None = pending["event_time"].max()  # type: ignore[assignment]  # a column of Int64
    if pending.is_empty() or not (found.late or len(found.against)):
        settled = Settled(send=pending, superseded=0, beyond_horizon=pending.clear())
    else:
        settled = settle(audience, pending, found.against, view.horizon)
    return Gathered(range=found.range, settled=settled, newest_event_time=newest)


def _delivered(
    audience: Audience, history: Sequence[_Shelf], users: UserRange, late: pl.DataFrame
) -> pl.DataFrame:
    """What was delivered of the users with late rows and between, as far as it reaches past the oldest."""
    if late.is_empty():
        return late
    first, last = _edges(audience, late)
    looked_up = replace(users, start=max(first, users.start), stop=_behind(audience, last, users.stop))
    oldest = int(late["event_time"].min())  # type: ignore[arg-type]  # not empty, a column of Int64
    return pl.concat([shelf.delivered(looked_up, oldest) for shelf in history])


def _edges(audience: Audience, rows: pl.DataFrame) -> tuple[str, str]:
    """Keys (`rows.user_key`) between which all users of these rows are; of UUIDs the upper halves say it."""
    if not audience.uuids:
        return str(rows["user"].min()), str(rows["user"].max())
    upper = rows["hi"].to_numpy()
    return f"{int(upper.min()):016x}{'0' * 16}", f"{int(upper.max()):016x}{'f' * 16}"


def _behind(audience: Audience, user: str, stop: str | None) -> str | None:
    """The first key behind `user`, at most `stop`."""
    if audience.uuids and user == "f" * 32:
        return stop
    behind = f"{int(user, 16) + 1:032x}" if audience.uuids else user + "\0"
    return behind if stop is None else min(behind, stop)
