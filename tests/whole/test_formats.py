"""Each way to write events, and each kind of user and code, from a real topic to a real server."""

import copy
import gzip
import itertools
import json
from collections import Counter

import pytest

from tests.parts import events as made
from tests.parts import oracle
from tests.parts.bridging import (
    Bridge,
    command,
    configuration,
    dead_letters,
    delivered,
    differences,
    end,
    produce,
    stream,
)
from tests.parts.events import Load

pytestmark = [pytest.mark.kafka, pytest.mark.sshd]

RENAMED = {
    "user_id": "uid",
    "mobile": "is_device",
    "remove_all": "wipe",
    "segments": "memberships",
    "event_time": "at",
}
"""`fields` of topics that call things otherwise."""

SESSION = 6_000
"""The shortest that Kafka grants a member to be silent, ms."""


def renamed(event):
    """The event as such a topic writes it."""
    return {RENAMED.get(name, name): value for name, value in event.items()}


def renamed_schema():
    """The product's schema with such names, another order, and a field that is nothing to us."""
    schema = made.schema()
    fields = [field | {"name": RENAMED.get(field["name"], field["name"])} for field in schema["fields"]]
    return schema | {"fields": [{"name": "campaign", "type": "string"}, *reversed(fields)]}


def topics(directory):
    """Settings and encoder of a stream for each format; half of them with names of their own."""
    own, other = directory / "own.avsc", directory / "other.avsc"
    own.write_text(json.dumps(made.schema()))
    other.write_text(json.dumps(renamed_schema()))
    foreign = made.avro(renamed_schema())
    single = made.avro_single_object(made.schema())
    return {
        "json": ({"fields": RENAMED}, lambda event: made.json_text(renamed(event))),
        "avro": (
            {"fields": RENAMED, "schema": str(other)},
            lambda event: foreign(renamed(event) | {"campaign": "spring"}),
        ),
        "avro-single-object": ({"schema": str(own)}, single),
        "avro-confluent": ({}, made.avro_confluent(made.schema(), 7)),
    }


def test_every_format_says_the_same(kafka, sshd, registry, tmp_path):
    """The same events in four formats, two of them with other field names, make the same state four times."""
    registry.schemas = {7: json.dumps(made.schema())}
    load = Load(events=20_000, users=2_000)
    want, streams = {}, []
    for number, (form, (settings, encode)) in enumerate(topics(tmp_path).items()):
        topic, namespace = f"formats.{form}", f"s{number}"
        kafka.create_topic(topic, 4)
        placed = produce(kafka, topic, made.make(load, 11), encode)
        want |= oracle.last_write_wins(placed, segment_namespace=namespace)
        streams.append(stream(topic, format=form, segment_namespace=namespace, **settings))
    config = configuration(kafka, sshd, tmp_path, streams, schema_registry={"url": registry.url})
    bridge = Bridge(tmp_path, config)
    bridge.drain()
    assert len(want) == 8
    assert oracle.same(oracle.fold(delivered(sshd)), want) == []
    assert dead_letters(config) == []


def second_schema():
    """The hashed schema of a producer that has moved on: a further field in events and elements."""
    schema = copy.deepcopy(made.schema(hashed=True))
    segments = next(field for field in schema["fields"] if field["name"] == "segments")
    score = {"name": "score", "type": "double", "default": 0.5}
    segments["type"]["items"]["fields"].insert(1, score)
    campaign = {"name": "campaign", "type": ["null", {"type": "map", "values": "long"}], "default": None}
    schema["fields"].insert(2, campaign)
    return schema


def alternating():
    """Every other value is written with the second schema."""
    second = made.avro_confluent(second_schema(), 71)
    first = made.avro_confluent(made.schema(hashed=True), 70)
    numbers = itertools.count()

    def encode(event):
        return second(event | {"campaign": {"spring": 1}}) if next(numbers) % 2 else first(event)

    return encode


def of_partners():
    """Events of a partner's users, some of whom are in so many segments that a line cannot hold them."""
    load = Load(events=60_000, users=5_000, hashed=True, user_namespace="xy", clients=(None, "Acme"))
    events = made.make(load, 12)
    for number, event in enumerate(events):
        if number % 2:
            event["user_namespace"] = None
    many = []
    for user in ["!" * 256, *(f"Many/{number}" for number in range(20))]:
        for part in range(4):
            codes = [f"long-{part}-{number}" for number in range(300)]
            elements = [{"segment_id": code, "timestamp": 1_789_000_000} for code in codes]
            plain = {"mobile": False, "client": None, "user_namespace": None, "segment_namespace": None}
            many.append(
                plain
                | {"user_id": user, "remove_all": False, "segments": elements}
                | {"event_time": load.start + part}
            )
    return events[:30_000] + many + events[30_000:]


@pytest.mark.failure(32, 36)
def test_a_partners_users_and_codes_while_the_registry_is_down(kafka, sshd, registry, tmp_path):
    """Everything at once that can be different, and the registry is away for longer than a member may be.

    Two schema ids alternate; nothing is skipped, and the group never takes the member for dead.
    """
    registry.schemas = {70: json.dumps(made.schema(hashed=True)), 71: json.dumps(second_schema())}
    registry.stop()
    topic = "formats.partner"
    kafka.create_topic(topic, 4)
    placed = produce(kafka, topic, of_partners(), alternating())
    settings = {
        "format": "avro-confluent",
        "user_namespace": "xy",
        "user_table_id": "1234",
        "clients": ["Acme"],
        "segment_namespace": "hh",
        "hash_segments": True,
    }
    config = configuration(
        kafka, sshd, tmp_path, [stream(topic, **settings)], schema_registry={"url": registry.url}
    )
    config["kafka"]["properties"] = {"session.timeout.ms": SESSION, "max.poll.interval.ms": SESSION}
    bridge = Bridge(tmp_path, config)
    process = bridge.start("--until-end")
    try:
        bridge.wait_for("registry_unreachable", 6)  # their pauses, 0.5 s doubled, are longer than SESSION
        assert delivered(sshd) == []
        registry.start()
        assert process.wait(120) == 0, bridge.tail()
    finally:
        end(process)
    defaults = {"user_namespace": "xy", "table_ids": {"xy": "1234"}, "segment_namespace": "hh"}
    assert differences(sshd, placed, hashed=True, **defaults) == []
    assert dead_letters(config) == []
    assert len(bridge.events("partitions_assigned")) == 1
    assert bridge.events("partitions_lost") == []
    assert sorted(set(registry.requests)) == [70, 71]
    check_headers(sshd)
    check_long_users(sshd)
    checked = command("file", "check", *map(str, delivered(sshd)))
    assert checked.returncode == 0, checked.stdout + checked.stderr


def check_headers(sshd):
    """The table's id stands between the two namespaces, and nothing else does."""
    for path in delivered(sshd):
        header = gzip.decompress(path.read_bytes()).split(b"\n\n")[0].split(b"\n")
        assert header[3:6] == [b"UserNamespace: xy", b"UserTableId: 1234", b"SegmentNamespace: hh"]
        assert header[7] == b"HashSegments: 1"


def check_long_users(sshd):
    """Users of more than a line have further lines; the oracle has checked their length and order."""
    lines = Counter()
    for path in delivered(sshd):
        lines.update(user for user, _, __ in oracle.read(path).rows)
    assert {user for user in lines if user.startswith(("Many/", "!"))} == {
        "!" * 256,
        *(f"Many/{number}" for number in range(20)),
    }
    assert all(count >= 3 for user, count in lines.items() if user.startswith(("Many/", "!")))
