"""Replays of a partner's user ids, among all else that happens: they end where last-write-wins does."""

import pytest
import structlog
from hypothesis import given, settings
from hypothesis import strategies as st

from bridge.deliver.lanes import look
from bridge.deliver.waiting import unsent
from bridge.replay.request import Bounds
from bridge.spool.replays import ReplayState
from bridge.translation.progress import Progress
from bridge.translation.replayed import translate
from bridge.translation.shelf import unresolved
from tests.parts import oracle
from tests.parts.audiences import DISPLAY, frame
from tests.parts.delivering import EVENT_TIME
from tests.translation.test_converges import (
    PARTITIONS,
    SECONDS,
    SOURCE,
    Killed,
    World,
    _rows,
    _uuid,
    carry_out_in,
    commands,
    events,
)

ARCHIVE = PARTITIONS
"""Stands for the partition of events that no live bridge ever reads."""

made = st.lists(events, min_size=1, max_size=4)
killed_after = st.sampled_from([None, None, None, 0, 1, 2, 3, 4, 5])
since = st.sampled_from([0, 0, 0, 3, 6])
until = st.sampled_from([None, None, 4, SECONDS])
replays = st.tuples(
    st.just("replay"), st.sampled_from(["topic", "archive"]), made, since, until, killed_after
)
of_replays = st.one_of(
    replays,
    replays,
    replays,
    st.tuples(st.just("resume"), killed_after),
    st.tuples(st.just("deliver_replays"), st.sampled_from([320, 10_000])),
)
with_replays = st.booleans().flatmap(lambda replayed: of_replays if replayed else commands)


class Replayed:
    """A replay whose events are read."""

    def __init__(self, replay, read, until):
        self.replay = replay
        self.read = read
        self.until = until

    @property
    def through(self):
        """All of it is translated or parked, durably."""
        return Progress.of(self.replay.runs()).run > 0


class Dying:
    """Runs; before more are sealed, the process may die."""

    def __init__(self, store, watch):
        self._store = store
        self._watch = watch
        self.runs = store.runs
        self.rewrite = store.rewrite

    def seal(self, **more):
        self._watch()
        return self._store.seal(**more)


class ReplayWorld(World):
    """The same with an archive and replays."""

    def __init__(self, directory):
        super().__init__(directory)
        self.archived = []
        self.unfinished = []
        self.perhaps = []
        """What replays with an end say beside `said`: later events decide about it that are never sent."""

    def archive(self, made):
        """Events that no live bridge ever reads."""
        for _, user, second, remove_all, segments in made:
            self.archived.append(
                {
                    "user": user,
                    "remove_all": remove_all,
                    "segments": [{"segment_id": one, "timestamp": at} for one, at in segments.items()],
                    "event_time": EVENT_TIME + second * 1000,
                    "topic": "archive",
                    "partition": ARCHIVE,
                    "offset": len(self.archived),
                }
            )

    def replay(self, what, more, since, until, killed_after):
        """After some more, all that is there of that time is read, in two windows, and translated."""
        since, until = (None if at is None else EVENT_TIME + at * 1000 for at in (since, until))
        (self.archive if what == "archive" else self.produce)(more)
        source = self.archived if what == "archive" else [event for events in self.topic for event in events]
        read = [event for event in source if event["event_time"] >= since]
        if not read or (until is not None and since >= until):
            return
        made = self.site.spool.replays.create(
            name="r",
            now=self.site.clock.now(),
            until=until,
            past_horizon=what == "topic",
            parameters={"asked": {}, "plan": None},
        )
        for some in (read[::2], read[1::2]):
            rows = [_ranked(event, row) for event in some for row in _rows(event)]
            shards = {SOURCE: Bounds(since=since, until=until).revise(frame(SOURCE, rows))}
            now = self.site.clock.now()
            made.store.seal(shards=shards, oldest_read_at={SOURCE: now}, positions=(), now=now)
        self.unfinished.append(Replayed(made, read, until))
        self.resume(killed_after)

    def resume(self, killed_after=None):
        """The newest replay that was killed while it was translated is gone on with."""
        if not self.unfinished:
            return
        one, left = self.unfinished[-1], [killed_after]

        def watch():
            if left[0] is not None:
                left[0] -= 1
                if left[0] < 0:
                    raise Killed

        before, parked = one.through, {run.number for run in self.site.spool.runs()}
        try:
            translate(
                Dying(one.replay.store, watch),
                self.table.snapshot(),
                parking=Dying(self.site.spool, watch),
                until=one.until,
                now=self.site.clock.now,
                watch=watch,
            )
        except Killed:
            pass
        else:
            assert unresolved(one.replay.runs()) == []
            self.site.spool.replays.move_on(one.replay, ReplayState.READ)
            self.unfinished.pop()
        if not before:
            self.say_replayed(one)
            self.say_parked(one, [run for run in self.site.spool.runs() if run.number not in parked])

    def say_replayed(self, one):
        """What was eligible when it was translated counts; of what was killed before, what it has sealed."""
        sealed = _places(DISPLAY, one.replay.runs())
        eligible = [
            {**event, "user": browser, "user_id": _uuid(browser)}
            for event in one.read
            for (id_, browser), (_, opted_out_at) in self.model.live("acme").items()
            if id_ == f"u{event['user']}" and event["event_time"] > opted_out_at
        ]
        told = [event for event in eligible if one.through or (_place(event), event["user"]) in sealed]
        if one.until is None:
            self.said |= {(_moment(event), event["user"]): event for event in told}
        else:
            self.perhaps += _surviving(told)

    def say_parked(self, one, runs):
        """What was not eligible is as if it had been read live, if later events leave anything of it."""
        known = {id_ for id_, _ in self.model.live("acme")}
        waits = [
            event
            for event in _surviving(one.read)
            if f"u{event['user']}" not in known and (one.until is None or event["event_time"] < one.until)
        ]
        places = {place for place, _ in _places(SOURCE, runs)}
        if one.through:
            assert places == {_place(event) for event in waits}
        waits = [event for event in waits if _place(event) in places]
        if waits:
            self.sealed[runs[-1].number] = waits

    def anything_to_take_back(self):
        """Or it will be, by a replay."""
        replays = self.site.spool.replays.all()
        return super().anything_to_take_back() or any(
            run.audiences for replay in replays for run in replay.runs()
        )

    def deliver_replays(self, room):
        """One step in which live data is not due."""
        self.site.room = room
        self.site.deliverer._set_back.clear()
        self.site.deliverer.step()

    def catch_up(self):
        while self.unfinished:
            self.resume()
        self.seal([10**6] * PARTITIONS)
        self.translate()
        for _ in range(200):
            if not self.waits():
                break
            self.live(10_000)
            self.deliver_replays(10_000)
        assert not self.waits()
        self.see_explained()

    def waits(self):
        states = self.site.ledger.audiences()
        return super().waits() or any(unsent(one, states) for one in look(self.site.spool).due_replays)

    def see_explained(self):
        """The state is what all that was said comes to; or newer, by what a replay with an end may say."""
        if not self.perhaps:
            assert oracle.same(self.site.state(), oracle.last_write_wins(self.said.values())) == []
            return
        (state,) = self.site.state().values() or [{}]
        for browser in (1, 2):
            for segment in (1, 2):
                held = state.get(_uuid(browser), {}).get(str(segment), (None,))
                must = [place for place, _ in _says(self.said.values(), browser, segment)]
                floor = max(must, default=(0, "", 0, 0))
                right = [{None}] * (not must)
                right += [
                    says
                    for place, says in _says([*self.said.values(), *self.perhaps], browser, segment)
                    if place >= floor
                ]
                assert any(set(held) <= says for says in right), (browser, segment, held, right)

    def merge(self):
        super().merge()
        for one in self.site.spool.replays.all():
            if len(one.runs()) > 1:
                one.store.merge(one.runs()[-3:])


