"""The obvious program: poll, decode one by one, a dict, a sorted gzip file at the end.

bench.bench runs it; its arguments are those of bench/bare.py, then the schema's file and the output.
"""

import gzip
import io
import json
import time
from pathlib import Path

import fastavro
from confluent_kafka import Consumer

from bench import reader

Memberships = dict[str, dict[int, tuple[float, int]]]  # by user and segment: event time, timestamp


def collect(consumer: Consumer, events: int, schema: dict) -> tuple[Memberships, float]:
    """The last write of each user's each segment, and when the first message was there."""
    memberships: Memberships = {}
    first = 0.0
    for _ in range(events):
        message = consumer.poll(reader.PATIENCE)
        reader.check(message)
        first = first or time.monotonic()
        event = fastavro.schemaless_reader(io.BytesIO(message.value()[5:]), schema)
        segments = memberships.setdefault(event["user_id"], {})
        at = event["event_time"].timestamp()
        for element in event["segments"]:
            known = segments.get(element["segment_id"])
            if known is None or known[0] <= at:
                segments[element["segment_id"]] = (at, element["timestamp"])
    return memberships, first


def write(memberships: Memberships, output: Path) -> None:
    """A line a user, sorted; level 6, as the bridge's default: gzip's own 9 is slower for nothing."""
    with gzip.open(output, "wt", compresslevel=6, encoding="ascii", newline="\n") as file:
        for user in sorted(memberships):
            segments = memberships[user]
            row = " ".join(f"{segment}:{segments[segment][1]}" for segment in sorted(segments))
            file.write(f"{user} {row}\n")


def main() -> None:
    parser = reader.arguments(__doc__)
    parser.add_argument("schema", type=Path)
    parser.add_argument("output", type=Path)
    options = parser.parse_args()
    schema = fastavro.parse_schema(json.loads(options.schema.read_text()))
    consumer = reader.connected(options)
    reader.begin(consumer, options)
    memberships, first = collect(consumer, options.events, schema)
    write(memberships, options.output)
    reader.end(consumer, first)


if __name__ == "__main__":
    main()
