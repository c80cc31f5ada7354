"""Follows the topic: reads it from its start, or from where the table is, and never lets it wait for others.

One thread does it all: reading, taking in, merging a step at a time. It joins no group: every bridge reads
the whole topic, and how far is written in the table itself. What retention or compaction has removed is not
missed: the newest of each key is there. Only a tombstone that Kafka has removed already (delete.retention.ms)
while nobody followed is not heard of; opt-outs are no tombstones.

    known topic? ─▶ assign ─▶ its ends ─▶ consume ─▶ window ─▶ table ─▶ a step of a merge ─┐
         ▲                                  ▲──────────────────────────────────────────────┘
         └── every LOOK, after an error, after damage
"""

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import structlog
from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, KafkaException, Message, TopicPartition

from bridge.backoff import Backoff
from bridge.clock import SECOND, Clock
from bridge.errors import BridgeError
from bridge.spool.disk import SpoolFull
from bridge.sync.table.contents import TopicIdentity
from bridge.sync.table.decoding import Skipped, take
from bridge.sync.table.ends import Ends
from bridge.sync.table.slab import TableDamaged
from bridge.sync.table.table import Table
from bridge.sync.table.window import Window
from bridge.topic_ids import TopicIds

_log = structlog.get_logger()

BATCH = 50_000
"""Most messages that are decoded at once."""

LOOK = 10 * SECOND
"""How often it asks whether the topic is still the same, has the same partitions, and where they end, ms."""

_TIMEOUT = 10.0
"""Seconds that a broker has to answer."""

_POLL = 0.5
"""Seconds to wait for messages."""

_EOF = KafkaError._PARTITION_EOF  # noqa: SLF001  # librdkafka's own codes begin so


@dataclass(frozen=True, kw_only=True, slots=True)
class FollowerParts:
    """What a follower is made of."""

    settings: Mapping[str, str | int | bool]
    """librdkafka's, of a consumer that joins no group."""
    topic: str
    """Name of the topic."""
    ids: TopicIds
    """Knows which topic it is."""
    clock: Clock
    """What time it is."""
    beat: Callable[[], None] = lambda: None
    """Told again and again that the thread works."""
    consumer: Callable[..., Consumer] = Consumer
    """Makes the client."""


