"""Last writes found by sorting numbers."""

import numpy as np
import polars as pl
from hypothesis import given
from hypothesis import strategies as st

from bridge.audience.merge import latest
from bridge.audience.ranking import last_writes
from bridge.audience.rows import ORDER, schema
from tests.parts.audiences import DISPLAY

HALVES = st.sampled_from([0, 1, 2**32, 2**63, 2**64 - 1])
WRITES = st.tuples(HALVES, st.integers(1, 3), st.integers(0, 3), st.integers(0, 1), st.integers(0, 1))


def frame(writes, lower):
    """Rows of (upper half, segment, event time, source, partition); each has an offset of its own."""
    columns = dict(
        zip(("hi", "segment", "event_time", "source", "partition"), zip(*writes, strict=True), strict=True)
    )
    more = {"lo": [lower(row) for row in writes], "timestamp": 0, "offset": range(len(writes))}
    return pl.DataFrame(columns | more, schema=schema(DISPLAY))


@given(st.lists(WRITES, min_size=1, max_size=40))
def test_it_finds_what_a_sort_by_all_columns_finds(writes):
    """Users who differ in the upper half: the last write of each segment, by user and segment."""
    rows = frame(writes, lambda row: row[0] ^ 5)
    every = rows.sort("hi", "lo", "segment", *ORDER)
    wanted = every.group_by("hi", "segment", maintain_order=True).last()
    found = rows[last_writes(rows, ORDER)]
    assert found.select(wanted.columns).equals(wanted)


@given(st.lists(WRITES, min_size=1, max_size=40))
def test_users_with_the_same_upper_half(writes):
    """It says that it cannot help where two users share a half; merging them is right all the same."""
    rows = frame(writes, lambda row: row[3])
    shared = rows.group_by("hi").agg(pl.col("lo").n_unique())["lo"].max() > 1
    assert (last_writes(rows, ORDER) is None) == shared
    wanted = rows.sort("hi", "lo", "segment", *ORDER).group_by("hi", "lo", "segment", maintain_order=True)
    assert latest(DISPLAY, rows).equals(wanted.last().select(rows.columns))


def test_many_rows():
    """A load as it is: many users, some segments written again and again."""
    rng = np.random.default_rng(1)
    halves = rng.integers(0, 2**64, 500, dtype=np.uint64)
    user, size = rng.integers(0, 500, 20_000), 20_000
    columns = {
        "hi": halves[user],
        "lo": halves[user][::1] ^ np.uint64(7),
        "segment": rng.integers(1, 20, size),
        "timestamp": np.zeros(size),
        "event_time": rng.integers(0, 50, size),
        "source": np.ones(size),
        "partition": rng.integers(0, 4, size),
        "offset": rng.permutation(size),
    }
    rows = pl.DataFrame(columns, schema=schema(DISPLAY))
    wanted = (
        rows.sort("hi", "lo", "segment", *ORDER).group_by("hi", "lo", "segment", maintain_order=True).last()
    )
    assert latest(DISPLAY, rows).equals(wanted.select(rows.columns))
