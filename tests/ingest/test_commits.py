"""When commits are asked for, and when not yet."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.backoff import LONGEST
from bridge.clock import HOUR
from bridge.ingest.commits import Commits
from bridge.ingest.partition import Partition
from tests.parts.clocks import HandClock

HERE, THERE = Partition("acme", 0), Partition("acme", 1)


@pytest.fixture
def clock():
    return HandClock(HOUR)


@pytest.fixture
def commits(clock):
    return Commits(clock)


def refused(commits, offsets):
    """A round: asked for, refused, and wanted again, as at a new start."""
    commits.want(offsets, 1)
    commits.sent()
    commits.came_too_late(offsets)
    commits.want(offsets, 1)


def rest(commits, clock, step=50):
    """How long it rests, ms."""
    began = clock.elapsed()
    while not commits.due:
        clock.move(step)
    return clock.elapsed() - began


@pytest.mark.failure(18)
def test_refused_each_time_it_rests_longer_and_longer(commits, clock):
    """Up to a bound: the coordinator is not flooded, and once it takes commits again it has them soon."""
    rests = []
    for _ in range(12):
        refused(commits, {HERE: 5})
        rests.append(rest(commits, clock))
    assert rests[0] <= 500
    assert all(later > earlier for earlier, later in zip(rests, rests[2:6], strict=False))
    assert min(rests[-3:]) >= LONGEST // 2
    assert max(rests) <= LONGEST + 50


def test_a_commit_that_is_taken_ends_the_pauses(commits, clock):
    """The next refusal is the first again."""
    for _ in range(8):
        refused(commits, {HERE: 5})
    rest(commits, clock)
    commits.sent()
    commits.settled({HERE: 5})
    refused(commits, {HERE: 6})
    assert rest(commits, clock) <= 500


def test_what_was_refused_is_done_with(commits):
    """The run holds it; only what came meanwhile is still wanted."""
    commits.want({HERE: 5, THERE: 7}, 1)
    commits.sent()
    commits.want({THERE: 9}, 2)
    commits.came_too_late({HERE: 5, THERE: 7})
    assert commits.wanted == {THERE: 9}


def test_where_there_is_no_later_nothing_waits(commits):
    """Neither a stop nor partitions that go wait for a pause; refused once more, there is no next time."""
    refused(commits, {HERE: 5})
    assert not commits.due
    commits.hurry()
    assert commits.due
    assert not commits.refused
    commits.sent()
    commits.came_too_late({HERE: 5})
    assert commits.refused
    commits.hurry()
    assert not commits.due


@given(st.integers(-30 * HOUR, 30 * HOUR))
def test_a_clock_that_is_set_makes_no_pause_longer(jump):
    """A pause is measured by what passes."""
    clock = HandClock(40 * HOUR)
    commits = Commits(clock)
    refused(commits, {HERE: 5})
    clock.set_by(jump)
    assert rest(commits, clock) <= 500
