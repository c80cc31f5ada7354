"""Which runs a file is said to be made of, held against the rows that wait in them."""

import tempfile
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from bridge.audience.frontier import Frontier
from bridge.audience.rows import user_key
from bridge.deliver.lanes import Lane, View
from bridge.deliver.records import RunRange
from bridge.deliver.sources import sources
from tests.parts.audiences import DISPLAY, HASHED
from tests.parts.spools import new_spool, seal, writes

keys = st.sampled_from(["", *(f"{user // 2:016x}{user:016x}" for user in range(13))])
steps = st.lists(st.tuples(keys, st.none() | keys, st.integers(0, 6)), max_size=3)


def advanced(moves):
    """A frontier after deliveries of parts."""
    frontier = Frontier()
    for start, stop, run in moves:
        if stop is None or stop > start:
            frontier = frontier.advance(start, stop, run)
    return frontier


def waiting(view, start, stop, *, removals_only):
    """The runs of the rows that wait, one by one."""
    found = set()
    for run in view.own.runs:
        for row in run.read(DISPLAY, start, stop).to_dicts():
            user = user_key(DISPLAY, row)
            sent = view.own.frontier.at(user)
            if removals_only:
                sent = max(sent, view.removals.at(user))
            if row["run"] > sent and (view.own.until is None or row["event_time"] < view.own.until):
                found.add(row["run"])
    return found


scenes = st.fixed_dictionaries(
    {
        "windows": st.lists(writes, min_size=1, max_size=6),
        "delivered": steps,
        "ahead": steps,
        "ends": st.tuples(keys, st.none() | keys).filter(lambda ends: ends[1] is None or ends[0] < ends[1]),
        "merged": st.integers(0, 5),
        "removals_only": st.booleans(),
        "until": st.none() | st.integers(2, 9),
    }
)


@settings(max_examples=50)
@given(scenes)
def test_no_row_comes_from_a_run_that_is_not_told(scene):
    """Whatever was delivered, cut or merged; and what is told lies above all that was delivered of all."""
    with tempfile.TemporaryDirectory() as directory:
        spool = new_spool(Path(directory))
        for window in scene["windows"]:
            seal(spool, {DISPLAY: window, HASHED: [(1, 1, 0, 5, 0, 0, 0)]})
        if len(spool.runs()) > scene["merged"] > 1:
            spool.merge(spool.runs()[: scene["merged"]])
        own = Lane(runs=spool.runs(), frontier=advanced(scene["delivered"]), until=scene["until"])
        removals = advanced(scene["ahead"])
        view = View(own=own, removals=removals, others=(), newest_delivered=None, horizon=None)
        told = sources(DISPLAY, view, *scene["ends"], removals_only=scene["removals_only"])
        wait = waiting(view, *scene["ends"], removals_only=scene["removals_only"])
        assert {run for run in wait if not any(one.low <= run <= one.number for one in told)} == set()
        assert all(own.frontier.lowest < one.low <= one.number for one in told)
        assert {one.number for one in told} <= {run.number for run in own.runs if DISPLAY in run.audiences}
        assert list(told) == sorted(told, key=lambda one: one.low)


@settings(max_examples=30)
@given(st.lists(writes, min_size=1, max_size=6), st.integers(0, 6), st.integers(0, 6), st.booleans())
def test_of_a_whole_delivery_exactly_the_runs_that_wait_are_told(rows, delivered, ahead, removals_only):
    """Neither a run that was delivered, nor one whose removals went ahead, nor one without the audience."""
    with tempfile.TemporaryDirectory() as directory:
        spool = new_spool(Path(directory))
        for window in rows:
            seal(spool, {DISPLAY: window})
        own = Lane(runs=spool.runs(), frontier=Frontier().advance("", None, delivered))
        removals = Frontier().advance("", None, ahead)
        view = View(own=own, removals=removals, others=(), newest_delivered=None, horizon=None)
        told = sources(DISPLAY, view, "", None, removals_only=removals_only)
        wait = waiting(view, "", None, removals_only=removals_only)
        assert [(one.low, one.number) for one in told] == [(run, run) for run in sorted(wait)]


def test_of_a_merged_run_that_a_part_has_reached(tmp_path):
    """Its later users wait from the first of its runs on, though the earlier ones are further."""
    spool = new_spool(tmp_path)
    for run in range(3):
        seal(spool, {DISPLAY: [(user, 1, 0, 5, 0, 0, 100 * run + user) for user in range(12)]})
    spool.merge(spool.runs())
    part = f"{8 // 2:016x}{8:016x}"
    own = Lane(runs=spool.runs(), frontier=Frontier().advance("", part, 2))
    view = View(own=own, removals=Frontier(), others=(), newest_delivered=None, horizon=None)
    assert sources(DISPLAY, view, "", None, removals_only=False) == (RunRange(1, 3),)
    assert sources(DISPLAY, view, "", part, removals_only=False) == (RunRange(3, 3),)