class Follower:
    """Keeps a table up to its topic. `caught_up`, `complete_at` and `skipped` may be asked by any thread."""

    def __init__(self, parts: FollowerParts, table: Table) -> None:
        """Nothing is read before `run`.

        Raises:
            BridgeError: The Kafka client does not take the settings.
        """
        self._parts = parts
        self._table = table
        self._window = Window()
        self._topic: TopicIdentity | None = None
        self._partitions: frozenset[int] = frozenset()
        self._reached: dict[int, int] = {}
        self._ends: Ends | None = None
        self._look_at = 0
        self._failures = Backoff()
        self._no_room = Backoff()
        self._told: str | None = None
        self._fatal: KafkaError | None = None
        self._caught_up = threading.Event()
        self._complete_at = table.complete_at
        self._skipped = dict.fromkeys(Skipped, 0)
        own = {"auto.offset.reset": "earliest", "enable.partition.eof": True, "log_level": 0}
        try:
            self._consumer = parts.consumer({**parts.settings, **own, "error_cb": self._on_error})
        except KafkaException as exception:
            raise self._broken(exception.args[0]) from exception

    @property
    def caught_up(self) -> bool:
        """The table holds all that was in the topic at the start, or when it was last made anew."""
        return self._caught_up.is_set()

    @property
    def complete_at(self) -> int | None:
        """All that was in the topic at this instant is in the table, epoch ms; None: it never held all."""
        return self._complete_at

    @property
    def skipped(self) -> Mapping[Skipped, int]:
        """How many messages were not taken since the start, by the reason."""
        return dict(self._skipped)

    def run(self, stop: threading.Event) -> None:
        """Follow until the signal is set; what is in the window then is read again at the next start.

        Raises:
            SpoolFailed: The disk failed.
            BridgeError: The Kafka client cannot go on.
        """
        try:
            while not stop.is_set():
                self._parts.beat()
                now = self._parts.clock.now()
                if now < max(self._failures.due, self._no_room.due):
                    self._parts.clock.wait(stop, SECOND // 2)
                else:
                    self._turn(now)
        finally:
            self._consumer.close()

    def _turn(self, now: int) -> None:
        """One round: what fails for a passing reason is tried again later."""
        try:
            if now >= self._look_at or self._table.damaged:
                self._look(now)
            if self._window.due(now) or self._at_ends():
                self._take_in(now)  # before more is read: where there is no room, nothing piles up here
            self._read(now)
            self._table.merge_step(now)
            self._no_room.succeeded()
        except SpoolFull as full:
            self._no_room.failed(now)
            _log.warning("identity_table_waits", reason=str(full), failures=self._no_room.count)
        except TableDamaged as damage:  # the table knows; the next round makes it anew
            _log.error("identity_table_damaged", reason=str(damage))
        except KafkaException as exception:
            self._tell(str(exception.args[0]))
            self._try_later(now)

    def _look(self, now: int) -> None:
        """See which topic it is, and that all its partitions are read."""
        name = self._parts.topic
        topic_id = self._parts.ids.topic_ids([name])[name]
        topic = TopicIdentity(cluster_id=self._parts.ids.cluster_id(), topic_id=topic_id)
        found = self._consumer.list_topics(name, _TIMEOUT).topics[name]
        if found.error is not None:
            raise KafkaException(found.error)
        if topic != self._table.topic or self._table.damaged:
            self._restart(topic, now)
        if (topic, found.partitions.keys()) != (self._topic, self._partitions):
            self._assign(frozenset(found.partitions))
            self._topic = topic
        if self._ends is None:  # else they would move away from who is slow
            self._ends = self._asked(now)
        self._look_at = now + LOOK

    def _restart(self, topic: TopicIdentity, now: int) -> None:
        """Everything is read anew: for a topic that is another one, or because the table is damaged."""
        _log.info("identity_table_restarted", topic=self._parts.topic, remedy="it is read from its start")
        self._caught_up.clear()
        self._complete_at = None
        self._table.restart(topic, now)
        self._window = Window()
        self._ends = None
        self._topic = None

    def _assign(self, partitions: frozenset[int]) -> None:
        self._reached = {**self._table.positions, **self._window.positions}
        starts = {at: self._reached.get(at, OFFSET_BEGINNING) for at in partitions}
        self._consumer.assign(
            [TopicPartition(self._parts.topic, at, offset) for at, offset in starts.items()]
        )
        self._partitions = partitions

    def _asked(self, now: int) -> Ends:
        """Where the topic ends; with a table that has not caught up, others wait until it has."""
        places = [TopicPartition(self._parts.topic, at) for at in self._partitions]
        marks = {place.partition: self._consumer.get_watermark_offsets(place, _TIMEOUT) for place in places}
        ends = Ends(asked_at=now, offsets={at: high for at, (_, high) in marks.items()})
        if not self.caught_up and not ends.reached(self._reached):
            self._table.falls_behind()
        return ends

    def _at_ends(self) -> bool:
        """All is read that was there when the ends were asked for, though it may be in the window still."""
        return self._ends is not None and self._ends.reached(self._reached)

    def _read(self, now: int) -> None:
        """Messages into the window."""
        try:
            batch = self._consumer.consume(BATCH, _POLL)
        except KafkaException as exception:
            raise self._broken(exception.args[0]) from exception
        if self._fatal is not None:
            raise self._broken(self._fatal)
        messages = self._without_errors(batch, now) if any(map(Message.error, batch)) else batch
        if not messages:
            return
        self._told = None
        self._failures.succeeded()
        # in each partition offsets ascend: the last one stays
        last = dict(zip(map(Message.partition, messages), map(Message.offset, messages), strict=True))
        positions = {at or 0: (offset or 0) + 1 for at, offset in last.items()}
        taken = take(messages, now)
        self._window.add(taken, positions, now)
        for why, count in taken.skipped.items():
            self._skipped[why] += count
        for at, position in positions.items():
            self._reach(at, position)

    def _reach(self, partition: int, position: int) -> None:
        """At a partition's end this may be above the last message: what a transaction ends with is none."""
        self._reached[partition] = max(position, self._reached.get(partition, 0))

    def _without_errors(self, batch: Sequence[Message], now: int) -> list[Message]:
        """The messages alone; a partition's end is noted, and after an error it is looked anew."""
        for message in batch:
            error = message.error()
            if error is not None and error.code() == _EOF:
                self._reach(message.partition() or 0, message.offset() or 0)
            elif error is not None:
                self._tell(error.str())
                self._try_later(now)
        return [message for message in batch if message.error() is None]

    def _take_in(self, now: int) -> None:
        """The window is in the table, and begins anew."""
        if self._window.positions:
            self._table.append(self._window.rows(), self._window.positions, now)
        if self._window.skipped:
            counts = {why.value: count for why, count in self._window.skipped.items()}
            _log.warning("identity_messages_skipped", topic=self._parts.topic, messages=counts)
        self._window = Window()
        if self._ends is not None and self._at_ends():
            self._complete(self._ends)

    def _complete(self, ends: Ends) -> None:
        """The table holds all up to there; then they are asked for anew, at the next look."""
        self._table.completed(ends.asked_at)
        self._complete_at = ends.asked_at
        self._ends = None
        if not self.caught_up:
            self._caught_up.set()
            _log.info("identity_table_caught_up", topic=self._parts.topic, bytes=self._table.usage())

    def _try_later(self, now: int) -> None:
        """Look and assign again, after a while."""
        self._failures.failed(now)
        self._look_at = self._failures.due
        self._topic = None

    def _tell(self, reason: str) -> None:
        """Once for each reason, until messages come again."""
        if reason != self._told:
            self._told = reason
            remedy = "see to Kafka; the topic is to be there, and ours to read: streams[].identify.table"
            _log.warning("identity_topic_waited_for", topic=self._parts.topic, reason=reason, remedy=remedy)

    def _on_error(self, error: KafkaError) -> None:
        """Errors of no one partition, within `consume`: librdkafka goes on trying."""
        if error.fatal():
            self._fatal = error
        else:
            self._tell(error.str())

    def _broken(self, error: KafkaError) -> BridgeError:
        return BridgeError(
            f"topic {self._parts.topic}: Kafka client failed: {error.str()}: check kafka.* in the "
            f"configuration"
        )
