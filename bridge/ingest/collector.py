"""The ingest thread: read, decode, judge, collect, seal, commit.

One thread does it all, and keeps polling whatever else waits: a registry that is down, a full spool. Else the
group would take it for dead, and hand its partitions to another.
"""

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import polars as pl
import structlog

from bridge.audience.roster import Roster
from bridge.backoff import Backoff
from bridge.calls import Calls, ThreadedCalls
from bridge.clock import SECOND, Clock
from bridge.errors import BridgeError
from bridge.ingest.intake import Intake, Piece, pieces
from bridge.ingest.partition import Partition
from bridge.ingest.positions import Progress
from bridge.ingest.registry import RegistryUnreachable
from bridge.ingest.sealing import Sealing
from bridge.ingest.source import Owner, Source, SourceUnavailable
from bridge.ingest.window import Window
from bridge.segments.seen import day_of
from bridge.segments.watch import Watching

if TYPE_CHECKING:
    from bridge.ingest.dead_letters import DeadLetters
    from bridge.ingest.decode import Decoder
    from bridge.ingest.message import Message
    from bridge.ingest.observer import IngestObserver
    from bridge.ingest.topics import Topics
    from bridge.spool.store import RunStore

_log = structlog.get_logger()

POLL = SECOND // 4
"""How long one poll waits for messages at most, ms: how late the end of a window, or a stop, is seen."""

LAG = 5 * SECOND
"""How often the lag is told, ms."""

LARGEST_BATCH = 50_000
"""More messages at once do not make it faster, and take more memory."""

PORTIONS = 32
"""A batch is read in portions of this part of the window's bytes, as long as there is room: an event of a
megabyte may become 15 times as many bytes of rows, and takes 50 times as many while it is read."""

SMALLEST_BATCH = 100
"""However large the events are; also the first one, before anything is known of their size."""


@dataclass(frozen=True, kw_only=True, slots=True)
class CollectorParts:
    """What a collector is made of."""

    connect: Callable[[Owner], Source]
    """Makes the source, for the collector as its owner."""
    topics: "Topics"
    """Which stream a topic belongs to."""
    decoders: "Mapping[str, Decoder]"
    """The decoder of each stream, by name."""
    spool: "RunStore"
    """Where windows are sealed."""
    dead_letters: "DeadLetters"
    """Where refused events go."""
    clock: Clock
    """What time it is."""
    observer: "IngestObserver"
    """Who is told."""
    max_age: int
    """`window.max_age`, ms."""
    max_bytes: int
    """`window.max_bytes`."""
    full_streams: Callable[[], frozenset[str]]
    """Names of the streams that the spool has no room for now; asked at each turn."""
    until_end: bool
    """Stop at the ends that the topics have at the start."""
    calls: Calls = field(default_factory=ThreadedCalls)
    """Seals beside the reading."""
    revise: Callable[[pl.DataFrame], pl.DataFrame] | None = None
    """What becomes of accepted rows before they are collected; None: they are taken as they are."""
    watches: Mapping[str, Watching] = field(default_factory=dict)
    """What is known of the segments of each stream that names a taxonomy, by name."""


@dataclass(frozen=True, slots=True)
class _Held:
    """What waits for the schema registry or for room, of one stream; its partitions are paused."""

    pieces: list[Piece]
    """In the order they were read."""
    attempt: Backoff
    """When it is tried again."""


