"""Sorting a window."""

from dataclasses import replace

import polars as pl
from hypothesis import given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from bridge.audience.merge import latest
from bridge.audience.rows import schema
from bridge.spool.sorting import sorted_shards
from tests.parts.audiences import DISPLAY, HASHED

WRITES = st.tuples(st.integers(0, 6), st.integers(0, 3), st.integers(0, 3), st.integers(0, 9))


@settings(max_examples=30)
@given(st.lists(WRITES, max_size=60))
def test_small_shards_sorted_together_are_as_each_alone(writes):
    """However audiences are grouped for sorting, each has its own winners, sorted, and no row of another."""
    shards = {}
    for place, (number, user, segment, time) in enumerate(writes):
        audience = replace(HASHED if number > 4 else DISPLAY, client=f"c{number}")
        shards.setdefault(audience, []).append((user, segment, time, place))
    frames = {audience: small_frame(audience, some) for audience, some in shards.items()}
    for size in (1, 5, 1_000):
        found = {}
        for audience, piece in sorted_shards(frames, size):
            found.setdefault(audience, []).append(piece)
        assert list(found) == sorted(frames)
        for audience, pieces in found.items():
            assert_frame_equal(pl.concat(pieces), latest(audience, frames[audience]))


def small_frame(audience, some):
    """Rows of (user, segment, event time, offset); segment 0 is a remove_all."""
    users = [user for user, _, _, _ in some]
    ids = {"hi": users, "lo": users} if audience.uuids else {"user": [f"u{user}" for user in users]}
    segments = [segment for _, segment, _, _ in some]
    columns = {
        "segment": [f"{segment or ''}" for segment in segments] if audience.hashed else segments,
        "timestamp": [0 if segment else -1 for segment in segments],
        "event_time": [time for _, _, time, _ in some],
        "source": [1] * len(some),
        "partition": [0] * len(some),
        "offset": [offset for _, _, _, offset in some],
    }
    return pl.DataFrame(ids | columns, schema=schema(audience))
