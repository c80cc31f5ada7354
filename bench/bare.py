"""Reading alone: consume() of confluent-kafka in a loop, and every message thrown away.

No program in Python that reads with this client can be faster; what the bridge does comes on top.
bench.bench runs it; on a loaded topic: python -m bench.bare BOOTSTRAP TOPIC PARTITIONS EVENTS
"""

import gc
import time

from confluent_kafka import Consumer

from bench import reader

BATCH = 100_000


def consume(consumer: Consumer, events: int) -> None:
    """Read that many messages."""
    left = events
    while left:
        batch = consumer.consume(min(BATCH, left), timeout=reader.PATIENCE)
        reader.check(batch[0] if batch else None)
        left -= len(batch)


def main() -> None:
    parser = reader.arguments(__doc__)
    parser.add_argument("--no-gc", action="store_true", help="never look for cycles among the messages")
    options = parser.parse_args()
    if options.no_gc:
        gc.disable()
    # With the default of 1000 ms the fetcher sleeps half of the time, its queue being full.
    consumer = reader.connected(options, fetch_queue_backoff_ms=10)
    start = time.monotonic()
    reader.begin(consumer, options)
    consume(consumer, options.events)
    reader.end(consumer, start)


if __name__ == "__main__":
    main()
