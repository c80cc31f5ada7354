"""The event maker: the same seed, the same events; the framing is the formats' own."""

import io
import json

import fastavro

from tests.parts.events import (
    Load,
    avro_confluent,
    avro_single_object,
    fingerprint,
    json_text,
    make,
    place,
    schema,
)

LOAD = Load(events=500, users=20, clients=(None, "Acme"))


def test_a_seed_gives_the_same_events_again() -> None:
    """Equal seeds, equal events; another seed, others."""
    assert make(LOAD, 1) == make(LOAD, 1) != make(LOAD, 2)


def test_the_events_are_of_every_kind() -> None:
    """Late ones, removals, remove-alls, both kinds of device, every client and repeated ones are there."""
    events = make(LOAD, 1)
    times = [event["event_time"] for event in events]
    assert len(events) == 500
    assert times != sorted(times)
    assert {event["client"] for event in events} == {None, "Acme"}
    assert {event["mobile"] for event in events} == {event["remove_all"] for event in events} == {True, False}
    assert {-1, 0} < {element["timestamp"] for event in events for element in event["segments"]}
    assert len({json.dumps(event) for event in events}) < len(events)


def test_offsets_count_up_in_each_partition() -> None:
    """`place` numbers the events of a partition from 0 in their order."""
    placed = place(make(LOAD, 1), "t", 3, 1)
    for partition in range(3):
        offsets = [event["offset"] for event in placed if event["partition"] == partition]
        assert offsets == list(range(len(offsets)))


def test_each_format_frames_the_same_body() -> None:
    """Byte 0 and the id; C3 01 and the fingerprint; then a body that fastavro reads back."""
    writer, event = schema(), make(LOAD, 1)[0]
    confluent, single = avro_confluent(writer, 300)(event), avro_single_object(writer)(event)
    assert confluent[:5] == b"\x00\x00\x00\x01\x2c"
    assert single[:2] == b"\xc3\x01"
    assert single[10:] == confluent[5:]
    read = fastavro.schemaless_reader(io.BytesIO(confluent[5:]), fastavro.parse_schema(writer))
    assert read["user_id"] == event["user_id"]
    assert read["segments"] == event["segments"]
    assert json.loads(json_text(event)) == event


def test_the_fingerprint_is_avros() -> None:
    """The Avro project's own example: "int" has 7275d51a3f395c8f."""
    assert fingerprint(b'"int"') == 0x7275D51A3F395C8F
