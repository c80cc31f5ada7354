"""What to merge and what to let go, as decisions."""

from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st

from bridge.clock import DAY, MINUTE
from bridge.spool.footer import AudienceStatistics, newest
from bridge.spool.upkeep import (
    FAN_IN,
    MOST_RUNS,
    SMALLEST,
    Retire,
    Rewrite,
    RunSummary,
    plan_merge,
    plan_retirement,
    summary,
)
from tests.parts.audiences import DISPLAY, HASHED
from tests.parts.spools import new_spool, one, position, seal

NOW = 100 * DAY
RETENTION = 7 * DAY


def statistics(audience, *, size=100, newest_event=5):
    return AudienceStatistics(
        audience=audience,
        rows=1,
        removals=0,
        bytes=size,
        oldest_read_at=1,
        min_event_time=1,
        max_event_time=newest_event,
    )


def run(number, *, sealed_at=NOW - DAY, size=SMALLEST, audiences=(DISPLAY,), positions=(), low=None, **more):
    return RunSummary(
        number=number,
        low=low or number,
        sealed_at=sealed_at,
        oldest_sealed_at=more.get("oldest_sealed_at", sealed_at),
        bytes=size,
        audiences={
            audience: statistics(audience, newest_event=more.get("newest_event", number))
            for audience in audiences
        },
        positions=tuple(positions),
    )


def merge_plan(runs, now=NOW, frontiers=frozenset()):
    return plan_merge(runs, now=now, settled_after=15 * MINUTE, retention=RETENTION, frontiers=frontiers)


def test_runs_on_both_sides_of_a_frontier_are_merged_only_when_there_are_too_many():
    """What waits is counted by run: a merge across the place where an audience stands would blur it."""
    few = [run(number) for number in range(1, 17)]
    assert merge_plan(few, frontiers={8}) in {tuple(range(1, 9)), tuple(range(9, 17))}
    assert merge_plan(few, frontiers={4, 12}) == tuple(range(5, 13))
    assert merge_plan(few, frontiers=set(range(1, 17))) is None
    many = [run(number) for number in range(1, MOST_RUNS + 2)]
    assert merge_plan(many, frontiers=set(range(1, MOST_RUNS + 2))) is not None


def retirement(runs, delivered, over_bytes=0):
    return plan_retirement(
        runs,
        delivered=lambda audience: delivered.get(audience, 0),
        now=NOW,
        retention=RETENTION,
        over_bytes=over_bytes,
    )


def test_few_runs_are_left_alone():
    """Below the fan-in nothing is merged."""
    assert merge_plan([run(number) for number in range(1, FAN_IN)]) is None


def test_neighbours_of_like_size_become_one():
    """Eight runs of like size are merged, the smallest and oldest first."""
    large = [run(number, size=100 * SMALLEST) for number in range(1, 9)]
    small = [run(number) for number in range(9, 20)]
    assert merge_plan([*large, *small]) == tuple(range(9, 17))
    assert merge_plan(large) == tuple(range(1, 9))


def test_a_large_run_is_not_written_again_for_small_ones():
    """A run that is most of the bytes waits for others of its size."""
    assert merge_plan([run(1, size=100 * SMALLEST), *(run(number) for number in range(2, 9))]) is None


def test_young_runs_are_left_alone():
    """A run is merged only once it is settled: the audiences in it may not yet be due."""
    runs = [run(number, sealed_at=NOW - 15 * MINUTE) for number in range(1, 12)]
    assert merge_plan(runs) is None
    assert merge_plan(runs, now=NOW + 1) == tuple(range(1, 9))


