"""Translation converges: whatever comes first, events, mappings or opt-outs, the end is the same."""

import os
import tempfile
from dataclasses import replace
from pathlib import Path
from unittest.mock import patch
from uuid import UUID

import pytest
import structlog
from hypothesis import given, settings
from hypothesis import strategies as st

from bridge.clock import HOUR
from bridge.deliver.records import AudienceState
from bridge.deliver.waiting import pending
from bridge.service.translating import reached
from bridge.spool.store import Sizes
from bridge.sync.table.table import Table
from bridge.translation import shelf, translator
from bridge.translation.progress import Progress
from bridge.translation.rules import LAST
from bridge.translation.translator import carry_out
from bridge.translation.turn import Turn
from tests.parts import oracle
from tests.parts.audiences import DISPLAY, frame
from tests.parts.delivering import EVENT_TIME, Site
from tests.parts.identity import SMALL, TOPIC, Model, Told, window
from tests.parts.spools import QuickDisk

SOURCE = replace(DISPLAY, user_namespace="acme", unresolved=True)
BLOCKS = Sizes(block_rows=2, range_rows=6)
PARTITIONS = 2
SECONDS = 8
SHARED_MEMORY = Path("/dev/shm")

events = st.tuples(
    st.integers(0, PARTITIONS - 1),
    st.integers(1, 3),  # partner id
    st.integers(1, SECONDS),  # event time
    st.sampled_from([False, False, False, True]),  # remove_all
    st.dictionaries(st.integers(1, 2), st.sampled_from([0, 0, -1, 1_400_000_000]), max_size=2),
).filter(lambda event: event[3] or event[4])
syncs = st.tuples(
    st.integers(1, 3),  # partner id
    st.sampled_from([0, 0, 1, 1, 2]),  # browser; 0: an opt-out
    st.integers(1, SECONDS),  # when
    st.sampled_from([False, False, False, True]),  # forgotten
)
commands = st.one_of(
    st.tuples(st.just("produce"), st.lists(events, min_size=1, max_size=4)),
    st.tuples(st.just("produce"), st.lists(events, min_size=1, max_size=4)),
    st.tuples(st.just("sync"), st.lists(syncs, min_size=1, max_size=3)),
    st.tuples(st.just("sync"), st.lists(syncs, min_size=1, max_size=3)),
    st.tuples(st.just("seal"), st.tuples(*[st.integers(0, 4)] * PARTITIONS)),
    st.tuples(st.just("rewind"), st.tuples(*[st.integers(0, 2)] * PARTITIONS)),
    st.tuples(st.just("translate"), st.sampled_from([None, None, 1, 2])),
    st.tuples(st.just("translate"), st.sampled_from([None, None, 1, 2])),
    st.tuples(st.just("live"), st.sampled_from([320, 10_000])),
    st.tuples(st.just("die"), st.integers(1, 4)),
    st.just(("catch_up",)),
    st.just(("merge",)),
    st.just(("merge_table",)),
    st.just(("rebuild_table",)),
    st.just(("restart",)),
)
everybody = [(1, 1, 1, False), (2, 1, 1, False), (3, 2, 1, False)]
plans = st.tuples(
    st.tuples(st.just("sync"), st.just(everybody) | st.lists(syncs, min_size=1, max_size=3)),
    st.tuples(st.just("produce"), st.lists(events, min_size=3, max_size=6)),
    st.sampled_from([("catch_up",), ("die", 1), ("die", 2), ("die", 3)]),
    st.lists(commands, min_size=2, max_size=12),
).map(lambda parts: [*parts[:3], *parts[3]])
"""Something is known and said at first: most of what can go wrong needs both."""


class Killed(BaseException):
    """The process ends within a turn."""