def _ranked(event, row):
    """The row of an archive's event ranks below those of topics."""
    return (*row[:4], 1 if event["topic"] == "archive" else row[4], *row[5:])


def _place(event):
    return event["event_time"], event["partition"], event["offset"]


def _places(audience, runs):
    """What is in the runs of an audience: places, and the browser, which an unresolved one has none of."""
    found = set()
    for run in runs:
        for row in run.read(audience).to_dicts() if audience in run.audiences else ():
            found.add(((row["event_time"], row["partition"], row["offset"]), row.get("lo")))
    return found


def _moment(event):
    return event["event_time"], event["topic"], event["partition"], event["offset"]


def _surviving(read):
    """The events, without what later ones of the same user overwrite."""
    found = []
    for event in read:
        later = [one for one in read if one["user"] == event["user"] and _moment(one) > _moment(event)]
        emptied = any(one["remove_all"] for one in later)
        written = {each["segment_id"] for one in later for each in one["segments"]}
        segments = [each for each in event["segments"] if each["segment_id"] not in written and not emptied]
        remove_all = event["remove_all"] and not emptied
        if remove_all or segments:
            found.append({**event, "remove_all": remove_all, "segments": segments})
    return found


def _says(told, browser, segment):
    """What each event says of a browser's segment: its place, and the right timestamps (None: not in it)."""
    found = []
    for event in told:
        if event["user_id"] == _uuid(browser):
            own = [each["timestamp"] for each in event["segments"] if each["segment_id"] == segment]
            if own:
                right = {None} if own[-1] == -1 else {own[-1], own[-1] or event["event_time"] // 1000}
                found.append((_moment(event), right))
            elif event["remove_all"]:
                found.append((_moment(event), {None}))
    return found


@pytest.mark.failure(69)
@settings(max_examples=200, derandomize=True)
@given(st.lists(with_replays, min_size=3, max_size=14))
def test_replays_among_events_mappings_and_opt_outs_converge(plan):
    """Of topics and of an archive that is never read live, of any time, killed while they are translated.

    What they find nobody for is parked, and found once a browser is known, like what was read live.
    """
    carry_out_in(ReplayWorld, plan)


def test_an_opt_out_reaches_what_a_replay_is_yet_to_send(tmp_path):
    """The replay was translated before, into an audience that nothing was sent to or read for yet."""
    with structlog.testing.capture_logs():
        world = ReplayWorld(tmp_path)
        world.run(
            [
                ("sync", [(1, 1, 1, False)]),
                ("replay", "archive", [(0, 1, 3, False, {1: 0})], 0, None, None),
                ("sync", [(1, 0, 6, False)]),
            ]
        )
    assert world.site.state() == {}
