"""librdkafka's settings: the user's own, and those that the product's promises rest on."""

import uuid
from collections.abc import Mapping
from typing import TYPE_CHECKING, TypeAlias

from bridge.config.secret import SENSITIVE, Plain, read_secret

if TYPE_CHECKING:
    from bridge.config import KafkaSettings

Settings: TypeAlias = dict[str, str | int | bool]
"""librdkafka's names to values."""

MIB = 1024 * 1024

_PREFETCH = 16 * MIB
"""Bytes of events. librdkafka keeps several times their size for small ones; more does not make it faster."""

_CHOICES: Mapping[str, str | int | bool] = {
    "client.id": "s2s-bridge",
    # The default (1000) leaves the fetcher asleep half of the time under load (facts.md, Kafka).
    "fetch.queue.backoff.ms": 10,
    # The bound is in bytes (queued.max.messages.kbytes); this one must never be met first.
    "queued.min.messages": 10_000_000,
    # Missing topics, new partitions and new topics of a ^regex are seen after a minute, not after five.
    "topic.metadata.refresh.interval.ms": 60_000,
}
"""What a user may override by `kafka.properties`."""


def client_settings(kafka: "KafkaSettings") -> Settings:
    """What every client of this cluster needs: addresses, the user's properties, secrets read anew.

    Raises:
        BridgeError: The file of a secret cannot be read.
    """
    given = {name: Plain(value) if name in SENSITIVE else value for name, value in kafka.properties.items()}
    secrets = {name: read_secret(path).reveal() for name, path in kafka.secret_properties.items()}
    return {"bootstrap.servers": kafka.bootstrap_servers, **given, **secrets}


def consumer_settings(
    kafka: "KafkaSettings", *, instance: str, window_bytes: int, until_end: bool
) -> Settings:
    """The settings of the ingest thread's consumer (design.md, invariants 3 and 6).

    Args:
        kafka: The configuration.
        instance: The spool's id: a second process with it is fenced off.
        window_bytes: `window.max_bytes`; half of it bounds what is fetched ahead.
        until_end: Whether the ends of partitions are to be told.
    """
    return {
        **reader_settings(kafka, window_bytes=window_bytes),
        "group.id": kafka.group_id,
        "group.instance.id": instance,
        "partition.assignment.strategy": "cooperative-sticky",
        "enable.partition.eof": until_end,
    }


def reader_settings(kafka: "KafkaSettings", *, window_bytes: int) -> Settings:
    """The settings of a consumer that joins no group: it is assigned by hand, and commits nothing.

    Args:
        kafka: The configuration.
        window_bytes: `window.max_bytes`; half of it bounds what is fetched ahead.
    """
    prefetch = max(1024, min(_PREFETCH, window_bytes // 2))
    return {
        **_CHOICES,
        **client_settings(kafka),
        "group.id": f"s2s-bridge-{uuid.uuid4()}",  # the client wants one, though nobody joins it
        "isolation.level": "read_committed",
        "auto.offset.reset": "error",
        "enable.auto.commit": False,
        "enable.auto.offset.store": False,
        "enable.partition.eof": True,
        "queued.max.messages.kbytes": prefetch // 1024,
    }
