"""From the window to a run, and from the run to the commit (design.md, invariant 2).

Windows are sealed in the order they were drained, beside the reading of the next one. One that cannot be
sealed now, because the disk is full or the dead letters' topic does not answer, is kept and tried again;
nothing behind it overtakes it.
"""

from collections import deque
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING

import structlog

from bridge.backoff import Backoff
from bridge.clock import MINUTE
from bridge.errors import BridgeError
from bridge.ingest.partition import Partition
from bridge.spool.disk import SpoolFull

if TYPE_CHECKING:
    from collections.abc import Sequence
    from concurrent.futures import Future

    from bridge.calls import Calls
    from bridge.clock import Clock
    from bridge.ingest.dead_letters import DeadLetter, DeadLetters
    from bridge.ingest.observer import IngestObserver
    from bridge.ingest.source import Source
    from bridge.ingest.window import Window, WindowContents
    from bridge.spool.footer import Position
    from bridge.spool.store import RunStore

_log = structlog.get_logger()

SLOW = MINUTE
"""From when on a seal counts as stuck, ms. A full window takes some seconds."""


class _UnpublishedError(BridgeError):
    """The dead letters were not taken; the run was not published, and may be sealed later."""


@dataclass(frozen=True, kw_only=True, slots=True)
class _Drained:
    """A window on its way to the disk."""

    contents: "WindowContents"
    """What it held."""
    positions: "tuple[Position, ...]"
    """How far it goes, named as of the time it was drained."""
    bytes: int
    """Memory that it takes."""
    barred: frozenset[Partition] = frozenset()
    """Partitions that were taken from us since: sealed, but not to be committed by us."""

    @property
    def offsets(self) -> dict[Partition, int]:
        """What may be committed once it is sealed."""
        offsets = {Partition(*at): span.next for at, span in self.contents.positions.items()}
        return {at: offset for at, offset in offsets.items() if at not in self.barred}


class Sealing:
    """Seals windows in a thread of its own, one at a time, and commits what they hold in the caller's.

    Sorting and compressing need the interpreter little: meanwhile the caller reads the next window.
    """

    def __init__(
        self,
        *,
        spool: "RunStore",
        dead_letters: "DeadLetters",
        source: "Source",
        clock: "Clock",
        calls: "Calls",
        observer: "IngestObserver",
    ) -> None:
        self._spool = spool
        self._dead_letters = dead_letters
        self._source = source
        self._clock = clock
        self._calls = calls
        self._observer = observer
        self._drained: deque[_Drained] = deque()
        self._under_way: Future[int] | None = None
        self._begun_at = 0
        self._refused = Backoff()

    @property
    def idle(self) -> bool:
        """Every window is sealed."""
        return not self._drained

    @property
    def bytes(self) -> int:
        """Memory of the windows that are not sealed yet."""
        return sum(each.bytes for each in self._drained)

    @property
    def blocked(self) -> bool:
        """A window could not be sealed, or takes very long: nothing more may be read."""
        return self._refused.count > 0 or self.slow

    @property
    def slow(self) -> bool:
        """The seal under way takes longer than a healthy disk can need."""
        return self._under_way is not None and self._clock.now() - self._begun_at >= SLOW

    def begin(self, window: "Window") -> None:
        """Drain the window, and begin to seal it."""
        self._drain(window)
        self.advance()

    def advance(self) -> None:
        """Commit what is sealed by now, and begin what waits, where it is time.

        Raises:
            SpoolFailed: The disk failed; nothing may be committed any more.
            BridgeError: The run cannot go on.
        """
        if self._under_way is not None and self._under_way.done():
            self._conclude(self._under_way)
        if self._under_way is None and self._drained and self._clock.now() >= self._refused.due:
            self._start()

    def wait(self, timeout: int) -> None:
        """Wait up to `timeout` ms for the seal under way."""
        if self._under_way is not None:
            self._calls.wait(self._under_way, timeout)

    def finish(self, window: "Window") -> None:
        """Drain the window, and seal it and those before it now; one that cannot be sealed stays.

        Raises:
            BridgeError: As `advance`.
        """
        self._drain(window)
        while self._drained:
            under_way = self._under_way or self._start()
            self._calls.wait(under_way)
            if not self._conclude(under_way):
                break

    def finish_without(self, window: "Window", partitions: frozenset[Partition]) -> None:
        """As `finish`, but these partitions are not committed: they may be another member's.

        Raises:
            BridgeError: As `advance`.
        """
        self._drain(window)
        self.bar(partitions)
        self.finish(window)

    def bar(self, partitions: frozenset[Partition]) -> None:
        """These partitions are not ours any more: what is sealed of them from now on is not committed."""
        self._drained = deque(replace(each, barred=each.barred | partitions) for each in self._drained)

    def close(self) -> None:
        """Wait for the seal under way, whatever becomes of it: nothing is written after this."""
        if self._under_way is not None:
            self._calls.wait(self._under_way)

    def _drain(self, window: "Window") -> None:
        if window.empty:
            return
        size, contents = window.bytes, window.drain()
        positions = self._source.identity.positions(contents.positions)
        self._drained.append(_Drained(contents=contents, positions=positions, bytes=size))

    def _start(self) -> "Future[int]":
        """Begin to seal the oldest window."""
        self._begun_at = self._clock.now()
        self._under_way = self._calls.begin("seal", partial(self._seal_one, self._drained[0]))
        return self._under_way

    def _conclude(self, done: "Future[int]") -> bool:
        """Commit what was sealed; False: it could not be sealed now."""
        first, self._under_way = self._drained[0], None
        try:
            number = done.result()
        except (SpoolFull, _UnpublishedError) as failure:
            self._refused.failed(self._clock.now())
            _log.warning("seal_failed", reason=str(failure), failures=self._refused.count)
            return False
        self._drained.popleft()
        self._refused.succeeded()
        self._source.commit(first.offsets, number)
        self._observer.sealed(number, first.contents.memberships)
        return True

    def _seal_one(self, drained: _Drained) -> int:
        contents = drained.contents
        run = self._spool.seal(
            shards=contents.shards(),
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
