"""Live events and replays, interleaved in any way, end in last-write-wins (design.md, invariant 1)."""

import os
import tempfile
from pathlib import Path

import pytest
import structlog
from hypothesis import given, settings
from hypothesis import strategies as st

from bridge.clock import HOUR
from bridge.deliver.lanes import look
from bridge.deliver.records import AudienceState
from bridge.deliver.schedule import Deliver
from bridge.deliver.waiting import pending, unsent
from bridge.replay.request import Bounds
from bridge.service.replays.upkeep import let_go
from bridge.spool.replays import ReplayState
from bridge.spool.upkeep import plan_retirement, summary
from tests.parts import oracle
from tests.parts.audiences import DISPLAY, frame
from tests.parts.delivering import EVENT_TIME, Site, user_id
from tests.parts.spools import QuickDisk

PARTITIONS = 3
SECONDS = 14
"""Event times are so many different seconds: ties, and late events, are frequent."""

EXAMPLES = 1_000

SHARED_MEMORY = Path("/dev/shm")

topic_events = st.tuples(
    st.integers(0, PARTITIONS - 1),
    st.integers(1, 3),  # user
    st.integers(0, SECONDS),  # event time
    st.sampled_from([False, False, False, True]),  # remove_all
    st.dictionaries(st.integers(1, 3), st.sampled_from([0, 0, -1, 1_400_000_000]), max_size=2),
).filter(lambda event: event[3] or event[4])
bounds = st.tuples(st.integers(0, SECONDS), st.integers(0, SECONDS)).map(sorted)
commands = st.one_of(
    st.tuples(st.just("produce"), st.lists(topic_events, min_size=1, max_size=4)),
    st.tuples(st.just("produce"), st.lists(topic_events, min_size=1, max_size=4)),
    st.tuples(st.just("seal"), st.tuples(*[st.integers(0, 4)] * PARTITIONS)),
    st.tuples(st.just("rewind"), st.tuples(*[st.integers(0, 2)] * PARTITIONS)),
    st.tuples(st.just("replay"), bounds, st.integers(1, 3), st.booleans()),
    st.tuples(st.just("live"), st.sampled_from([320, 10_000])),
    st.tuples(st.just("replays"), st.sampled_from([320, 10_000])),
    st.just(("catch_up",)),
    st.just(("merge",)),
    st.just(("ahead",)),
    st.just(("restart",)),
)
with_retirement = st.one_of(commands, commands, st.just(("catch_up",)), st.just(("retire",)))


