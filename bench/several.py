"""One ingest process or two: the same events in two topics, read by one bridge, and by a bridge each at once.

Two bridges stand for two collectors of one consumer group, each with partitions and runs of its own; what
they would share is the delivery, so only ingest is compared: from the first /readyz to the last `run_sealed`.
From the root: python -m bench.several
"""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from statistics import median
from typing import NamedTuple

from bench import report
from bench.produce import PARTITIONS, produce
from bench.programs import bridge
from bench.result import Load
from bench.scene import broker, machine
from tests.parts.kafka import Kafka

TOPICS = ("bench-a", "bench-b")


class Ingest(NamedTuple):
    """What reading all events took."""

    seconds: float
    peak: float


@contextmanager
def halves(kafka: Kafka, half: Load) -> Iterator[None]:
    """Two topics with half of the events each."""
    for number, topic in enumerate(TOPICS):
        kafka.create_topic(topic, half.partitions)
        load = (half.events, half.users, half.seed + number)
        produce(kafka.bootstrap, *load, topic=topic, partitions=half.partitions)
    yield


def one(kafka: Kafka, half: Load) -> Ingest:
    """One bridge reads both topics."""
    result = bridge(kafka, replace(half, events=2 * half.events), stream={"topics": list(TOPICS)})
    return Ingest(result.ingest, result.usage.peak)


def two(kafka: Kafka, half: Load) -> Ingest:
    """A bridge a topic, both at once."""
    with ThreadPoolExecutor(len(TOPICS)) as pool:
        results = list(pool.map(lambda topic: bridge(kafka, half, stream={"topics": [topic]}), TOPICS))
    return Ingest(max(each.ingest for each in results), sum(each.usage.peak for each in results))


PROCESSES = {"one process": one, "two processes": two}


def main() -> None:
    parser = report.arguments(__doc__, events=(4_000_000, "events in all"), rounds=(3, "how often"))
    options = parser.parse_args()
    half = Load(events=options.events // 2, seed=options.seed, partitions=PARTITIONS // 2)
    with broker() as kafka, halves(kafka, half):
        found = {name: [run(kafka, half) for _ in range(options.rounds)] for name, run in PROCESSES.items()}
    print(f"{options.events:,} events, medians of {options.rounds}; {machine()}\n")
    medians = {name: Ingest(*map(median, zip(*each, strict=True))) for name, each in found.items()}
    rows = [
        [name, f"{each.seconds:.1f}", f"{options.events / each.seconds:,.0f}", f"{each.peak / 1e6:,.0f}"]
        for name, each in medians.items()
    ]
    print(report.table(["", "ingest s", "events/s", "peak MB"], rows))
    figures = {name: each._asdict() for name, each in medians.items()}
    report.save("several", report.destination(options), figures)


if __name__ == "__main__":
    main()
