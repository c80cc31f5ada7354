"""Topics read between two places of each partition, by hand: no group is joined, nothing is committed."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import structlog
from confluent_kafka import Consumer, KafkaError, KafkaException, Message, TopicPartition

from bridge.clock import MINUTE, SECOND, Clock
from bridge.errors import BridgeError
from bridge.ingest.faults import FATAL, GONE, error_of, explained
from bridge.ingest.partition import Partition
from bridge.ingest.positions import Identity
from bridge.ingest.source import Owner

if TYPE_CHECKING:
    from bridge.ingest.client_settings import Settings

_log = structlog.get_logger()

_EOF = KafkaError._PARTITION_EOF  # noqa: SLF001  # librdkafka's own codes begin so

PATIENCE = 5 * MINUTE
"""How long the brokers may send nothing, ms; the replay goes on where it was when it is started again."""


@dataclass(frozen=True, kw_only=True, slots=True)
class TopicParts:
    """What a source is made of."""

    settings: "Settings"
    """Of `client_settings.reader_settings`."""
    cluster_id: str
    """Id of the cluster."""
    topic_ids: Mapping[str, str]
    """Id of each topic."""
    replay: str
    """Id of the replay, under which its positions stand."""
    starts: Mapping[Partition, int]
    """Where to begin."""
    ends: Mapping[Partition, int]
    """The offsets after the last ones that are wanted."""
    clock: Clock
    """What time it is."""
    stream_of: Callable[[str], str]
    """Name of the stream that a topic belongs to."""


class TopicSource:
    """The port `Source`, over a consumer that is assigned by hand."""

    def __init__(self, parts: TopicParts, owner: Owner) -> None:
        self._parts = parts
        self._owner = owner
        self._identity = Identity(cluster_id=parts.cluster_id, group=parts.replay)
        self._identity.topic_ids |= parts.topic_ids
        self._left: dict[Partition, int] = {}
        self._begun = False
        self._paused: frozenset[str] = frozenset()
        self._heard_at = 0
        self._unreachable = False
        self._failure: KafkaError | None = None
        try:
            self._consumer = Consumer({**parts.settings, "log_level": 0, "error_cb": self._on_error})
        except KafkaException as exception:
            raise self._explained(exception, "kafka.properties") from exception

    @property
    def identity(self) -> Identity:
        """What positions stand under: the replay's id instead of a group's."""
        return self._identity

    @property
    def assigned(self) -> frozenset[Partition]:
        """The partitions that are not at their ends."""
        return frozenset(self._left)

    def open(self) -> Mapping[Partition, int]:
        """Begin; returns the ends. Where each partition begins is told in the first poll."""
        parts = self._parts
        self._left = {at: end for at, end in parts.ends.items() if parts.starts[at] < end}
        self._consumer.assign([TopicPartition(*at, parts.starts[at]) for at in self._left])
        self._heard_at = parts.clock.now()
        return parts.ends

    def poll(self, max_messages: int, timeout: int) -> Sequence[Message]:
        """Messages up to the ends, and a few behind them; waits up to `timeout` ms for them.

        Raises:
            BridgeError: Offsets are gone, Kafka refuses us, or nothing came for long.
        """
        if not self._begun:  # the owner holds it against the ends, which it has from `open`
            self._begun = True
            self._owner.started(self._parts.starts)
        try:
            batch = self._consumer.consume(max_messages, timeout / SECOND)
        except KafkaException as exception:
            raise self._explained(exception, "consume") from exception
        if self._failure is not None:
            raise self._explained(KafkaException(self._failure), "consumer")
        if any(map(Message.error, batch)):
            batch = self._without_errors(batch)
        self._leave_what_is_read()
        self._see_progress(bool(batch))
        return batch

    def pause(self, streams: frozenset[str]) -> None:
        """Exactly the partitions of these streams are not read."""
        if streams == self._paused:
            return
        stopped = {at for at in self._left if self._parts.stream_of(at.topic) in streams}
        self._consumer.pause([TopicPartition(*at) for at in stopped])
        self._consumer.resume([TopicPartition(*at) for at in self._left.keys() - stopped])
        self._paused = streams

    def commit(self, offsets: Mapping[Partition, int], run: int) -> None:
        """Nothing: the runs themselves are the checkpoint."""

    def settle(self) -> None:
        """Nothing is to be waited for."""

    def lag(self) -> Mapping[Partition, int]:
        """How many offsets are left up to the ends."""
        positions = self._consumer.position([TopicPartition(*at) for at in self._left])
        reached = {Partition(at.topic, at.partition): at.offset for at in positions}
        return {
            at: max(0, end - (reached[at] if reached[at] >= 0 else self._parts.starts[at]))
            for at, end in self._left.items()
        }

    def close(self) -> None:
        """Leave; librdkafka has no group to tell."""
        self._consumer.close()

    def _leave_what_is_read(self) -> None:
        """A partition beyond its end is read no more: what comes in there meanwhile is not wanted."""
        positions = self._consumer.position([TopicPartition(*at) for at in self._left])
        reached = {Partition(at.topic, at.partition): at.offset for at in positions}
        done = [at for at, offset in reached.items() if offset >= self._left[at]]
        for at in done:
            del self._left[at]
            self._owner.ended(at, reached[at])  # the last offset may be no message: the mark of a transaction
        if done:
            self._consumer.incremental_unassign([TopicPartition(*at) for at in done])

    def _see_progress(self, came: bool) -> None:  # noqa: FBT001  # a fact, the only argument
        now = self._parts.clock.now()
        if came or self._paused or not self._left:
            self._heard_at = now
            self._unreachable = self._unreachable and not came
        elif now - self._heard_at > PATIENCE:
            raise BridgeError(
                f"topic {min(self._left).topic}: nothing came for {PATIENCE // MINUTE} min: see that Kafka "
                f"runs, then start the replay again: it goes on where it was"
            )

    def _without_errors(self, batch: Sequence[Message]) -> list[Message]:
        """The batch without what is no message; that is dealt with."""
        for message in batch:
            error = message.error()
            if error is None:
                continue
            at = Partition(message.topic() or "", message.partition() or 0)
            if error.code() == _EOF:
                self._owner.ended(at, message.offset() or 0)
            elif error.fatal() or error.code() in GONE | FATAL | {KafkaError.TOPIC_AUTHORIZATION_FAILED}:
                raise self._explained(KafkaException(error), f"topic {at.topic} partition {at.number}")
            else:  # a group that nobody joins may well be refused
                _log.debug(
                    "read_error",
                    topic=at.topic,
                    partition=at.number,
                    error=error.name(),
                    reason=error.str(),
                )
        return [message for message in batch if message.error() is None]

    def _on_error(self, error: KafkaError) -> None:
        """Errors of no one partition: told once, librdkafka goes on trying."""
        if error.fatal():
            self._failure = error
        elif not self._unreachable:
            self._unreachable = True
            _log.warning("broker_unreachable", error=error.name(), reason=error.str())

    def _explained(self, exception: KafkaException, where: str) -> BridgeError:
        error = error_of(exception)
        if error is None:
            return BridgeError(f"{where}: Kafka client failed: {exception}")
        if error.code() in GONE:
            return BridgeError(
                f"{where}: what comes next is not there any more: retention has passed it since the replay "
                f"began: end the replay with --cancel, then begin again"
            )
        return explained(error, str(self._parts.settings["group.id"]), where)
