"""Whether something grows: the middle of a time is compared with its end. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

from tests.soak.samples import Sample

MIB = 1 << 20

SHORTEST = 15.0
"""Seconds a process must have lived to be judged: before, it is still filling its pools."""

FEWEST = 6
"""Looks that each third must hold."""


@dataclass(frozen=True, kw_only=True)
class Measure:
    """Something that must be flat, and by how much its end may lie above its middle."""

    name: str
    """An attribute of Sample."""
    what: str
    """For people."""
    share: float
    """Of the middle: noise."""
    room: float
    """On top of that, in the measure's own unit: what is allowed where the middle is small."""
    bound: float | None = None
    """What the end may be however the middle was; None: that is judged by the middle."""


OF_A_PROCESS = (
    Measure(name="memory", what="resident memory", share=0.10, room=16 * MIB),
    Measure(name="others", what="descriptors beside runs", share=0.10, room=24),
    Measure(name="threads", what="threads", share=0.0, room=4),
)
OF_THE_SPOOL = (
    Measure(name="history", what="bytes of runs", share=0.35, room=1 * MIB),
    Measure(name="making", what="bytes in the making", share=0.35, room=1 * MIB),
    # As many there may be whatever waits for whom: from 128 on neighbours are merged that are not alike.
    Measure(name="runs", what="runs", share=0.0, room=0, bound=160),
)


@dataclass(frozen=True, kw_only=True)
class Course:
    """How a measure went; medians of the middle third and of the last."""

    what: str
    middle: float
    last: float
    most: float
    """What the last may be."""

    @property
    def flat(self) -> bool:
        return self.last <= self.most


def course(what: str, measure: Measure, samples: Sequence[Sample]) -> Course | None:
    """How the measure went over these samples; None: they are too few to tell."""
    third = len(samples) // 3
    if third < FEWEST:
        return None
    values = [getattr(sample, measure.name) for sample in samples]
    middle, last = median(values[third : 2 * third]), median(values[2 * third :])
    most = middle * (1 + measure.share) + measure.room if measure.bound is None else measure.bound
    return Course(what=what, middle=middle, last=last, most=most)


def courses(samples: Sequence[Sample], settled: float) -> list[Course]:
    """Those of each long life, and of the spool from `settled` (seconds) on, when history first goes."""
    found = []
    for life in sorted({sample.life for sample in samples}):
        own = [sample for sample in samples if sample.life == life and sample.memory]
        if own and own[-1].at - own[0].at >= SHORTEST:
            found += [course(f"process {life}: {each.what}", each, own) for each in OF_A_PROCESS]
    later = [sample for sample in samples if sample.at >= settled]
    found += [course(f"spool: {each.what}", each, later) for each in OF_THE_SPOOL]
    return [one for one in found if one is not None]
