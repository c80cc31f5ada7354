"""Which events have segments that nobody can buy, and how they are counted, against a plain reading."""

from collections import Counter
from dataclasses import dataclass, field

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.audience import rows
from bridge.audience.roster import Roster
from bridge.config import Stream
from bridge.ingest.events import events_schema
from bridge.ingest.validate import Validator
from bridge.segments.codes import Codes, Sighting

NOW = 1_800_000_000_000
USER = "2c3753c5-9a67-4600-f044-a5d7e0c5f6d7"


@dataclass
class Standing:
    """The codes of a taxonomy that does not change."""

    known: Codes

    def codes(self):
        return self.known

    def see(self, sighting, day):
        """Nothing."""


@dataclass
class Plain:
    """What a plain reading of the rule says of some events."""

    refused: list[int] = field(default_factory=list)
    unknown: Counter = field(default_factory=Counter)
    used: set = field(default_factory=set)


def stream(*, hashed, unknown_segments):
    return Stream(
        name="a",
        topics=("t",),
        format="json",
        segment_namespace="ep",
        hash_segments=hashed,
        unknown_segments=unknown_segments,
    )


def frame(events, *, hashed):
    listed = [
        {
            "index": index,
            "user_id": USER,
            "mobile": False,
            "client": None,
            "user_namespace": None,
            "segment_namespace": None,
            "remove_all": remove_all,
            "segments": [{"segment_id": segment, "timestamp": at} for segment, at in segments],
            "event_time": event_time,
        }
        for index, (segments, remove_all, event_time) in enumerate(events)
    ]
    return pl.DataFrame(listed, schema=events_schema(hashed=hashed))


def plain(events, known, *, refuse):
    """One event after the other; one of event time 0 is refused by another rule: its segments say nothing."""
    told = Plain()
    for index, (segments, _, event_time) in enumerate(events):
        if event_time == 0:
            continue
        for segment, _ in segments:
            if segment in known:
                told.used.add(segment)
            else:
                told.unknown[segment] += 1
        if refuse and any(segment not in known and at != rows.REMOVE for segment, at in segments):
            told.refused.append(index)
    return told


def events_of(segments):
    element = st.tuples(segments, st.sampled_from([0, -1, 1_700_000_000]))
    event = st.tuples(
        st.lists(element, min_size=1, max_size=4), st.booleans(), st.sampled_from([NOW, NOW, 0])
    )
    return st.lists(event, max_size=8)


NUMBERS = st.integers(min_value=1, max_value=12) | st.sampled_from([2**31 - 1, 1_000])
TEXTS = st.sampled_from(["a", "b", "B", "7", "07", "~", "\u0021x"])


@given(data=st.data(), hashed=st.booleans(), refuse=st.booleans())
def test_each_event_is_judged_and_counted_as_a_plain_reading_does(data, hashed, refuse):
    """Refused are the events that add a segment which the taxonomy does not hold, only where it is set so.

    Counted is every membership of such a segment, removals and those of refused events too, but for events
    that another rule refuses; every other code counts as used. Rows are those of the events that stay.
    """
    segments = TEXTS if hashed else NUMBERS
    events = data.draw(events_of(segments))
    known = data.draw(st.sets(segments, min_size=1, max_size=6))
    codes = Codes(map(str, known), hashed=hashed)
    judged = Validator(
        stream(hashed=hashed, unknown_segments="refuse" if refuse else "keep"), Roster(), Standing(codes)
    ).sort_out(frame(events, hashed=hashed), NOW)
    expected = plain(events, known, refuse=refuse)
    reasons = {refusal.index: str(refusal.reason) for refusal in judged.refused}
    assert [index for index, reason in reasons.items() if reason == "unknown_segment"] == expected.refused
    kept = {index for one in judged.frames for index in one["index"]}
    assert kept | reasons.keys() == set(range(len(events)))
    assert not kept & reasons.keys()
    if not events:
        return
    sighting = judged.sighting
    assert dict(sighting.unknown.select("segment", "memberships").rows()) == expected.unknown
    assert sighting.memberships == expected.unknown.total()
    assert set(codes.values.gather(sighting.used)) == expected.used


@pytest.mark.failure(65)
def test_the_same_events_without_a_taxonomy_or_before_it_is_known_are_all_kept():
    """Nothing is unknown where nothing is known; refusing does not begin before the taxonomy is there."""
    events = frame([([(5, 0)], False, NOW)], hashed=False)
    for watch in (None, Standing(Codes((), hashed=False))):
        judged = Validator(stream(hashed=False, unknown_segments="refuse"), Roster(), watch).sort_out(
            events, NOW
        )
        assert (judged.refused, judged.sighting) == ((), None)
        assert sum(map(len, judged.frames)) == 1


def test_a_refusal_names_the_code_where_it_is_a_number():
    """A number is told; a text is not, as it may be anything: a user's id, by mistake."""
    for hashed, segment in ((False, 5), (True, USER)):
        judged = Validator(
            stream(hashed=hashed, unknown_segments="refuse"),
            Roster(),
            Standing(Codes(["7"], hashed=hashed)),
        ).sort_out(frame([([(segment, 0)], False, NOW)], hashed=hashed), NOW)
        (refusal,) = judged.refused
        assert ("segment 5 is" in refusal.detail) is not hashed
        assert USER not in refusal.detail


@given(st.sets(NUMBERS, max_size=8), st.lists(NUMBERS, max_size=20))
def test_a_number_stands_at_its_position_or_nowhere(known, asked):
    """Positions are those of the ascending codes; of others -1, beyond the largest and the smallest too."""
    ascending = sorted(known)
    found = Codes(map(str, known), hashed=False).positions(pl.Series(asked, dtype=pl.Int64))
    assert found.tolist() == [ascending.index(one) if one in known else -1 for one in asked]


def test_a_sighting_of_nothing_is_nothing():
    """A batch whose events have no segments of their own uses no code and has none that is unknown."""
    sighting = Codes(["1"], hashed=False).sight(pl.Series([], dtype=pl.Int64))
    assert isinstance(sighting, Sighting)
    assert (sighting.memberships, sighting.used.tolist()) == (0, [])
