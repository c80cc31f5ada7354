"""The consumer: messages in, commits out, and whose partitions are whose.

All of it runs in the ingest thread: librdkafka calls back only while it is polled. What a callback raises is
kept, and raised by the poll that it happened in.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import structlog
from confluent_kafka import Consumer, KafkaError, KafkaException, Message, TopicPartition

from bridge.backoff import retrying
from bridge.calls import Calls, ThreadedCalls
from bridge.clock import SECOND, Clock
from bridge.errors import BridgeError
from bridge.ingest.client_log import ClientLog
from bridge.ingest.clients import MakeConsumer
from bridge.ingest.cluster import TIMEOUT
from bridge.ingest.commits import Commits
from bridge.ingest.faults import FATAL, FORBIDDEN, GONE, NOT_OURS, error_of, explained, is_passing
from bridge.ingest.group_watch import GroupWatch
from bridge.ingest.partition import Partition
from bridge.ingest.positions import Identity
from bridge.ingest.resume import Start
from bridge.ingest.source import Owner, SourceUnavailable
from bridge.ingest.topic_watch import TopicWatch, made_anew
from bridge.ingest.unreadable import UNREADABLE, Unreadable, unreadable

if TYPE_CHECKING:
    from bridge.ingest.client_settings import Settings
    from bridge.ingest.starts import Starts
    from bridge.ingest.topics import Topics

_log = structlog.get_logger()

_EOF = KafkaError._PARTITION_EOF  # noqa: SLF001  # librdkafka's own codes begin so
_ATTEMPTS_TO_START = 6
"""To learn where assigned partitions stand: with pauses and timeouts within max.poll.interval.ms."""

_PATIENCE = 5 * SECOND
"""How long to wait at a stop for answers to commits, and again to leave, ms: librdkafka waits without end for
a frozen broker, and a stop must be through in 25 s."""

_TURN = SECOND // 10
"""How long one look for such an answer takes, ms."""


@dataclass(frozen=True, kw_only=True, slots=True)
class KafkaParts:
    """What a source is made of."""

    settings: "Settings"
    """Of `client_settings.consumer_settings`."""
    group: str
    """The consumer group."""
    topics: "Topics"
    """What to subscribe to."""
    starts: "Starts"
    """Where partitions start."""
    clock: Clock
    """What time it is."""
    sleep: Callable[[float], None]
    """Waits so many seconds between two attempts, less when the process is to stop."""
    until_end: bool
    """A topic that cannot be read is an error; else it is waited for."""
    tell_unreadable: Callable[[str, bool], None] = lambda _topic, _unreadable: None
    """Is told of each topic whether it cannot be read, as it becomes known."""
    consumer: MakeConsumer = Consumer
    """Makes the client."""
    calls: Calls = field(default_factory=ThreadedCalls)
    """Leaves the group beside us: librdkafka may not come back from that."""


class KafkaSource:
    """One member of the consumer group."""

    def __init__(self, parts: KafkaParts, owner: Owner) -> None:
        self._parts = parts
        self._owner = owner
        self._identity = Identity(cluster_id="", group=parts.group)
        self._assigned: frozenset[Partition] = frozenset()
        self._paused: frozenset[Partition] = frozenset()
        self._waiting: frozenset[str] = frozenset()
        self._unreadable = Unreadable(parts.clock, parts.tell_unreadable)
        self._told: set[int] = set()
        self._failure: Exception | None = None
        self._commits = Commits(parts.clock)
        self._topics = TopicWatch(parts.starts.ids, parts.clock, parts.calls)
        self._group = GroupWatch(parts.group, parts.starts.ids, parts.clock, parts.calls)
        self._left = False
        self._consumer = _consumer(parts, on_error=self._on_error, on_commit=self._on_commit)

    @property
    def identity(self) -> Identity:
        """What positions stand under; complete for every topic that was assigned."""
        return self._identity

    @property
    def assigned(self) -> frozenset[Partition]:
        """The partitions that are ours in this generation."""
        return self._assigned

    def open(self) -> dict[Partition, int]:
        """Learn which cluster it is, and subscribe; returns the ends of all partitions for `--until-end`.

        Raises:
            SourceUnavailable: No broker answers; may be tried again.
            BridgeError: A topic is missing, or Kafka refuses us.
        """
        try:
            self._identity.cluster_id = self._parts.starts.ids.cluster_id()
            ends = self._ends() if self._parts.until_end else {}
        except KafkaException as exception:
            if not is_passing(exception):
                raise self._explained(exception, "start") from exception
            raise SourceUnavailable(f"no broker answers: {exception.args[0].str()}") from exception
        self._consumer.subscribe(
            self._parts.topics.subscription,
            on_assign=self._on_assign,
            on_revoke=self._on_revoke,
            on_lost=self._on_lost,
        )
        return ends

    def poll(self, max_messages: int, timeout: int) -> Sequence[Message]:
        """Messages of assigned partitions, in order of offsets in each; waits up to `timeout` ms for them.

        Raises:
            BridgeError: The run cannot go on: a start was refused, offsets are gone, a topic was made anew,
                the identity is used twice, Kafka refuses us, the group forgot us, or the owner failed in a
                callback.
        """
        before = self._assigned
        try:
            batch: Sequence[Message] = self._consumer.consume(max_messages, timeout / SECOND)
        except KafkaException as exception:
            raise self._explained(exception, "consume") from exception
        self._raise_failure()
        if any(map(Message.error, batch)):
            batch = self._without_errors(batch)
        elif self._unreadable:
            self._unreadable.read({_partition(message).topic for message in batch})
        if not before <= self._assigned:
            batch = [message for message in batch if _partition(message) in self._assigned]
        if batch:
            self._told.clear()
        if self._unreadable:
            self._wait_for_topics()
        if self._commits.due:
            self._send_commits()
        if self._topics.due:
            self._topics.look({at.topic: self._identity.topic_ids[at.topic] for at in self._assigned})
        if self._group.due:
            self._group.look(self._identity.topic_ids)
        return batch

    def pause(self, streams: frozenset[str]) -> None:
        """Exactly the partitions of these streams are not read, those assigned later among them."""
        self._waiting = streams
        wanted = frozenset(at for at in self._assigned if self._stream_name(at.topic) in streams)
        if stopped := wanted - self._paused:
            self._consumer.pause([TopicPartition(*at) for at in stopped])
        if freed := self._paused - wanted:
            self._consumer.resume([TopicPartition(*at) for at in freed])
        self._paused = wanted

    def commit(self, offsets: Mapping[Partition, int], run: int) -> None:
        """Begin to commit the offsets of those partitions that are ours, as held by runs up to this one.

        Later polls bring the answers, and try again what failed for a passing reason. A commit that comes too
        late is done with: the run holds the offsets. After either the next one waits for a growing pause.
        """
        self._commits.want({at: offset for at, offset in offsets.items() if at in self._assigned}, run)
        if not self._commits.resting:
            self._send_commits()

    def settle(self) -> None:
        """Wait a while for the answers to all commits, though not for another try of refused ones.

        Nothing more is read.

        Raises:
            BridgeError: As `poll`.
        """
        self.pause(frozenset(stream.name for stream in self._parts.topics.streams))
        self._commits.hurry()
        for _ in range(_PATIENCE // _TURN):
            if self._commits.refused or not self._commits.wanted:
                return
            self.poll(1, _TURN)
        _log.warning("commit_unanswered", partitions=len(self._commits.wanted))

    def lag(self) -> dict[Partition, int]:
        """How many offsets of each assigned partition are not yet read, as far as it is known by now."""
        positions = self._consumer.position([TopicPartition(*at) for at in self._assigned])
        behind = {}
        for position in positions:
            _, high = self._consumer.get_watermark_offsets(position, cached=True)
            if position.offset >= 0 and high >= 0:
                behind[Partition(position.topic, position.partition)] = max(0, high - position.offset)
        return behind

    def close(self) -> None:
        """Leave; the partitions stay ours for a while, so that a restart has them back at once.

        Raises:
            BridgeError: The owner failed to seal what it was told to.
        """
        closing = self._parts.calls.begin("close", self._consumer.close)
        if self._parts.calls.wait(closing, _PATIENCE):
            closing.result()
        else:
            _log.warning("consumer_abandoned", remedy="no broker answers; the group misses us by itself")
        self._left = True
        self._raise_failure()

    def _metadata(self, topic: str, run: int) -> str:
        return str(self._parts.starts.mark(self._identity.topic_ids[topic], run))

    def _send_commits(self) -> None:
        """Send what is wanted, and do not wait: that would hang for as long as the broker is frozen."""
        parts = [
            TopicPartition(*at, offset, self._metadata(at.topic, self._commits.run))
            for at, offset in self._commits.wanted.items()
        ]
        if not parts:
            return
        self._commits.sent()
        try:
            self._consumer.commit(offsets=parts, asynchronous=True)
        except KafkaException as exception:
            self._on_commit(error_of(exception), parts)

    def _stream_name(self, topic: str) -> str:
        stream = self._parts.topics.stream_of(topic)
        return stream.name if stream is not None else ""

    def _ends(self) -> dict[Partition, int]:
        found = self._parts.starts.edges(self._partitions())
        return {at: edge.high for at, edge in found.items()}

    def _partitions(self) -> Iterable[Partition]:
        """All partitions of all topics that exist.

        The consumer asks, not the admin client: it never makes a topic by asking for it.
        """
        topics = self._parts.topics
        found = {}
        if topics.has_patterns:
            known = self._consumer.list_topics(timeout=TIMEOUT).topics
            found = {name: known[name] for name in known if topics.stream_of(name) is not None}
        for name in topics.names - found.keys():
            found[name] = self._consumer.list_topics(name, timeout=TIMEOUT).topics[name]
        for name, topic in found.items():
            if topic.error is not None and topic.error.code() in UNREADABLE:
                raise unreadable(name, topic.error.code())
            yield from (Partition(name, number) for number in topic.partitions)

    # What librdkafka calls, always within consume() or close().

    def _on_assign(self, _: Consumer, partitions: list[TopicPartition]) -> None:
        self._group.joined()
        try:
            if partitions:
                self._take([_named(partition) for partition in partitions])
        except Exception as failure:  # noqa: BLE001  # raised again by the poll that we are in
            self._failure = failure

    def _take(self, partitions: list[Partition]) -> None:
        """Take over partitions at the offsets that the rules say; pauses are as they were."""
        attempt = retrying(is_passing, self._parts.sleep, attempts=_ATTEMPTS_TO_START)
        starts = attempt(self._starts, partitions)
        self._consumer.incremental_assign([TopicPartition(*at, start.offset) for at, start in starts.items()])
        self._assigned |= frozenset(starts)
        self._paused -= frozenset(starts)
        self.pause(self._waiting)
        self._unreadable.read({at.topic for at in partitions})
        decided = {at: start.offset for at, start in starts.items() if start.commit}
        self.commit(decided, self._parts.starts.newest_run())
        self._owner.started({at: start.offset for at, start in starts.items()})
        _log.info("partitions_assigned", partitions=len(partitions), assigned=len(self._assigned))

    def _starts(self, partitions: list[Partition]) -> dict[Partition, Start]:
        found = self._parts.starts.ids.topic_ids(sorted({at.topic for at in partitions}))
        for name in {at.topic for at in self._assigned} & found.keys():
            if self._identity.topic_ids[name] != found[name]:  # others are read at old offsets
                raise made_anew(name)
        self._identity.topic_ids |= found
        return self._parts.starts.find(
            self._consumer, partitions, cluster_id=self._identity.cluster_id, topic_ids=found
        )

    def _on_revoke(self, _: Consumer, partitions: list[TopicPartition]) -> None:
        if self._give_up(partitions, self._revoked):
            _log.info("partitions_revoked", partitions=len(partitions), assigned=len(self._assigned))

    def _on_lost(self, _: Consumer, partitions: list[TopicPartition]) -> None:
        if self._give_up(partitions, self._owner.lost):
            _log.info("partitions_lost", partitions=len(partitions), assigned=len(self._assigned))

    def _revoked(self, going: frozenset[Partition]) -> None:
        """The last moment to commit what is sealed, whatever the pause."""
        self._commits.hurry()
        self._owner.revoked(going)
        if self._commits.due:
            self._send_commits()

    def _give_up(
        self, partitions: list[TopicPartition], tell: Callable[[frozenset[Partition]], None]
    ) -> bool:
        """The owner seals first; only then the partitions go. False: there were none."""
        going = frozenset(_named(partition) for partition in partitions) & self._assigned
        try:
            if going and self._failure is None and not self._left:
                tell(going)
        except Exception as failure:  # noqa: BLE001  # as _on_assign
            self._failure = failure
        self._assigned -= going
        self._paused -= going
        self._commits.forget(going)
        if partitions:
            self._group.lost()
            self._consumer.incremental_unassign(partitions)
        return bool(partitions)

    def _on_commit(self, error: KafkaError | None, parts: list[TopicPartition]) -> None:
        """The answer to one commit."""
        first = error or next((part.error for part in parts if part.error is not None), None)
        offsets = {_named(part): part.offset for part in parts}
        if first is None:
            self._commits.settled(offsets)
        elif first.code() in NOT_OURS:
            self._commits.came_too_late(offsets)
        else:
            self._commits.failed()
        if first is not None:
            _log.warning("commit_failed", partitions=len(parts), error=first.name())
            if first.fatal() or first.code() in FORBIDDEN | FATAL:
                self._failure = explained(first, self._parts.group, "commit")

    def _on_error(self, error: KafkaError) -> None:
        """Errors of no one partition: told once a change, librdkafka goes on trying."""
        if error.fatal():
            self._failure = explained(error, self._parts.group, "consumer")
        elif error.code() not in self._told | UNREADABLE:
            self._told.add(error.code())
            _log.warning("broker_unreachable", error=error.name(), reason=error.str())

    def _without_errors(self, batch: Sequence[Message]) -> list[Message]:
        """The batch without its events that are no messages; those are dealt with.

        All in their order: a topic's last messages may come before the word that it cannot be read any more,
        and its first ones after it.
        """
        messages = []
        for message in batch:
            error = message.error()
            if error is not None:
                self._deal_with(error, message)
            else:
                self._unreadable.read([_partition(message).topic])
                messages.append(message)
        return messages

    def _deal_with(self, error: KafkaError, message: Message) -> None:
        topic, where = message.topic() or "", f"topic {message.topic()} partition {message.partition()}"
        if error.code() == _EOF:
            if _partition(message) in self._assigned:
                self._owner.ended(_partition(message), message.offset() or 0)
        elif error.code() in UNREADABLE:
            self._unreadable.found(topic, error.code())
        elif error.fatal() or error.code() in FORBIDDEN | GONE | FATAL:
            raise explained(error, self._parts.group, where)
        else:
            _log.warning(
                "consumer_error",
                topic=topic,
                partition=message.partition(),
                error=error.name(),
                reason=error.str(),
            )

    def _wait_for_topics(self) -> None:
        """Those that cannot be read are told every minute, until they can."""
        if self._parts.until_end:
            self._unreadable.raise_first()
        self._unreadable.remind()

    def _explained(self, exception: KafkaException, where: str) -> BridgeError:
        error = error_of(exception)
        if error is None:
            return BridgeError(f"{where}: Kafka client failed: {exception}")
        return explained(error, self._parts.group, where)

    def _raise_failure(self) -> None:
        """Raise what a callback could not."""
        if self._failure is not None:
            failure, self._failure = self._failure, None
            if isinstance(failure, KafkaException):
                raise self._explained(failure, "assignment") from failure
            raise failure


def _consumer(
    parts: KafkaParts,
    *,
    on_error: Callable[[KafkaError], None],
    on_commit: Callable[[KafkaError | None, list[TopicPartition]], None],
) -> Consumer:
    callbacks = {"error_cb": on_error, "on_commit": on_commit, "logger": ClientLog()}
    try:
        return parts.consumer({**parts.settings, **callbacks})
    except KafkaException as exception:
        error = error_of(exception)
        raise BridgeError(
            f"kafka.properties: {error.str() if error else exception}: see librdkafka's list of properties"
        ) from exception


def _named(partition: TopicPartition) -> Partition:
    return Partition(partition.topic, partition.partition)


def _partition(message: Message) -> Partition:
    return Partition(message.topic() or "", message.partition() or 0)