class Collector:
    """Fills the spool from the source, until it is stopped or at the end."""

    def __init__(self, parts: CollectorParts) -> None:
        self._parts = parts
        roster = Roster()
        self._intakes = {
            each.name: Intake(
                each,
                parts.decoders[each.name],
                roster,
                parts.watches.get(each.name),
            )
            for each in parts.topics.streams
        }
        self._window = Window(roster)
        self._held: dict[str, _Held] = {}
        self._progress: Progress | None = None
        self._batch = SMALLEST_BATCH
        self._lag_due = 0
        self._failed = False
        self._source = parts.connect(self)
        self._sealing = Sealing(
            spool=parts.spool,
            dead_letters=parts.dead_letters,
            source=self._source,
            clock=parts.clock,
            calls=parts.calls,
            observer=parts.observer,
        )
        self.finished = threading.Event()
        """Set when all up to the ends (`until_end`) is in the spool."""

    def run(self, stop: threading.Event) -> None:
        """Work until `stop` is set or, with `until_end`, until all is in the spool; both seal and commit.

        Raises:
            BridgeError: It cannot go on. What was not committed is read again at the next start.
        """
        for _ in self.turns(stop):
            pass

    def turns(self, stop: threading.Event) -> Iterator[None]:
        """As `run`, a turn at a time.

        Raises:
            BridgeError: As `run`.
        """
        try:
            yield from self._work(stop)
        except BaseException:
            self._failed = True
            raise
        finally:
            try:
                self._source.close()
            finally:
                self._sealing.close()
                self._parts.observer.assigned(False)  # noqa: FBT003  # the port's only argument

    # The owner's part: the source calls these within poll and close.

    def started(self, starts: Mapping[Partition, int]) -> None:
        """These partitions are ours now, from these offsets on."""
        for at, offset in starts.items():
            self._reached(at, offset)
        self._parts.observer.assigned(True)  # noqa: FBT003  # as above

    def revoked(self, partitions: frozenset[Partition]) -> None:
        """These partitions go to another member: all that was read is sealed and committed before."""
        if self._failed:
            return
        self._drop_held(partitions)
        self._sealing.finish(self._window)
        self._sealing.bar(partitions)
        self._told_assigned(partitions)

    def lost(self, partitions: frozenset[Partition]) -> None:
        """These partitions may be another member's already: what was read is sealed, and not committed."""
        if self._failed:
            return
        self._drop_held(partitions)
        self._sealing.finish_without(self._window, partitions)
        self._told_assigned(partitions)

    def ended(self, partition: Partition, offset: int) -> None:
        """Nothing below this offset is left to read."""
        if self._progress is not None:
            self._progress.end(partition, offset)

    def _told_assigned(self, going: frozenset[Partition]) -> None:
        self._parts.observer.assigned(bool(self._source.assigned - going))

    def _work(self, stop: threading.Event) -> Iterator[None]:
        if not self._open(stop):
            return
        while not stop.is_set() and not self.finished.is_set():
            self._turn()
            yield
        self._sealing.finish(self._window)
        if not self._sealing.idle:
            _log.warning("stopped_unsealed", remedy="what was read last is not committed, and is read again")
        self._source.settle()

    def _open(self, stop: threading.Event) -> bool:
        """Begin as soon as the source answers; False: stopped before."""
        attempt, clock = Backoff(), self._parts.clock
        while not stop.is_set():
            self._parts.observer.beat(clock.now())
            try:
                ends = self._source.open()
            except SourceUnavailable as failure:
                attempt.failed(clock.now())
                _log.warning("source_unavailable", reason=str(failure), failures=attempt.count)
                clock.wait(stop, attempt.due - clock.now())
            else:
                self._progress = Progress(ends) if self._parts.until_end else None
                return True
        return False

    def _turn(self) -> None:
        """One time round: the order matters only in that polling never waits for anything else."""
        now = self._parts.clock.now()
        if not self._sealing.slow:  # a disk that hangs is as bad as a thread that does
            self._parts.observer.beat(now)
        self._source.pause(self._waiting_streams())
        if self._has_to_wait():
            self._sealing.wait(POLL)
        elif batch := self._source.poll(self._batch, 0 if self._may_read_held(now) else POLL):
            self._take(batch)
        else:
            self._decode_held()
        self._sealing.advance()
        if self._sealing.idle and self._is_due():
            self._sealing.begin(self._window)
        if self._is_complete() and self._window.empty and self._sealing.idle:
            self.finished.set()
        self._parts.observer.window_bytes(self._bytes())
        self._tell_lag(now)

    def _waiting_streams(self) -> frozenset[str]:
        """The streams that are not to be read in this turn."""
        if self._sealing.blocked:
            return frozenset(self._intakes)
        return self._parts.full_streams() | self._held.keys()

    def _has_to_wait(self) -> bool:
        """Whether there is nothing to do but to wait a while for the seal under way."""
        if self._sealing.idle or self._sealing.blocked:  # blocked, it still polls, with all streams paused
            return False
        return self._bytes() >= self._parts.max_bytes or self._is_complete()

    def _bytes(self) -> int:
        """Memory of all that is not on disk yet."""
        return self._window.bytes + self._sealing.bytes

    def _is_due(self) -> bool:
        """Whether the window is to be sealed: it is old, or the last one, or full.

        Full is half of `window.max_bytes`: the other half is for what comes while this one is sealed.
        """
        oldest = self._window.oldest_read_at
        aged = oldest is not None and self._parts.clock.now() - oldest >= self._parts.max_age
        return aged or self._window.bytes >= self._parts.max_bytes // 2 or self._is_complete()

    def _is_complete(self) -> bool:
        """Whether all up to the ends (`until_end`) was read."""
        return self._progress is not None and self._progress.complete and not self._held

    def _take(self, batch: "Sequence[Message]") -> None:
        """Read what was polled: into the window, or to wait for the registry or for room."""
        size = 0
        for piece in pieces(batch, self._parts.clock.now()):
            size += piece.size
            stream = self._stream_name(piece.topic)
            self._parts.observer.consumed(stream, len(piece.messages))
            self._parts.observer.polled(piece.topic, len(piece.messages))
            held = self._held.setdefault(stream, _Held([], Backoff()))
            held.pieces.extend(piece.portions(self._parts.max_bytes // PORTIONS))
        self._fit_batch(len(batch), size)
        self._decode_held()

    def _read(self, stream: str, piece: Piece) -> bool:
        """Bring a piece into the window; False: the registry does not answer, nothing has changed."""
        observer = self._parts.observer
        try:
            found = self._intakes[stream].read(piece, self._source.identity.rank(piece.topic))
        except RegistryUnreachable as failure:
            _log.warning("registry_unreachable", stream=stream, reason=str(failure))
            return False
        revise = self._parts.revise
        for frame in found.frames if revise is None else map(revise, found.frames):
            self._window.add(frame, read_at=piece.read_at)
            observer.collected(stream, len(frame))
        self._window.add_dead_letters(found.refused)
        for letter in found.refused:
            observer.refused(stream, letter.reason, 1)
        if found.tombstones:
            observer.tombstones(stream, found.tombstones)
        if found.sighting is not None:
            self._parts.watches[stream].see(found.sighting, day_of(piece.read_at))
            observer.unknown_segments(stream, found.sighting.memberships)
        for at, span in piece.spans.items():
            self._window.add_position(*at, span, read_at=piece.read_at)
            self._reached(at, span.next)
        return True

    def _decode_held(self) -> None:
        """Read what was polled, where it is time and there is room."""
        for stream, held in list(self._held.items()):
            if self._parts.clock.now() < held.attempt.due:
                continue
            if not self._read_held(stream, held.pieces):
                held.attempt.failed(self._parts.clock.now())
            if not held.pieces:
                del self._held[stream]

    def _may_read_held(self, now: int) -> bool:
        """Whether something was polled that had to wait, and need not any more."""
        return self._bytes() < self._parts.max_bytes and any(
            held.attempt.due <= now for held in self._held.values()
        )

    def _read_held(self, stream: str, held: list[Piece]) -> bool:
        """Bring into the window what there is room for; False: the registry does not answer."""
        while held and self._bytes() < self._parts.max_bytes:
            if not self._read(stream, held[0]):
                return False
            held.pop(0)
        return True

    def _drop_held(self, partitions: frozenset[Partition]) -> None:
        """Their next owner reads again what waits of these partitions."""
        if self._progress is not None:
            self._progress.drop(partitions)
        for stream, held in list(self._held.items()):
            kept = [piece.without(partitions) for piece in held.pieces]
            held.pieces[:] = [piece for piece in kept if piece.messages]
            if not held.pieces:
                del self._held[stream]

    def _reached(self, at: Partition, offset: int) -> None:
        if self._progress is not None:
            self._progress.reach(at, offset)

    def _fit_batch(self, messages: int, size: int) -> None:
        """The next batch takes about a quarter of the window's memory at most, by these events' size."""
        fitting = self._parts.max_bytes * messages // (4 * max(1, size))
        self._batch = max(SMALLEST_BATCH, min(LARGEST_BATCH, fitting))

    def _stream_name(self, topic: str) -> str:
        stream = self._parts.topics.stream_of(topic)
        if stream is None:
            raise BridgeError(f"topic {topic}: it belongs to no stream: name it in streams[].topics")
        return stream.name

    def _tell_lag(self, now: int) -> None:
        if now < self._lag_due:
            return
        self._lag_due = now + LAG
        for at, events in self._source.lag().items():
            self._parts.observer.lag(at.topic, at.number, events)