def test_a_merged_run_spans_a_small_part_of_the_retention():
    """History goes in pieces: no more than an eighth of the retention at once."""
    far = [run(number, sealed_at=NOW - 2 * DAY + number * RETENTION // 8 // 6) for number in range(1, 9)]
    near = [run(number, sealed_at=NOW - 2 * DAY + number * RETENTION // 8 // 7) for number in range(1, 9)]
    assert merge_plan(far) is None
    assert merge_plan(near) == tuple(range(1, 9))
    long = [replace(near[0], oldest_sealed_at=near[0].sealed_at - 1), *near[1:]]
    assert merge_plan(long) is None


@settings(max_examples=20, deadline=None)
@given(st.lists(st.integers(0, 300), min_size=400, max_size=400))
def test_runs_are_few_whatever_their_sizes(sizes):
    """Windows of any sizes, merged as planned: never many runs, and each row is written again a few times."""
    runs, written = [], 0
    for number, size in enumerate(sizes, start=1):
        runs.append(run(number, sealed_at=NOW - DAY, size=size * SMALLEST))
        while plan := merge_plan(runs):
            chosen = [each for each in runs if each.number in plan]
            assert [each.number for each in chosen] == list(plan)
            place = runs.index(chosen[0])
            assert runs[place : place + len(chosen)] == chosen, "neighbours"
            total = sum(each.cost for each in chosen)
            written += total
            runs[place : place + len(chosen)] = [
                run(plan[-1], low=chosen[0].low, sealed_at=NOW - DAY, size=total)
            ]
        assert len(runs) <= MOST_RUNS
    assert written <= 8 * sum(max(size, 1) * SMALLEST for size in sizes)


def test_delivered_runs_are_kept_for_the_retention():
    """History goes when it is older than the retention; its newest event time stays as the horizon."""
    old, young = run(1, sealed_at=NOW - RETENTION - 1), run(2, sealed_at=NOW - RETENTION)
    decided = retirement([old, young], {DISPLAY: 2})
    assert decided.decisions == (Retire(1),)
    assert decided.horizons == {DISPLAY: 1}


def test_undelivered_rows_are_never_let_go():
    """However old and however full: a run above its audience's frontier stays."""
    runs = [run(number, sealed_at=1) for number in (1, 2)]
    decided = retirement(runs, {}, over_bytes=10**12)
    assert (decided.decisions, decided.horizons) == ((), {})


def test_delivered_audiences_leave_a_run_that_others_still_need():
    """One account that cannot deliver does not keep the others' history for ever."""
    runs = [run(1, sealed_at=1, audiences=(DISPLAY, HASHED))]
    decided = retirement(runs, {DISPLAY: 1})
    assert decided.decisions == (Rewrite(1, frozenset({DISPLAY})),)
    assert decided.horizons == {DISPLAY: 1}


def test_a_full_spool_gives_up_its_oldest_history_first():
    """As many runs as needed go, oldest first; the horizon is the newest event time that went."""
    runs = [run(number, newest_event=90 - number) for number in range(1, 6)]
    decided = retirement(runs, {DISPLAY: 5}, over_bytes=SMALLEST + 1)
    assert decided.decisions == (Retire(1), Retire(2))
    assert decided.horizons == {DISPLAY: 89}
    assert retirement(runs, {DISPLAY: 5}).decisions == ()


def test_what_expired_counts_as_room():
    """Where expired history makes enough room, no younger history goes."""
    runs = [run(1, sealed_at=1), run(2)]
    assert retirement(runs, {DISPLAY: 2}, over_bytes=SMALLEST).decisions == (Retire(1),)
    assert retirement(runs, {DISPLAY: 2}, over_bytes=SMALLEST + 1).decisions == (Retire(1), Retire(2))


def test_the_newest_position_of_a_partition_is_kept():
    """A run that alone knows how far a partition was taken is emptied; a newer witness frees it."""
    runs = [run(1, sealed_at=1, positions=[position(0, 5, run=1)]), run(2, sealed_at=1)]
    assert retirement(runs, {DISPLAY: 2}).decisions == (Rewrite(1, frozenset({DISPLAY})), Retire(2))
    emptied = [replace(runs[0], audiences={})]
    assert retirement(emptied, {}).decisions == ()
    newer = [*emptied, run(3, positions=[position(0, 6, run=3)])]
    assert retirement(newer, {}).decisions == (Retire(1),)


@given(
    st.lists(
        st.tuples(st.integers(0, 8), st.sets(st.sampled_from([DISPLAY, HASHED])), st.integers(0, 2)),
        max_size=8,
    ),
    st.dictionaries(st.sampled_from([DISPLAY, HASHED]), st.integers(0, 9)),
    st.integers(-1, 10 * SMALLEST),
)
def test_no_plan_loses_rows_or_positions(described, delivered, over_bytes):
    """For any runs and frontiers: what goes was delivered, horizons cover it, the newest positions stay."""
    runs = [
        run(
            number,
            sealed_at=NOW - days * DAY - 1,
            audiences=audiences,
            positions=[position(partition, number, run=number)],
        )
        for number, (days, audiences, partition) in enumerate(described, start=1)
    ]
    decided = retirement(runs, delivered, over_bytes)
    left = {each.number: each for each in runs}
    for decision in decided.decisions:
        one_run = left.pop(decision.number)
        drop = decision.drop if isinstance(decision, Rewrite) else frozenset(one_run.audiences)
        for audience in drop:
            assert delivered.get(audience, 0) >= one_run.number
            assert decided.horizons[audience] >= one_run.audiences[audience].max_event_time
        if isinstance(decision, Rewrite):
            left[decision.number] = one_run
    assert newest(p for each in left.values() for p in each.positions) == newest(
        p for each in runs for p in each.positions
    )


def test_a_real_run_is_summed_up(tmp_path):
    """The summary of a run says what its footer and its file say."""
    sealed = seal(new_spool(tmp_path), one(event_time=8), now=77, positions=[position(0, 4)])
    told = summary(sealed)
    assert (told.number, told.low, told.sealed_at, told.oldest_sealed_at) == (1, 1, 77, 77)
    assert told.bytes == sealed.path.stat().st_size
    assert told.audiences[DISPLAY].max_event_time == 8
    assert told.positions[0].next_offset == 4
