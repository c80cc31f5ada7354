"""What is remembered of segments: last days, unknown ones, and what both become on disk."""

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.errors import BridgeError
from bridge.segments import stored, unknown
from bridge.segments.codes import Codes
from bridge.segments.seen import REMEMBERED, Seen
from bridge.segments.unused import unused
from bridge.segments.watch import Watch

DAY = 20_000
"""Of the first look."""


def watching(*codes, day=DAY, hashed=False):
    return Seen.nothing(day, hashed=hashed).knowing(Codes(codes, hashed=hashed), day)


def seeing(seen, day, *segments):
    dtype = pl.String if seen.codes.hashed else pl.Int64
    return seen.after(seen.codes.sight(pl.Series(segments, dtype=dtype)), day).on(day)


def told(seen):
    return {code: (count, first, last) for code, count, first, last in seen.unknown.rows()}


def days(seen):
    return dict(zip(seen.codes.texts, seen.last_days.tolist(), strict=True))


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("see"), st.lists(st.integers(1, 9), max_size=6)),
        st.tuples(st.just("know"), st.sets(st.integers(1, 9), min_size=1, max_size=5)),
        st.tuples(st.just("days"), st.integers(1, 12) | st.integers(28, 31)),
    ),
    max_size=15,
)


@given(STEPS)
def test_the_record_is_that_of_a_plain_diary(steps):
    """Each code has the day it was last used and the one since it is watched, each unknown segment its count.

    A code that comes into the taxonomy is not unknown any more; one that leaves it is watched anew when it
    comes back; an unknown segment that did not come for 30 days is forgotten. It is the same when it was
    written and read between the steps.
    """
    seen, day = watching("1", "2"), DAY
    used, since, others = {1: 0, 2: 0}, {1: DAY, 2: DAY}, {}
    for what, argument in steps:
        if what == "see":
            seen = seeing(seen, day, *argument)
            for one in argument:
                if one in used:
                    used[one] = day
                else:
                    count, first, _ = others.get(one, (0, day, day))
                    others[one] = count + 1, first, day
        elif what == "know":
            seen = seen.knowing(Codes(map(str, argument), hashed=False), day)
            used = {one: used.get(one, 0) for one in argument}
            since = {one: since.get(one, day) for one in argument}
            others = {one: fields for one, fields in others.items() if one not in argument}
        else:
            day += argument
            seen = seen.on(day)
        others = {one: fields for one, fields in others.items() if fields[2] > day - REMEMBERED}
        seen = stored._record(stored.msgspec.json.decode(stored.encoded(seen.on(day)), type=stored._Stored))
    assert days(seen) == {str(one): last for one, last in used.items()}
    assert dict(zip(seen.codes.texts, seen.known_since.tolist(), strict=True)) == {
        str(one): first for one, first in since.items()
    }
    assert told(seen) == {str(one): fields for one, fields in others.items()}


@given(st.lists(st.lists(st.integers(0, 30), max_size=60), max_size=12))
def test_a_count_is_never_above_the_truth_and_little_below(batches):
    """With room for 5 codes: each count lacks at most a sixth of all, and the frequent ones are there."""
    most, truth, summary = 5, dict[str, int](), unknown.none()
    before, unknown.MOST = unknown.MOST, most
    try:
        for batch in batches:
            more = pl.DataFrame(
                [(str(one), batch.count(one), 1, 1) for one in set(batch)],
                schema=unknown.SCHEMA,
                orient="row",
            )
            summary = unknown.counted(summary, more)
            for one in batch:
                truth[str(one)] = truth.get(str(one), 0) + 1
    finally:
        unknown.MOST = before
    counts = dict(summary.select("code", "memberships").rows())
    lost = sum(truth.values()) / (most + 1)
    assert len(counts) <= most
    assert all(0 < count <= truth[code] for code, count in counts.items())
    assert all(counts.get(code, 0) >= count - lost for code, count in truth.items())
    if len(truth) <= most:
        assert counts == truth


def test_a_batch_that_shows_nothing_new_leaves_the_record_as_it_is():
    """So it is written once a day, not once a batch."""
    seen = seeing(watching("1", "2"), DAY, 1)
    assert seeing(seen, DAY, 1, 1) is seen
    assert seeing(seen, DAY + 1, 1) is not seen


def test_a_batch_that_an_older_taxonomy_judged_counts_by_the_new_one():
    """The taxonomy was read anew while the batch was judged: its codes have other positions by then."""
    old, new = Codes(["5", "7"], hashed=False), Codes(["1", "2", "7"], hashed=False)
    watch = Watch(watching("5", "7"))
    sighting = old.sight(pl.Series([7, 5]))
    watch.know(new, DAY)
    watch.see(sighting, DAY)
    assert days(watch.seen) == {"1": 0, "2": 0, "7": DAY}