class World:
    """A topic, a live bridge that reads it, and replays."""

    def __init__(self, directory):
        self.site = Site(directory, max_age=HOUR, disk=QuickDisk(), files_per_hour=100_000, guard=0)
        self.topic = [[] for _ in range(PARTITIONS)]
        self.read = [0] * PARTITIONS
        self.exact = True
        """Nothing was retired."""
        self.live_runs = {}
        self.replay_runs = {}
        """Events by run; of each replay, those that are to be sent, by run, and those that only decide."""

    def run(self, plan):
        """Carry out the commands; then all is read, and all is delivered."""
        for name, *arguments in plan:
            self.site.clock.move(1)
            getattr(self, name)(*arguments)
            self.see()
        self.seal([10**6] * PARTITIONS)
        self.deliver()

    def deliver(self):
        """Until nothing waits."""
        for _ in range(200):
            if self.waits() == (False, False):
                break
            self.live(10_000)
            self.replays(10_000)
            self.see()
        assert self.waits() == (False, False)
        self.see()

    def see(self):
        """Once all that was produced is read and delivered live, the state is right, whatever replays do.

        Where history was retired, something may be missing, but nothing is there that is not to be there.
        """
        if self.exact:
            self.see_nothing_undone()
        everything = self.read == [len(events) for events in self.topic]
        if everything and self.settled():
            state, truth = self.site.state(), self.truth()
            if self.exact:
                assert oracle.same(state, truth) == []
            else:
                assert _memberships(state) <= _memberships(truth)

    def settled(self):
        """The platform has what was read live."""
        return not self.waits()[0]

    def see_nothing_undone(self):
        """Of each user and segment the platform has what the newest delivered event says, or a newer one."""
        (state,) = self.site.state().values() or [{}]
        for user in range(1, 4):
            for segment in (1, 2, 3):
                held = set(state.get(user_id(user), {}).get(str(segment), (None,)))
                floor = max((place for place, _ in self.delivered(user, segment)), default=None)
                everything = [event for events in self.topic for event in events if event["user"] == user]
                right = [says for place, says in _says(everything, segment) if floor and place >= floor]
                assert floor is None or any(held <= says for says in right), (user, segment, held)

    def delivered(self, user, segment):
        """What the ledger has as delivered of a user's segment; of a replay, what later events left of it."""
        state, key = self.site.ledger.audience(DISPLAY), f"{user // 2:016x}{user:016x}"
        live = [events for run, events in self.live_runs.items() if run <= state.frontier.at(key)]
        found = _says(_of(user, live), segment)
        for replay, frontier in state.replayed.items():
            runs, later = self.replay_runs[replay]
            decides = max((place for place, _ in _says(_of(user, [later]), segment)), default=(0,))
            sent = [events for run, events in runs.items() if run <= frontier.at(key)]
            found += [one for one in _says(_of(user, sent), segment) if one[0] > decides]
        return found

    def truth(self):
        """What the platform should hold."""
        return oracle.last_write_wins([event for events in self.topic for event in events])

    def waits(self):
        """Whether live data waits, and whether a replay does."""
        states, held = self.site.ledger.audiences(), look(self.site.spool)
        live = pending(DISPLAY, states.get(DISPLAY, AudienceState()), held.runs)
        return live is not None, any(unsent(one, states) for one in held.due_replays)

    def produce(self, events):
        for partition, user, second, remove_all, segments in events:
            own = self.topic[partition]
            elements = [{"segment_id": segment, "timestamp": at} for segment, at in segments.items()]
            own.append(
                {
                    "user": user,
                    "user_id": user_id(user),
                    "remove_all": remove_all,
                    "segments": elements,
                    "event_time": EVENT_TIME + second * 1000,
                    "topic": "t",
                    "partition": partition,
                    "offset": len(own),
                }
            )

    def seal(self, counts):
        """The live bridge reads so many further events of each partition, as one window."""
        events = []
        for partition, count in enumerate(counts):
            start = self.read[partition]
            events += self.topic[partition][start : start + count]
            self.read[partition] = min(len(self.topic[partition]), start + count)
        run = self._seal(self.site.spool, events, lambda rows: rows)
        self.live_runs[run.number] = events

    def catch_up(self):
        """All that is there is read and delivered live."""
        self.seal([10**6] * PARTITIONS)
        for _ in range(3):
            self.live(10_000)

    def rewind(self, counts):
        """An operator sets the group's offsets back: events are read again."""
        self.read = [max(0, at - back) for at, back in zip(self.read, counts, strict=True)]

    def replay(self, seconds, windows, interrupted):
        """All that the topic holds now of that time is read, in some windows; perhaps in two goes."""
        since, until = (EVENT_TIME + second * 1000 for second in seconds)
        if since == until:
            return
        made = self.site.spool.replays.create(
            name="r",
            now=self.site.clock.now(),
            until=until,
            past_horizon=True,
            parameters={"asked": {}, "plan": {}},
        )
        revise = Bounds(since=since, until=until).revise
        everything = [event for events in self.topic for event in events]
        runs: dict[int, list[dict]] = {}
        self.replay_runs[made.id] = runs, [event for event in everything if event["event_time"] >= until]
        for window in range(windows):
            run = self._seal(made.store, everything[window::windows], revise)
            sent = [one for one in everything[window::windows] if since <= one["event_time"] < until]
            runs[run.number] = sent
            if interrupted:
                self.restart()
                (made,) = [one for one in self.site.spool.replays.all() if one.id == made.id]
                self._seal(made.store, everything[window::windows][:1], revise)  # read twice: harmless
        self.site.spool.replays.move_on(made, ReplayState.READ)

    def live(self, room):
        """One step in which live data is due."""
        self.site.draining, self.site.room = True, room
        self._step()
        self.site.draining = False

    def replays(self, room):
        """One step in which live data is not due."""
        self.site.room = room
        self._step()

    def ahead(self):
        """Removals alone, as when the day's bytes are spent."""
        if self.waits()[0] and not self.site.ledger.unfinished("a"):
            self._deliver_removals()

    def merge(self):
        spool = self.site.spool
        for store in (spool, *(one.store for one in spool.replays.all())):
            if len(store.runs()) > 1:
                store.merge(store.runs()[-3:])

    def restart(self):
        self.site.restart()

    def retire(self):
        """All delivered history goes that no waiting replay needs, as housekeeping lets it go."""
        site = self.site
        replays = len(site.spool.replays.all())
        let_go(site.spool, site.ledger, site.clock, retention=-1, over_bytes=0)
        self.exact &= len(site.spool.replays.all()) == replays
        states, runs = site.ledger.audiences(), site.spool.runs()
        waiting = [one.record.created_at for one in look(site.spool).due_replays if unsent(one, states)]
        plan = plan_retirement(
            [summary(run) for run in runs],
            delivered=lambda audience: states.get(audience, AudienceState()).frontier.lowest,
            now=site.clock.now(),
            retention=-1,
            over_bytes=0,
            kept_since=min(waiting, default=None),
        )
        site.ledger.raise_horizons(plan.horizons, retired=plan.newest)
        for decision in plan.decisions:
            self.exact = False
            site.spool.retire(next(run for run in runs if run.number == decision.number))

    def _deliver_removals(self):
        decision = Deliver(audience=DISPLAY, max_bytes=10_000, removals_only=True, replay="")
        state = self.site.ledger.audience(DISPLAY)
        self.site.deliverer._deliver(decision, state, look(self.site.spool))

    def _step(self):
        self.site.deliverer._set_back.clear()
        self.site.deliverer.step()

    def _seal(self, store, events, revise):
        rows = [row for event in events for row in _rows(event)]
        now = self.site.clock.now()
        shards = {DISPLAY: revise(frame(DISPLAY, rows))}
        return store.seal(shards=shards, oldest_read_at={DISPLAY: now}, positions=(), now=now)


