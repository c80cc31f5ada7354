"""Which runs to merge, and what of them to let go: decisions as data; the shell carries them out.

1. Live runs are few: neighbours of like size become one, so that a day's wait is not 1,440 runs, and each row
   is written again only a few times.
2. History is kept for the retention, and given up earlier only to make room. Undelivered rows are never given
   up (design.md, invariant 6).
"""

from bisect import bisect_left
from collections.abc import Callable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from types import MappingProxyType

from bridge.audience.audience import Audience
from bridge.spool.footer import AudienceStatistics, Position, newest
from bridge.spool.run import Run

FAN_IN = 8
"""So many runs become one, at least."""

WIDEST = 32
"""So many at most, as a merge holds a block of each; enough to join large runs with small ones in between."""

GROWTH = 2
"""They become a run of at least so many times the largest: a row is written again a logarithm of times."""

SMALLEST = 1 << 20
"""Runs below this many bytes count as this large: their cost is being a file, not their bytes."""

MOST_RUNS = 128
"""Above so many runs neighbours are merged whatever speaks against it: descriptors are bounded."""

SPANS = 8
"""A merged run spans at most this part of the retention, or history would go in too large pieces."""


@dataclass(frozen=True, kw_only=True, slots=True)
class RunSummary:
    """What the decisions need to know of a run."""

    number: int
    """Its number."""
    low: int
    """Smallest run number merged into it."""
    sealed_at: int
    """When the newest run in it was sealed, epoch ms."""
    oldest_sealed_at: int
    """When the oldest run in it was sealed, epoch ms."""
    bytes: int
    """Of its file."""
    audiences: Mapping[Audience, AudienceStatistics]
    """What it holds."""
    positions: tuple[Position, ...]
    """How far it took each partition."""

    @property
    def cost(self) -> int:
        """Bytes, as merging counts them."""
        return max(self.bytes, SMALLEST)


@dataclass(frozen=True, slots=True)
class Retire:
    """The run goes."""

    number: int
    """The run's number."""


