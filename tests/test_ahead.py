"""Making the next thing while one is worked on."""

import threading
from contextlib import closing

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.ahead import ahead
from tests.parts.waiting import until


class Maker:
    """Makes the numbers from 1 on; `made` tells how far it came, `threads` in which threads."""

    def __init__(self, last, fails_at=None):
        self.made = 0
        self.threads = set()
        self._last = last
        self._fails_at = fails_at

    def __iter__(self):
        while self.made < self._last:
            self.threads.add(threading.get_ident())
            self.made += 1
            if self.made == self._fails_at:
                raise ValueError(f"number {self.made}")
            yield self.made


def running():
    """Threads that make items."""
    return [thread.name for thread in threading.enumerate() if thread.name.startswith("ahead")]


@given(st.lists(st.integers()))
def test_the_same_items_in_order(items):
    """All of them, each once; no thread is left at the end."""
    assert list(ahead(items)) == items
    assert not running()


def test_the_next_is_made_while_one_is_worked_on():
    """In another thread, and before it is asked for."""
    maker = Maker(3)
    with closing(ahead(maker)) as items:
        assert next(items) == 1
        until(lambda: maker.made == 2, "the second item, which nobody asked for yet")
    assert threading.get_ident() not in maker.threads


@pytest.mark.parametrize("taken", [1, 2, 5])
def test_one_is_made_in_advance(taken):
    """Closed early, at most one item more was made than were taken, and nothing runs any more."""
    maker = Maker(100)
    with closing(ahead(maker)) as items:
        for number in range(1, taken + 1):
            assert next(items) == number
    assert taken <= maker.made <= taken + 1
    assert not running()


def test_nothing_is_made_of_what_nobody_asks_for():
    """Closed before the first was taken, nothing was made."""
    maker = Maker(100)
    ahead(maker).close()
    assert maker.made == 0


@pytest.mark.parametrize("at", [1, 2, 3])
def test_what_making_one_raises_taking_it_raises(at):
    """Items before it were given; then it ends, without a thread."""
    given_before = []
    with pytest.raises(ValueError, match=f"number {at}"):
        given_before.extend(ahead(Maker(5, fails_at=at)))
    assert given_before == list(range(1, at))
    assert not running()


def test_what_the_next_raises_does_not_spoil_the_one_before():
    """Closed in time, nobody hears of an item that could not be made."""
    maker = Maker(5, fails_at=3)
    with closing(ahead(maker)) as items:
        assert [next(items), next(items)] == [1, 2]
    assert maker.made <= 3
    assert not running()