def _rows(event):
    """The event's rows, as the window holds them."""
    place = (event["event_time"], 1 << 63, event["partition"], event["offset"])
    emptied = [(event["user"], 0, -1, *place)] if event["remove_all"] else []
    segments = [(event["user"], each["segment_id"], each["timestamp"], *place) for each in event["segments"]]
    return emptied + segments


def _of(user, windows):
    """The events of a user in some windows."""
    return [event for events in windows for event in events if event["user"] == user]


def _says(events, segment):
    """What each event says of a segment: its place, and the right timestamps (None: not in it)."""
    found = []
    for event in events:
        place = (event["event_time"], event["partition"], event["offset"])
        told = [one["timestamp"] for one in event["segments"] if one["segment_id"] == segment]
        if told:
            at = told[-1]
            found.append(
                (place, {None} if at == -1 else {at, event["event_time"] // 1000 if at == 0 else at})
            )
        elif event["remove_all"]:
            found.append((place, {None}))
    return found


def _memberships(state):
    return {
        (user, segment)
        for users in state.values()
        for user, segments in users.items()
        for segment in segments
    }


def _directory():
    return tempfile.TemporaryDirectory(dir=SHARED_MEMORY if os.access(SHARED_MEMORY, os.W_OK) else None)


@pytest.mark.failure(30, 31)
@settings(max_examples=EXAMPLES, derandomize=True)
@given(st.lists(commands, min_size=3, max_size=14))
def test_any_interleaving_of_live_events_and_replays_converges(plan):
    """Late and repeated events, ties, remove_alls, replays of any time; in parts, with merges and restarts.

    And more: whenever live data is all delivered, the state is right however much of a replay is.
    """
    with structlog.testing.capture_logs(), _directory() as directory:
        World(Path(directory)).run(plan)


@settings(max_examples=EXAMPLES // 2, derandomize=True)
@given(st.lists(with_retirement, min_size=3, max_size=14))
def test_with_retired_history_nothing_comes_back_and_a_replay_of_all_makes_it_whole(plan):
    """What retired runs alone could judge may be missing, but what was removed stays removed.

    A replay of all that the topic holds ends in the right state, whatever went before.
    """
    with structlog.testing.capture_logs(), _directory() as directory:
        world = World(Path(directory))
        world.run(plan)
        world.replay((0, SECONDS + 1), 2, interrupted=False)
        world.deliver()
        assert oracle.same(world.site.state(), world.truth()) == []


def test_a_replay_does_not_undo_a_removal_that_went_ahead(tmp_path):
    """It waits for a general file still; a replay of the older add between the two sends nothing."""
    world = World(tmp_path)
    world.produce([(0, 1, 1, False, {7: 0})])
    world.catch_up()
    world.produce([(0, 1, 9, False, {7: -1})])
    world.seal([1, 0, 0])
    world.ahead()
    assert _memberships(world.site.state()) == set()
    world.replay((0, 5), 1, interrupted=False)
    world.replays(10_000)
    assert _memberships(world.site.state()) == set()
    world.deliver()


def test_on_an_empty_spool_later_events_of_the_topic_decide_and_are_not_sent(tmp_path):
    """What the topic removed after the replayed time is not added, what it added then is not sent."""
    world = World(tmp_path)
    world.produce([(0, 1, 1, False, {7: 0, 8: 0}), (1, 1, 9, False, {7: -1, 9: 0}), (2, 2, 9, False, {5: 0})])
    world.replay((0, 5), 2, interrupted=False)
    world.replays(10_000)
    assert _memberships(world.site.state()) == {(user_id(1), "8")}