class World:
    """A topic of events by partner ids, one of mappings, and a bridge."""

    def __init__(self, directory):
        self.directory = directory
        quota = {"files_per_hour": 100_000, "guard": 0}
        self.site = Site(directory, max_age=HOUR, disk=QuickDisk(), sizes=BLOCKS, **quota)
        self.table = self.opened()
        self.topic = [[] for _ in range(PARTITIONS)]
        self.read = [0] * PARTITIONS
        self.model = Model()
        self.sealed = {}
        """Events by run."""
        self.said = {}
        """What files have to come to: an event by its place and its browser, a remove_all by both too."""
        self.opted_out = {}
        """When each partner id has opted out, as the last turn knew it."""

    def opened(self):
        table = Table.open(self.directory / "table", clock=self.site.clock, disk=QuickDisk(), sizes=SMALL)
        if table.topic != TOPIC:
            table.restart(TOPIC, self.site.clock.now())
        return table

    def run(self, plan):
        for name, *arguments in plan:
            self.site.clock.move(1)
            getattr(self, name)(*arguments)
        self.catch_up()
        self.table.__exit__(None, None, None)

    def produce(self, made):
        for partition, user, second, remove_all, segments in made:
            own = self.topic[partition]
            own.append(
                {
                    "user": user,
                    "remove_all": remove_all,
                    "segments": [{"segment_id": one, "timestamp": at} for one, at in segments.items()],
                    "event_time": EVENT_TIME + second * 1000,
                    "topic": "t",
                    "partition": partition,
                    "offset": len(own),
                }
            )

    def sync(self, told):
        """Opt-outs are never forgotten."""
        batch = [
            Told(f"u{user}", browser, EVENT_TIME + second * 1000, forgotten and browser > 0)
            for user, browser, second, forgotten in told
        ]
        self.model.told |= set(batch)
        self.table.append(window(batch), {0: len(self.model.told)}, self.site.clock.now())

    def seal(self, counts):
        """The bridge reads so many further events of each partition, as one window."""
        taken = []
        for partition, count in enumerate(counts):
            start = self.read[partition]
            taken += self.topic[partition][start : start + count]
            self.read[partition] = min(len(self.topic[partition]), start + count)
        now = self.site.clock.now()
        rows = [row for event in taken for row in _rows(event)]
        run = self.site.spool.seal(
            shards={SOURCE: frame(SOURCE, rows)}, oldest_read_at={SOURCE: now}, positions=(), now=now
        )
        self.sealed[run.number] = taken

    def rewind(self, counts):
        """An operator sets the group's offsets back: events are read again."""
        self.read = [max(0, at - back) for at, back in zip(self.read, counts, strict=True)]

    def translate(self, killed_after=None):
        """A turn; it may end after so many pieces."""
        runs, left = self.site.spool.runs(), [killed_after]
        done = Progress.of(runs)
        turn = Turn(
            runs=runs,
            snapshot=self.table.snapshot(),
            done=done,
            known={"acme": reached(self.site.spool, self.site.ledger)},
            now=self.site.clock.now(),
        )

        def watch():
            if left[0] is not None:
                left[0] -= 1
                if left[0] < 0:
                    raise Killed

        before = dict(self.said)
        self.say(done.run)
        try:
            carry_out(turn, self.site.spool, self.site.clock.now, watch)
        except Killed:
            sealed = _sealed(self.site.spool.runs())
            self.said = before | {key: said for key, said in self.said.items() if key in sealed}
        else:
            self.opted_out = self.opt_outs()

    def die(self, after):
        """All is read, and the process ends within the turn, after so many pieces."""
        self.seal([10**6] * PARTITIONS)
        self.translate(after)

    def opt_outs(self):
        return {f"u{user}": self.model.opted_out_at("acme", f"u{user}") for user in (1, 2, 3)}

    def say(self, translated):
        """What this turn has to say, all anew and not only what is new, by the rules read one by one."""
        live = self.model.live("acme")
        for event in (event for taken in self.sealed.values() for event in taken):
            for (id_, browser), (_, opted_out_at) in live.items():
                if id_ == f"u{event['user']}" and event["event_time"] > opted_out_at:
                    place = (event["event_time"], "t", event["partition"], event["offset"])
                    self.said[place, browser] = {**event, "user_id": _uuid(browser)}
        if not translated and not self.anything_to_take_back():
            return
        for id_, at in self.opt_outs().items():
            if at > self.opted_out.get(id_, 0):
                for browser in (1, 2):
                    if self.model.newest("acme", id_, browser) is not None:
                        self.take_back(id_, browser, at, live, translated)

    def anything_to_take_back(self):
        """Something was ever sent, or is going to be."""
        return DISPLAY in self.site.ledger.audiences() or any(self.sealed.values())

    def take_back(self, id_, browser, at, live, translated):
        """The browser leaves everything at the opt-out, or after what was said of it since."""
        before = [
            event["event_time"]
            for run, taken in self.sealed.items()
            for event in taken
            if run <= translated and id_ == f"u{event['user']}"
        ]
        until = at if (id_, browser) in live else max(at, *before, at)
        self.said[(until, "~", 0, 0), browser] = {
            "user_id": _uuid(browser),
            "remove_all": True,
            "segments": [],
            "event_time": until,
            "topic": "~",
            "partition": 0,
            "offset": 0,
        }

    def live(self, room):
        """One step of the deliverer."""
        self.site.draining, self.site.room = True, room
        self.site.deliverer._set_back.clear()
        self.site.deliverer.step()
        self.site.draining = False

    def catch_up(self):
        """All is read, translated and delivered: the platform holds what it has to."""
        self.seal([10**6] * PARTITIONS)
        self.translate()
        for _ in range(200):
            if not self.waits():
                break
            self.live(10_000)
        assert not self.waits()
        assert oracle.same(self.site.state(), oracle.last_write_wins(self.said.values())) == []

    def waits(self):
        state = self.site.ledger.audience(DISPLAY) or AudienceState()
        return pending(DISPLAY, state, self.site.spool.runs()) is not None

    def merge(self):
        if len(self.site.spool.runs()) > 1:
            self.site.spool.merge(self.site.spool.runs()[-3:])

    def merge_table(self):
        self.table.merge_step(self.site.clock.now())

    def rebuild_table(self):
        """A file of it was damaged: all of the topic is read anew, and every opt-out is news."""
        self.table.restart(TOPIC, self.site.clock.now())
        self.table.append(window(sorted(self.model.told)), {0: 1}, self.site.clock.now())
        self.opted_out = {}

    def restart(self):
        self.site.restart()
        self.table.__exit__(None, None, None)
        self.table = self.opened()


