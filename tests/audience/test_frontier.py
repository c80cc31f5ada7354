from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.audience.frontier import Frontier, Step

USERS = ["", "a", "b", "bb", "c", "d", "e", "~"]
PARTS = st.tuples(st.sampled_from(USERS), st.none() | st.sampled_from(USERS), st.integers(0, 9)).filter(
    lambda part: part[1] is None or part[1] > part[0]
)


@given(st.lists(PARTS, max_size=25))
def test_advancing_does_what_a_dict_of_users_does(parts):
    """After any parts, every user stands at the run of the last part that held it."""
    model = dict.fromkeys(USERS, 0)
    frontier = Frontier()
    for start, stop, run in parts:
        frontier = frontier.advance(start, stop, run)
        model |= {user: run for user in USERS if user >= start and (stop is None or user < stop)}
        assert {user: frontier.at(user) for user in USERS} == model


@given(st.lists(PARTS, max_size=15), st.lists(PARTS, max_size=5))
def test_rewinding_lowers_the_users_of_a_range_and_raises_none(parts, back):
    """Each stands at the smaller of where it stood and the run; those outside stay where they stood."""
    frontier = Frontier()
    for part in parts:
        frontier = frontier.advance(*part)
    model = {user: frontier.at(user) for user in USERS}
    for start, stop, run in back:
        frontier = frontier.rewind(start, stop, run)
        inside = [user for user in USERS if user >= start and (stop is None or user < stop)]
        model |= {user: min(model[user], run) for user in inside}
        assert {user: frontier.at(user) for user in USERS} == model
        assert all(one.run != other.run for one, other in pairwise(frontier.steps))


@given(st.lists(PARTS, max_size=25))
def test_steps_stay_in_their_least_form(parts):
    """The first step starts at the first user, starts rise, neighbours differ: none is needless."""
    frontier = Frontier()
    for part in parts:
        frontier = frontier.advance(*part)
    starts = [step.start for step in frontier.steps]
    runs = [step.run for step in frontier.steps]
    assert starts[0] == ""
    assert starts == sorted(set(starts))
    assert all(one != next_one for one, next_one in pairwise(runs))
    assert (frontier.lowest, frontier.highest) == (min(runs), max(runs))


@given(st.lists(PARTS, max_size=25))
def test_json_gives_the_frontier_back(parts):
    """What the ledger stores is what it reads."""
    frontier = Frontier()
    for part in parts:
        frontier = frontier.advance(*part)
    assert Frontier.from_json(frontier.to_json()) == frontier


def test_a_delivery_in_parts_ends_as_one_step():
    """Parts one after another, to the last user, leave no trace of where they were cut."""
    frontier = Frontier().advance("", "c", 7)
    assert frontier.steps == (Step("", 7), Step("c", 0))
    assert frontier.advance("c", None, 7).steps == (Step("", 7),)


@pytest.mark.parametrize("stop", ["b", "a", ""])
def test_an_empty_range_is_refused_and_names_no_user(stop):
    """A range without users is a programming error; its message holds no user id."""
    with pytest.raises(ValueError, match=r"^a part of a delivery ends at or before its start$"):
        Frontier().advance("b", stop, 3)
    with pytest.raises(ValueError, match=r"^a part of a delivery ends at or before its start$"):
        Frontier().rewind("b", stop, 3)
