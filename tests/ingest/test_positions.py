"""How far reading came, held against the ends of `--until-end`."""

import pytest

from bridge.ingest.partition import Partition
from bridge.ingest.positions import Progress

HERE, THERE = Partition("acme", 0), Partition("acme", 1)


def test_complete_is_what_was_read_or_ended():
    """A partition that ends in a transaction's mark is never read to its end, but told of it."""
    progress = Progress({HERE: 5, THERE: 7, Partition("acme", 2): 0})
    progress.reach(HERE, 5)
    assert not progress.complete
    progress.end(THERE, 7)
    assert progress.complete


@pytest.mark.failure(20)
def test_what_was_polled_and_not_read_is_no_progress():
    """A partition that goes takes what waited of it along: its end is not reached, though it was told."""
    progress = Progress({HERE: 5})
    progress.end(HERE, 5)
    progress.drop([HERE])
    assert not progress.complete
    progress.reach(HERE, 5)
    assert progress.complete
