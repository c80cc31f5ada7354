"""What waits of each audience, counted from the runs' footers."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from bridge.audience.audience import Audience
from bridge.audience.frontier import Frontier
from bridge.deliver.records import AudienceState
from bridge.deliver.schedule import Waiting
from bridge.spool.run import Run


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


def pending(audience: Audience, state: AudienceState, runs: Iterable[Run]) -> Pending | None:
    """What waits of `audience`; None: nothing.

    Args:
        audience: The audience.
        state: How far it is delivered.
        runs: All live runs.
    """
    frontier, memberships, removals, size = state.frontier, 0, 0, 0
    oldest: list[int] = []
    for run in runs:
        statistics = run.audiences.get(audience)
        if statistics is None or run.number <= frontier.lowest:
            continue
        rows = statistics.rows if run.number > frontier.highest else _rows_behind(run, audience, frontier)
        if rows:
            memberships += rows
            size += statistics.bytes * rows // statistics.rows
            removals += statistics.removals if run.number > state.removals_run else 0
            oldest.append(statistics.oldest_read_at)
    if not oldest:
        return None
    return Pending(memberships=memberships, removals=removals, bytes=size, oldest_read_at=min(oldest))


def as_waiting(audience: Audience, waits: Pending, state: AudienceState) -> Waiting:
    """What waits, as the schedule sees it."""
    return Waiting(
        audience=audience,
        memberships=waits.memberships,
        expected_bytes=int(waits.memberships * state.bytes_per_membership),
        oldest_read_at=waits.oldest_read_at,
        served_at=state.served_at,
        replay=False,
        has_removals=waits.removals > 0,
    )


def audiences(runs: Sequence[Run]) -> set[Audience]:
    """All audiences that any run holds."""
    return {audience for run in runs for audience in run.audiences}


def _rows_behind(run: Run, audience: Audience, frontier: Frontier) -> int:
    """Rows of the blocks that hold a user who is not delivered up to this run."""
    return sum(
        block.rows
        for block in run.blocks(audience)
        if frontier.lowest_of(block.first_user, block.last_user) < run.number
    )
