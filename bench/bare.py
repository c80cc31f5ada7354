"""Reading alone: consume() of confluent-kafka in a loop, and every message thrown away.

No program in Python that reads with this client can be faster; what the bridge does comes on top.
"""

import argparse
import gc
import json
import time

from confluent_kafka import Consumer, TopicPartition

BATCH = 100_000


def consume(consumer: Consumer, events: int) -> None:
    """Read that many messages."""
    left = events
    while left:
        batch = consumer.consume(min(BATCH, left), timeout=30)
        if not batch or batch[0].error():
            raise SystemExit(f"bare: no message within 30 s, {left} missing: {batch and batch[0].error()}")
        left -= len(batch)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("bootstrap")
    parser.add_argument("topic")
    parser.add_argument("partitions", type=int)
    parser.add_argument("events", type=int)
    parser.add_argument("--no-gc", action="store_true", help="never look for cycles among the messages")
    options = parser.parse_args()
    if options.no_gc:
        gc.disable()
    # With the default of 1000 ms the fetcher sleeps half of the time, its queue being full.
    settings = {"bootstrap.servers": options.bootstrap, "group.id": "bare", "fetch.queue.backoff.ms": 10}
    consumer = Consumer(settings)
    consumer.list_topics(
        options.topic, timeout=30
    )  # connects; the bridge is connected too when its time begins
    start = time.monotonic()
    consumer.assign([TopicPartition(options.topic, number, 0) for number in range(options.partitions)])
    consume(consumer, options.events)
    print(json.dumps({"seconds": time.monotonic() - start}))
    consumer.close()


if __name__ == "__main__":
    main()
