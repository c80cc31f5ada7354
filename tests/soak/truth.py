"""What the topics hold, and what must have come of it."""

import json
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field

from confluent_kafka import Message

from tests.parts import oracle
from tests.parts.bridging import messages
from tests.parts.events import Event
from tests.parts.kafka import Kafka
from tests.soak.aside import Add, marked
from tests.soak.feed import PARTITIONS, TIGHT

Place = tuple[str, int, int]
"""Topic, partition, offset."""


@dataclass(kw_only=True)
class Truth:
    """The topics at the end."""

    events: list[Event] = field(default_factory=list)
    """Those to be accepted, with their places and their stream's client."""
    refused: dict[Place, str] = field(default_factory=dict)
    """The others, with their reasons; tombstones are neither."""
    ends: dict[str, dict[int, int]] = field(default_factory=dict)
    """The offset after the last one, by topic and partition."""

    def state(self, unsent: AbstractSet[Add] = frozenset()) -> oracle.State:
        """What the platform should hold; `unsent` is marked in it."""
        return oracle.last_write_wins(marked(self.events, unsent))

    def users(self) -> set[str]:
        return {str(event["user_id"]).lower() for event in self.events}


def read(kafka: Kafka) -> Truth:
    """All that was ever stored."""
    truth = Truth(ends={topic: dict.fromkeys(range(count), 0) for topic, count in PARTITIONS.items()})
    for topic in PARTITIONS:
        for message in messages(kafka, topic):
            _add(truth, message)
    truth.ends = {topic: {at: end for at, end in ends.items() if end} for topic, ends in truth.ends.items()}
    return truth


def _add(truth: Truth, message: Message) -> None:
    topic, partition, offset = message.topic(), message.partition(), message.offset()
    truth.ends[topic][partition] = max(truth.ends[topic][partition], offset + 1)
    if message.key() is not None:
        truth.refused[topic, partition, offset] = message.key().decode()
    elif message.value() is not None:
        place = {"topic": topic, "partition": partition, "offset": offset}
        event = json.loads(message.value()) | place
        truth.events.append(event | {"client": "Tight"} if topic == TIGHT else event)
