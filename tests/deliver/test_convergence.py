"""Whatever arrives when, the delivered files fold to last-write-wins (design.md, invariant 1)."""

import gzip
import tempfile
from dataclasses import replace
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bridge.audience.header import Header
from bridge.clock import SystemClock
from bridge.deliver.build import Recipe, build
from bridge.deliver.gathering import gather, next_start
from bridge.deliver.lanes import look
from bridge.deliver.records import AudienceState
from bridge.spool.spool import Spool
from tests.parts.audiences import DISPLAY, HASHED, frame

events = st.lists(
    st.tuples(
        st.integers(0, 3),  # user
        st.integers(1, 60),  # event time
        st.booleans(),  # remove_all
        st.dictionaries(st.integers(1, 4), st.sampled_from([0, -1, 1_400_000_000]), max_size=3),
    ),
    min_size=1,
    max_size=14,
    unique_by=lambda event: event[1],
)
steps = st.lists(st.sampled_from(["deliver", "part", "merge", "nothing"]), min_size=14, max_size=14)


def rows_of(event, offset):
    """The event's rows, as the window holds them; the offset is its place in the topic."""
    user, time, remove_all, segments = event
    wiped = [(user, 0, -1, time, 0, 0, offset)] if remove_all else []
    return wiped + [(user, segment, at, time, 0, 0, offset) for segment, at in segments.items()]


def last_write_wins(all_events):
    """{user: {segment: timestamps that are right}} of the events in the order of their times."""
    state = {}
    for user, time, remove_all, segments in sorted(all_events, key=lambda event: event[1]):
        held = state.setdefault(user, {})
        if remove_all:
            held.clear()
        for segment, timestamp in segments.items():
            if timestamp == -1:
                held.pop(segment, None)
            else:
                held[segment] = {0, time // 1000} if timestamp == 0 else {timestamp}
    return {user: held for user, held in state.items() if held}


class Platform:
    """The seed's reading of audience files, written out."""

    def __init__(self):
        self.state = {}

    def load(self, data):
        body = gzip.decompress(data).decode().partition("\n\n")[2]
        for line in body.splitlines():
            name, *tokens = line.split(" ")
            user = int(name.rsplit("-", 1)[-1].lstrip("u"), 16)
            held = self.state.setdefault(user, {})
            for token in tokens:
                segment, _, timestamp = token.partition(":")
                if token == "-1":
                    held.clear()
                elif timestamp == "-1":
                    held.pop(int(segment.lstrip("s")), None)
                elif segment != "gone":
                    held[int(segment.lstrip("s"))] = int(timestamp)


class Bench:
    """A spool, an audience's standing and a platform."""

    def __init__(self, directory, audience):
        self.directory = directory
        self.spool = Spool.open(directory / "spool", clock=SystemClock())
        self.audience = audience
        self.standing = AudienceState()
        self.platform = Platform()
        self.files = 0

    def seal(self, rows):
        audience = self.audience
        self.spool.seal(
            shards={audience: frame(audience, rows)},
            oldest_read_at={audience: 1},
            positions=[],
            now=1,
            publish_dead_letters=None,
        )

    def deliver(self, max_bytes):
        """One delivery or part; what it covers is known as delivered afterwards."""
        view = look(self.spool).view(self.standing, "")
        start = next_start(view, removals_only=False)
        recipe = Recipe(
            audience=self.audience,
            placeholder="gone",
            new_file=self.spool.new_file,
            directory=self.directory,
            level=6,
            max_bytes=max_bytes,
            removals_only=False,
        )
        built = build(recipe, gather(self.audience, view, start), self.header)
        if built.name is None and built.needed:
            return False
        if built.name:
            data = (self.directory / built.name).read_bytes()
            assert len(data) == built.bytes <= max_bytes
            self.platform.load(data)
        newest = [
            time for time in (self.standing.newest_delivered, built.newest_event_time) if time is not None
        ]
        self.standing = replace(
            self.standing,
            frontier=self.standing.frontier.advance(
                start, built.stop, max(run.number for run in view.own.runs)
            ),
            newest_delivered=max(newest, default=None),
        )
        return True

    def header(self):
        self.files += 1
        return Header(
            file_identifier=f"A_P_{self.files:012}.log.gz",
            date_created=1,
            user_namespace="mm",
            user_table_id="",
            segment_namespace="ep",
            mobile=False,
            hash_segments=False,
        )


@pytest.mark.failure(30, 31)
@settings(max_examples=120)
@given(events, st.randoms(use_true_random=False), steps, st.sampled_from([DISPLAY, HASHED]))
def test_any_order_of_events_runs_deliveries_and_merges_converges(all_events, random, plan, audience):
    """Shuffled and repeated events, sealed one by one, delivered whole or in parts, merged in between."""
    arrivals = [(event, offset) for offset, event in enumerate(all_events)]
    arrivals += random.sample(arrivals, len(arrivals) // 3)
    random.shuffle(arrivals)
    with tempfile.TemporaryDirectory() as directory:
        bench = Bench(Path(directory), audience)
        for (event, offset), step in zip(arrivals, plan, strict=False):
            bench.seal(rows_of(event, offset))
            if step == "merge" and len(bench.spool.runs()) > 1:
                bench.spool.merge(bench.spool.runs()[-3:])
            elif step in {"deliver", "part"}:
                bench.deliver(10_000 if step == "deliver" else 310)
        for event, offset in arrivals[len(plan) :]:
            bench.seal(rows_of(event, offset))
        newest = max(run.number for run in bench.spool.runs())
        while bench.standing.frontier.lowest < newest:
            assert bench.deliver(10_000)
        expected = last_write_wins(all_events)
        got = {user: held for user, held in bench.platform.state.items() if held}
        assert {user: set(held) for user, held in got.items()} == {
            user: set(held) for user, held in expected.items()
        }
        for user, held in got.items():
            for segment, timestamp in held.items():
                assert timestamp in expected[user][segment]


def test_orderly_input_reads_no_history(tmp_path):
    """Where every row is newer than all that was delivered, delivered runs are not touched."""
    bench = Bench(tmp_path, DISPLAY)
    bench.seal(rows_of((1, 10, False, {1: 0}), 0))
    assert bench.deliver(10_000)
    damaged = bench.spool.runs()[0].path
    content = bytearray(damaged.read_bytes())
    content[20] ^= 1
    damaged.write_bytes(content)
    bench.seal(rows_of((1, 11, True, {2: 0}), 1))
    assert bench.deliver(10_000)
    assert bench.platform.state == {1: {2: 0}}


def test_adds_beyond_the_horizon_are_set_aside_and_removals_sent(tmp_path):
    """What nothing kept can judge: an add is not sent, a removal is."""
    bench = Bench(tmp_path, DISPLAY)
    bench.standing = replace(bench.standing, newest_delivered=100, horizon=50)
    bench.seal(rows_of((1, 50, False, {1: 0, 2: -1}), 0) + rows_of((1, 51, False, {3: 0}), 1))
    gathered = next(iter(gather(bench.audience, look(bench.spool).view(bench.standing, ""), "")))
    assert gathered.settled.send.select("segment", "timestamp").rows() == [(2, -1), (3, 0)]
    assert gathered.settled.beyond_horizon["segment"].to_list() == [1]
    assert isinstance(gathered.settled.send, pl.DataFrame)
