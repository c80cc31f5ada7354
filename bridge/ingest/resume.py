"""Where consuming of one partition starts: pure rules (design.md, invariant 3).

1. A commit and the spool are two witnesses of how far the partition was taken. The spool is believed only for
   runs that were sealed after the commit was written: after an operator's reset, the larger offsets of older
   runs must not win.
2. Nothing is skipped in silence: where the two ways on differ in what is lost, the start is refused with the
   gap, and the operator chooses: `--adopt`, or a reset of the group's offsets.
"""

from dataclasses import dataclass
from typing import Self

FORMAT = "s2s-bridge/1"


@dataclass(frozen=True, kw_only=True, slots=True)
class Mark:
    """What the metadata of our commits says: who committed, after which run, of which topic."""

    spool: str
    """Id of the spool that holds what was consumed."""
    run: int
    """Number of the newest run that the commit knows of; 0 before the first."""
    topic: str
    """Id of the topic; a topic made anew under the old name has another one."""

    def __str__(self) -> str:
        """The commit's metadata text."""
        return f"{FORMAT} {self.spool} {self.run} {self.topic}"

    @classmethod
    def parse(cls, text: str) -> Self | None:
        """The mark in a commit's metadata; None where the text is not one of ours."""
        match text.split(" "):
            case [form, spool, run, topic] if form == FORMAT and run.isascii() and run.isdigit():
                return cls(spool=spool, run=int(run), topic=topic)
        return None


@dataclass(frozen=True, kw_only=True, slots=True)
class Commit:
    """The group's committed offset of a partition."""

    offset: int
    """The next offset to consume."""
    metadata: str
    """Free text beside it; empty: an operator's tool wrote it."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Taken:
    """How far the spool's live runs hold a partition: the entry of the run with the largest number."""

    next_offset: int
    """The offset after the last one taken."""
    run: int
    """The number of the run that took it."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Situation:
    """All that the start of one partition depends on."""

    topic: str
    """Name of the topic, for messages."""
    partition: int
    """Number of the partition."""
    topic_id: str
    """Id of the topic that has this name now."""
    spool: str
    """Id of our spool."""
    commit: Commit | None
    """What the group has committed, if anything."""
    taken: Taken | None
    """What the spool holds of this very topic id, if anything."""
    low: int
    """First offset that the broker still has."""
    high: int
    """Offset that the next event will get."""
    adopt: bool
    """The operator takes over what another or a lost spool left (`--adopt`)."""


@dataclass(frozen=True, slots=True)
class Start:
    """Consume from this offset on."""

    offset: int
    """The first offset to consume."""
    note: str | None = None
    """Why, where it is worth a line in the log."""
    commit: bool = False
    """Commit this offset under our mark at once: else the next start would have to decide again, and where no
    event comes for so long that the runs are retired, it would have nothing left to decide by."""


@dataclass(frozen=True, slots=True)
class Refused:
    """Consuming must not start; the operator decides."""

    message: str
    """One line: the partition, the gap, the two ways out."""


def start_of(case: Situation) -> Start | Refused:
    """Where to start, or why not to."""
    wanted = _wanted(case)
    if isinstance(wanted, Refused):
        return wanted
    if wanted.offset < case.low:
        return _retention_passed(case, wanted.offset)
    if wanted.offset > case.high:
        return _shorter(case, wanted.offset)
    return wanted


def _wanted(case: Situation) -> Start | Refused:
    """The start by commit and spool alone, before the broker's offsets are looked at."""
    if case.commit is None:
        return _without_commit(case, "the group has no committed offset: expired, or never written")
    if not case.commit.metadata:
        return Start(case.commit.offset, "the offset was reset by an operator: it wins", commit=True)
    mark = Mark.parse(case.commit.metadata)
    if mark is not None and mark.topic != case.topic_id:
        return _without_commit(case, "the topic was made anew: the commit of its predecessor does not count")
    if mark is not None and mark.spool == case.spool:
        return _after_own_commit(case.commit, mark, case.taken)
    if case.adopt:
        return Start(case.commit.offset, "adopted: another spool had committed this offset", commit=True)
    return _foreign(case, case.commit)


def _without_commit(case: Situation, why: str) -> Start:
    if case.taken is not None:
        return Start(case.taken.next_offset, f"{why}; the spool's position is used", commit=True)
    if case.commit is None and case.low == 0:
        return Start(0)
    return Start(case.low, f"{why}; nothing of it is in the spool; started at the first offset kept")


def _after_own_commit(commit: Commit, mark: Mark, taken: Taken | None) -> Start:
    if taken is None or taken.run <= mark.run or taken.next_offset <= commit.offset:
        return Start(commit.offset)
    why = f"run {taken.run} was sealed but not committed"
    return Start(taken.next_offset, f"{why}; the spool's position is used", commit=True)


def _foreign(case: Situation, commit: Commit) -> Refused:
    ours = case.taken.next_offset if case.taken is not None else case.low
    return Refused(
        f"topic {case.topic} partition {case.partition}: offset {commit.offset} was committed by another "
        f"spool or tool than spool {case.spool}, which stands at {ours}: bring the other spool back, "
        f"run with --adopt to go on at {commit.offset}, or reset the group's offsets to consume again"
    )


def _retention_passed(case: Situation, offset: int) -> Start | Refused:
    gap = f"{case.low - offset} offsets, {offset} to {case.low - 1}, are gone by the topic's retention"
    if case.adopt:
        return Start(case.low, f"adopted: {gap}", commit=True)
    return Refused(
        f"topic {case.topic} partition {case.partition}: {gap}: run with --adopt to go on at {case.low}, "
        f"or reset the group's offsets"
    )


def _shorter(case: Situation, offset: int) -> Start | Refused:
    """Adopted, it is read from its beginning: what was cut off cannot be told from what came after.

    Events that are read twice change nothing (design.md, invariant 1); skipped ones would be lost.
    """
    gap = f"consumed up to {offset}, but the topic ends at {case.high}"
    if case.adopt:
        return Start(case.low, f"adopted: {gap}; it is read again from {case.low}", commit=True)
    return Refused(
        f"topic {case.topic} partition {case.partition}: {gap}: was it cut, or made anew? "
        f"Run with --adopt to read it again from {case.low}, or reset the group's offsets"
    )
