"""A collector with real neighbours, in a thread of its own, and what it leaves in its spool."""

import json
import threading
import uuid
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import polars as pl
from confluent_kafka import Consumer, Producer, TopicPartition
from confluent_kafka.admin import AdminClient

from bridge.clock import SystemClock
from bridge.config import KafkaSettings, Stream
from bridge.ingest.client_settings import consumer_settings
from bridge.ingest.cluster import LastingAdmin, LastingTopicIds
from bridge.ingest.collector import Collector, CollectorParts
from bridge.ingest.dead_letters import FolderDeadLetters
from bridge.ingest.decode import decoder_for
from bridge.ingest.kafka import KafkaParts, KafkaSource
from bridge.ingest.observer import SilentObserver
from bridge.ingest.partition import Partition
from bridge.ingest.starts import Starts
from bridge.ingest.topics import Topics
from bridge.spool.spool import Spool

NOW = SystemClock().now()

QUIET = {"log_level": "0", "topic.metadata.refresh.interval.ms": "300"}


def value(number, segment=7, **more):
    """A JSON event of a user of its own."""
    user = str(uuid.UUID(int=number + 1))
    event = {"user_id": user, "segments": [{"segment_id": segment, "timestamp": 0}], "event_time": NOW - 1000}
    return json.dumps(event | more).encode()


def events(count, start=0):
    """Messages for four partitions in turn, each of a user of its own."""
    return [(number % 4, b"k", value(number)) for number in range(start, start + count)]


