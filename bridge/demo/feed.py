"""The made-up events on their way to the broker, each when its time has come."""

from collections.abc import Sequence
from pathlib import Path

from bridge.demo.avro import encode
from bridge.demo.broker import Broker
from bridge.demo.events import CLIENTS, Event, topic_of


class Feed:
    """Sends events in the order that they have."""

    def __init__(self, broker: Broker, events: Sequence[Event], schema: Path) -> None:
        self._broker = broker
        self._events = events
        self._values = encode(events, schema)
        self._partitions = {topic: broker.make_topic(topic) for topic in map(topic_of, CLIENTS)}
        self.sent = 0
        """How many were sent, and taken."""

    @property
    def done(self) -> bool:
        """All were sent."""
        return self.sent == len(self._events)

    def send(self, now: int) -> None:
        """Send what was to be sent up to `now` (epoch ms).

        Raises:
            BridgeError: The broker did not take it.
        """
        sent = self.sent
        while sent < len(self._events) and self._events[sent].sent_at <= now:
            event = self._events[sent]
            partition = sent % self._partitions[event.topic]
            self._broker.send(event.topic, partition, next(self._values), event.sent_at)
            sent += 1
        if sent > self.sent:
            self._broker.flush()
        self.sent = sent
