"""Dead letters judged again: by the streams, schemas and topics of today, as live events are."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import polars as pl
from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

from bridge.audience.roster import Roster
from bridge.audience.rows import source_rank
from bridge.config import Config, KafkaSettings
from bridge.ingest.client_settings import client_settings
from bridge.ingest.cluster import AdminTopicIds
from bridge.ingest.dead_letters import DeadLetter
from bridge.ingest.decode import decoder_for
from bridge.ingest.faults import MISSING, error_of, told
from bridge.ingest.intake import Intake, Piece
from bridge.ingest.registry import Schemas
from bridge.ingest.topics import Topics
from bridge.replay.request import Bounds
from bridge.segments.watch import Watching
from bridge.topic_ids import TopicIds

_EVERYTHING = Bounds(since=None, until=None)

_AT_ONCE = 4_000_000
"""Bytes of values that are decoded together: an event of very many segments takes 50 times its size."""


class LetterMessage(NamedTuple):
    """A letter as it was read once, with the methods of `bridge.ingest.message.Message`."""

    letter: DeadLetter
    """The letter."""

    def value(self) -> bytes | None:
        """The event's bytes."""
        return self.letter.value

    def key(self) -> bytes | None:
        """The record's key."""
        return self.letter.key

    def topic(self) -> str:
        """Where it was read."""
        return self.letter.topic

    def partition(self) -> int:
        """Where it was read."""
        return self.letter.partition

    def offset(self) -> int:
        """Where it was read."""
        return self.letter.offset

    def timestamp(self) -> tuple[int, int]:
        """Kafka's own; of which type is not known any more."""
        return 0, self.letter.timestamp

    def error(self) -> None:
        """Never one: it was an event."""


def piece_of(letters: Sequence[DeadLetter], now: int) -> Piece:
    """Letters (at least one) of one topic as ingest takes them, in any order and also twice.

    `Piece.of` would take their offsets for a row without gaps. They count as read at `now`: so event times
    are judged by the clock of today.
    """
    return Piece(
        topic=letters[0].topic,
        messages=list(map(LetterMessage, letters)),
        values=[letter.value for letter in letters],
        partitions=np.array([letter.partition for letter in letters], np.int32),
        offsets=np.array([letter.offset for letter in letters], np.int64),
        read_at=now,
    )


class Why(NamedTuple):
    """Why a letter stays."""

    reason: str
    """The contract's word for it, or what is missing beside the event."""
    detail: str
    """What exactly, without the user's id."""


NO_STREAM = Why("no stream reads its topic", "name the topic in streams[].topics")
NO_TOPIC = Why("Kafka has no such topic", "produce its event to another topic")
NO_VALUE = Why("no value", "it holds no event")


@dataclass(frozen=True, kw_only=True, slots=True)
class Verdict:
    """What became of letters of one topic."""

    frames: tuple[pl.DataFrame, ...]
    """Rows of those that pass, with historical timestamps, as a window takes them."""
    stays: Mapping[int, Why]
    """The positions of the others."""


class LetterJudge:
    """What live ingest would make of events, were they read now."""

    def __init__(
        self,
        config: Config,
        registry: Schemas | None,
        ids: TopicIds | None,
        watches: Mapping[str, Watching],
    ) -> None:
        """Kafka and the registry are asked when a letter needs them.

        Args:
            config: The configuration.
            registry: Texts of writer schemas; None: there is no registry.
            ids: Who the cluster and its topics are; None: the brokers tell.
            watches: By which segments are judged, of each stream that names a taxonomy, by name.

        Raises:
            UsageError: A pinned schema or `fields` cannot be used.
            BridgeError: A property of the Kafka client is wrong, or a secret is not readable.
        """
        self.roster = Roster()
        """Numbers the audiences of all frames."""
        self._topics = Topics(config.streams)
        self._intakes = {
            stream.name: Intake(stream, decoder_for(stream, registry), self.roster, watches.get(stream.name))
            for stream in config.streams
        }
        self._ranks = _Ranks(config.kafka, ids)

    def judge(self, letters: Sequence[DeadLetter], now: int) -> Verdict:
        """Decode and judge letters (at least one) of one topic at `now` (epoch ms).

        Raises:
            RegistryUnreachable: The writer's schema is not to be had now.
            BridgeError: No broker answers, Kafka refuses us, or a taxonomy is not to be had.
        """
        topic = letters[0].topic
        stream = self._topics.stream_of(topic)
        if stream is None:
            return _all_stay(letters, NO_STREAM)
        rank = self._ranks.of(topic)
        if rank is None:
            return _all_stay(letters, NO_TOPIC)
        intake = self._intakes[stream.name]
        found = [intake.read(portion, rank) for portion in piece_of(letters, now).portions(_AT_ONCE)]
        refused = {
            _who(letter): Why(str(letter.reason), letter.detail) for one in found for letter in one.refused
        }
        stays = {
            at: NO_VALUE if letter.value is None else refused[_who(letter)]
            for at, letter in enumerate(letters)
            if letter.value is None or _who(letter) in refused
        }
        frames = tuple(_EVERYTHING.revise(frame) for one in found for frame in one.frames)
        return Verdict(frames=frames, stays=stays)


class _Ranks:
    """The ranks of topics in the order of writes, which are those of their live events."""

    def __init__(self, kafka: KafkaSettings, ids: TopicIds | None) -> None:
        self._group = kafka.group_id
        self._cluster_id: str | None = None
        self._known: dict[str, int | None] = {}
        try:
            self._ids = ids or AdminTopicIds(AdminClient({"log_level": 0, **client_settings(kafka)}))
        except KafkaException as exception:
            raise told(exception, self._group, "kafka.properties") from exception

    def of(self, topic: str) -> int | None:
        """The topic's rank; None: Kafka has no such topic (any more)."""
        if topic not in self._known:
            self._known[topic] = self._ask(topic)
        return self._known[topic]

    def _ask(self, topic: str) -> int | None:
        try:
            if self._cluster_id is None:
                self._cluster_id = self._ids.cluster_id()
            return source_rank(self._cluster_id, self._ids.topic_ids([topic])[topic])
        except KafkaException as exception:
            error = error_of(exception)
            if error is not None and error.code() in MISSING:
                return None
            raise told(exception, self._group, f"topic {topic}") from exception


def _all_stay(letters: Sequence[DeadLetter], why: Why) -> Verdict:
    return Verdict(frames=(), stays=dict.fromkeys(range(len(letters)), why))


def _who(letter: DeadLetter) -> tuple[int, int, bytes | None]:
    """Tells letters of one topic apart: its place may be another event's, where the topic was made anew."""
    return letter.partition, letter.offset, letter.value
