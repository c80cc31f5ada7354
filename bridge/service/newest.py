"""The newest events of some topics, read without a trace: no group is joined, nothing is committed."""

import uuid
from collections.abc import Collection
from dataclasses import dataclass, field
from operator import itemgetter

from confluent_kafka import Consumer, KafkaError, KafkaException, Message, TopicPartition
from confluent_kafka.admin import AdminClient

from bridge.clock import SECOND, Clock
from bridge.config import KafkaSettings, Stream
from bridge.errors import BridgeError
from bridge.ingest.client_settings import Settings, client_settings
from bridge.ingest.cluster import TIMEOUT, Edges, TopicIds, edges
from bridge.ingest.faults import FORBIDDEN, error_of, explained
from bridge.ingest.partition import Partition
from bridge.ingest.topics import Topics

PATIENCE = 30 * SECOND
"""How long the brokers may send nothing, ms."""

BATCH = 10_000
"""Messages taken at once."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Newest:
    """What was read, and whence."""

    cluster_id: str
    """Id of the cluster."""
    topic_ids: dict[str, str]
    """Id of each topic."""
    messages: list[Message]
    """In the order of their time in Kafka; tombstones among them."""


@dataclass(slots=True)
class _Latest:
    """The messages with the newest times among those seen; at most twice as many are in memory."""

    most: int
    seen: list[tuple[tuple[int, str, int, int], Message]] = field(default_factory=list)

    def add(self, message: Message) -> None:
        place = (message.topic() or "", message.partition() or 0, message.offset() or 0)
        self.seen.append(((message.timestamp()[1], *place), message))
        if len(self.seen) >= 2 * self.most:
            self.cut()

    def cut(self) -> list[Message]:
        self.seen = sorted(self.seen, key=itemgetter(0))[-self.most :]
        return [message for _, message in self.seen]


class Reader:
    """Reads the ends of topics."""

    def __init__(self, kafka: KafkaSettings, topics: Topics, ids: TopicIds | None, clock: Clock) -> None:
        """`ids`: who the cluster and its topics are; None: the brokers tell.

        Raises:
            BridgeError: A property of Kafka's client is wrong, or a secret is not readable.
        """
        self._kafka = kafka
        self._topics = topics
        self._clock = clock
        self._ids = ids
        try:
            self._admin = AdminClient({"log_level": 0, **client_settings(kafka)})
            self._consumer = Consumer(_settings(kafka))
        except KafkaException as exception:
            raise self._explained(exception, "kafka.properties") from exception

    def close(self) -> None:
        """Give back the connections."""
        self._consumer.close()

    def newest(self, stream: Stream, most: int) -> Newest:
        """The newest messages of a stream's topics, as a reader of committed transactions sees them.

        Of each partition the last `most` offsets are looked at: fewer messages, where Kafka has left gaps.

        Raises:
            BridgeError: A topic is missing, no broker answers, or Kafka refuses us.
        """
        where = f"stream {stream.name}"
        try:
            partitions = self._partitions(stream)
            cluster_id, topic_ids = self._identify({at.topic for at in partitions})
            ends = edges(self._admin, partitions)
            messages = self._read(ends, most)
        except KafkaException as exception:
            raise self._explained(exception, where) from exception
        return Newest(cluster_id=cluster_id, topic_ids=topic_ids, messages=messages)

    def _identify(self, names: Collection[str]) -> tuple[str, dict[str, str]]:
        if self._ids is not None:
            return self._ids.cluster_id(), self._ids.topic_ids(names)
        ids = AdminTopicIds(self._admin)
        return ids.cluster_id(), ids.topic_ids(names)

    def _partitions(self, stream: Stream) -> list[Partition]:
        known = self._consumer.list_topics(timeout=TIMEOUT).topics
        for name in stream.topics:
            if name in self._topics.names and name not in known:
                raise BridgeError(f"topic {name}: Kafka has no such topic: check the name or create it")
        names = sorted(name for name in known if self._topics.stream_of(name) is stream)
        if not names:
            raise BridgeError(f"stream {stream.name}: Kafka has no topic of it: check topics, or create one")
        return [Partition(name, number) for name in names for number in known[name].partitions]

    def _read(self, ends: dict[Partition, Edges], most: int) -> list[Message]:
        starts = {at: max(edge.low, edge.high - most) for at, edge in ends.items() if edge.high > edge.low}
        left, latest, heard = set(starts), _Latest(most), self._clock.now()
        self._consumer.assign([TopicPartition(*at, offset) for at, offset in starts.items()])
        while left:
            batch = self._consumer.consume(BATCH, 1.0)
            for message in batch:
                at = Partition(message.topic() or "", message.partition() or 0)
                if self._is_message(message, ends[at]) and at in left:
                    latest.add(message)
                if message.error() is not None or (message.offset() or 0) >= ends[at].high - 1:
                    left.discard(at)
            if batch:
                heard = self._clock.now()
            elif self._clock.now() - heard > PATIENCE:
                raise BridgeError(
                    f"topic {min(left).topic}: nothing came within {PATIENCE // SECOND} s: see that Kafka runs"
                )
        return latest.cut()
