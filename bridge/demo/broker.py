"""A Kafka broker within the process: librdkafka's mock cluster.

It keeps what it is sent in memory (of a partition 5 MiB), knows consumer groups, and cannot tell ids of
cluster and topics.
"""

from collections.abc import Iterable

from confluent_kafka import KafkaException, Producer

from bridge.errors import BridgeError

_PATIENCE = 10.0
"""Seconds of real time that the broker has to answer."""


class Broker:
    """Lives as long as this object does."""

    def __init__(self) -> None:
        settings: dict[str, object] = {
            "bootstrap.servers": "localhost",  # of no effect: the mock cluster takes its place
            "test.mock.num.brokers": 1,
            "linger.ms": 5,
            "log_level": 0,
        }
        self._producer = Producer(settings)
        self.address = self._address()
        """`host:port`, for `bootstrap_servers`."""

    def make_topic(self, name: str) -> int:
        """Make a topic; returns how many partitions it has.

        Raises:
            BridgeError: The broker does not answer.
        """
        try:
            return len(self._producer.list_topics(name, timeout=_PATIENCE).topics[name].partitions)
        except KafkaException as error:
            raise BridgeError(f"the demo's broker does not answer ({error}): run the demo again") from error

    def send(self, topic: str, partition: int, value: bytes, at: int) -> None:
        """Send a message of the time `at` (epoch ms); `flush` waits until it is taken."""
        while True:
            try:
                self._producer.produce(topic, value, partition=partition, timestamp=at)
            except BufferError:
                self._producer.poll(0.1)
            else:
                return

    def flush(self) -> None:
        """Wait until all that was sent is taken.

        Raises:
            BridgeError: The broker did not take it.
        """
        if self._producer.flush(_PATIENCE):
            raise BridgeError("the demo's broker did not take all events: run the demo with fewer --events")

    def _address(self) -> str:
        brokers = self._producer.list_topics(timeout=_PATIENCE).brokers.values()
        return ",".join(f"{broker.host}:{broker.port}" for broker in brokers)


class NamedTopics:
    """Ids of the mock cluster's topics, which has none: their names."""

    def cluster_id(self) -> str:
        """A made-up id."""
        return "demo"

    def topic_ids(self, names: Iterable[str]) -> dict[str, str]:
        """Each topic's name for its id."""
        return {name: name for name in names}
