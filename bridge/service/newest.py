"""The newest events of some topics, read without a trace: no group is joined, nothing is committed."""

from dataclasses import dataclass, field
from itertools import accumulate
from operator import itemgetter
from types import TracebackType
from typing import Self

from confluent_kafka import Consumer, KafkaError, KafkaException, Message, TopicPartition
from confluent_kafka.admin import AdminClient

from bridge.clock import SECOND, Clock
from bridge.config import KafkaSettings, Stream
from bridge.errors import BridgeError
from bridge.ingest.client_settings import MIB, client_settings, reader_settings
from bridge.ingest.cluster import AdminTopicIds, Edges, edges, offsets_since, partitions_of
from bridge.ingest.faults import told
from bridge.ingest.partition import Partition
from bridge.ingest.topics import Topics
from bridge.service.flow import AGES, Flow, flow
from bridge.topic_ids import TopicIds

PATIENCE = 30 * SECOND
"""How long the brokers may send nothing, ms."""

BATCH = 10_000
"""Messages taken at once."""

MOST_BYTES = 1 << 40
"""Of the messages that are kept: no bound but their number."""

_PREFETCHED = 32 * MIB
"""Of it half is fetched ahead, in bytes."""

_EOF = KafkaError._PARTITION_EOF  # noqa: SLF001  # librdkafka's own codes begin so


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
    """The messages with the newest times among those seen; about twice as many are in memory."""

    most: int
    most_bytes: int
    seen: list[tuple[tuple[int, str, int, int], Message]] = field(default_factory=list)
    bytes: int = 0

    def add(self, message: Message) -> None:
        place = (message.topic() or "", message.partition() or 0, _offset(message))
        self.seen.append(((message.timestamp()[1], *place), message))
        self.bytes += _size(message)
        if len(self.seen) >= 2 * self.most or self.bytes > 2 * self.most_bytes:
            self.cut()

    def cut(self) -> list[Message]:
        """The newest, as many as are wanted and no more bytes than that; a single one however large it is."""
        newest = sorted(self.seen, key=itemgetter(0), reverse=True)[: self.most]
        sizes = accumulate(_size(message) for _, message in newest)
        kept = max(1, sum(size <= self.most_bytes for size in sizes))
        self.seen = newest[kept - 1 :: -1]
        self.bytes = sum(_size(message) for _, message in self.seen)
        return [message for _, message in self.seen]


class Reader:
    """Reads the ends of topics."""

    def __init__(self, kafka: KafkaSettings, topics: Topics, ids: TopicIds | None, clock: Clock) -> None:
        """Nothing is asked yet.

        Args:
            kafka: Where Kafka is.
            topics: Of all streams: a topic that two expressions match is one stream's.
            ids: Who the cluster and its topics are; None: the brokers tell.
            clock: Measures how long they are silent.

        Raises:
            BridgeError: A property of the client is wrong, or a secret is not readable.
        """
        self._topics = topics
        self._clock = clock
        settings = reader_settings(kafka, window_bytes=_PREFETCHED)
        self._group = str(settings["group.id"])
        try:
            self._admin = AdminClient({"log_level": 0, **client_settings(kafka)})
            self._consumer = Consumer({**settings, "log_level": 0})
        except KafkaException as exception:
            raise told(exception, self._group, "kafka.properties") from exception
        self._ids = ids or AdminTopicIds(self._admin)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._consumer.close()

    def newest(
        self, stream: Stream, most: int, *, most_bytes: int = MOST_BYTES, of_each: int | None = None
    ) -> Newest:
        """The newest messages of a stream's topics, as a reader of committed transactions sees them.

        Of each partition the last `of_each` offsets (None: `most`) are looked at: fewer messages, where Kafka
        has left gaps.

        Raises:
            BridgeError: A topic is missing, no broker answers, or Kafka refuses us.
        """
        try:
            partitions = partitions_of(self._consumer, self._topics, stream)
            latest = _Latest(most, most_bytes)
            return Newest(
                cluster_id=self._ids.cluster_id(),
                topic_ids=self._ids.topic_ids(sorted({at.topic for at in partitions})),
                messages=self._read(edges(self._admin, partitions), latest, of_each or most),
            )
        except KafkaException as exception:
            raise told(exception, self._group, f"stream {stream.name}") from exception

    def flow(self, stream: Stream) -> Flow:
        """How many messages a second come into a stream's topics.

        Raises:
            BridgeError: A topic is missing, no broker answers, or Kafka refuses us.
        """
        try:
            partitions = partitions_of(self._consumer, self._topics, stream)
            now = self._clock.now()
            marks = {age: offsets_since(self._admin, partitions, now - age) for age in AGES}
            return flow(edges(self._admin, partitions), marks)
        except KafkaException as exception:
            raise told(exception, self._group, f"stream {stream.name}") from exception

    def _read(self, ends: dict[Partition, Edges], latest: _Latest, of_each: int) -> list[Message]:
        starts = {at: max(edge.low, edge.high - of_each) for at, edge in ends.items() if edge.high > edge.low}
        left, heard = set(starts), self._clock.now()
        self._consumer.assign([TopicPartition(*at, offset) for at, offset in starts.items()])
        while left:
            batch = self._consumer.consume(BATCH, 1.0)
            for message in batch:
                self._see_allowed(message)
                at = Partition(message.topic() or "", message.partition() or 0)
                if at in left and message.error() is None and _offset(message) < ends[at].high:
                    latest.add(message)
                if at in left and _is_last(message, ends[at].high):
                    left.discard(at)
            now = self._clock.now()
            if any(message.error() is None for message in batch):
                heard = now
            elif left and now - heard > PATIENCE:
                raise BridgeError(
                    f"topic {min(left).topic}: nothing came for {PATIENCE // SECOND} s: see that Kafka runs"
                )
        return latest.cut()

    def _see_allowed(self, message: Message) -> None:
        """Other errors pass, or end in nothing coming; a group that nobody joins may well be refused."""
        error = message.error()
        if error is not None and error.code() == KafkaError.TOPIC_AUTHORIZATION_FAILED:
            raise told(KafkaException(error), self._group, f"topic {message.topic()}")


def _size(message: Message) -> int:
    return len(message.value() or b"") + len(message.key() or b"")


def _offset(message: Message) -> int:
    return message.offset() or 0


def _is_last(message: Message, high: int) -> bool:
    """Whether its partition has no more below `high`: the end may lie behind a transaction's marks."""
    error = message.error()
    return _offset(message) >= high - 1 if error is None else error.code() == _EOF
