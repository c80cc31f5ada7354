"""The load: seeded events of about 62 bytes, framed as avro-confluent, in four partitions.

The benches make theirs themselves; into any other broker: python -m bench.produce BOOTSTRAP

The bytes are built as columns: codes, timestamps and event times are drawn from ranges whose Avro
varints have one length, so that all events of a kind are rows of one matrix.

With several audiences each event names a client: the one of its user, so that any number of audiences
gets the same memberships, only split in more files.
"""

import argparse
import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from confluent_kafka import Producer

SCHEMA = Path(__file__).parents[1] / "schemas" / "segment_membership.avsc"
TOPIC = "bench"
PARTITIONS = 4
SCHEMA_ID = 1
CHUNK = 200_000
START = 1_790_000_000_000  # the first event time
FIELDS = [
    "user_id",
    "mobile",
    "client",
    "user_namespace",
    "segment_namespace",
    "remove_all",
    "segments",
    "event_time",
]
ELEMENTS = {1: 0.5, 2: 0.4, 3: 0.1}  # number of segments: share of the events
REMOVALS = 0.03  # share of the segments

Bytes = np.ndarray[tuple[int, int], np.dtype[np.uint8]]


def varint(numbers: np.ndarray, length: int) -> Bytes:
    """Avro's zigzag varints of numbers that all need `length` bytes; a row each."""
    zigzag = (numbers.astype(np.int64) << 1).astype(np.uint64)
    shifts = np.arange(0, 7 * length, 7, dtype=np.uint64)
    out = (zigzag[:, None] >> shifts & np.uint64(0x7F)).astype(np.uint8)
    out[:, :-1] |= 0x80
    if (out[:, -1] == 0).any() or (zigzag >> np.uint64(7 * length)).any():
        raise ValueError(f"not all numbers are varints of {length} bytes")
    return out


def constant(data: bytes, rows: int) -> Bytes:
    return np.broadcast_to(np.frombuffer(data, np.uint8), (rows, len(data)))


def counts(events: int, rng: np.random.Generator) -> np.ndarray:
    """How many segments each of these events has."""
    return rng.choice(list(ELEMENTS), events, p=list(ELEMENTS.values()))


def removed(segments: int, rng: np.random.Generator) -> np.ndarray:
    """Which of these segments are removals."""
    return rng.random(segments) < REMOVALS


def users(number: int, rng: np.random.Generator) -> Bytes:
    """That many UUIDs as text, in rows of 36 bytes."""
    ids = rng.integers(0, 256, (number, 16), dtype=np.uint8)
    digits = np.frombuffer(b"0123456789abcdef", np.uint8)
    pairs = np.stack([digits[ids >> 4], digits[ids & 15]], axis=2).reshape(number, 32)
    hyphen = constant(b"-", number)
    parts = (pairs[:, :8], pairs[:, 8:12], pairs[:, 12:16], pairs[:, 16:20], pairs[:, 20:])
    first, *rest = parts
    return np.concatenate([first, *(part for group in rest for part in (hyphen, group))], axis=1)


def names(audiences: int) -> list[str]:
    """The clients that events of so many audiences name: none for one audience; at most 1000."""
    return [f"c{number:03}" for number in range(audiences)] if audiences > 1 else []


def client_fields(clients: list[str]) -> Bytes:
    """The field `client` of each of these clients, who are equally long; of none: one row, null."""
    if not clients:
        return constant(b"\0", 1)
    fields = b"".join(bytes([2, len(name) << 1]) + name.encode() for name in clients)
    return np.frombuffer(fields, np.uint8).reshape(len(clients), -1)


def kind(
    ids: Bytes, clients: Bytes, times: np.ndarray, elements: int, rng: np.random.Generator
) -> list[bytes]:
    """The messages of events with that many segments."""
    rows = len(ids)
    columns = [constant(b"\0" + SCHEMA_ID.to_bytes(4) + b"\x48", rows), ids, constant(b"\0", rows), clients]
    columns.append(constant(bytes(3) + bytes([elements << 1]), rows))
    for _ in range(elements):
        columns.append(varint(rng.integers(10_000, 20_000, rows), 3))
        columns.append(removed(rows, rng).astype(np.uint8)[:, None])  # -1 is 1, zigzag
    columns += [constant(b"\0", rows), varint(times, 6)]
    matrix = np.ascontiguousarray(np.concatenate(columns, axis=1))
    return matrix.view(f"V{matrix.shape[1]}").ravel().tolist()


def batch(pool: Bytes, clients: Bytes, times: np.ndarray, rng: np.random.Generator) -> list[bytes]:
    """A message for each event time, of users of the pool; those with equally many segments together."""
    drawn = rng.integers(0, len(pool), len(times))
    numbers = counts(len(times), rng)
    found: list[bytes] = []
    for elements in ELEMENTS:
        chosen = numbers == elements
        of = drawn[chosen]
        found += kind(pool[of], clients[of % len(clients)], times[chosen], elements, rng)
    return found


def messages(events: int, number_of_users: int, seed: int, audiences: int = 1) -> Iterator[list[bytes]]:
    """The events in chunks whose event times follow each other; mixed within a chunk."""
    rng = np.random.default_rng(seed)
    pool, clients = users(number_of_users, rng), client_fields(names(audiences))
    for start in range(0, events, CHUNK):
        rows = min(CHUNK, events - start)
        chunk = batch(pool, clients, START + np.arange(start, start + rows), rng)
        yield [chunk[place] for place in rng.permutation(rows).tolist()]


def producer(bootstrap: str, **more: object) -> Producer:
    """One that gathers for 100 ms and holds a whole chunk; `more` settings without dots in their names."""
    settings = {
        "bootstrap.servers": bootstrap,
        "linger.ms": 100,
        "batch.size": 1_000_000,
        "queue.buffering.max.messages": 1_000_000,
        "compression.type": "lz4",
    }
    return Producer(settings | more)


def produce(
    bootstrap: str,
    events: int,
    number_of_users: int,
    seed: int,
    *,
    topic: str = TOPIC,
    audiences: int = 1,
    partitions: int = PARTITIONS,
) -> int:
    """Write the load to the topic; returns its bytes."""
    to = producer(bootstrap)
    size = 0
    for chunk in messages(events, number_of_users, seed, audiences):
        for place, value in enumerate(chunk):
            to.produce(topic, value, partition=place % partitions)
        size += sum(map(len, chunk))
        to.flush()
    return size


def check_schema() -> None:
    """The bytes above are those of the schema's fields in this order."""
    found = [field["name"] for field in json.loads(SCHEMA.read_text())["fields"]]
    if found != FIELDS:
        raise SystemExit(f"bench: {SCHEMA.name} has the fields {found}; kind() builds {FIELDS}")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("bootstrap", help="the broker's host:port; the topic is there, with four partitions")
    parser.add_argument("--events", type=int, default=4_000_000)
    parser.add_argument("--users", type=int, default=1_000_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--audiences", type=int, default=1)
    parser.add_argument("--topic", default=TOPIC)
    options = parser.parse_args()
    check_schema()
    load = (options.events, options.users, options.seed)
    size = produce(options.bootstrap, *load, topic=options.topic, audiences=options.audiences)
    print(f"{options.events} events, {size / options.events:.1f} bytes each")


if __name__ == "__main__":
    main()
