"""Lines of an audience file, byte for byte."""

from itertools import pairwise

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bridge.audience.line_limit import LINE_LIMIT
from bridge.audience.lines import render
from bridge.audience.merge import latest
from bridge.audience.rows import schema
from tests.parts.audiences import DISPLAY, HASHED

SEED_ROWS = b"""\
2c3753c5-9a67-4600-f044-a5d7e0c5f6d7 10001:0 10003:0 10005:1406850980
3d3353c3-9a67-4651-a443-a6d7e1c4fde8 10002:-1
4e2754c5-5562-4601-1742-a9d7e2c3fef9 10002:0
4a5124c5-aab1-3222-1154-a2d7f2a33ef9 -1 10002:0
7a513b12-ab1b-3fe2-bc54-a5d7f2a33911 -1 9999999:0
"""


def rows(audience, memberships):
    """Columns of (user, segment, timestamp)."""
    users = [user for user, _, _ in memberships]
    halves = [(user >> 64, user & (1 << 64) - 1) for user in users] if audience.uuids else []
    ids = (
        {"hi": [hi for hi, _ in halves], "lo": [lo for _, lo in halves]}
        if audience.uuids
        else {"user": users}
    )
    order = {name: [1] * len(users) for name in ("event_time", "source", "partition", "offset")}
    columns = {
        "segment": [segment for _, segment, _ in memberships],
        "timestamp": [timestamp for _, _, timestamp in memberships],
    }
    return latest(audience, pl.DataFrame(ids | columns | order, schema=schema(audience)))


def test_the_seeds_example_rows_come_out_byte_for_byte():
    """The five rows of the seed's example file, in sorted order."""
    memberships = []
    for line in SEED_ROWS.decode().splitlines():
        user, *tokens = line.split()
        for token in tokens:
            segment, _, timestamp = ("0:-1" if token == "-1" else token).partition(":")
            if segment != "9999999":
                memberships.append((int(user.replace("-", ""), 16), int(segment), int(timestamp)))
    lines = render(DISPLAY, rows(DISPLAY, memberships), "9999999")
    assert lines.text == b"".join(sorted(SEED_ROWS.splitlines(keepends=True)))
    assert lines.memberships == 6


def test_removals_behind_a_leading_removal_are_left_out():
    """-1 removes from everything: nothing of that is said again; without adds the placeholder stands."""
    memberships = [(1, 0, -1), (1, 5, -1), (1, 6, 0), (2, 0, -1), (2, 5, -1), (3, 5, -1)]
    text = render(DISPLAY, rows(DISPLAY, memberships), "77").text.decode().splitlines()
    assert [line.split(" ", 1)[1] for line in text] == ["-1 6:0", "-1 77:0", "5:-1"]


@pytest.mark.failure(36)
@settings(max_examples=40)
@given(st.lists(st.tuples(st.integers(1, 3), st.integers(1, 900), st.integers(1, 20))), st.booleans())
def test_a_long_user_goes_on_in_further_lines(shapes, wiped):
    """Each line is below 8,000 characters with its end, repeats the id, is full, and nothing is lost."""
    memberships = [
        (f"user-{user}", f"s{segment:0{width}}", 0)
        for user, segment, width in shapes
        for segment in range(segment)
    ]
    if wiped and memberships:
        memberships.append((memberships[0][0], "", -1))
    frame = rows(HASHED, memberships)
    lines = render(HASHED, frame, "gone").text.decode().split("\n")
    assert lines.pop() == ""
    assert all(len(line) + 1 < LINE_LIMIT for line in lines)
    for line, following in pairwise(lines):
        if line.split()[0] == following.split()[0]:
            assert len(line) + len(following.split()[1]) + 2 >= LINE_LIMIT
    said = [(line.split()[0], token) for line in lines for token in line.split()[1:]]
    wanted = [
        (user, f"{segment}:0" if segment else "-1")
        for user, segment in frame.select("user", "segment").rows()
    ]
    assert said == wanted


@given(st.integers(0, 400))
def test_cutting_keeps_users_whole(size):
    """The text is cut at a user's end, and what fits is as long as it can be."""
    memberships = [(user, segment, 0) for user in range(5) for segment in range(1, user + 2)]
    lines = render(DISPLAY, rows(DISPLAY, memberships), "77")
    fitting, rest = lines.cut(size)
    assert fitting.text + rest.text == lines.text
    assert len(fitting.text) <= size
    assert not rest.text or len(fitting.text + rest.text.split(b"\n")[0]) + 1 > size
