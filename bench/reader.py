"""How the peers written in Python reach the topic: a consumer that is connected, then begins."""

import json
import time
from argparse import ArgumentParser, Namespace

from confluent_kafka import Consumer, Message, TopicPartition

PATIENCE = 30.0  # seconds


def arguments(doc: str) -> ArgumentParser:
    """What there is to read."""
    parser = ArgumentParser(description=doc)
    parser.add_argument("bootstrap", help="the broker's host:port")
    parser.add_argument("topic")
    parser.add_argument("partitions", type=int)
    parser.add_argument("events", type=int, help="how many there are")
    return parser


def connected(options: Namespace, **settings: object) -> Consumer:
    """A consumer; the bridge is connected too when its time begins."""
    named = {name.replace("_", "."): value for name, value in settings.items()}
    consumer = Consumer({"bootstrap.servers": options.bootstrap, "group.id": "bench"} | named)
    consumer.list_topics(options.topic, timeout=PATIENCE)
    return consumer


def begin(consumer: Consumer, options: Namespace) -> None:
    """Messages come from now on."""
    consumer.assign([TopicPartition(options.topic, number, 0) for number in range(options.partitions)])


def end(consumer: Consumer, start: float) -> None:
    """Tells the seconds since the start, for bench/programs.py."""
    print(json.dumps({"seconds": time.monotonic() - start}))
    consumer.close()


def check(message: Message | None) -> None:
    """Ends the peer where there is no message."""
    if message is None or message.error():
        raise SystemExit(f"bench: no message within {PATIENCE:.0f} s: {message and message.error()}")
