"""Bad input between good: what can be delivered is, and what cannot is kept with its reason (contract.md)."""

import base64
import itertools
import json
import time
import urllib.request
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field

import pytest

from tests.parts import events as made
from tests.parts import oracle
from tests.parts.bridging import (
    Bridge,
    committed,
    configuration,
    dead_letters,
    delivered,
    end,
    messages,
    stream,
)
from tests.parts.waiting import free_port, until

pytestmark = [pytest.mark.kafka, pytest.mark.sshd]

NOW = int(time.time() * 1000)
HOUR = 3_600_000
NOBODY = "00000000-0000-0000-0000-000000000000"
SCHEMA = made.schema()
RECURSIVE = SCHEMA | {"fields": [*SCHEMA["fields"], {"name": "next", "type": ["null", SCHEMA["name"]]}]}
NULLS = SCHEMA | {
    "fields": [*SCHEMA["fields"], {"name": "nulls", "type": {"type": "array", "items": "null"}}]
}
HUGE = b"\xfe" + b"\xff" * 8 + b"\x01"
"""A number of Avro's: more than there is of anything."""
OTHER = {"type": "record", "name": "Other", "fields": [{"name": "weight", "type": "double"}]}
LARGEST = 1_000
"""`max_event_bytes` of the JSON topic."""

_numbers = itertools.count(1)


def event(**fields):
    """A good event of a user that no other has, but for what is said otherwise."""
    number = next(_numbers)
    plain = {
        "user_id": str(uuid.UUID(int=number << 64 | 0xA11CE)),
        "mobile": False,
        "client": None,
        "user_namespace": None,
        "segment_namespace": None,
        "remove_all": False,
        "segments": [{"segment_id": 10_000 + number, "timestamp": 0}],
        "event_time": NOW,
    }
    return plain | fields


def with_element(segment_id, timestamp=0):
    """An event whose second element is this one: the whole event stands or falls with it."""
    return event(
        segments=[{"segment_id": 1, "timestamp": 0}, {"segment_id": segment_id, "timestamp": timestamp}]
    )


def without(name):
    return {key: value for key, value in event().items() if key != name}


@dataclass(kw_only=True)
class Topic:
    """A stream, and what is written to its topic."""

    name: str
    settings: dict
    bad: list[tuple[str, bytes]]
    """Reason and value."""
    encode: Callable[[dict], bytes] = made.json_text
    good: Callable[[], dict] = event
    defaults: dict = field(default_factory=dict)
    """What the oracle must know of the stream."""

    def written(self) -> list[tuple[int, bytes | None, bytes | None, str | None, dict | None]]:
        """Partition, key, value, reason, good event: a good one before and after each bad one, tombstones."""
        rows = []
        for number, (reason, value) in enumerate(self.bad):
            partition = number % 2
            first, last = self.good(), self.good()
            rows += [
                (partition, None, self.encode(first), None, first),
                (partition, None if number % 3 else b"\xff\0key", value, reason, None),
                (partition, b"gone", None, None, None),
                (partition, b"key", self.encode(last), None, last),
            ]
        return rows


