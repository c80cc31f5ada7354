"""From the window to a run, and from the run to the commit (design.md, invariant 2).

Windows are sealed in the order they were drained. One that cannot be sealed now, because the disk is full or
the dead letters' topic does not answer, is kept and tried again; nothing behind it overtakes it.
"""

from collections import deque
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import structlog

from bridge.backoff import Backoff
from bridge.errors import BridgeError
from bridge.ingest.partition import Partition
from bridge.spool.disk import SpoolFull

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bridge.clock import Clock
    from bridge.ingest.dead_letters import DeadLetter, DeadLetters
    from bridge.ingest.observer import IngestObserver
    from bridge.ingest.source import Source
    from bridge.ingest.window import Window, WindowContents
    from bridge.spool.footer import Position
    from bridge.spool.spool import Spool

_log = structlog.get_logger()


class _UnpublishedError(BridgeError):
    """The dead letters were not taken; the run was not published, and may be sealed later."""


@dataclass(frozen=True, kw_only=True, slots=True)
class _Drained:
    """A window on its way to the disk."""

    contents: "WindowContents"
    """What it held."""
    positions: "tuple[Position, ...]"
    """How far it goes, named as of the time it was drained."""
    barred: frozenset[Partition] = frozenset()
    """Partitions that were taken from us since: sealed, but not to be committed by us."""

    @property
    def memberships(self) -> int:
        """Number of rows."""
        return sum(map(len, self.contents.shards.values()))

    @property
    def offsets(self) -> dict[Partition, int]:
        """What may be committed once it is sealed."""
        offsets = {Partition(*at): offset for at, offset in self.contents.positions.items()}
        return {at: offset for at, offset in offsets.items() if at not in self.barred}


class Sealing:
    """Seals windows and commits what they hold."""

    def __init__(
        self,
        *,
        spool: "Spool",
        dead_letters: "DeadLetters",
        source: "Source",
        clock: "Clock",
        observer: "IngestObserver",
    ) -> None:
        self._spool = spool
        self._dead_letters = dead_letters
        self._source = source
        self._clock = clock
        self._observer = observer
        self._drained: deque[_Drained] = deque()
        self._refused = Backoff()

    @property
    def blocked(self) -> bool:
        """A window could not be sealed: nothing more may be read."""
        return bool(self._drained)

    def seal(self, window: "Window") -> None:
        """Drain the window, and seal it behind those that still wait.

        Raises:
            SpoolFailed: The disk failed; nothing may be committed any more.
            BridgeError: The run cannot go on.
        """
        self._drain(window)
        self._seal_drained()

    def seal_without(self, window: "Window", partitions: frozenset[Partition]) -> None:
        """As `seal`, but these partitions are not committed: they may be another member's.

        Raises:
            BridgeError: As `seal`.
        """
        self._drain(window)
        self.bar(partitions)
        self._seal_drained()

    def try_again(self) -> None:
        """Seal what could not be sealed before, where it is time.

        Raises:
            BridgeError: As `seal`.
        """
        if self._drained and self._clock.now() >= self._refused.due:
            self._seal_drained()

    def bar(self, partitions: frozenset[Partition]) -> None:
        """These partitions are not ours any more: what is sealed of them from now on is not committed."""
        self._drained = deque(replace(each, barred=each.barred | partitions) for each in self._drained)

    def _drain(self, window: "Window") -> None:
        if window.empty:
            return
        contents = window.drain()
        positions = self._source.identity.positions(contents.positions)
        self._drained.append(_Drained(contents=contents, positions=positions))

    def _seal_drained(self) -> None:
        while self._drained:
            first = self._drained[0]
            try:
                number = self._seal_one(first)
            except (SpoolFull, _UnpublishedError) as failure:
                self._refused.failed(self._clock.now())
                _log.warning("seal_failed", reason=str(failure), attempt=self._refused.count)
                break
            self._drained.popleft()
            self._refused = Backoff()
            self._source.commit(first.offsets, number)
            self._observer.sealed(number, first.memberships)

    def _seal_one(self, drained: _Drained) -> int:
        contents = drained.contents
        run = self._spool.seal(
            shards=contents.shards,
            oldest_read_at=contents.oldest_read_at,
            positions=drained.positions,
            now=self._clock.now(),
            publish_dead_letters=lambda number: self._publish(number, contents.dead_letters),
        )
        return run.number

    def _publish(self, number: int, letters: "Sequence[DeadLetter]") -> None:
        try:
            self._dead_letters.write(number, letters)
        except BridgeError as failure:
            raise _UnpublishedError(str(failure)) from failure
