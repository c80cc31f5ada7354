"""Until when a table holds all of its topic: the rules, and the file that says so."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.sync.table import ends
from bridge.sync.table.ends import BEHIND_AFTER, Ends, is_behind
from tests.parts.identity import TOPIC, opened

OFFSETS = st.dictionaries(st.integers(0, 3), st.integers(0, 5))


@given(OFFSETS, OFFSETS)
def test_ends_are_reached_once_no_partition_has_a_message_below_its_end_that_is_not_read(offsets, positions):
    """Whatever was read of other partitions; an empty one need not be read."""
    missing = {at for at, end in offsets.items() for offset in range(end) if offset >= positions.get(at, 0)}
    assert Ends(asked_at=1, offsets=offsets).reached(positions) == (not missing)


@pytest.mark.parametrize(
    ("complete_at", "behind"), [(1000, False), (5000, False), (999, True), (None, True), (0, True)]
)
def test_a_table_is_behind_once_it_was_whole_longer_ago_than_is_normal(complete_at, behind):
    """Or never; a clock that was set back makes none older."""
    assert is_behind(complete_at, 1000 + BEHIND_AFTER) == behind


def test_when_it_was_whole_outlives_the_process_and_not_the_contents(tmp_path):
    """A table that is made anew holds nothing of its topic yet, nor does one that has fallen behind."""
    with opened(tmp_path) as table:
        assert table.complete_at is None
        table.completed(7)
        table.completed(9)
    with opened(tmp_path) as table:
        assert table.complete_at == 9
        table.falls_behind()
        assert table.complete_at is None
        table.completed(11)
        assert table.complete_at == 11
        table.restart(TOPIC, 12)
        assert table.complete_at is None


@pytest.mark.parametrize("data", [b"", b"soon\n", b"\xff"])
def test_a_file_that_says_nothing_is_none(tmp_path, data):
    """It only tells: within seconds it is written again."""
    (tmp_path / ends.FILE_NAME).write_bytes(data)
    assert ends.read(tmp_path) is None
