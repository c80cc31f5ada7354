"""The first half of a replay: all that it reads becomes runs of its own, as live events become live ones.

The collector of the ingest room does the work. Refused events are counted and told, but are not put among the
dead letters: where they were read they still are, and the live bridge has put, or will put, its own there.
"""

import threading
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from bridge.clock import Clock
from bridge.config import WindowSettings
from bridge.ingest.collector import Collector, CollectorParts
from bridge.ingest.dead_letters import DeadLetter
from bridge.ingest.observer import SilentObserver
from bridge.ingest.partition import Partition
from bridge.replay.material import Material
from bridge.replay.request import Bounds
from bridge.segments.watch import Watching
from bridge.spool.replays import Replay
from bridge.translation.turn import Tally as Translated


@dataclass(kw_only=True, slots=True)
class Tally:
    """What was read so far, for people. Written by the reading thread, looked at by others."""

    events: int = 0
    """Events, refused ones among them, tombstones not; since this process began."""
    left: int | None = None
    """Events yet to come, about; None: it is not known yet."""
    memberships: int = 0
    """Rows that were collected."""
    refused: Counter[str] = field(default_factory=Counter)
    """Refused events by reason."""
    first_refused: dict[str, str] = field(default_factory=dict)
    """The first place of each reason, and what is wrong there."""
    translated: Translated | None = None
    """What became of memberships whose users have a partner's ids, once that is known."""


class _Watching(SilentObserver):
    """Keeps the tally of what the collector tells."""

    def __init__(self, tally: Tally) -> None:
        self._tally = tally
        self._lag: dict[Partition, int] = {}

    def consumed(self, stream: str, events: int) -> None:  # noqa: ARG002  # the port's
        """Events were read."""
        self._tally.events += events
        if self._tally.left is not None:
            self._tally.left = max(0, self._tally.left - events)

    def tombstones(self, stream: str, events: int) -> None:  # noqa: ARG002  # as above
        """They were no events."""
        self._tally.events -= events

    def collected(self, stream: str, memberships: int) -> None:  # noqa: ARG002  # as above
        """Rows came into the window."""
        self._tally.memberships += memberships

    def lag(self, topic: str, partition: int, events: int) -> None:
        """So much of a partition is yet to come."""
        self._lag[Partition(topic, partition)] = events
        self._tally.left = sum(self._lag.values())


class _Told:
    """The port DeadLetters for what stays where it was read."""

    def __init__(self, tally: Tally) -> None:
        self._tally = tally

    def write(self, number: int, letters: Sequence[DeadLetter]) -> None:  # noqa: ARG002  # the port's
        """Count the letters, and keep the first place of each reason."""
        for letter in letters:
            reason = str(letter.reason)
            self._tally.refused[reason] += 1
            place = f"{letter.topic} partition {letter.partition} offset {letter.offset}: {letter.detail}"
            self._tally.first_refused.setdefault(reason, place)


@dataclass(frozen=True, kw_only=True, slots=True)
class Reading:
    """One replay's reading."""

    replay: Replay
    """Where it goes; its lock is held."""
    material: Material
    """What is read."""
    bounds: Bounds
    """Which events are meant."""
    window: WindowSettings
    """When what was read is sealed, and so a place to go on from."""
    clock: Clock
    """What time it is."""
    tally: Tally
    """What is told of it."""
    watches: Mapping[str, Watching] = field(default_factory=dict)
    """By which segments are judged, of each stream that names a taxonomy, by name."""

    def run(self, stop: threading.Event, see_room: Callable[[], None]) -> bool:
        """Read all there is from where it was left; False: stopped before.

        Args:
            stop: Set when the process is to stop; what was read is sealed then.
            see_room: Called again and again; raises where the spool has no room for more.

        Raises:
            BridgeError: It cannot be read, or there is no room. What is sealed is a checkpoint.
        """

        def full_streams() -> frozenset[str]:
            see_room()
            return frozenset()

        taken = {
            Partition(position.topic, position.partition): position.next_offset
            for position in self.replay.positions().values()
        }
        collector = Collector(
            CollectorParts(
                connect=lambda owner: self.material.source(self.replay.id, taken, owner),
                topics=self.material.topics,
                decoders=self.material.decoders,
                spool=self.replay.store,
                dead_letters=_Told(self.tally),
                clock=self.clock,
                observer=_Watching(self.tally),
                max_age=self.window.max_age,
                max_bytes=self.window.max_bytes,
                full_streams=full_streams,
                until_end=True,
                revise=self.bounds.revise,
                watches=self.watches,
            )
        )
        collector.run(stop)
        return collector.finished.is_set()
