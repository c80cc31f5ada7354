"""A Kafka cluster and its clients, as far as the bridge uses them (facts.md, Kafka).

The group has one static member, ours, and a member of another program that comes, takes some partitions,
commits nothing and goes.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from random import Random
from types import SimpleNamespace

from confluent_kafka import KafkaError, KafkaException, Message, TopicPartition

from bridge.ingest.partition import Partition
from tests.simulation.agenda import Agenda
from tests.simulation.process import Process

TOO_LATE = (
    KafkaError.REBALANCE_IN_PROGRESS,
    KafkaError.ILLEGAL_GENERATION,
    KafkaError.UNKNOWN_MEMBER_ID,
)
"""How the group's coordinator refuses a commit."""

PASSING = (KafkaError._TRANSPORT, KafkaError._TIMED_OUT, KafkaError.NOT_COORDINATOR)

Offsets = Mapping[Partition, tuple[int, str]]
"""Next offset and metadata of partitions."""


@dataclass(kw_only=True)
class Cluster:
    """What the brokers hold."""

    agenda: Agenda
    rng: Random
    on_commit: Callable[[Offsets], None]
    """Told of each commit that is asked for, before it counts."""
    logs: dict[Partition, list[Message]] = field(default_factory=dict)
    """Messages by partition; an offset may be missing, as where a transaction was aborted."""
    ends: dict[Partition, int] = field(default_factory=dict)
    committed: dict[Partition, tuple[int, str]] = field(default_factory=dict)
    elsewhere: set[Partition] = field(default_factory=set)
    """Partitions that the other member has."""
    lost: set[Partition] = field(default_factory=set)
    """Partitions that were given away while nobody of ours answered."""
    down: bool = False
    commit_fault: Callable[[], str | None] = lambda: None
    """`refused`, `unheard` (not done, no answer), `unanswered` (done, no answer), or None."""
    wake: Callable[[], None] = lambda: None
    """Called when there is something to read."""

    def create(self, topic: str, partitions: int) -> None:
        """A new topic."""
        for number in range(partitions):
            self.logs[Partition(topic, number)] = []
            self.ends[Partition(topic, number)] = 0

    def produce(self, at: Partition, value: bytes | None) -> int:
        """Write a message; its offset."""
        offset = self.ends[at]
        self.ends[at] += 1
        self.logs[at].append(
            Message(
                topic=at.topic,
                partition=at.number,
                offset=offset,
                key=None,
                value=value,
                timestamp=(1, self.agenda.now),
            )
        )
        self.wake()
        return offset

    def skip(self, at: Partition) -> None:
        """An offset that no reader sees: an aborted transaction's."""
        self.ends[at] += 1

    def answer(self) -> None:
        """Raise what a client gets that asks while nobody is there."""
        if self.down:
            raise KafkaException(KafkaError(KafkaError._TRANSPORT))

    # The port bridge.ingest.cluster.TopicIds

    def cluster_id(self) -> str:
        """Its id."""
        self.answer()
        return "simulated"

    def topic_ids(self, names: Iterable[str]) -> dict[str, str]:
        """Topics are who they are called."""
        self.answer()
        return {name: f"id-of-{name}" for name in names}


class Admin:
    """As far as `bridge.ingest.cluster.edges` asks."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster

    def list_offsets(self, asked: Mapping[TopicPartition, object], **_: object) -> dict:
        """First and last offsets; which of the two is asked for is told by the specification's name."""
        self._cluster.answer()
        answers = {}
        for at, spec in asked.items():
            high = self._cluster.ends[Partition(at.topic, at.partition)]
            future: Future = Future()
            future.set_result(SimpleNamespace(offset=high if "Latest" in type(spec).__name__ else 0))
            answers[at] = future
        return answers


@dataclass
class _Commit:
    due: int
    parts: list[TopicPartition]
    offsets: Offsets
    fault: str | None


