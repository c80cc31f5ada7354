"""When there is a turn: a function of what waits and of the clock."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

from bridge.config import RollSettings
from bridge.spool.run import Run
from bridge.translation.progress import Progress


@dataclass(frozen=True, kw_only=True, slots=True)
class Waits:
    """What is not translated yet."""

    oldest_read_at: int | None
    """When the first of the events that wait was read, epoch ms; None: none wait."""
    bytes: int
    """Of their rows in the spool."""
    changed: bool
    """Whether the identity table knows more than at the last turn."""

    @classmethod
    def of(cls, runs: Sequence[Run], done: Progress, known_at: int) -> Self:
        """What waits in these runs, by a table that has come so far."""
        waiting = [
            statistics
            for run in runs
            if run.number > done.run
            for statistics in run.footer.audiences
            if statistics.audience.unresolved
        ]
        return cls(
            oldest_read_at=min((one.oldest_read_at for one in waiting), default=None),
            bytes=sum(one.bytes for one in waiting),
            changed=known_at != done.known_at,
        )


def due_at(waits: Waits, roll: RollSettings) -> int | None:
    """When rows that wait are due by age or size, as an audience of theirs is, epoch ms; None: none wait."""
    if waits.oldest_read_at is None:
        return None
    return waits.oldest_read_at + (0 if waits.bytes >= roll.max_bytes else roll.max_age)


def is_due(waits: Waits, roll: RollSettings, *, now: int, last: int, drain: bool) -> bool:
    """Whether there is a turn now.

    Rows are translated when an audience of their age or size is due, and not before: so all of a file is
    translated at once, and a turn costs a run, not each window.

    Args:
        waits: What waits.
        roll: When audiences are due.
        now: Epoch ms.
        last: When the last turn was, or the process began, epoch ms.
        drain: Nothing more will come: everything is due.
    """
    at = due_at(waits, roll)
    if at is not None and (drain or now >= at):
        return True
    return waits.changed and (drain or now - last >= roll.max_age)