@dataclass(frozen=True, slots=True)
class Rewrite:
    """Some audiences leave the run."""

    number: int
    """The run's number."""
    drop: frozenset[Audience]
    """The audiences that leave it; not empty."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Retirement:
    """What to let go."""

    decisions: tuple[Retire | Rewrite, ...]
    """In the order in which to carry them out: oldest first."""
    horizons: Mapping[Audience, int]
    """Newest event time (epoch ms) that leaves the history of each audience; to be noted durably before. Of
    an unresolved audience none: nothing of it is judged."""
    newest: Mapping[Audience, int]
    """Newest run that leaves it; to be noted too."""


def summary(run: Run) -> RunSummary:
    """What the decisions need to know of `run`."""
    return RunSummary(
        number=run.number,
        low=run.low,
        sealed_at=run.footer.sealed_at,
        oldest_sealed_at=run.footer.oldest_sealed_at,
        bytes=run.size,
        audiences=run.audiences,
        positions=run.footer.positions,
    )


def plan_merge(
    runs: Sequence[RunSummary],
    *,
    now: int,
    settled_after: int,
    retention: int,
    frontiers: AbstractSet[int] = frozenset(),
) -> tuple[int, ...] | None:
    """The numbers of the neighbours to merge next, the oldest first; None: all is well.

    Above `MOST_RUNS` age and frontiers do not count: a run every few seconds would be hundreds of them before
    the first has settled. If that is not enough, the cheapest neighbours are merged.

    Args:
        runs: All live runs, ascending by number.
        now: Epoch ms.
        settled_after: Only runs sealed longer ago than this, ms, are merged. At least `roll.max_age`: a
            merged run's oldest_read_at is that of all its rows, and would make a younger audience due early.
        retention: How long history is kept, ms.
        frontiers: The runs up to which any audience is delivered. Neighbours on both sides of one are left
            apart: what waits in them could only be counted roughly.
    """
    steps = sorted(frontiers)

    def quiet(first: RunSummary, run: RunSummary) -> bool:
        undivided = bisect_left(steps, first.low) == bisect_left(steps, run.number)
        return undivided and now - run.sealed_at > settled_after

    chosen = _alike(runs, retention // SPANS, quiet)
    if not chosen and len(runs) > MOST_RUNS:
        windows = (runs[at : at + FAN_IN] for at in range(len(runs) - FAN_IN + 1))
        chosen = _alike(runs, retention // SPANS, lambda *_: True) or min(windows, key=_cost)
    return tuple(run.number for run in chosen) or None


def plan_retirement(
    runs: Sequence[RunSummary],
    *,
    delivered: Callable[[Audience], int],
    now: int,
    retention: int,
    over_bytes: int,
    kept_since: int | None = None,
    longer: Mapping[Audience, int] = MappingProxyType({}),
) -> Retirement:
    """What to let go: delivered audiences of runs older than the retention; then, oldest first, to make room.

    A run that holds the newest position of a partition is emptied rather than removed: should the group's
    commit be lost or expire, it is the only witness of how far the partition was taken.

    Args:
        runs: All live runs, ascending by number.
        delivered: Of an audience the run up to which every row is delivered (`Frontier.lowest`).
        now: Epoch ms.
        retention: How long history is kept, ms, from the seal.
        over_bytes: How much the spool is above its `max_bytes`; 0 or less: not at all.
        kept_since: Runs sealed from this instant on (epoch ms) stay: a replay that waits is judged by what
            came after it had read. None: no replay waits.
        longer: Audiences whose history is kept longer than `retention`, and for how long, ms; to make room
            it goes like any other.
    """
    taken = newest(position for run in runs for position in run.positions)
    decisions: list[Retire | Rewrite] = []
    horizons: dict[Audience, int] = {}
    leaving: dict[Audience, int] = {}
    earlier = [run for run in runs if kept_since is None or run.sealed_at < kept_since]
    expired = [run for run in earlier if now - run.sealed_at > retention]
    younger = [run for run in earlier if now - run.sealed_at <= retention]
    missing = over_bytes
    for run in [*expired, *younger]:
        pressed, age = missing > 0, now - run.sealed_at
        if not pressed and age <= retention:
            break
        drop = frozenset(
            audience
            for audience in run.audiences
            if delivered(audience) >= run.number and (pressed or age > longer.get(audience, retention))
        )
        decision = _decision(run, drop, witness=any(taken[entry.key] == entry for entry in run.positions))
        if decision is None:
            continue
        decisions.append(decision)
        missing -= (
            run.bytes
            if isinstance(decision, Retire)
            else sum(run.audiences[audience].bytes for audience in drop)
        )
        for audience in drop:
            if audience.unresolved:
                continue
            newest_event_time = run.audiences[audience].max_event_time
            horizons[audience] = max(horizons.get(audience, newest_event_time), newest_event_time)
            leaving[audience] = max(leaving.get(audience, 0), run.number)
    return Retirement(decisions=tuple(decisions), horizons=horizons, newest=leaving)


def _decision(run: RunSummary, drop: frozenset[Audience], *, witness: bool) -> Retire | Rewrite | None:
    if len(drop) == len(run.audiences) and not witness:
        return Retire(run.number)
    return Rewrite(run.number, drop) if drop else None


def _alike(
    runs: Sequence[RunSummary], span: int, joins: Callable[[RunSummary, RunSummary], bool]
) -> Sequence[RunSummary]:
    """The oldest neighbours that are worth merging, as many as may be; empty: there are none.

    Args:
        runs: All live runs, ascending by number.
        span: How far the oldest and the newest seal may lie apart, ms. Runs without rows are no history, and
            may lie as far apart as they do.
        joins: Whether a run may be merged with those from a first one on.
    """
    for at, first in enumerate(runs):
        chosen: Sequence[RunSummary] = ()
        total = largest = 0
        holds = False
        for end, run in enumerate(runs[at : at + WIDEST], start=at + 1):
            holds = holds or bool(run.audiences)
            if not joins(first, run) or (holds and run.sealed_at - first.oldest_sealed_at > span):
                break
            total += run.cost
            largest = max(largest, run.cost)
            if end - at >= FAN_IN and total >= GROWTH * largest:
                chosen = runs[at:end]
        if chosen:
            return chosen
    return ()


def _cost(runs: Sequence[RunSummary]) -> int:
    return sum(run.cost for run in runs)
