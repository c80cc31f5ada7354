"""Lets replays go that are through: their runs are history like any other; the horizon rises with them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import structlog

from bridge.audience.audience import Audience
from bridge.clock import Clock
from bridge.deliver.ledger import Ledger
from bridge.deliver.records import AudienceState
from bridge.deliver.waiting import unsent
from bridge.service.replay_delivery import held
from bridge.spool.locks import LockHeld
from bridge.spool.replays import Replay, ReplayState
from bridge.spool.spool import Spool

log = structlog.get_logger()


@dataclass(frozen=True, kw_only=True, slots=True)
class ReplaySummary:
    """What the decision needs to know of a replay."""

    id: str
    """Its id."""
    reading: bool
    """Not all of it is read, and what is could be read again."""
    waiting: bool
    """Some of it is to be read or sent yet."""
    since: int
    """When it was made, or its newest run sealed (epoch ms)."""
    bytes: int
    """Of its runs."""


def summary(replay: Replay, states: Mapping[Audience, AudienceState]) -> ReplaySummary:
    """What the decision needs to know of `replay`."""
    runs, record = replay.runs(), replay.record
    reading = record.state is ReplayState.READING
    left = reading and not record.only_copy
    due = record.state is ReplayState.READ and bool(unsent(held(replay), states))
    return ReplaySummary(
        id=replay.id,
        reading=left,
        waiting=reading or due,
        since=max([record.created_at, *(run.footer.sealed_at for run in runs)]),
        bytes=sum(run.size for run in runs),
    )


def plan_removal(
    replays: Sequence[ReplaySummary], *, now: int, retention: int, over_bytes: int
) -> tuple[str, ...]:
    """Ids of the replays that go: those older than the retention; then, oldest first, to make room.

    One that is being read goes too, if nothing was read for so long: it was left. What is to be sent stays.

    Args:
        replays: All replays.
        now: Epoch ms.
        retention: How long history is kept, ms.
        over_bytes: How much the spool is above its `max_bytes`; 0 or less: not at all.
    """
    going: list[str] = []
    missing = over_bytes
    for replay in sorted(replays, key=lambda one: one.since):
        expired = now - replay.since > retention
        if expired if replay.reading else not replay.waiting and (expired or missing > 0):
            going.append(replay.id)
            missing -= replay.bytes
    return tuple(going)


def horizons(replay: Replay) -> dict[Audience, int]:
    """Newest event time (epoch ms) of what the replay may have sent, by audience."""
    until = replay.record.until
    found: dict[Audience, int] = {}
    for run in replay.runs():
        for audience, statistics in run.audiences.items():
            if until is None or statistics.min_event_time < until:
                newest = (
                    statistics.max_event_time if until is None else min(statistics.max_event_time, until - 1)
                )
                found[audience] = max(found.get(audience, newest), newest)
    return found


def waiting_since(replays: Sequence[Replay], states: Mapping[Audience, AudienceState]) -> int | None:
    """When the oldest replay that waits was made (epoch ms): it needs the history since then; None: none."""
    waits = (replay.record.created_at for replay in replays if summary(replay, states).waiting)
    return min(waits, default=None)


def let_go(spool: Spool, ledger: Ledger, clock: Clock, *, retention: int, over_bytes: int) -> None:
    """Carry out the decision; horizons are noted before.

    Raises:
        BridgeError: The disk or the ledger failed.
    """
    replays = {replay.id: replay for replay in spool.replays.all()}
    if not replays:
        return
    states = ledger.audiences()
    summaries = [summary(replay, states) for replay in replays.values()]
    for gone in plan_removal(summaries, now=clock.now(), retention=retention, over_bytes=over_bytes):
        replay = replays[gone]
        try:
            with spool.lock(f"replay-{replay.record.name}").acquire(0, clock):
                if replay.record.state is not ReplayState.READING:
                    ledger.raise_horizons(horizons(replay))
                spool.replays.remove(replay)
                ledger.forget_replay(gone)
        except LockHeld:
            log.info("replay_kept", replay=gone, reason="a process is at work on it")
