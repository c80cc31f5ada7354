"""What to merge and what to let go, as decisions."""

from collections import Counter
from dataclasses import replace
from math import cos, tau
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bridge.clock import DAY, HOUR, MINUTE, SECOND
from bridge.spool.footer import AudienceStatistics, newest
from bridge.spool.upkeep import (
    FAN_IN,
    MOST_RUNS,
    SMALLEST,
    SPANS,
    WIDEST,
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
    assert merge_plan(few[:9], frontiers={1}) == tuple(range(2, 10))
    assert merge_plan(few, frontiers=set(range(1, 17))) is None
    many = [run(number) for number in range(1, MOST_RUNS + 2)]
    assert merge_plan(many, frontiers=set(range(1, MOST_RUNS + 2))) is not None


def retirement(runs, delivered, over_bytes=0, **more):
    return plan_retirement(
        runs,
        delivered=lambda audience: delivered.get(audience, 0),
        now=NOW,
        retention=RETENTION,
        over_bytes=over_bytes,
        **more,
    )


def test_few_runs_are_left_alone():
    """Below the fan-in nothing is merged."""
    assert merge_plan([run(number) for number in range(1, FAN_IN)]) is None


def test_neighbours_of_like_size_become_one():
    """Eight or more are merged, as many as may be; smaller ones between and behind them join."""
    large = [run(number, size=100 * SMALLEST) for number in range(1, 9)]
    small = [run(number) for number in range(9, 20)]
    assert merge_plan(large) == tuple(range(1, 9))
    assert merge_plan([*large, *small]) == tuple(range(1, 20))
    scattered = [run(number, size=(100 if number % 8 else 1) * SMALLEST) for number in range(1, 60)]
    assert merge_plan(scattered) == tuple(range(1, WIDEST + 1))


def test_a_large_run_is_not_written_again_for_small_ones():
    """A run that is most of the bytes waits for others of its size."""
    runs = [run(1, size=100 * SMALLEST), *(run(number) for number in range(2, 9))]
    assert merge_plan(runs) is None
    assert merge_plan([*runs, run(9)]) == tuple(range(2, 10))


def test_young_runs_are_left_alone():
    """A run is merged only once it is settled: the audiences in it may not yet be due."""
    runs = [run(number, sealed_at=NOW - 15 * MINUTE) for number in range(1, 12)]
    assert merge_plan(runs) is None
    assert merge_plan(runs, now=NOW + 1) == tuple(range(1, 12))


def test_a_merged_run_spans_a_small_part_of_the_retention():
    """History goes in pieces: no more than an eighth of the retention at once."""
    far = [run(number, sealed_at=NOW - 2 * DAY + number * RETENTION // 8 // 6) for number in range(1, 9)]
    near = [run(number, sealed_at=NOW - 2 * DAY + number * RETENTION // 8 // 7) for number in range(1, 9)]
    assert merge_plan(far) is None
    assert merge_plan(near) == tuple(range(1, 9))
    long = [replace(near[0], oldest_sealed_at=near[0].sealed_at - 1), *near[1:]]
    assert merge_plan(long) is None


@settings(max_examples=20)
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


def test_some_audiences_are_kept_longer():
    """Others leave their runs at the retention; in time these do too, and only then."""
    longer = {DISPLAY: 30 * DAY}
    runs = [
        run(1, sealed_at=NOW - 30 * DAY - 1, audiences=(DISPLAY,)),
        run(2, sealed_at=NOW - 30 * DAY, audiences=(DISPLAY, HASHED)),
        run(3, sealed_at=NOW - RETENTION - 1, audiences=(DISPLAY,)),
        run(4, sealed_at=NOW - RETENTION, audiences=(HASHED,)),
    ]
    decided = retirement(runs, {DISPLAY: 4, HASHED: 4}, longer=longer)
    assert decided.decisions == (Retire(1), Rewrite(2, frozenset({HASHED})))
    assert decided.horizons == {DISPLAY: 1, HASHED: 2}
    assert retirement(runs, {HASHED: 4}, longer=longer).decisions == (Rewrite(2, frozenset({HASHED})),)


def test_what_is_kept_longer_goes_to_make_room():
    """Oldest first, like any other history: undelivered data never does."""
    runs = [run(number, sealed_at=NOW - 20 * DAY) for number in range(1, 4)]
    decided = retirement(runs, {DISPLAY: 2}, over_bytes=10**12, longer={DISPLAY: 30 * DAY})
    assert decided.decisions == (Retire(1), Retire(2))


def test_an_unresolved_audience_has_no_horizon():
    """Nothing of it is judged: what goes of it is not noted."""
    source = replace(DISPLAY, unresolved=True)
    decided = retirement([run(1, sealed_at=1, audiences=(source, HASHED))], {source: 1, HASHED: 1})
    assert decided.decisions == (Retire(1),)
    assert decided.horizons.keys() == decided.newest.keys() == {HASHED}


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


ROLL = 15 * MINUTE
CLIENTS = [replace(DISPLAY, client=f"C{number}") for number in range(10)]
RUN = 10_000_000 * MINUTE // DAY * 22
"""Bytes of a minute of 10 M memberships a day."""


def merged(runs):
    """What becomes of them if nothing is overtaken: no merge writes more."""
    sizes = Counter()
    for each in runs:
        sizes.update({audience: told.bytes for audience, told in each.audiences.items()})
    return RunSummary(
        number=runs[-1].number,
        low=runs[0].low,
        sealed_at=runs[-1].sealed_at,
        oldest_sealed_at=runs[0].oldest_sealed_at,
        bytes=sum(each.bytes for each in runs),
        audiences={audience: statistics(audience, size=size) for audience, size in sizes.items()},
        positions=tuple(newest(taken for each in runs for taken in each.positions).values()),
    )


class History:
    """Runs of a partition as they are sealed, delivered and looked after: a merge at most after each seal."""

    def __init__(self, audiences):
        self.runs = []
        self.delivered = dict.fromkeys(audiences, 0)
        self.now = NOW
        self.number = 0
        self.most = 0
        self.sealed = 0
        self.written = 0

    def seal(self, size, audiences, every):
        """A run of these, so long after the last one."""
        self.now += every
        self.number += 1
        self.sealed += size
        sealed = run(
            self.number, sealed_at=self.now, size=size, positions=[position(0, self.number, run=self.number)]
        )
        share = {audience: statistics(audience, size=size // len(audiences)) for audience in audiences}
        self.runs.append(replace(sealed, audiences=share))

    def deliver(self, audiences):
        """All there is of them."""
        self.delivered |= dict.fromkeys(audiences, self.number)

    def look(self):
        """As housekeeping does."""
        self.most = max(self.most, len(self.runs))
        self._retire()
        numbers = plan_merge(
            self.runs,
            now=self.now,
            settled_after=2 * ROLL,
            retention=RETENTION,
            frontiers=set(self.delivered.values()),
        )
        if numbers is not None:
            places = [at for at, each in enumerate(self.runs) if each.number in numbers]
            one_run = merged([self.runs[at] for at in places])
            self.runs[places[0] : places[-1] + 1] = [one_run]
            self.written += one_run.bytes

    def pass_time(self, duration, *, audiences, sizes=lambda _: RUN, every=MINUTE, late=()):
        """Runs of so much time; each audience but those `late` is delivered every 15 minutes, in turn.

        `sizes`: bytes of a run by how much of the time has passed, ms.
        """
        spread = [
            (at * ROLL // len(audiences), each) for at, each in enumerate(audiences) if each not in late
        ]
        for since in range(every, duration + 1, every):
            self.seal(sizes(since), audiences, every)
            self.deliver([each for phase, each in spread if (since + phase) % ROLL < every])
            self.look()

    def held(self, audience):
        """Bytes of an audience in the live runs."""
        return sum(each.audiences[audience].bytes for each in self.runs if audience in each.audiences)

    def _retire(self):
        decided = plan_retirement(
            self.runs, delivered=self.delivered.__getitem__, now=self.now, retention=RETENTION, over_bytes=0
        )
        gone = {decision.number: decision for decision in decided.decisions}
        for each in (each for each in self.runs if each.number in gone):
            assert each.sealed_at < self.now - RETENTION
        kept = [each for each in self.runs if not isinstance(gone.get(each.number), Retire)]
        self.runs = [without(each, gone[each.number].drop) if each.number in gone else each for each in kept]


def without(one_run, drop):
    """The run as it is rewritten."""
    kept = {audience: told for audience, told in one_run.audiences.items() if audience not in drop}
    return replace(one_run, audiences=kept, bytes=sum(told.bytes for told in kept.values()))


def steady(_since):
    """All runs of one size."""
    return RUN


def by_day(since):
    """Nearly none at night, twice as much at noon."""
    return int(RUN * (1 - 0.95 * cos(since * tau / DAY)))


def wild(since):
    """Some of fifty times the size of others, in no order; thrice as much in all."""
    return int(RUN * Random(since).lognormvariate(0, 1.5))


@pytest.mark.parametrize("sizes", [steady, by_day, wild])
def test_a_week_is_a_few_runs(sizes):
    """Ten audiences, 10 M memberships a day, the default settings: below 64 runs at every moment.

    30 of these have not settled yet. Each row is written again seven times at most, all of the retention is
    kept, and what is older goes, at the latest with the newest of the run that it was merged into.
    """
    history = History(CLIENTS)
    history.pass_time(8 * DAY, audiences=CLIENTS, sizes=sizes)
    assert history.most < 64
    assert history.written <= 7 * history.sealed
    oldest, *younger = history.runs
    assert 0 <= history.now - RETENTION - oldest.oldest_sealed_at <= RETENTION // SPANS
    assert [each.low for each in younger] == [each.number + 1 for each in history.runs[:-1]]
    assert history.runs[-1].number == history.number


def test_what_one_audience_cannot_deliver_stays_for_weeks():
    """All rows of an account that is out of reach are kept, in few runs; the history of the others goes."""
    stuck, *others = CLIENTS
    history = History(CLIENTS)
    ten_minutes = {"sizes": lambda _: 10 * RUN, "every": 10 * MINUTE}
    history.pass_time(35 * DAY, audiences=CLIENTS, late=[stuck], **ten_minutes)
    assert history.held(stuck) == history.sealed // len(CLIENTS)
    kept = {history.held(audience) * len(CLIENTS) / history.sealed for audience in others}
    assert all(7 / 35 <= part <= 8 / 35 for part in kept)
    assert history.most <= MOST_RUNS + 1
    assert history.written <= 7 * history.sealed


@pytest.mark.parametrize("sizes", [steady, wild, lambda since: 100 * wild(since)])
def test_a_burst_is_no_more_runs(sizes):
    """A run every 5 s for an hour: merged before they have settled, and no row more often than else.

    Were they left to settle, there would be 360, and each seal would write all that has settled again.
    """
    history = History(CLIENTS)
    history.pass_time(HOUR, audiences=CLIENTS, sizes=sizes, every=5 * SECOND)
    assert history.most <= MOST_RUNS + 1
    history.pass_time(3 * HOUR, audiences=CLIENTS)
    assert history.most <= MOST_RUNS + 1
    assert len(history.runs) < 64
    assert history.written <= 7 * history.sealed


@pytest.mark.parametrize("sizes", [steady, wild])
def test_a_week_that_was_not_merged_is_soon_a_few_runs(sizes):
    """Where there was no room, or a damaged run in between: a thousand runs become few, and soon."""
    runs = [run(n, sealed_at=NOW - (1000 - n) * 10 * MINUTE, size=sizes(n)) for n in range(1, 1001)]
    merges = 0
    while plan := merge_plan(runs, now=NOW + HOUR):
        at = [each.number for each in runs].index(plan[0])
        runs[at : at + len(plan)] = [merged(runs[at : at + len(plan)])]
        merges += 1
    assert len(runs) <= 32
    assert merges <= 64


def test_audiences_that_are_seldom_heard_of_keep_runs_apart_only_up_to_a_number():
    """150 clients with one run a day each: all stand at places of their own, with few runs in between."""
    clients = [replace(DISPLAY, client=f"S{number}") for number in range(150)]
    history = History(clients)
    for number in range(9 * DAY // (10 * MINUTE)):
        client = clients[number % len(clients)]
        history.seal(10 * RUN, [client], 10 * MINUTE)
        history.deliver([client])
        history.look()
    assert history.most <= MOST_RUNS + 1
    assert history.written <= 8 * history.sealed


def test_a_retention_too_short_to_merge_in_does_not_make_many_runs():
    """Where every merge would span more than its part of it, they are merged once they are too many."""
    runs = [run(number, sealed_at=NOW - DAY + number * MINUTE) for number in range(1, MOST_RUNS + 2)]
    short = {"now": NOW, "settled_after": 2 * ROLL, "retention": HOUR // 2}
    assert plan_merge(runs[:-1], **short) is None
    assert len(plan_merge(runs, **short)) == FAN_IN


def test_empty_runs_are_merged_however_far_apart():
    """Runs that only tell how far partitions were taken are no history; without rows they would pile up."""
    runs = [run(number, sealed_at=NOW - (90 - number) * DAY, audiences=()) for number in range(1, 9)]
    assert merge_plan(runs) == tuple(range(1, 9))
    assert merge_plan([*runs[:-1], run(8, sealed_at=NOW - 82 * DAY)]) is None
