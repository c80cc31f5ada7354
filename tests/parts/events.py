"""Seeded random events, and their bytes in each format.

The framing is done by hand here, so that the product's reading of it is judged by another hand.
"""

import io
import json
import random
import uuid
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import fastavro

SCHEMAS = Path(__file__).parents[2] / "schemas"
DAY = 86_400_000

Event = dict[str, object]
Encoder = Callable[[Event], bytes]


@dataclass(frozen=True, kw_only=True)
class Load:
    """What the events are like; shares are parts of 1."""

    events: int = 1_000
    users: int = 100
    """How many different ones, at most; half of the events are of the first tenth of them."""
    segments: int = 50
    """How many different codes, from 10001 on (hashed: h10001)."""
    clients: tuple[str | None, ...] = (None,)
    mobile: float = 0.3
    """Share of the users that are devices."""
    late: float = 0.1
    """Share of the events that come long after their event time."""
    lateness: int | None = None
    """How long after, at most; milliseconds. None: since the start."""
    removals: float = 0.2
    """Share of the elements that remove."""
    remove_alls: float = 0.05
    """Share of the events that first remove everything; half of these have no segments."""
    duplicates: float = 0.02
    """Share of the events that come again later."""
    hashed: bool = False
    user_namespace: str | None = None
    """None: the stream's; else users are ids of that partner's."""
    start: int = 1_790_000_000_000
    """The first event time; epoch milliseconds."""
    span: int = DAY
    """From the first to the last event time; milliseconds."""


def make(load: Load, seed: int) -> list[Event]:
    """Events in the order in which they come; the same for the same load and seed."""
    return list(flow(load, seed))


def flow(load: Load, seed: int) -> Iterator[Event]:
    """The events of `make`, one by one: many take no memory."""
    rng = random.Random(seed)
    users = [_user(rng, load) for _ in range(load.users)]
    newest: deque[Event] = deque(maxlen=10_000)
    for number in range(load.events):
        event_time = load.start + load.span * number // load.events
        if rng.random() < load.late:
            oldest = load.start if load.lateness is None else max(load.start, event_time - load.lateness)
            event_time = rng.randrange(oldest, event_time + 1)
        again = newest and rng.random() < load.duplicates
        newest.append(rng.choice(newest) if again else _event(rng, load, users, event_time))
        yield newest[-1]


def place(events: Iterable[Event], topic: str, partitions: int, seed: int) -> list[Event]:
    """The events with topic, partition and offset, as producing them in this order to a new topic gives."""
    rng = random.Random(seed)
    ends = [0] * partitions
    placed = []
    for event in events:
        partition = rng.randrange(partitions)
        placed.append(event | {"topic": topic, "partition": partition, "offset": ends[partition]})
        ends[partition] += 1
    return placed


def messages(placed: Iterable[Event], encode: Encoder) -> list[tuple[int, None, bytes]]:
    """What Kafka.produce takes."""
    return [(int(event["partition"]), None, encode(event)) for event in placed]


def schema(*, hashed: bool = False) -> dict[str, object]:
    """The product's Avro schema."""
    name = "hashed_segment_membership.avsc" if hashed else "segment_membership.avsc"
    return json.loads((SCHEMAS / name).read_text())


def avro(writer: dict[str, object]) -> Encoder:
    """The Avro body alone."""
    parsed = fastavro.parse_schema(writer)
    names = [field["name"] for field in writer["fields"]]

    def encode(event: Event) -> bytes:
        out = io.BytesIO()
        fastavro.schemaless_writer(out, parsed, {name: event[name] for name in names if name in event})
        return out.getvalue()

    return encode


def avro_confluent(writer: dict[str, object], schema_id: int) -> Encoder:
    """Byte 0, the id in four bytes, the body."""
    return _framed(b"\0" + schema_id.to_bytes(4), avro(writer))


def avro_single_object(writer: dict[str, object]) -> Encoder:
    """C3 01, the fingerprint in eight bytes, least first, the body."""
    canonical = fastavro.schema.to_parsing_canonical_form(writer)
    return _framed(b"\xc3\x01" + fingerprint(canonical.encode()).to_bytes(8, "little"), avro(writer))


def json_text(event: Event) -> bytes:
    """A JSON object of the contract's fields."""
    ours = {name: value for name, value in event.items() if name not in ("topic", "partition", "offset")}
    return json.dumps(ours, separators=(",", ":")).encode()


def fingerprint(canonical: bytes) -> int:
    """CRC-64-AVRO, as the Avro specification spells it out."""
    empty = 0xC15D213AA4D7A795
    value = empty
    for byte in canonical:
        low = (value ^ byte) & 0xFF
        for _ in range(8):
            low = (low >> 1) ^ (empty & -(low & 1))
        value = (value >> 8) ^ low
    return value


def _framed(head: bytes, body: Encoder) -> Encoder:
    return lambda event: head + body(event)


def _user(rng: random.Random, load: Load) -> tuple[str, bool]:
    if rng.random() < load.mobile:
        device = str(uuid.UUID(int=rng.getrandbits(128)))
        return rng.choice([device, device.upper()]), True
    if load.user_namespace is None:
        return str(uuid.UUID(int=rng.getrandbits(128))), False
    return f"Partner/{rng.getrandbits(64):x}", False


def _event(rng: random.Random, load: Load, users: Sequence[tuple[str, bool]], event_time: int) -> Event:
    often = users[: max(1, len(users) // 10)]
    user, mobile = rng.choice(often if rng.random() < 0.5 else users)
    remove_all = rng.random() < load.remove_alls
    number = 0 if remove_all and rng.random() < 0.5 else rng.choice([1, 1, 1, 2, 2, 3, 5])
    return {
        "user_id": user,
        "mobile": mobile,
        "client": rng.choice(load.clients),
        "user_namespace": load.user_namespace,
        "segment_namespace": None,
        "remove_all": remove_all,
        "segments": [_element(rng, load, event_time) for _ in range(number)],
        "event_time": event_time,
    }


def _element(rng: random.Random, load: Load, event_time: int) -> Event:
    number = 10_001 + rng.randrange(load.segments)
    timestamp = rng.choice([0, 0, event_time // 1000 + rng.randrange(-864_000, 864_000)])
    return {
        "segment_id": f"h{number}" if load.hashed else number,
        "timestamp": -1 if rng.random() < load.removals else timestamp,
    }