class Consumer:
    """confluent_kafka.Consumer, as far as `bridge.ingest.kafka` uses it."""

    def __init__(self, properties: Mapping[str, object], cluster: Cluster, process: Process) -> None:
        self._on_commit: Callable = properties["on_commit"]
        self._on_error: Callable = properties["error_cb"]
        self._cluster = cluster
        self._process = process
        self._positions: dict[Partition, int] = {}
        self._paused: set[Partition] = set()
        self._commits: list[_Commit] = []
        self._told_down = False
        self._topics: list[str] = []
        self._on_assign: Callable = _nobody
        self._on_revoke: Callable = _nobody
        self._on_lost: Callable = _nobody

    def subscribe(
        self, topics: list[str], *, on_assign: Callable, on_revoke: Callable, on_lost: Callable
    ) -> None:
        """Join the group."""
        self._process.step("subscribe")
        self._topics, self._on_assign, self._on_revoke, self._on_lost = topics, on_assign, on_revoke, on_lost

    def consume(self, most: int, timeout: float) -> list[Message]:
        """Messages that came, by the callbacks' leave."""
        self._process.step("poll")
        self._answer_commits()
        if self._cluster.down:
            if not self._told_down:
                self._on_error(KafkaError(KafkaError._ALL_BROKERS_DOWN))
            self._told_down = True
        else:
            self._told_down = False
            self._rebalance()
            if batch := self._fetch(most):
                return batch
        self._cluster.agenda.sleep(round(timeout * 1000))
        return []

    def incremental_assign(self, partitions: Sequence[TopicPartition]) -> None:
        """Read these from their offsets on."""
        for at in partitions:
            self._positions[Partition(at.topic, at.partition)] = at.offset

    def incremental_unassign(self, partitions: Sequence[TopicPartition]) -> None:
        """Read these no more."""
        for at in partitions:
            self._positions.pop(Partition(at.topic, at.partition), None)
            self._paused.discard(Partition(at.topic, at.partition))

    def pause(self, partitions: Sequence[TopicPartition]) -> None:
        """Nothing comes of these for now."""
        self._paused |= {Partition(at.topic, at.partition) for at in partitions}

    def resume(self, partitions: Sequence[TopicPartition]) -> None:
        """It goes on."""
        self._paused -= {Partition(at.topic, at.partition) for at in partitions}

    def commit(self, *, offsets: list[TopicPartition], asynchronous: bool) -> None:
        """Ask for a commit; the answer comes with a later poll."""
        assert asynchronous, "the ingest thread never waits for a commit"
        self._process.step("commit")
        wanted = {Partition(at.topic, at.partition): (at.offset, at.metadata) for at in offsets}
        self._cluster.on_commit(wanted)
        fault = "unheard" if self._cluster.down else self._cluster.commit_fault()
        due = self._cluster.agenda.now + self._cluster.rng.choice([0, 5, 300])
        earliest = max((one.due for one in self._commits), default=0)  # one connection: they keep their order
        self._commits.append(_Commit(max(due, earliest), offsets, wanted, fault))

    def committed(self, asked: Sequence[TopicPartition], timeout: float) -> list[TopicPartition]:  # noqa: ARG002  # the client's
        """What the group has committed."""
        self._cluster.answer()
        found = []
        for at in asked:
            offset, metadata = self._cluster.committed.get(Partition(at.topic, at.partition), (-1001, ""))
            found.append(TopicPartition(at.topic, at.partition, offset, metadata))
        return found

    def position(self, asked: Sequence[TopicPartition]) -> list[TopicPartition]:
        """Where reading is."""
        return [
            TopicPartition(at.topic, at.partition, self._positions[Partition(at.topic, at.partition)])
            for at in asked
        ]

    def get_watermark_offsets(self, at: TopicPartition, *, cached: bool) -> tuple[int, int]:
        """First and last offset, as far as known."""
        assert cached, "the ingest thread never asks a broker how far it is behind"
        return 0, self._cluster.ends[Partition(at.topic, at.partition)]

    def vanish(self, *, heard: bool) -> None:
        """The process died: what it asked for last was heard, or was not."""
        for one in self._commits:
            if heard and one.fault in (None, "unanswered"):
                self._cluster.committed |= one.offsets

    def close(self) -> None:
        """Leave the group, all that is ours being revoked before."""
        self._process.step("close")
        self._on_revoke(self, [TopicPartition(*at) for at in sorted(self._positions)])
        self._answer_commits(all_of_them=True)

    def _rebalance(self) -> None:
        gone = self._cluster.lost & self._positions.keys()
        self._cluster.lost.clear()
        if gone:
            self._on_lost(self, [TopicPartition(*at) for at in sorted(gone)])
        going = self._cluster.elsewhere & self._positions.keys()
        if going:
            self._on_revoke(self, [TopicPartition(*at) for at in sorted(going)])
        ours = {at for at in self._cluster.logs if at.topic in self._topics} - self._cluster.elsewhere
        new = sorted(ours - self._positions.keys())
        if new or gone or going:  # who joins anew is told in any case
            self._on_assign(self, [TopicPartition(*at) for at in new])

    def _fetch(self, most: int) -> list[Message]:
        """Some messages of some partitions: how many, and in which order, is anybody's guess."""
        rng, batch = self._cluster.rng, []
        open_ones = sorted(self._positions.keys() - self._paused)
        rng.shuffle(open_ones)
        for at in open_ones:
            start = self._positions[at]
            log = [message for message in self._cluster.logs[at] if message.offset() >= start]
            taken = log[: min(len(log), rng.choice([1, 3, 50]), most - len(batch))]
            batch += taken
            if taken:
                self._positions[at] = taken[-1].offset() + 1
        return batch

    def _answer_commits(self, *, all_of_them: bool = False) -> None:
        now, rng = self._cluster.agenda.now, self._cluster.rng
        due = [one for one in self._commits if all_of_them or one.due <= now]
        self._commits = [one for one in self._commits if one not in due]
        for one in due:
            if one.fault is None and not (one.offsets.keys() <= self._positions.keys()):
                one.fault = "refused"  # a partition went meanwhile
            if one.fault in (None, "unanswered"):
                self._cluster.committed |= one.offsets
            match one.fault:
                case None:
                    self._on_commit(None, one.parts)
                case "refused":
                    self._on_commit(KafkaError(rng.choice(TOO_LATE)), one.parts)
                case _:
                    self._on_commit(KafkaError(rng.choice(PASSING)), one.parts)


def _nobody(*_: object) -> None:
    """Told before it subscribed."""
