"""The obvious program: poll, decode one by one, a dict, a sorted gzip file at the end."""

import argparse
import gzip
import io
import json
import time
from pathlib import Path

import fastavro
from confluent_kafka import Consumer, TopicPartition

SCHEMA = Path(__file__).parents[1] / "schemas" / "segment_membership.avsc"


def collect(consumer: Consumer, events: int) -> tuple[dict[str, dict[int, tuple[int, int]]], float]:
    """The last write of each user's each segment, and when the first message was there."""
    schema = fastavro.parse_schema(json.loads(SCHEMA.read_text()))
    memberships: dict[str, dict[int, tuple[int, int]]] = {}
    first = 0.0
    for _ in range(events):
        message = consumer.poll(30)
        if message is None or message.error():
            raise SystemExit(f"obvious: no message within 30 s: {message and message.error()}")
        first = first or time.monotonic()
        event = fastavro.schemaless_reader(io.BytesIO(message.value()[5:]), schema)
        segments = memberships.setdefault(event["user_id"], {})
        at = event["event_time"].timestamp()
        for element in event["segments"]:
            known = segments.get(element["segment_id"])
            if known is None or known[0] <= at:
                segments[element["segment_id"]] = (at, element["timestamp"])
    return memberships, first


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("bootstrap")
    parser.add_argument("topic")
    parser.add_argument("partitions", type=int)
    parser.add_argument("events", type=int)
    parser.add_argument("output", type=Path)
    options = parser.parse_args()
    consumer = Consumer({"bootstrap.servers": options.bootstrap, "group.id": "obvious"})
    consumer.assign([TopicPartition(options.topic, number, 0) for number in range(options.partitions)])
    memberships, first = collect(consumer, options.events)
    # Level 6, as the bridge's default, and not gzip's 9, which is slower for nothing.
    with gzip.open(options.output, "wt", compresslevel=6, encoding="ascii", newline="\n") as file:
        for user in sorted(memberships):
            segments = memberships[user]
            row = " ".join(f"{segment}:{segments[segment][1]}" for segment in sorted(segments))
            file.write(f"{user} {row}\n")
    print(json.dumps({"seconds": time.monotonic() - first}))
    consumer.close()


if __name__ == "__main__":
    main()
