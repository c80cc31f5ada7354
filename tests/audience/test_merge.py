"""merge.latest against the rule written out for one user at a time."""

import polars as pl
from hypothesis import given
from hypothesis import strategies as st

from bridge.audience.merge import latest
from tests.parts.audiences import DISPLAY, HASHED, frame

writes = st.lists(
    st.tuples(
        st.integers(0, 2),  # user
        st.integers(0, 3),  # segment; 0 is a remove_all
        st.sampled_from([0, -1, 1_400_000_000]),
        st.integers(1, 4),  # event time
        st.integers(0, 1),  # source
        st.integers(0, 1),  # partition
        st.integers(0, 5),  # offset
    ),
    max_size=25,
    unique_by=lambda row: (row[0], row[1], *row[3:]),
)


def winners(rows):
    """The rule: the last write of each user's segment, unless a later remove_all wiped it."""
    last = {}
    for row in rows:
        if (row[0], row[1]) not in last or row[3:] > last[row[0], row[1]][3:]:
            last[row[0], row[1]] = row
    return [
        row
        for (user, segment), row in sorted(last.items())
        if segment == 0 or (user, 0) not in last or row[3:] >= last[user, 0][3:]
    ]


@given(writes)
def test_the_last_write_of_each_segment_wins(rows):
    """One row a user and segment stays, none older than its user's remove_all; sorted, remove_all first."""
    for audience in (DISPLAY, HASHED):
        merged = latest(audience, frame(audience, rows))
        expected = [(*row[:2], -1 if row[1] == 0 else row[2], *row[3:]) for row in winners(rows)]
        assert merged.equals(frame(audience, expected))


@given(writes, st.integers(0, 25))
def test_merging_in_steps_gives_what_merging_at_once_gives(rows, cut):
    """Runs may be merged in any grouping: latest(latest(a) + b) is latest(a + b)."""
    first, second = frame(DISPLAY, rows[:cut]), frame(DISPLAY, rows[cut:])
    stepwise = latest(DISPLAY, pl.concat([latest(DISPLAY, first), latest(DISPLAY, second)]))
    assert stepwise.equals(latest(DISPLAY, pl.concat([first, second])))


def test_of_two_copies_of_one_write_the_newer_run_stays():
    """An event read again after an operator's reset is pending again, though its first copy was delivered."""
    row = (1, 1, 0, 1, 0, 0, 0)
    twice = frame(DISPLAY, [row, row]).with_columns(run=pl.Series([9, 5], dtype=pl.UInt32))
    assert latest(DISPLAY, twice)["run"].to_list() == [9]
