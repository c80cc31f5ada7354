"""The port to Kafka: how clients of confluent-kafka are made."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

from confluent_kafka import Consumer, Producer
from confluent_kafka.admin import AdminClient

MakeConsumer: TypeAlias = Callable[..., Consumer]
"""Makes a consumer from librdkafka's properties, as the class itself does."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Clients:
    """What talks to the brokers. A simulation brings its own."""

    consumer: MakeConsumer = Consumer
    """Reads and commits."""
    admin: Callable[..., AdminClient] = AdminClient
    """Knows topics and their edges."""
    producer: Callable[..., Producer] = Producer
    """Writes dead letters."""
