"""What a message from Kafka is to ingest."""

from typing import Protocol


class Message(Protocol):
    """The methods of confluent_kafka.Message that are used."""

    def value(self) -> bytes | None:
        """The event's bytes; None is a tombstone."""
        ...

    def key(self) -> bytes | None:
        """The record's key."""
        ...

    def topic(self) -> str | None:
        """Where it stands; None only with an error."""
        ...

    def partition(self) -> int | None:
        """Where it stands; None only with an error."""
        ...

    def offset(self) -> int | None:
        """Where it stands; None only with an error."""
        ...

    def timestamp(self) -> tuple[int, int]:
        """Type of the timestamp, and epoch milliseconds."""
        ...

    def error(self) -> object | None:
        """None for a record; else what went wrong in its place (confluent_kafka.KafkaError)."""
        ...