def test_texts_are_kept_as_they_are(tmp_path):
    """Hashed codes outlive the file: no two become one, and digits stay texts."""
    seen = seeing(watching("07", "b", "B", "ü", hashed=True), DAY, "B", "7", "x y")
    path = tmp_path / "a.json"
    path.write_bytes(stored.encoded(seen))
    again = stored.load(path)
    assert days(again) == days(seen) == {"07": 0, "b": 0, "B": DAY, "ü": 0}
    assert told(again) == {"7": (1, DAY, DAY), "x y": (1, DAY, DAY)}
    assert [one.code for one in stored.load_unknown(path).unknown] == ["7", "x y"]


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{}",
        b"\xff",
        b'{"format":2,"hashed":false,"since":1,"until":1,"codes":[],"unknown":[]}',
        b'{"format":1,"hashed":false,"since":1,"until":1,"codes":[["x",1,1]],"unknown":[]}',
        b'{"format":1,"hashed":false,"since":1,"until":1,"codes":[["2",1,1],["1",1,1]],"unknown":[]}',
        b'{"format":1,"hashed":false,"since":1,"until":1,"codes":[["1",1,99999999999]],"unknown":[]}',
        b'{"format":1,"hashed":false,"since":1,"until":1,"codes":[],"unknown":[["x",1,1,1]]}',
    ],
)
def test_what_is_damaged_is_told_in_a_line(tmp_path, content):
    """Another version, half a file, codes that are none: the path, and that removing it is the remedy."""
    path = tmp_path / "a.json"
    path.write_bytes(content)
    with pytest.raises(BridgeError, match=r"a\.json is not what was written; remove it"):
        stored.load(path)


def test_none_is_there_yet(tmp_path):
    """Before the first run there is nothing, and that is no error."""
    assert stored.load(tmp_path / "a.json") is None
    assert stored.load_unknown(tmp_path / "a.json") is None


def codes_of(found):
    return [(one.code, one.last_day) for one in found.codes]


def test_a_code_is_unused_once_no_event_used_it_for_as_long_as_asked():
    """Those that never were come first; what is in the taxonomy for less than that is not told."""
    seen = seeing(watching("1", "2", "3"), DAY + 3, 2)
    seen = seen.knowing(Codes(["1", "2", "3", "9"], hashed=False), DAY + 35)
    seen = seeing(seen, DAY + 39, 3)
    found = unused([seen], 30)
    assert codes_of(found) == [("1", None), ("2", DAY + 3)]
    assert (found.days, found.watched, found.segments) == (30, 40, 4)
    assert codes_of(unused([seen], 37)) == [("1", None)]
    assert codes_of(unused([seen], 36)) == [("1", None), ("2", DAY + 3)]


def test_what_was_watched_for_less_is_told_for_as_long_as_it_was():
    """Asked for 30 days after 27, it answers for 27, and says so; on the first day, for that day."""
    seen = seeing(watching("1", "2"), DAY, 1)
    assert codes_of(unused([seen], 30)) == [("2", None)]
    found = unused([seeing(seen, DAY + 26, 2)], 30)
    assert (found.days, found.watched) == (27, 27)
    assert codes_of(found) == []


def test_a_code_that_any_stream_of_the_taxonomy_used_is_used():
    """Streams that share a taxonomy share what is used of it, and are watched since the last of them is."""
    one = seeing(watching("1", "2", "3"), DAY + 50, 1)
    other = seeing(watching("1", "2", "3", day=DAY + 10), DAY + 49, 2)
    found = unused([one, other], 30)
    assert codes_of(found) == [("3", None)]
    assert (found.since, found.until) == (DAY + 10, DAY + 50)


def test_days_beyond_the_clock_do_no_harm():
    """A clock that was set back leaves later days as they are."""
    seen = seeing(watching("1"), DAY + 5, 1)
    back = seeing(seen, DAY, 1)
    assert days(back) == {"1": DAY + 5}
    assert back.last_days.dtype == np.int32


def test_what_leaves_is_taken_from_what_stays(monkeypatch):
    """Of three codes with room for two, the third's count is what the others are told too low by."""
    monkeypatch.setattr(unknown, "MOST", 2)
    more = pl.DataFrame([("a", 5, 1, 1), ("b", 4, 1, 1), ("c", 1, 1, 1)], schema=unknown.SCHEMA, orient="row")
    found = unknown.counted(unknown.none(), more)
    assert found.select("code", "memberships").rows() == [("a", 4), ("b", 3)]