def in_json():
    """All reasons that a JSON topic can have."""
    encode = made.json_text
    full = encode(event())
    return Topic(
        name="bad.json",
        settings={"clients": ["Acme"], "max_event_bytes": LARGEST},
        bad=[
            ("undecodable", b""),
            ("undecodable", full[:-1]),
            ("undecodable", full + b"{}"),
            ("undecodable", full.replace(b"mobile", b"mob\xffle")),
            ("undecodable", encode(without("user_id"))),
            ("undecodable", encode(without("event_time"))),
            ("undecodable", encode(event(mobile="no"))),
            ("undecodable", encode(event(segments=[{"segment_id": "10001", "timestamp": 0}]))),
            ("too_large", full.ljust(LARGEST + 1)),
            ("invalid_user_id", encode(event(user_id="2c3753c5-9a67-4600-f044-a5d7e0c5f6d"))),
            ("invalid_user_id", encode(event(user_id="2c3753c59a674600f044a5d7e0c5f6d7"))),
            ("invalid_user_id", encode(event(user_id=NOBODY))),
            ("zero_device_id", encode(event(user_id=NOBODY, mobile=True))),
            ("unknown_client", encode(event(client="Globex"))),
            ("unknown_namespace", encode(event(user_namespace="xy"))),
            ("unknown_namespace", encode(event(segment_namespace="fq"))),
            ("no_segments", encode(event(segments=[]))),
            ("no_segments", encode(without("segments"))),
            ("invalid_segment_id", encode(with_element(0))),
            ("invalid_segment_id", encode(with_element(2**31))),
            ("invalid_segment_id", encode(with_element(9_999_999))),
            ("invalid_timestamp", encode(with_element(5, -2))),
            ("invalid_timestamp", encode(with_element(5, NOW))),
            ("invalid_event_time", encode(event(event_time=0))),
            ("invalid_event_time", encode(event(event_time=-NOW))),
            ("invalid_event_time", encode(event(event_time=NOW + 2 * HOUR))),
        ],
    )


