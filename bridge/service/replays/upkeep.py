"""Lets replays go that are through: their runs are history like any other; the horizon rises with them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

import structlog

from bridge.audience.audience import Audience
from bridge.clock import Clock
from bridge.deliver.file_state import UNFINISHED
from bridge.deliver.ledger import Ledger
from bridge.deliver.records import AudienceState
from bridge.deliver.waiting import unsent
from bridge.service.replays.delivery import held
from bridge.spool.locks import LockHeld
from bridge.spool.replays import DRY_RUN, Replay, ReplayState
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
    judged_since: int | None
    """It waits, and history since this instant (epoch ms) judges it, not the horizon; None: it does not."""
    since: int
    """When it was made, or its newest run sealed (epoch ms)."""
    bytes: int
    """Of its runs."""
    longer: int = 0
    """How long history of its audiences is kept, ms, where that is longer than other history is."""


def summary(
    replay: Replay,
    states: Mapping[Audience, AudienceState],
    ledger: Ledger,
    longer: Mapping[Audience, int] = MappingProxyType({}),
) -> ReplaySummary:
    """What the decision needs to know of `replay`; `longer`: as that of `plan_retirement`."""
    runs, record = replay.runs(), replay.record
    reading = record.state is ReplayState.READING
    left = reading and not record.only_copy
    due = record.state is ReplayState.READ and bool(unsent(held(replay), states))
    waiting = reading or due or any(file.state in UNFINISHED for file in ledger.of_replay(replay.id))
    return ReplaySummary(
        id=replay.id,
        reading=left,
        waiting=waiting,
        judged_since=record.created_at if waiting and record.past_horizon and not record.forced else None,
        since=max([record.created_at, *(run.footer.sealed_at for run in runs)]),
        bytes=sum(run.size for run in runs),
        longer=max((longer.get(audience, 0) for run in runs for audience in run.audiences), default=0),
    )


def plan_removal(
    replays: Sequence[ReplaySummary], *, now: int, retention: int, over_bytes: int, oldest_live: int | None
) -> tuple[str, ...]:
    """Ids of the replays that go: those older than the retention; then, oldest first, to make room.

    To make room none goes before the live runs that are older than it: the horizon would leap to its newest.

    One that is being read goes too, if nothing was read for so long: it was left. What is to be sent stays.

    Args:
        replays: All replays.
        now: Epoch ms.
        retention: How long history is kept, ms.
        over_bytes: How much the spool is above its `max_bytes`; 0 or less: not at all.
        oldest_live: When the oldest live run was sealed, epoch ms; None: there is none.
    """
    going: list[str] = []
    missing = over_bytes
    for replay in sorted(replays, key=lambda one: one.since):
        expired = now - replay.since > max(retention, replay.longer)
        pressed = missing > 0 and (oldest_live is None or replay.since <= oldest_live)
        if expired if replay.reading else not replay.waiting and (expired or pressed):
            going.append(replay.id)
            missing -= replay.bytes
    return tuple(going)


def horizons(replay: Replay, states: Mapping[Audience, AudienceState]) -> dict[Audience, int]:
    """Newest event time (epoch ms) of what the replay has sent, or decided not to, by audience."""
    until = replay.record.until
    found: dict[Audience, int] = {}
    for run in replay.runs():
        for audience, statistics in run.audiences.items():
            begun = replay.id in states.get(audience, AudienceState()).replayed
            if begun and (until is None or statistics.min_event_time < until):
                newest = (
                    statistics.max_event_time if until is None else min(statistics.max_event_time, until - 1)
                )
                found[audience] = max(found.get(audience, newest), newest)
    return found


def judged_since(spool: Spool, ledger: Ledger, states: Mapping[Audience, AudienceState]) -> int | None:
    """Since when (epoch ms) history is kept for replays that wait; None: for none."""
    found = (summary(replay, states, ledger).judged_since for replay in spool.replays.all())
    return min((since for since in found if since is not None), default=None)


def leave_to_history(spool: Spool, ledger: Ledger, states: Mapping[Audience, AudienceState]) -> None:
    """The replays that wait are limited by the horizon from now on: the history kept for them has to go.

    Raises:
        SpoolFull: There is no room.
        SpoolFailed: The disk failed.
    """
    for replay in spool.replays.all():
        if summary(replay, states, ledger).judged_since is not None:
            spool.replays.leave_to_history(replay)


def let_go(
    spool: Spool,
    ledger: Ledger,
    clock: Clock,
    *,
    retention: int,
    over_bytes: int,
    longer: Mapping[Audience, int] = MappingProxyType({}),
) -> None:
    """Carry out the decision; horizons are noted before. Dry runs that were killed go too.

    Raises:
        BridgeError: The disk or the ledger failed.
    """
    rewinds = ledger.rewinds()
    replays = {replay.id: replay for replay in spool.replays.all()}
    if not replays:
        return
    states = ledger.audiences()
    gone = plan_removal(
        [summary(replay, states, ledger, longer) for replay in replays.values()],
        now=clock.now(),
        retention=retention,
        over_bytes=over_bytes,
        oldest_live=min((run.footer.oldest_sealed_at for run in spool.runs()), default=None),
    )
    left = (replay.id for replay in replays.values() if replay.record.name.startswith(DRY_RUN))
    for id_ in dict.fromkeys([*gone, *left]):
        replay = replays[id_]
        try:
            with spool.lock(f"replay-{replay.record.name}").acquire(0, clock):
                reading = replay.record.state is ReplayState.READING
                if reading or _let_go(replay, states, ledger, rewinds):
                    spool.replays.discard(replay)
        except LockHeld:
            log.debug("replay_kept", replay=id_, reason="a process is at work on it")


def _let_go(replay: Replay, states: Mapping[Audience, AudienceState], ledger: Ledger, rewinds: int) -> bool:
    """The horizons are noted; False: a file was sent again since `rewinds` was asked for, maybe one of it."""
    raised = horizons(replay, states)
    newest = max((run.number for run in replay.runs()), default=0)
    return ledger.raise_horizons(
        raised,
        retired=dict.fromkeys(raised, newest),
        replay=replay.id,
        rewinds=rewinds,
        foreign=replay.record.parameters.get("plan") is None,
    )
