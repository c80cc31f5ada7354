"""Asks Kafka and the spool where partitions stand, and lets the rules of `resume` decide."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import structlog
from confluent_kafka import TopicPartition

from bridge.errors import BridgeError
from bridge.ingest.cluster import TIMEOUT, Edges, LastingAdmin, edges
from bridge.ingest.partition import Partition
from bridge.ingest.positions import taken_by
from bridge.ingest.resume import Commit, Mark, Refused, Situation, Start, Taken, start_of
from bridge.topic_ids import TopicIds

if TYPE_CHECKING:
    from confluent_kafka import Consumer

    from bridge.spool.run import Run

_log = structlog.get_logger()


@dataclass(frozen=True, kw_only=True, slots=True)
class Starts:
    """What the starts of partitions are found with."""

    spool: str
    """Id of our spool."""
    group: str
    """The consumer group."""
    runs: "Callable[[], Iterable[Run]]"
    """The runs that live in the spool now."""
    ids: TopicIds
    """Who the cluster and its topics are."""
    admin: LastingAdmin
    """Knows the partitions' first and last offsets."""
    adopt: bool
    """`--adopt`."""

    def newest_run(self) -> int:
        """The largest run number in the spool; 0: none."""
        return max((run.number for run in self.runs()), default=0)

    def find(
        self,
        consumer: "Consumer",
        partitions: Sequence[Partition],
        *,
        cluster_id: str,
        topic_ids: dict[str, str],
    ) -> dict[Partition, Start]:
        """Where to start each of these partitions; what is noteworthy is logged.

        Raises:
            BridgeError: A start is refused.
            KafkaException: No broker answers.
        """
        commits = _committed(consumer, partitions)
        ends = self.edges(partitions)
        taken = taken_by(self.runs(), cluster_id, self.group)
        decisions = {
            at: start_of(
                self._situation(at, topic_ids[at.topic], commits.get(at), taken, ends[at]),
            )
            for at in partitions
        }
        refused = [decision for decision in decisions.values() if isinstance(decision, Refused)]
        if refused:
            more = f" (and {len(refused) - 1} more partitions)" if len(refused) > 1 else ""
            raise BridgeError(refused[0].message + more)
        starts = {at: decision for at, decision in decisions.items() if isinstance(decision, Start)}
        for at, start in starts.items():
            if start.note:
                _log.warning(
                    "partition_resumed",
                    topic=at.topic,
                    partition=at.number,
                    offset=start.offset,
                    note=start.note,
                )
        return starts

    def edges(self, partitions: Iterable[Partition]) -> dict[Partition, Edges]:
        """Where each of these partitions begins and ends now.

        Raises:
            KafkaException: No broker answers.
        """
        return self.admin.ask(partial(edges, partitions=list(partitions)))

    def mark(self, topic_id: str, run: int) -> Mark:
        """What a commit of this topic after this run says."""
        return Mark(spool=self.spool, run=run, topic=topic_id)

    def _situation(
        self,
        at: Partition,
        topic_id: str,
        commit: Commit | None,
        taken: dict[tuple[str, int], Taken],
        ends: Edges,
    ) -> Situation:
        return Situation(
            topic=at.topic,
            partition=at.number,
            topic_id=topic_id,
            spool=self.spool,
            commit=commit,
            taken=taken.get((topic_id, at.number)),
            low=ends.low,
            high=ends.high,
            adopt=self.adopt,
        )


def _committed(consumer: "Consumer", partitions: Sequence[Partition]) -> dict[Partition, Commit]:
    """The group's commits; partitions without one are left out."""
    answers = consumer.committed([TopicPartition(*at) for at in partitions], timeout=TIMEOUT)
    return {
        Partition(answer.topic, answer.partition): Commit(
            offset=answer.offset, metadata=answer.metadata or ""
        )
        for answer in answers
        if answer.offset >= 0
    }
