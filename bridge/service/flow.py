"""How many messages a second come into some topics, told from Kafka's own timestamps.

Nothing is read for it: the brokers say at which offset each partition was a minute, an hour, a day ago.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from bridge.clock import DAY, HOUR, MINUTE, SECOND
from bridge.ingest.cluster import Edges
from bridge.ingest.partition import Partition

AGES = (MINUTE, 5 * MINUTE, 20 * MINUTE, HOUR, 3 * HOUR, 6 * HOUR, 12 * HOUR, DAY)
"""How long ago is asked for, ms, ascending."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Flow:
    """What comes into some topics."""

    per_second: float
    """Messages a second, in the mean of the last day, or of as much of it as is kept."""
    since: int | None
    """Of how long the mean is, ms: the shortest among partitions; None: nothing came within a day."""
    kept: int
    """Offsets that are kept."""
    partitions: int
    """How many there are."""


def flow(ends: Mapping[Partition, Edges], marks: Mapping[int, Mapping[Partition, int | None]]) -> Flow:
    """What comes, by what the brokers say.

    A partition that does not reach back a day tells of the longest time that it does; one that begins within
    a time tells of that time, too: whichever is more, so that a burst is not taken for nothing.

    Args:
        ends: Where each partition begins and ends.
        marks: For each of `AGES` the first offset that is not older; None: all are.
    """
    rate, ages = 0.0, list[int]()
    for at, edge in ends.items():
        own = {age: _mark(marks[age][at], edge) for age in AGES}
        reached = [age for age in AGES if own[age] > edge.low]
        begun = [age for age in AGES if own[age] <= edge.low]
        told = [(edge.high - own[age], age) for age in reached[-1:]]
        told += [(edge.high - edge.low, age) for age in begun[:1]]
        count, age = max(told, key=lambda one: one[0] / one[1])
        if count > 0:
            rate += count * SECOND / age
            ages.append(age)
    kept = sum(max(0, edge.high - edge.low) for edge in ends.values())
    return Flow(per_second=rate, since=min(ages, default=None), kept=kept, partitions=len(ends))


def _mark(offset: int | None, edge: Edges) -> int:
    """Within the partition: after its end, where all is older."""
    return edge.high if offset is None else min(max(offset, edge.low), edge.high)
