"""How far each partition was taken: in the spool, and in this run of the process."""

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from bridge.audience.rows import archive_rank, source_rank
from bridge.ingest.partition import Partition, Span
from bridge.ingest.resume import Taken
from bridge.spool.footer import Position, newest

if TYPE_CHECKING:
    from bridge.spool.run import Run

ARCHIVES = "archives"
"""Stands for the cluster that archived files are of; no cluster's own id reads so."""


def taken_by(runs: "Iterable[Run]", cluster_id: str, group: str) -> dict[tuple[str, int], Taken]:
    """What the spool's runs hold of a cluster under a group, by topic id and partition."""
    positions = newest(position for run in runs for position in run.footer.positions)
    return {
        (position.topic_id, position.partition): Taken(next_offset=position.next_offset, run=position.run)
        for position in positions.values()
        if (position.cluster_id, position.group) == (cluster_id, group)
    }


class Identity:
    """What positions of this process stand under.

    Archived files have the cluster id `ARCHIVES`, and each of them the digest of its content as its topic id.
    """

    def __init__(self, *, cluster_id: str, group: str) -> None:
        self.cluster_id = cluster_id
        """Id of the Kafka cluster."""
        self.group = group
        """The consumer group; of a replay, its id."""
        self.topic_ids: dict[str, str] = {}
        """Ids of the topics that are, or were, assigned, by their names."""

    def rank(self, topic: str) -> int:
        """The topic's rank in the order of writes."""
        topic_id = self.topic_ids[topic]
        if self.cluster_id == ARCHIVES:
            return archive_rank(topic_id)
        return source_rank(self.cluster_id, topic_id)

    def positions(self, spans: Mapping[tuple[str, int], Span]) -> tuple[Position, ...]:
        """The positions to be sealed with what was read of each partition."""
        return tuple(
            Position(
                cluster_id=self.cluster_id,
                topic_id=self.topic_ids[topic],
                topic=topic,
                group=self.group,
                partition=number,
                next_offset=span.next,
                first_offset=span.first,
            )
            for (topic, number), span in spans.items()
        )


class Progress:
    """How far reading came, held against the ends that `--until-end` set."""

    def __init__(self, ends: Mapping[Partition, int]) -> None:
        self._ends = ends
        self._read: dict[Partition, int] = {}
        self._ended: dict[Partition, int] = {}

    def reach(self, partition: tuple[str, int], next_offset: int) -> None:
        """All below this offset was read, or is known not to be there."""
        at = Partition(*partition)
        self._read[at] = max(next_offset, self._read.get(at, next_offset))

    def end(self, partition: Partition, offset: int) -> None:
        """Nothing below this offset is left to poll; what was polled may not be read yet."""
        self._ended[partition] = offset

    def drop(self, partitions: Iterable[Partition]) -> None:
        """What was polled of these partitions and not read is gone: somebody polls it again."""
        for at in partitions:
            self._ended.pop(at, None)

    @property
    def complete(self) -> bool:
        """Every partition is at its end, or never held anything."""
        return all(
            end == 0 or max(self._read.get(at, 0), self._ended.get(at, 0)) >= end
            for at, end in self._ends.items()
        )
