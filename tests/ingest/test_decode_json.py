import gc
import json
import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bridge.config import Stream
from bridge.errors import UsageError
from bridge.ingest.decode import decoder_for
from bridge.ingest.events import Reason, events_schema
from tests.ingest import judge
from tests.parts import events as made

SMALLEST = {"user_id": "u", "event_time": 5}


def decoder(**settings_):
    return decoder_for(
        Stream(name="s", topics=("t",), format="json", segment_namespace="ep", **settings_), None
    )


def some(count, **load):
    return made.make(made.Load(events=count, clients=(None, "Acme"), **load), 1)


def reasons(decoded):
    return {refusal.index: refusal.reason for refusal in decoded.refused}


def read_one(value, **settings_):
    """The event of a value, or its refusal."""
    decoded = decoder(**settings_).decode([value])
    return judge.rows(decoded).get(0) or decoded.refused[0]


@pytest.mark.parametrize("hashed", [False, True])
def test_events_come_out_as_they_went_in(hashed):
    """All fields of many events, elements in their order."""
    events = some(500, hashed=hashed)
    decoded = decoder(hash_segments=hashed).decode([made.json_text(event) for event in events])
    assert decoded.refused == ()
    assert decoded.events.schema == events_schema(hashed=hashed)
    assert list(judge.rows(decoded).values()) == [
        judge.FIELDS | {name: event[name] for name in judge.FIELDS if name in event} for event in events
    ]


@pytest.mark.parametrize(
    "text",
    [
        '{"user_id":"u","event_time":5}',
        '  {"event_time":5,"user_id":"u","mobile":null,"segments":null,"remove_all":null,"client":null}\n',
        '{"user_id":"other","user_id":"u","event_time":5,"more":{"a":[1,{"b":1e999}]},"segments":[]}',
    ],
)
def test_optional_fields_further_ones_and_repeated_ones(text):
    """What is missing or null has its default, what is not ours is skipped, the last of a key counts."""
    assert read_one(text.encode()) == judge.FIELDS | SMALLEST


@pytest.mark.failure(33)
@pytest.mark.parametrize(
    "value",
    [
        b"",
        b"null",
        b"[]",
        b'"u"',
        b"{",
        b"\xef\xbb\xbf" + json.dumps(SMALLEST).encode(),
        json.dumps(SMALLEST).encode() + b" x",
        json.dumps(SMALLEST).encode().replace(b"u", b"\xff", 1),
        b'{"user_id":"\xff","event_time":5}',
        b'{"user_id":"\xed\xa0\x80","event_time":5}',
        rb'{"user_id":"\ud800","event_time":5}',
        b'{"user_id":"u"}',
        b'{"event_time":5}',
        b'{"user_id":null,"event_time":5}',
        b'{"user_id":7,"event_time":5}',
        b'{"user_id":"u","event_time":"5"}',
        b'{"user_id":"u","event_time":5.0}',
        b'{"user_id":"u","event_time":true}',
        b'{"user_id":"u","event_time":9223372036854775808}',
        b'{"user_id":"u","event_time":-9223372036854775809}',
        b'{"user_id":"u","event_time":1' + b"0" * 6_000 + b"}",
        b'{"user_id":"u","event_time":5,"mobile":"no"}',
        b'{"user_id":"u","event_time":5,"mobile":0}',
        b'{"user_id":"u","event_time":5,"segments":{}}',
        b'{"user_id":"u","event_time":5,"segments":[null]}',
        b'{"user_id":"u","event_time":5,"segments":[{"segment_id":1}]}',
        b'{"user_id":"u","event_time":5,"segments":[{"segment_id":"1","timestamp":0}]}',
        b'{"user_id":"u","event_time":5,"segments":[{"segment_id":1,"timestamp":99999999999999999999}]}',
        b'{"user_id":"u","event_time":5,"x":' + b"[" * 100_000 + b"]" * 100_000 + b"}",
    ],
)
def test_what_is_no_event_is_undecodable_among_good_ones(value):
    """A bad value is refused where it stands, and its neighbours are read."""
    good = json.dumps(SMALLEST).encode()
    decoded = decoder().decode([good, value, good])
    assert reasons(decoded) == {1: Reason.UNDECODABLE}
    assert judge.rows(decoded) == dict.fromkeys((0, 2), judge.FIELDS | SMALLEST)