def _rows(event):
    """The event's rows, as the window holds them."""
    place = (event["event_time"], 1 << 63, event["partition"], event["offset"])
    emptied = [(event["user"], 0, -1, *place)] if event["remove_all"] else []
    return emptied + [
        (event["user"], each["segment_id"], each["timestamp"], *place) for each in event["segments"]
    ]


def _sealed(runs):
    """What was translated, by its place and its browser."""
    rows = [row for run in runs if DISPLAY in run.audiences for row in run.read(DISPLAY).to_dicts()]
    return {
        (
            (row["event_time"], "~" if row["source"] == LAST else "t", row["partition"], row["offset"]),
            row["lo"],
        )
        for row in rows
    }


def _uuid(browser):
    return str(UUID(int=browser))


def _directory():
    return tempfile.TemporaryDirectory(dir=SHARED_MEMORY if os.access(SHARED_MEMORY, os.W_OK) else None)


def carry_out_in(kind, plan):
    """The plan in a world of this kind, where a few rows are several pieces and several runs."""
    with (
        structlog.testing.capture_logs(),
        patch.object(translator, "SEALED_ROWS", 2),
        patch.object(shelf, "RANGE_ROWS", 3),
        _directory() as directory,
    ):
        kind(Path(directory)).run(plan)


@pytest.mark.failure(67, 69)
@settings(max_examples=200, derandomize=True)
@given(plans)
def test_any_order_of_events_mappings_and_opt_outs_converges(plan):
    """Late and repeated events, browsers that become known later, opt-outs, deaths, merges, a new table.

    Two partner ids of one browser, and several browsers of one partner id, are frequent.
    """
    carry_out_in(World, plan)
