"""Where a replay of topics begins and ends: what Kafka holds of the time that is asked for.

An event belongs by its event time, Kafka finds offsets by its own timestamps. An event may be up to
`max_future` ahead of its own clock when it is written, so reading begins that much earlier; from there it
goes on to the ends as they are now, as what is newer than `--to` decides about what is older.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaException, TopicPartition
from confluent_kafka.admin import (  # type: ignore[attr-defined]  # they are public, by the documentation
    AdminClient,
    ConfigResource,
    OffsetSpec,
    ResourceType,
)

from bridge.clock import Clock
from bridge.config import Config, Stream
from bridge.errors import BridgeError, UsageError
from bridge.ingest.client_settings import client_settings, reader_settings
from bridge.ingest.cluster import TIMEOUT, AdminTopicIds, Edges, edges, partitions_of
from bridge.ingest.faults import MISSING, error_of, told
from bridge.ingest.partition import Partition
from bridge.ingest.topics import Topics
from bridge.replay.request import Request, chosen, complete
from bridge.topic_ids import TopicIds
from bridge.units import iso

if TYPE_CHECKING:
    from concurrent.futures import Future

_LOOKS = 20
"""Seconds that the first message of a partition may take to come."""

_NEWEST = OffsetSpec.max_timestamp()  # type: ignore[no-untyped-call]  # the library left it so


@dataclass(frozen=True, kw_only=True, slots=True)
class Plan:
    """What a replay of topics reads."""

    cluster_id: str
    """Id of the cluster."""
    topic_ids: Mapping[str, str]
    """Id of each topic."""
    starts: Mapping[Partition, int]
    """Where each partition is begun."""
    ends: Mapping[Partition, int]
    """The offset after the last one that is wanted."""
    past_horizon: bool
    """All that is newer than an event of the time is read with it, so that no horizon limits it."""

    @property
    def offsets(self) -> int:
        """How many are to be read."""
        return sum(max(0, end - self.starts[at]) for at, end in self.ends.items())

    def to_json(self) -> dict[str, object]:
        """What is written down, to go on with."""
        return {
            "cluster": self.cluster_id,
            "topics": dict(self.topic_ids),
            "partitions": [[*at, self.starts[at], end] for at, end in self.ends.items()],
            "past_horizon": self.past_horizon,
        }

    @classmethod
    def from_json(cls, fields: Mapping[str, object]) -> Self:
        """Inverse of `to_json`."""
        rows: list[tuple[str, int, int, int]] = fields["partitions"]  # type: ignore[assignment]  # we wrote it
        return cls(
            cluster_id=str(fields["cluster"]),
            topic_ids=dict(fields["topics"]),  # type: ignore[call-overload]  # as above
            starts={Partition(topic, number): start for topic, number, start, _ in rows},
            ends={Partition(topic, number): end for topic, number, _, end in rows},
            past_horizon=bool(fields["past_horizon"]),
        )


@dataclass(frozen=True, slots=True)
class _Cleanup:
    """How a topic loses messages."""

    compacted: bool
    kept_for: int | None
    """What is deleted is older than this, ms; None: it may be younger."""


class Planner:
    """Asks Kafka. Used as a context manager."""

    def __init__(self, config: Config, ids: TopicIds | None, clock: Clock) -> None:
        """Nothing is asked yet; `ids`: who the cluster and its topics are; None: the brokers tell.

        Raises:
            BridgeError: A property of the client is wrong, or a secret is not readable.
        """
        self._config = config
        self._clock = clock
        self._topics = Topics(config.streams)
        settings = reader_settings(config.kafka, window_bytes=0)
        self._group = str(settings["group.id"])
        try:
            self._admin = AdminClient({"log_level": 0, **client_settings(config.kafka)})
            self._consumer = Consumer({**settings, "log_level": 0})
        except KafkaException as exception:
            raise told(exception, self._group, "kafka.properties") from exception
        self._ids = ids or AdminTopicIds(self._admin)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._consumer.close()

    def plan(self, request: Request) -> Plan:
        """What a request reads.

        Raises:
            UsageError: There is no such stream or partition, or the time or offset is not held (any more).
            BridgeError: A topic is missing, no broker answers, or Kafka refuses us.
        """
        streams = chosen(self._config, request.streams)
        try:
            if request.from_offsets:
                starts, ends = self._by_offset(request.from_offsets, streams)
            else:
                starts, ends = self._by_time(request, streams)
            names = sorted({at.topic for at in ends})
            return Plan(
                cluster_id=self._ids.cluster_id(),
                topic_ids=self._ids.topic_ids(names),
                starts=starts,
                ends=ends,
                past_horizon=not request.from_offsets
                and complete(self._config, streams)
                and not any(self._cleanup(name).compacted for name in names),
            )
        except KafkaException as exception:
            raise told(exception, self._group, "replay") from exception

    def check(self, plan: Plan) -> None:
        """See that the topics of a plan made earlier are still the same.

        Raises:
            BridgeError: One was deleted or made anew, or no broker answers.
        """
        for name, topic_id in plan.topic_ids.items():
            if self._topic_id(name) != topic_id:
                raise BridgeError(
                    f"topic {name}: was deleted or made anew since the replay began: end the replay with "
                    f"--cancel, then begin again"
                )

    def _topic_id(self, name: str) -> str | None:
        """The topic's id; None: there is no such topic."""
        try:
            return self._ids.topic_ids([name])[name]
        except KafkaException as exception:
            error = error_of(exception)
            if error is not None and error.code() in MISSING:
                return None
            raise told(exception, self._group, "replay") from exception

    def _by_offset(
        self, wanted: Mapping[Partition, int], streams: Iterable[Stream]
    ) -> tuple[dict[Partition, int], dict[Partition, int]]:
        known = {at for stream in streams for at in partitions_of(self._consumer, self._topics, stream)}
        for at in wanted:
            if at not in known:
                raise UsageError(f"{_place(at, wanted[at])}: no such partition is replayed; check the topic")
        found = edges(self._admin, wanted)
        for at, edge in found.items():
            if not edge.low <= wanted[at] <= edge.high:
                raise UsageError(f"{_place(at, wanted[at])}: the partition holds {_offsets(edge)}")
        return dict(wanted), {at: edge.high for at, edge in found.items()}

    def _by_time(
        self, request: Request, streams: Iterable[Stream]
    ) -> tuple[dict[Partition, int], dict[Partition, int]]:
        since = request.bounds.since
        assert since is not None  # the command asks for it where there are no offsets
        held: dict[Partition, Edges] = {}
        starts: dict[Partition, int] = {}
        for stream in streams:
            partitions = partitions_of(self._consumer, self._topics, stream)
            found = self._offsets_at(partitions, max(0, since - stream.max_future))
            for at, edge in edges(self._admin, partitions).items():
                held[at] = edge
                starts[at] = min(max(found.get(at, edge.high), edge.low), edge.high)
        self._see_held(since, held, starts)
        return starts, {at: edge.high for at, edge in held.items()}

    def _offsets_at(self, partitions: Iterable[Partition], instant: int) -> dict[Partition, int]:
        """The first offset of each partition with a timestamp from this instant on, where there is one."""
        asked = [TopicPartition(*at, instant) for at in partitions]
        answers = self._consumer.offsets_for_times(asked, timeout=TIMEOUT)
        for answer in answers:
            if answer.error is not None:
                raise KafkaException(answer.error)
        return {
            Partition(answer.topic, answer.partition): answer.offset
            for answer in answers
            if answer.offset >= 0
        }

    def _see_held(self, since: int, held: Mapping[Partition, Edges], starts: Mapping[Partition, int]) -> None:
        """The time is one that the topics hold: not before what retention left, not after the last event.

        Raises:
            UsageError: It is not; the text says what is held.
        """
        if all(edge.low == edge.high for edge in held.values()):
            raise UsageError(
                f"--from {iso(since)}: the topics hold no events; replay archived files with --files"
            )
        for at, edge in held.items():
            self._see_kept(since, at, edge, starts[at])
        if all(starts[at] == edge.high for at, edge in held.items()):
            newest = self._newest_time(held)
            raise UsageError(
                f"--from {iso(since)}: the topics hold nothing of that time or later; their last event came "
                f"at {iso(newest)}: give an earlier time"
            )

    def _see_kept(self, since: int, at: Partition, edge: Edges, start: int) -> None:
        """The time is not before what retention left of a partition; UsageError as above."""
        if edge.low == 0 or start > edge.low:
            return
        kept_for = self._cleanup(at.topic).kept_for
        kept_since = None if kept_for is None else self._clock.now() - kept_for
        if kept_since is not None and since >= kept_since:
            return
        first = kept_since if edge.low == edge.high else self._first_time(at)
        if first is not None and first > since:
            raise UsageError(
                f"--from {iso(since)}: topic {at.topic} partition {at.number} holds only what came since "
                f"{iso(first)}; replay from then on, or from archived files with --files"
            )

    def _first_time(self, at: Partition) -> int | None:
        """Kafka's timestamp of the first message held; None: it tells none in time."""
        self._consumer.assign([TopicPartition(*at, OFFSET_BEGINNING)])
        try:
            return self._next_time()
        finally:
            self._consumer.unassign()

    def _newest_time(self, partitions: Iterable[Partition]) -> int:
        """Kafka's newest timestamp in these partitions, which are not all empty."""
        asked = {TopicPartition(*at): _NEWEST for at in partitions}
        answers = self._admin.list_offsets(asked, request_timeout=TIMEOUT).values()
        return max(int(answer.result().timestamp) for answer in answers)

    def _next_time(self) -> int | None:
        for _ in range(_LOOKS):
            for message in self._consumer.consume(1, 1.0):
                if message.error() is None:
                    return int(message.timestamp()[1])
                return None  # the partition's end: there are only marks of transactions
        return None

    def _cleanup(self, topic: str) -> _Cleanup:
        """What the topic's settings say; the worst, where they are not ours to see."""
        resource = ConfigResource(ResourceType.TOPIC, topic)
        answer: Future[Mapping[str, object]] = self._admin.describe_configs(
            [resource], request_timeout=TIMEOUT
        )[resource]
        try:
            entries = answer.result()
        except KafkaException:
            return _Cleanup(compacted=False, kept_for=None)
        values = {name: str(getattr(entry, "value", "")) for name, entry in entries.items()}
        by_size = values.get("retention.bytes", "-1") != "-1"
        kept_for = int(values.get("retention.ms", "0"))
        return _Cleanup(
            compacted="compact" in values.get("cleanup.policy", ""),
            kept_for=None if by_size or kept_for < 0 else kept_for,
        )


def _place(at: Partition, offset: int) -> str:
    return f"--from-offset {at.topic}:{at.number}:{offset}"


def _offsets(edge: Edges) -> str:
    """What a partition holds, and which offset to name."""
    if edge.low == edge.high:
        return f"no events; the next one gets offset {edge.high}: name that, or another partition"
    return f"offsets {edge.low} to {edge.high - 1}; name one of these"