def test_the_ends_of_64_bits():
    """Whole numbers of 64 bits are taken as they are."""
    element = {"segment_id": 2**63 - 1, "timestamp": -(2**63)}
    value = {"user_id": "u", "event_time": 2**63 - 1, "segments": [element]}
    assert read_one(json.dumps(value).encode()) == judge.FIELDS | value


@pytest.mark.failure(33)
@settings(max_examples=60)
@given(st.lists(st.tuples(st.integers(0, 99), st.integers(0, 150), st.integers(0, 255)), max_size=5))
def test_good_events_survive_around_damaged_ones(faults):
    """Changed bytes touch their own event only."""
    events = some(100)
    values = [made.json_text(event) for event in events]
    clean = judge.rows(decoder().decode(values))
    for at, place, byte in faults:
        value = bytearray(values[at])
        value[place % len(value)] = byte
        values[at] = bytes(value)
    touched = {at for at, _, _ in faults}
    decoded = decoder().decode(values)
    found = judge.rows(decoded)
    assert {at: row for at, row in found.items() if at not in touched} == {
        at: row for at, row in clean.items() if at not in touched
    }
    assert sorted([*found, *reasons(decoded)]) == list(range(100))
    assert set(reasons(decoded)) <= touched
    assert decoded.events["index"].is_sorted()


def test_details_hold_nothing_of_the_value():
    """What a refusal says names kinds and places, no values."""
    bad = [
        b'{"user_id":"secret","event_time":"secret"}',
        b'{"user_id":"secret\xff","event_time":1}',
        b"secret",
    ]
    decoded = decoder().decode(bad)
    assert len(decoded.refused) == len(bad)
    assert not any("secret" in refusal.detail for refusal in decoded.refused)
    assert "event_time" in decoded.refused[0].detail


def test_fields_of_other_names():
    """`fields` maps our names to the topic's; a name given away is no longer the other field's."""
    names = {"user_id": "uid", "client": "mobile", "segments": "s", "segment_id": "id", "timestamp": "at"}
    value = {"uid": "u", "mobile": "Acme", "event_time": 5, "s": [{"id": 3, "at": -1}], "user_id": 7}
    assert read_one(json.dumps(value).encode(), fields=names) == judge.FIELDS | SMALLEST | {
        "client": "Acme",
        "segments": [{"segment_id": 3, "timestamp": -1}],
    }


def test_a_needed_name_given_away():
    """Where `fields` leaves no name for a needed field, it is a fault of the configuration."""
    with pytest.raises(UsageError, match=r"fields\.event_time"):
        decoder(fields={"client": "event_time"})


@pytest.mark.failure(36)
def test_too_large():
    """A value above max_event_bytes is refused before it is read; one of just as many bytes is not."""
    good = json.dumps(SMALLEST).encode()
    decoded = decoder(max_event_bytes=len(good)).decode([good + b" ", good, b"x" * (len(good) + 1)])
    assert reasons(decoded) == {0: Reason.TOO_LARGE, 2: Reason.TOO_LARGE}
    assert judge.rows(decoded) == {1: judge.FIELDS | SMALLEST}


def test_nothing_and_nothing_good():
    """No values, or none that is an event, give empty columns."""
    for values in ([], [b"x", b"y"]):
        decoded = decoder().decode(values)
        assert (len(decoded.events), len(decoded.refused)) == (0, len(values))
        assert decoded.events.schema == events_schema(hashed=False)


def test_calls_do_not_grow_with_events():
    """Twice the events take not one Python call more."""
    values = [made.json_text(event) for event in some(20_000)]
    reader = decoder()
    reader.decode(values)

    def calls(some_values):
        entered = 0

        def watch(_frame, what, _argument):
            nonlocal entered
            entered += what == "call"

        gc.disable()  # Hypothesis is called back at each collection
        sys.setprofile(watch)
        try:
            reader.decode(some_values)
        finally:
            sys.setprofile(None)
            gc.enable()
        return entered

    first = calls(values[:10_000])
    assert calls(values) == first
    assert first < 3_000
