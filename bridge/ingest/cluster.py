"""What the brokers say of themselves: ids, partitions, first and last offsets."""

from collections.abc import Iterable, Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, NamedTuple, TypeVar

from confluent_kafka import IsolationLevel, KafkaException, TopicCollection, TopicPartition
from confluent_kafka.admin import OffsetSpec  # type: ignore[attr-defined]  # it is public, by its documentation

from bridge.errors import BridgeError
from bridge.ingest.faults import LEADERLESS, error_of, is_passing
from bridge.ingest.partition import Partition
from bridge.topic_ids import TopicIds

if TYPE_CHECKING:
    from collections.abc import Callable
    from concurrent.futures import Future

    from confluent_kafka import Consumer
    from confluent_kafka.admin import AdminClient

    from bridge.config import Stream
    from bridge.ingest.topics import Topics

T = TypeVar("T")

TIMEOUT = 10.0
"""Seconds that a broker has to answer."""

_EARLIEST = OffsetSpec.earliest()  # type: ignore[no-untyped-call]  # the library left it so
_LATEST = OffsetSpec.latest()  # type: ignore[no-untyped-call]  # as above


class AdminTopicIds:
    """Ids as the brokers give them."""

    def __init__(self, admin: "AdminClient") -> None:
        self._admin = admin

    def cluster_id(self) -> str:
        """Id of the cluster.

        Not by `describe_cluster`: a broker that comes back may know of no broker yet, not even itself, and
        librdkafka 2.16 aborts the process where an answer to that names neither a broker nor a topic.
        """
        return str(self._admin.list_topics(timeout=TIMEOUT).cluster_id)

    def topic_ids(self, names: Iterable[str]) -> dict[str, str]:
        """The id of each of these topics."""
        asked = self._admin.describe_topics(TopicCollection(list(names)), request_timeout=TIMEOUT)
        return {name: str(answer.result().topic_id) for name, answer in asked.items()}


class LastingAdmin:
    """An admin client for a process that lasts: after a failure the next question goes to a new one.

    A broker that comes back may name topics and no broker, not even itself. librdkafka 2.16 then forgets all
    brokers that it knows, for good (its issue 5301): such a client hears of no broker any more.
    """

    def __init__(self, make: "Callable[[], AdminClient]") -> None:
        self._make = make
        self._client = make()

    def ask(self, question: "Callable[[AdminClient], T]") -> T:
        """What the question, to whom a client is handed, comes to.

        Raises:
            KafkaException: As the question.
        """
        try:
            return question(self._client)
        except KafkaException as exception:
            if is_passing(exception):
                with suppress(BridgeError):  # a secret that cannot be read just now
                    self._client = self._make()
            raise


class LastingTopicIds:
    """Ids as the brokers give them, for as long as the process lasts."""

    def __init__(self, admin: LastingAdmin) -> None:
        self._admin = admin

    def cluster_id(self) -> str:
        """Id of the cluster."""
        return self._admin.ask(lambda client: AdminTopicIds(client).cluster_id())

    def topic_ids(self, names: Iterable[str]) -> dict[str, str]:
        """The id of each of these topics."""
        asked = list(names)
        return self._admin.ask(lambda client: AdminTopicIds(client).topic_ids(asked))


class HeardTopicIds:
    """Ids that somebody else asks for, and a sign each time that there was an answer."""

    def __init__(self, ids: TopicIds, heard: "Callable[[], None]") -> None:
        self._ids = ids
        self._heard = heard

    def cluster_id(self) -> str:
        """Id of the cluster."""
        found = self._ids.cluster_id()
        self._heard()
        return found

    def topic_ids(self, names: Iterable[str]) -> dict[str, str]:
        """The id of each of these topics."""
        found = self._ids.topic_ids(names)
        self._heard()
        return found


class Edges(NamedTuple):
    """Where a partition begins and ends."""

    low: int
    """The first offset kept."""
    high: int
    """The offset after the last one that a reader of committed transactions sees."""


def partitions_of(consumer: "Consumer", topics: "Topics", stream: "Stream") -> list[Partition]:
    """All partitions of a stream's topics that exist now.

    The consumer asks, not the admin client: it never makes a topic by asking for it.

    Raises:
        BridgeError: A topic is missing, or none matches.
        KafkaException: No broker answers.
    """
    known = consumer.list_topics(timeout=TIMEOUT).topics
    for name in stream.topics:
        if name in topics.names and name not in known:
            raise BridgeError(f"topic {name}: Kafka has no such topic: check the name or create it")
    names = sorted(name for name in known if topics.stream_of(name) == stream)
    if not names:
        raise BridgeError(f"stream {stream.name}: no topic matches its expression: correct it, or create one")
    return [Partition(name, number) for name in names for number in known[name].partitions]


def edges(admin: "AdminClient", partitions: Iterable[Partition]) -> dict[Partition, Edges]:
    """Where each of these partitions begins and ends now.

    Raises:
        KafkaException: No broker answers.
    """
    asked = list(partitions)
    lows, highs = (_offsets(admin, asked, spec) for spec in (_EARLIEST, _LATEST))
    return {partition: Edges(lows[partition], highs[partition]) for partition in asked}


def offsets_since(
    admin: "AdminClient", partitions: Iterable[Partition], instant: int
) -> dict[Partition, int | None]:
    """The first offset of each partition whose message is no older than that instant; None: all are older.

    Raises:
        KafkaException: No broker answers.
    """
    found = _offsets(admin, list(partitions), OffsetSpec.for_timestamp(instant))
    return {at: None if offset < 0 else offset for at, offset in found.items()}


def _offsets(admin: "AdminClient", partitions: list[Partition], spec: OffsetSpec) -> dict[Partition, int]:
    """Ask, and once more where a partition had no leader when the client last heard of it.

    librdkafka believes that for a quarter of an hour, unless it is made to look again.
    """
    try:
        return _listed(admin, partitions, spec)
    except KafkaException as exception:
        error = error_of(exception)
        if error is None or error.code() not in LEADERLESS:
            raise
        admin.list_topics(timeout=TIMEOUT)
        return _listed(admin, partitions, spec)


def _listed(admin: "AdminClient", partitions: list[Partition], spec: OffsetSpec) -> dict[Partition, int]:
    if not partitions:
        return {}
    answers: Mapping[TopicPartition, Future[object]] = admin.list_offsets(
        {TopicPartition(*partition): spec for partition in partitions},
        isolation_level=IsolationLevel.READ_COMMITTED,
        request_timeout=TIMEOUT,
    )
    return {
        Partition(asked.topic, asked.partition): int(_offset(answer.result()))
        for asked, answer in answers.items()
    }


def _offset(answer: object) -> int:
    offset = getattr(answer, "offset", None)
    if not isinstance(offset, int):
        raise KafkaException(f"a broker's answer names no offset: {answer!r}")
    return offset