def places_of(count):
    """Where the first `count` of `events` stand in a new topic."""
    return sorted((number % 4, number // 4) for number in range(count))


class MockBroker:
    """The broker that librdkafka brings along; writing to a topic makes it, with 4 partitions."""

    def __init__(self):
        self.producer = Producer({"test.mock.num.brokers": 1, "bootstrap.servers": "x", "log_level": 0})
        (broker,) = self.producer.list_topics(timeout=10).brokers.values()
        self.bootstrap = f"{broker.host}:{broker.port}"

    def produce(self, topic, messages):
        """Write (partition, key, value) each."""
        for partition, key, value in messages:
            self.producer.produce(topic, value, key, partition)
        self.producer.flush(30)


class NamedIds:
    """Ids for the mock broker, which does not tell any: topics are who they are called."""

    def __init__(self):
        self.renamed = {}

    def cluster_id(self):
        return "mock-cluster"

    def topic_ids(self, names):
        return {name: self.renamed.get(name, f"id-of-{name}") for name in names}


def stream(name="acme", topics=("acme",), **more):
    """A stream of JSON events."""
    return Stream(**{"name": name, "topics": topics, "format": "json", "segment_namespace": "ep"} | more)


class Notes(SilentObserver):
    """Remembers what a test waits for."""

    def __init__(self):
        self.consumed_events = {}
        self.refusals = {}
        self.tombstone_events = 0
        self.lags = {}
        self.largest_window = 0
        self.is_assigned = False
        self.beats = 0

    def consumed(self, stream, events):
        self.consumed_events[stream] = self.consumed_events.get(stream, 0) + events

    def refused(self, stream, reason, events):
        self.refusals[stream, str(reason)] = self.refusals.get((stream, str(reason)), 0) + events

    def tombstones(self, stream, events):  # noqa: ARG002  # the port's
        self.tombstone_events += events

    def lag(self, topic, partition, events):
        self.lags[topic, partition] = events

    def window_bytes(self, size):
        self.largest_window = max(self.largest_window, size)

    def assigned(self, assigned):
        self.is_assigned = assigned

    def beat(self, now):  # noqa: ARG002  # the port's
        self.beats += 1


@dataclass(kw_only=True)
class Setting:
    """How a collector is set up; two with the same `directory` share a spool, one after the other."""

    bootstrap: str
    directory: Path
    streams: tuple[Stream, ...] = field(default_factory=lambda: (stream(),))
    group: str = "bridge"
    ids: object = None
    until_end: bool = False
    adopt: bool = False
    max_age: int = 300
    max_bytes: int = 256_000_000
    decoders: dict[str, object] = field(default_factory=dict)
    disk: object = None
    full: set[str] = field(default_factory=set)
    properties: dict[str, str] = field(default_factory=dict)


class Collecting:
    """A running collector; `error` is what it ended with."""

    def __init__(self, setting):
        self.notes = Notes()
        self.error = None
        clock, topics = SystemClock(), Topics(setting.streams)
        self.spool = Spool.open(setting.directory, clock=clock, disk=setting.disk)
        kafka = KafkaSettings(
            bootstrap_servers=setting.bootstrap,
            group_id=setting.group,
            properties=QUIET | setting.properties,
        )
        admin = LastingAdmin(lambda: AdminClient({"bootstrap.servers": setting.bootstrap, "log_level": 0}))
        self._stop = threading.Event()
        source = KafkaParts(
            settings=consumer_settings(
                kafka,
                instance=self.spool.id,
                window_bytes=setting.max_bytes,
                until_end=setting.until_end,
            ),
            group=setting.group,
            topics=topics,
            starts=Starts(
                spool=self.spool.id,
                group=setting.group,
                runs=self.spool.runs,
                ids=setting.ids or LastingTopicIds(admin),
                admin=admin,
                adopt=setting.adopt,
            ),
            clock=clock,
            sleep=lambda seconds: clock.wait(self._stop, round(seconds * 1000)),
            until_end=setting.until_end,
        )
        self.collector = Collector(
            CollectorParts(
                connect=partial(KafkaSource, source),
                topics=topics,
                decoders={each.name: decoder_for(each, None) for each in setting.streams} | setting.decoders,
                spool=self.spool,
                dead_letters=FolderDeadLetters(
                    setting.directory / "dead-letters", self.spool.temporary_directory
                ),
                clock=clock,
                observer=self.notes,
                max_age=setting.max_age,
                max_bytes=setting.max_bytes,
                full_streams=lambda: frozenset(setting.full),
                until_end=setting.until_end,
            )
        )
        self._thread = threading.Thread(target=self._run)

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._stop.set()
        self._thread.join(60)

    def _run(self):
        try:
            self.collector.run(self._stop)
        except Exception as error:  # noqa: BLE001  # the test looks at it
            self.error = error

    def join(self):
        """Wait until it ends by itself; raises what it ended with."""
        self._thread.join(60)
        assert not self._thread.is_alive(), "it still runs"
        if self.error:
            raise self.error

    def stop(self):
        """Stop it in order; raises what it ended with."""
        self._stop.set()
        self.join()


def collect(setting):
    """One run to the end of the topics."""
    setting.until_end = True
    with Collecting(setting) as collecting:
        collecting.join()
    return collecting


def rows(spool):
    """All rows of all runs."""
    found = [
        run.read(audience).select(
            "segment", "timestamp", "event_time", "source", "partition", "offset", "run"
        )
        for run in spool.runs()
        for audience in run.audiences
    ]
    return pl.concat(found) if found else pl.DataFrame(schema={"partition": pl.Int32, "offset": pl.Int64})


def places(spool):
    """Partition and offset of all rows, sorted; events of equal user and segment must not be among them."""
    return sorted(rows(spool).select("partition", "offset").rows())


def commits(bootstrap, group, topic, partitions=4):
    """The group's offsets and metadata by partition."""
    consumer = Consumer({"bootstrap.servers": bootstrap, "group.id": group, "log_level": 0})
    try:
        asked = [TopicPartition(topic, number) for number in range(partitions)]
        answers = consumer.committed(asked, timeout=10)
    finally:
        consumer.close()
    return {Partition(topic, a.partition): (a.offset, a.metadata) for a in answers if a.offset >= 0}
