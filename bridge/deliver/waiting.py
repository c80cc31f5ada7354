"""What waits of each audience, counted from the runs' footers, and each file, as the schedule sees them."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, replace
from random import Random

from bridge.audience.audience import Audience
from bridge.audience.frontier import Frontier
from bridge.clock import HOUR
from bridge.config import Account
from bridge.deliver.file_state import FileState
from bridge.deliver.lanes import Held, HeldReplay, Lane
from bridge.deliver.ledger import Ledger
from bridge.deliver.records import AudienceState, Outcome, TriedFile
from bridge.deliver.schedule import Unfinished, Waiting, retry_at
from bridge.spool.run import Block, Run


@dataclass(frozen=True, kw_only=True, slots=True)
class Pending:
    """What waits of an audience: an upper bound where a merged run straddles its frontier."""

    memberships: int
    """Rows, those of remove_alls among them, before they are merged."""
    removals: int
    """How many of them remove, in runs whose removals no file of removals alone has carried."""
    bytes: int
    """Of the spool."""
    oldest_read_at: int
    """When the oldest of them was read, epoch ms."""


def pending(audience: Audience, state: AudienceState, runs: Sequence[Run]) -> Pending | None:
    """What waits of an audience's live data; None: nothing.

    Args:
        audience: The audience.
        state: How far it is delivered.
        runs: All live runs.
    """
    lane = Lane(runs=tuple(runs), frontier=state.frontier)
    return pending_in(audience, lane, removals_run=state.removals_run)


def pending_in(audience: Audience, lane: Lane, *, removals_run: int = 0) -> Pending | None:
    """What waits of an audience in a lane; None: nothing.

    `removals_run`: the removals of every run up to this one went ahead in a file of removals alone.
    """
    memberships = removals = size = 0
    oldest: list[int] = []
    for run in lane.runs:
        statistics = run.audiences.get(audience)
        if statistics is None or run.number <= lane.frontier.lowest:
            continue
        whole = run.number > lane.frontier.highest and lane.until is None
        rows = statistics.rows if whole else sum(block.rows for block in _behind(run, audience, lane))
        if rows:
            memberships += rows
            size += statistics.bytes * rows // statistics.rows
            removals += statistics.removals if run.number > removals_run else 0
            oldest.append(statistics.oldest_read_at)
    if not oldest:
        return None
    return Pending(memberships=memberships, removals=removals, bytes=size, oldest_read_at=min(oldest))


def as_waiting(audience: Audience, waits: Pending, state: AudienceState) -> Waiting:
    """Live data that waits, as the schedule sees it."""
    return Waiting(
        audience=audience,
        memberships=waits.memberships,
        expected_bytes=int(waits.memberships * state.bytes_per_membership),
        oldest_read_at=waits.oldest_read_at,
        served_at=state.served_at,
        replay="",
        has_removals=waits.removals > 0,
    )


def as_unfinished(tried: TriedFile, now: int) -> Unfinished:
    """A file, as the schedule sees it; attempts that were given back cost nothing and do not count."""
    file = tried.file
    ended = [one.ended_at for one in tried.tries if one.outcome is not Outcome.GIVEN_BACK and one.ended_at]
    hour = now - now % HOUR
    jitter = Random(f"{file.name} {len(ended)}").random()  # noqa: S311  # the same at each look
    return Unfinished(
        name=file.name,
        audience=file.audience,
        bytes=file.bytes,
        begun=file.state is FileState.UPLOADING,
        replay=file.replay,
        removals_only=file.progress.removals_only,
        built_at=file.created_at,
        tried_at=ended[-1] if ended else None,
        attempts_this_hour=sum(at >= hour for at in ended),
        next_try_at=retry_at(ended, jitter) if ended else 0,
    )


def replays_waiting(held: Held, states: Mapping[Audience, AudienceState], account: str) -> Iterator[Waiting]:
    """What waits of an account's replays, as the schedule sees it.

    Their removals never go ahead: the day's reserve is for live ones.
    """
    for replay in held.due_replays:
        for audience, waits in unsent(replay, states).items():
            if audience.account == account:
                state = states.get(audience, AudienceState())
                yield Waiting(
                    audience=audience,
                    memberships=waits.memberships,
                    expected_bytes=int(waits.memberships * state.bytes_per_membership),
                    oldest_read_at=replay.record.created_at,
                    served_at=state.served_at,
                    replay=replay.record.id,
                    has_removals=False,
                )


def awaited(account: Account, ledger: Ledger) -> frozenset[Audience]:
    """The audiences of an account whose next file waits for the platform's word on an earlier one."""
    return ledger.awaited(account.name) if account.wait_for_confirmation else frozenset()


def held_back(waiting: Iterable[Waiting], awaited: AbstractSet[Audience]) -> list[Waiting]:
    """The same; those of audiences that are `awaited` have to wait for that."""
    return [replace(one, unconfirmed=one.audience in awaited) for one in waiting]


def unsent(replay: HeldReplay, states: Mapping[Audience, AudienceState]) -> dict[Audience, Pending]:
    """What waits of a replay, by audience; empty: it is delivered."""
    found: dict[Audience, Pending] = {}
    for audience in audiences(replay.runs):
        waits = pending_in(audience, replay.lane(states.get(audience, AudienceState())))
        if waits is not None:
            found[audience] = waits
    return found


def audiences(runs: Iterable[Run]) -> set[Audience]:
    """All audiences that any run holds and that files may be of."""
    return {audience for run in runs for audience in run.audiences if not audience.unresolved}


def _behind(run: Run, audience: Audience, lane: Lane) -> Iterator[Block]:
    """The blocks that hold a user who is not delivered up to this run, and an event that is to be sent."""
    for block in run.blocks(audience):
        undelivered = _lowest_of(lane.frontier, block) < run.number
        if undelivered and (lane.until is None or block.min_event_time < lane.until):
            yield block


def _lowest_of(frontier: Frontier, block: Block) -> int:
    return frontier.lowest_of(block.first_user, block.last_user)
