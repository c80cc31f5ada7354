"""How long threads have been silent, as a pure function of their beats and of the looks at them.

Time counts only while somebody is awake to look: between two looks no more than `Patience.longest_look`. So
a machine that slept, a process that was stopped and goes on, or a clock that was set forward make nobody
silent, as every thread has had as many chances to beat as there were looks.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from bridge.clock import MINUTE, SECOND
from bridge.observe.health import SILENCE


@dataclass(frozen=True, kw_only=True, slots=True)
class Patience:
    """When a silent thread is given up. All in milliseconds."""

    give_up: int = SILENCE + 5 * MINUTE
    """Whoever asks /healthz has had 5 minutes to restart the process; where nobody does, it ends itself."""
    longest_look: int = 5 * SECOND
    """No more counts of the time between two looks; by default at least 120 of them find it silent."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Silences:
    """What was known at one look."""

    looked_at: int | None = None
    """Epoch ms; None: nobody has looked yet."""
    beats: Mapping[str, int] = field(default_factory=dict)
    """The last beat of each thread, epoch ms."""
    silent: Mapping[str, int] = field(default_factory=dict)
    """For how long each has been silent, ms."""


def look(before: Silences, beats: Mapping[str, int], now: int, patience: Patience) -> Silences:
    """What is known after a look at these `beats`; a thread that is not among them any more is forgotten."""
    passed = 0 if before.looked_at is None else now - before.looked_at
    counted = min(max(0, passed), patience.longest_look)
    silent = {
        thread: before.silent[thread] + counted if before.beats.get(thread) == beat else 0
        for thread, beat in beats.items()
    }
    return Silences(looked_at=now, beats=dict(beats), silent=silent)


def given_up(silences: Silences, patience: Patience) -> Mapping[str, int]:
    """The threads that will not come back, and for how long they have been silent, ms."""
    return {
        thread: silent for thread, silent in sorted(silences.silent.items()) if silent >= patience.give_up
    }