def at_the_limits():
    """Events that are just still good."""
    large = event()
    limits = [
        event(user_id=event()["user_id"].upper()),
        event(user_id="FFFFFFFF-FFFF-FFFF-FFFF-FFFFFFFFFFFF", mobile=True, client="Acme"),
        event(user_id="00000000-0000-0000-0000-000000000001"),
        with_element(2**31 - 1, -1),
        with_element(1, 4_133_980_799),
        event(event_time=1),
        event(event_time=NOW + HOUR // 2),
    ]
    return [(made.json_text(one), one) for one in limits] + [(made.json_text(large).ljust(LARGEST), large)]


def hashed():
    """Codes that are no platform's."""
    codes = ["", "a:b", "a b", "caf\u00e9", "x" * 257, "9999999"]
    return Topic(
        name="bad.hashed",
        settings={"hash_segments": True, "segment_namespace": "hh"},
        bad=[("invalid_segment_id", made.json_text(with_code(code))) for code in codes],
        good=lambda: with_code("~" * 256),
        defaults={"hashed": True, "segment_namespace": "hh"},
    )


def with_code(code):
    return event(segments=[{"segment_id": code, "timestamp": 0}])


def of_a_partner():
    """Ids that are no partner's."""
    ids = ["", "a b", "caf\u00e9", "x" * 257]
    bad = [event(user_id=user) for user in ids] + [event(user_id="partner/1", mobile=True)]
    return Topic(
        name="bad.partner",
        settings={"user_namespace": "xy", "user_table_id": "17"},
        bad=[("invalid_user_id", made.json_text(one)) for one in bad],
        good=lambda: event(user_id=f"{next(_numbers):~>256}"),
        defaults={"user_namespace": "xy", "table_ids": {"xy": "17"}},
    )


def bodies(encode):
    """What is wrong with Avro bodies, whatever their framing."""
    whole, bare = encode(event()), len(encode(event())) - len(made.avro(SCHEMA)(event()))
    empty = encode(event(segments=[]))
    return [
        ("undecodable", whole + b"\0"),
        ("undecodable", whole[:-1]),
        ("undecodable", whole[:bare]),
        ("undecodable", whole[:bare] + HUGE + whole[bare + 1 :]),
        ("undecodable", empty[:-7] + HUGE + empty[-6:]),
        ("undecodable", empty[:-7] + HUGE + b"\2\0" * 1_000 + empty[-7:]),
        ("too_large", whole.ljust(1_000_001, b"\0")),
        ("invalid_user_id", encode(event(user_id="nobody"))),
        ("invalid_segment_id", encode(with_element(2**40))),
    ]


def in_avro(directory):
    """The three Avro formats, with a segment namespace each."""
    pinned = {"schema": str(directory / "pinned.avsc")}
    (directory / "pinned.avsc").write_text(json.dumps(SCHEMA))
    confluent, single = made.avro_confluent(SCHEMA, 7), made.avro_single_object(SCHEMA)
    framings = {
        "avro": (made.avro(SCHEMA), pinned, []),
        "avro-single-object": (
            single,
            pinned,
            [
                ("bad_framing", b"\xc3\x02" + single(event())[2:]),
                ("bad_framing", b"\xc3\x01\0"),
                ("bad_framing", b""),
                ("unknown_schema", single(event())[:2] + b"12345678" + single(event())[10:]),
            ],
        ),
        "avro-confluent": (
            confluent,
            {},
            [
                ("bad_framing", b"\x01" + confluent(event())[1:]),
                ("bad_framing", b"\0\0\0\0"),
                ("bad_framing", b""),
                ("unknown_schema", made.avro_confluent(SCHEMA, 404)(event())),
                ("unknown_schema", made.avro_confluent(OTHER, 8)({"weight": 1.5})),
                ("unknown_schema", confluent(event())[:4] + b"\x09" + confluent(event())[5:] + b"\2" * 100),
                ("unknown_schema", confluent(event())[:4] + b"\x0a" + confluent(event())[5:] + HUGE + b"\0"),
            ],
        ),
    }
    return [
        Topic(
            name=f"bad.{form}",
            settings={"format": form, "segment_namespace": form[-2:]} | settings,
            bad=bad + bodies(encode),
            encode=encode,
            defaults={"segment_namespace": form[-2:]},
        )
        for form, (encode, settings, bad) in framings.items()
    ]


CONTRACT = {
    "bad_framing",
    "unknown_schema",
    "undecodable",
    "too_large",
    "invalid_user_id",
    "zero_device_id",
    "unknown_client",
    "unknown_namespace",
    "no_segments",
    "invalid_segment_id",
    "invalid_timestamp",
    "invalid_event_time",
}
"""The reasons of the contract's table."""


@pytest.mark.failure(33, 34, 35, 36)
def test_every_reason_between_good_events(kafka, sshd, registry, tmp_path):
    """The good ones arrive, the bad ones are kept byte for byte with their place, and all is committed."""
    registry.schemas = {
        number: json.dumps(schema)
        for number, schema in ((7, SCHEMA), (8, OTHER), (9, RECURSIVE), (10, NULLS))
    }
    topics = [in_json(), hashed(), of_a_partner(), *in_avro(tmp_path)]
    assert {reason for topic in topics for reason, _ in topic.bad} == CONTRACT
    want, letters, ends, tombstones = {}, {}, {}, {}
    for topic in topics:
        kafka.create_topic(topic.name, 2)
        rows = topic.written()
        if topic.name == "bad.json":
            rows += [(0, None, value, None, good) for value, good in at_the_limits()]
        places = kafka.produce(topic.name, [row[:3] for row in rows])
        placed = []
        for (_, key, value, reason, good), (partition, offset) in zip(rows, places, strict=True):
            ends.setdefault(topic.name, {})[partition] = offset + 1
            if good:
                placed.append(good | {"topic": topic.name, "partition": partition, "offset": offset})
            if reason:
                letters[topic.name, partition, offset] = (reason, key, value)
        tombstones[topic.name.replace(".", "-")] = len(topic.bad)
        for audience, users in oracle.last_write_wins(placed, **topic.defaults).items():
            want.setdefault(audience, {}).update(users)
    config = configuration(
        kafka,
        sshd,
        tmp_path,
        [stream(topic.name, **topic.settings) for topic in topics],
        schema_registry={"url": registry.url},
        http={"listen": f"127.0.0.1:{free_port()}"},
        logging={"level": "debug"},
    )
    bridge = Bridge(tmp_path, config)
    process = bridge.start()
    try:
        until(lambda: committed(kafka, config, *ends) == ends, "all offsets committed")
        text = (
            urllib.request.urlopen(f"http://{config['http']['listen']}/metrics", timeout=10).read().decode()
        )
    finally:
        code = end(process, how=15)
    assert code == 0, bridge.tail()
    bridge.drain()
    assert oracle.same(oracle.fold(delivered(sshd)), want) == []
    assert {place(letter): kept(letter) for letter in dead_letters(config)} == letters
    assert len(dead_letters(config)) == len(letters)
    check_details(dead_letters(config), kafka, topics)
    for name, count in tombstones.items():
        assert f's2s_bridge_tombstones_total{{stream="{name}"}} {float(count)}' in text
    log = bridge.log.read_text().lower()
    assert [word for word in ("traceback", "a11ce", "2c3753c5", "~~~~", "partner/1") if word in log] == []


def place(letter):
    return letter["topic"], letter["partition"], letter["offset"]


def kept(letter):
    """Reason, key and value of a dead letter."""
    return letter["reason"], unpacked(letter["key"]), unpacked(letter["value"])


def unpacked(text):
    return None if text is None else base64.b64decode(text, validate=True)


def check_details(letters, kafka, topics):
    """The fields beside reason, place and bytes; no detail quotes the user."""
    stamps = {
        (message.topic(), message.partition(), message.offset()): message.timestamp()[1]
        for topic in topics
        for message in messages(kafka, topic.name)
    }
    for letter in letters:
        assert set(letter) == {
            *("reason", "detail", "stream", "topic", "partition", "offset"),
            *("timestamp", "key", "value", "read_at"),
        }
        assert letter["stream"] == letter["topic"].replace(".", "-")
        assert letter["timestamp"] == stamps[place(letter)]
        assert letter["read_at"].endswith("Z")
        assert letter["detail"]
        assert "a11ce" not in letter["detail"]


@pytest.mark.failure(33, 36)
def test_dead_letters_to_a_topic(kafka, sshd, tmp_path):
    """Key and value arrive there as they were, place and reason in the headers; the folder stays empty."""
    kafka.create_topic("bad.some", 2)
    kafka.create_topic("bad.letters", 1)
    good = [event(), event(), event()]
    large = made.json_text(event()).ljust(2_000_000)
    rows = [
        (0, None, made.json_text(good[0])),
        (0, b"\0\xff", b"\xfe\xff{"),
        (0, None, made.json_text(good[1])),
        (1, b"", large),
        (1, None, b""),
        (1, b"gone", None),
        (1, None, made.json_text(event(client="Globex"))),
        (1, None, made.json_text(good[2])),
    ]
    places = kafka.produce("bad.some", rows)
    config = configuration(kafka, sshd, tmp_path, [stream("bad.some")], dead_letters={"topic": "bad.letters"})
    bridge = Bridge(tmp_path, config)
    bridge.drain()
    found = {
        tuple(message.headers()): (message.key(), message.value())
        for message in messages(kafka, "bad.letters")
    }
    reasons = {1: "undecodable", 3: "too_large", 4: "undecodable", 6: "unknown_client"}
    assert found == {
        (
            ("reason", reason.encode()),
            ("topic", b"bad.some"),
            ("partition", str(places[at][0]).encode()),
            ("offset", str(places[at][1]).encode()),
        ): rows[at][1:]
        for at, reason in reasons.items()
    }
    placed = [
        one | {"topic": "bad.some", "partition": places[at][0], "offset": places[at][1]}
        for one, at in zip(good, (0, 2, 7), strict=True)
    ]
    assert oracle.same(oracle.fold(delivered(sshd)), oracle.last_write_wins(placed)) == []
    assert committed(kafka, config, "bad.some") == {"bad.some": {0: 3, 1: 5}}
    assert dead_letters(config) == []
