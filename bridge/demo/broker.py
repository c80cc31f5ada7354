"""A Kafka broker within the process: librdkafka's mock cluster.

It keeps what it is sent in memory, knows consumer groups, and cannot tell ids of cluster and topics.
"""

from collections.abc import Iterable, Sequence

from confluent_kafka import Producer

from bridge.clock import SECOND
from bridge.errors import BridgeError

_PATIENCE = 10 * SECOND // 1000


class Broker:
    """Lives as long as this object does."""

    def __init__(self) -> None:
        self._producer = Producer(
            {
                "bootstrap.servers": "localhost",
                "test.mock.num.brokers": 1,
                "linger.ms": 5,
                "log_level": 0,
            }
        )
        self.address = self._address()
        """`host:port`, for `bootstrap_servers`."""

    def fill(self, topic: str, messages: Iterable[tuple[int, bytes]]) -> None:
        """Send (partition, value) pairs, and wait until all are taken.

        Raises:
            BridgeError: The broker did not take them all.
        """
        for partition, value in messages:
            self._send(topic, partition, value)
        if self._producer.flush(_PATIENCE):
            raise BridgeError("the demo's broker did not take all events: try again with fewer --events")

    def _send(self, topic: str, partition: int, value: bytes) -> None:
        while True:
            try:
                self._producer.produce(topic, value, partition=partition)
            except BufferError:
                self._producer.poll(0.1)
            else:
                return

    def _address(self) -> str:
        brokers = self._producer.list_topics(timeout=_PATIENCE).brokers.values()
        return ",".join(f"{broker.host}:{broker.port}" for broker in brokers)


class NamedTopics:
    """Ids of the mock cluster's topics, which has none: their names."""

    def cluster_id(self) -> str:
        """A made-up id."""
        return "demo"

    def topic_ids(self, names: Sequence[str]) -> dict[str, str]:
        """Each topic's name for its id."""
        return {name: name for name in names}
