"""Pending rows judged by what was delivered (design.md, invariant 1), rule by rule."""

import polars as pl
import pytest
from hypothesis import given

from bridge.audience.late import _judged, late_rows, settle
from bridge.audience.merge import latest
from bridge.audience.overtaking import _by_joins, overtaking
from bridge.audience.rows import user_columns
from tests.parts.audiences import DISPLAY, HASHED, frame
from tests.parts.spools import windows

USER = 5
ALL = 0
"""The segment of a remove_all."""


def rows(*writes, run, audience=DISPLAY, user=USER):
    """Rows of (segment, timestamp, event time in s), their place in the topic by their order."""
    made = [
        (user, segment, timestamp, second * 1000, 0, 0, offset)
        for offset, (segment, timestamp, second) in enumerate(writes)
    ]
    sealed = frame(audience, made).with_columns(run=pl.lit(run, dtype=pl.UInt32))
    return latest(audience, sealed)


def settled(pending, history, *, horizon=None, audience=DISPLAY):
    """What is sent, how many lost, what is set aside: segments and timestamps."""
    found = settle(
        audience,
        rows(*pending, run=9, audience=audience),
        rows(*history, run=3, audience=audience),
        None if horizon is None else horizon * 1000,
    )

    def told(frame):
        return frame.select("segment", "timestamp").rows()

    return told(found.send), found.superseded, told(found.beyond_horizon)


@pytest.mark.parametrize(
    ("pending", "history", "sent", "superseded"),
    [
        # a row loses against a newer one of its segment, whatever either says
        ([(1, 0, 10)], [(1, -1, 20)], [], 1),
        ([(1, -1, 10)], [(1, 0, 20)], [], 1),
        ([(1, 0, 10)], [(1, 1_400_000_000, 20)], [], 1),
        # and wins against an older one, or one of another segment
        ([(1, 0, 10)], [(1, -1, 5)], [(1, 0)], 0),
        ([(1, 0, 10)], [(2, -1, 20)], [(1, 0)], 0),
        # a newer remove_all takes all that is older; what is newer than it stays
        ([(1, 0, 10), (2, 0, 30), (3, -1, 10)], [(ALL, -1, 20)], [(2, 0)], 2),
        # a late remove_all is followed by what was delivered and is newer: 0 as its time, -1 as nothing
        (
            [(ALL, -1, 10)],
            [(1, 0, 20), (2, 1_400_000_000, 20), (3, -1, 20), (4, 0, 5)],
            [(ALL, -1), (1, 20), (2, 1_400_000_000), (3, -1)],
            0,
        ),
        # with segments of its own, which a newer delivered removal has overtaken
        ([(ALL, -1, 10), (1, 0, 10), (2, 0, 10)], [(1, -1, 20)], [(ALL, -1), (1, -1), (2, 0)], 1),
        # a remove_all that lost takes nothing
        ([(ALL, -1, 10)], [(ALL, -1, 20), (1, 0, 15), (2, 0, 25)], [], 1),
        # of one write read twice, and delivered once, the pending copy is sent: who sends it again means to
        ([(1, 0, 10)], [(1, 0, 10)], [(1, 0)], 0),
    ],
)
def test_what_is_late_is_judged(pending, history, sent, superseded):
    """The table of invariant 1."""
    assert settled(pending, history) == (sent, superseded, [])


def test_of_equal_event_times_the_later_place_wins():
    """Source, then partition, then offset; a pending row that is behind by its place loses."""
    pending, history = rows((1, 0, 10), run=9), rows((2, 0, 10), (1, -1, 10), run=3)
    assert settle(DISPLAY, pending, history, None).send.is_empty()
    assert (
        settle(DISPLAY, rows((2, 0, 10), (1, 0, 10), run=9), rows((1, -1, 10), run=3), None).superseded == 0
    )


@pytest.mark.parametrize("audience", [DISPLAY, HASHED])
def test_beyond_the_horizon_adds_are_set_aside_and_removals_sent(audience):
    """An add at the horizon cannot be judged, one behind it can; a removal is sent however old."""
    kept = (1, 0), (2, -1), (3, 0)
    named = [(f"s{segment}" if audience.hashed else segment, at) for segment, at in kept]
    found = settled([(1, 0, 50), (2, -1, 40), (3, 0, 51)], [], horizon=50, audience=audience)
    assert found == (named[1:], 0, named[:1])


def test_a_remove_all_beyond_the_horizon_says_again_only_what_the_horizon_vouches_for():
    """What may have been taken back in a run that is retired is set aside."""
    history = [(1, 0, 45), (2, 0, 55)]
    assert settled([(ALL, -1, 40)], history, horizon=50) == ([(ALL, -1), (2, 55)], 0, [(1, 45)])


def test_what_newer_history_beats_is_superseded_and_not_set_aside():
    """Also beyond the horizon a row that surely lost is told as such."""
    assert settled([(1, 0, 10)], [(1, -1, 20)], horizon=30) == ([], 1, [])


def test_late_is_what_is_not_newer_than_the_newest_delivered():
    """A row of the same instant too: its place decides."""
    pending = pl.concat([rows((1, 0, 10), run=9, user=7), rows((1, 0, 11), run=9, user=8)])
    assert late_rows(pending, 10_000)["lo"].to_list() == [7]
    assert late_rows(pending, 9_999).is_empty()
    assert late_rows(pending, None).is_empty()


@given(windows, windows)
def test_what_does_not_bear_on_the_pending_rows_changes_nothing(pending, history):
    """Looked up by numbers or by joins, or not at all: what is sent and what lost are the same."""
    for audience in (DISPLAY, HASHED):
        waits = latest(audience, _sealed(audience, pending[audience], 9))
        delivered = _sealed(audience, history[audience], 3)
        if waits.is_empty():
            continue
        bearing = overtaking(audience, waits, delivered)
        same = _by_joins(audience, waits, delivered)
        user = user_columns(audience)
        for users in (bearing, same):
            assert users.join(waits, on=user, how="anti").is_empty()
        with_all = _judged(audience, waits, delivered)
        for some in (bearing, same):
            judged = waits if some.is_empty() else _judged(audience, waits, some)
            assert judged.equals(with_all)


def _sealed(audience, writes, run):
    return frame(audience, writes).with_columns(run=pl.lit(run, dtype=pl.UInt32))
