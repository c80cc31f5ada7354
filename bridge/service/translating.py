"""The thread that translates: looks, decides (`translation.due`), carries out (`translation.translator`)."""

from collections.abc import Callable, Mapping
from itertools import chain
from threading import Event, Thread

import structlog

from bridge.audience.audience import Audience
from bridge.audience.frontier import Frontier, Step
from bridge.backoff import Backoff
from bridge.clock import SECOND, Clock
from bridge.config import Config
from bridge.deliver.ledger import Ledger
from bridge.deliver.records import AudienceState
from bridge.service import identity
from bridge.service.identity import IdentityTable
from bridge.service.threads import Threads
from bridge.spool.disk import SpoolFull
from bridge.spool.run import Run
from bridge.spool.spool import Spool
from bridge.stopping import Stopped, leave_if
from bridge.sync.table.slab import TableDamaged
from bridge.sync.table.snapshot import Snapshot
from bridge.translation.due import Waits, is_due
from bridge.translation.observer import TranslationObserver
from bridge.translation.progress import Progress
from bridge.translation.shelf import unresolved
from bridge.translation.translator import carry_out
from bridge.translation.turn import Tally, Turn

log = structlog.get_logger()

THREAD = "translation"
"""Its name."""

LOOK = SECOND
"""How often it looks, ms."""


class Translating:
    """Translates what the streams with `identify` have collected, until it is stopped."""

    def __init__(
        self,
        config: Config,
        *,
        spool: Spool,
        ledger: Ledger,
        table: IdentityTable,
        clock: Clock,
        observer: TranslationObserver,
        beat: Callable[[str], None],
        drain: Callable[[], bool],
    ) -> None:
        """`drain`: all that will ever come is in the spool."""
        self._config = config
        self._spool = spool
        self._ledger = ledger
        self._table = table
        self._clock = clock
        self._observer = observer
        self._beat = beat
        self._drain = drain
        self._streams = feeding(config)
        self._last = clock.now()
        self._not_now = Backoff()
        self.drained = Event()
        """Set when all that will ever come is translated, or nothing more will be."""

    def start(self, threads: Threads, stop: Event) -> list[Thread]:
        """Follow the topic and translate, each in a thread, until stopped."""
        accounts = sorted({audience.account for audience in self._streams})
        return [
            threads.start(identity.THREAD, lambda: self._table.run(stop)),
            threads.start(THREAD, lambda: self.run(stop), account=", ".join(accounts)),
        ]

    def run(self, stop: Event) -> None:
        """Work until stopped.

        Raises:
            RunDamaged: A run is not what was written: no more is translated.
            SpoolFailed: The disk failed.
            BridgeError: The ledger failed.
        """
        try:
            while not stop.is_set():
                self._beat(THREAD)
                self.step(stop)
                self._clock.wait(stop, LOOK)
        finally:
            self.drained.set()

    def step(self, stop: Event) -> None:
        """Look once."""
        drain = self._drain()  # asked before the look: what comes in between makes it no less true
        snapshot, now = self._table.snapshot(), self._clock.now()
        runs = self._spool.runs()
        self._tell(runs)
        if snapshot is None or now < self._not_now.due or self.drained.is_set():
            return
        done = Progress.of(runs)
        waits = Waits.of(runs, done, snapshot.known_at)
        due = is_due(waits, self._config.roll, now=now, last=self._last, drain=drain)
        if (not due or self._turn(runs, snapshot, done, stop)) and drain:
            self.drained.set()  # what becomes known from now on is the next start's

    def _turn(self, runs: tuple[Run, ...], snapshot: Snapshot, done: Progress, stop: Event) -> bool:
        """Whether it came to its end."""

        def watch() -> None:
            self._beat(THREAD)
            leave_if(stop)

        self._last = self._clock.now()
        turn = Turn(runs=runs, snapshot=snapshot, done=done, known=self._known(), now=self._last)
        try:
            told = carry_out(turn, self._spool, self._clock.now, watch)
        except Stopped:
            return False
        except (TableDamaged, SpoolFull) as failure:  # the follower makes the table anew
            self._not_now.failed(self._last)
            log.warning("translation_waits", reason=str(failure))
            return False
        self._not_now.succeeded()
        total = sum(told.values(), Tally())
        log.info(
            "translated",
            run=turn.progress.run,
            memberships=total.matched,
            unmatched=total.unmatched,
            found_later=total.found,
            taken_back=total.taken_back,
            browsers_left_out=total.left_out,
        )
        for audience, tally in told.items():
            self._observer.translated(self._streams.get(audience, ""), tally)
        return True

    def _known(self) -> Mapping[str, frozenset[Audience]]:
        """What was ever sent to, or will be, of the audiences that are translated into."""
        sent = reached(self._spool, self._ledger)
        found: dict[str, frozenset[Audience]] = {}
        for stream in self._config.streams:
            if stream.identify is not None:
                namespace = stream.identify.from_
                own = frozenset(target for _, target in stream.translated()) & sent
                found[namespace] = found.get(namespace, frozenset()) | own
        return found

    def _tell(self, runs: tuple[Run, ...]) -> None:
        kept = dict.fromkeys(self._streams.values(), 0)
        for run in runs:
            for audience, statistics in run.audiences.items():
                stream = self._streams.get(audience.resolved) if audience.unresolved else None
                if stream is not None:
                    kept[stream] += statistics.rows
        for stream, memberships in kept.items():
            self._observer.kept(stream, memberships)
        self._table.tell()


def feeding(config: Config) -> dict[Audience, str]:
    """The audiences that are translated into, and the stream that feeds each; of several, the first."""
    found: dict[Audience, str] = {}
    for stream in config.streams:
        for _, target in stream.translated():
            found.setdefault(target, stream.name)
    return found


def kept_longer(config: Config) -> dict[Audience, int]:
    """How long the history is kept of audiences with unresolved users, and of those that these go to, ms.

    What is parked is joined again; and what it is then judged by must reach as far back.
    """
    found: dict[Audience, int] = {}
    for stream in config.streams:
        if stream.identify is not None:
            for audience in chain.from_iterable(stream.translated()):
                found[audience] = max(found.get(audience, config.spool.retention), stream.identify.park)
    return found


def reached(spool: Spool, ledger: Ledger) -> frozenset[Audience]:
    """What was ever sent to, or a replay in the spool may send to; to be asked after the table was.

    A replay may have been translated by an earlier table: who has opted out since is taken out of what it is
    going to send. What it has read is in its runs before it asks the table, resolved or not.
    """
    runs = [run for replay in spool.replays.all() for run in replay.runs()]
    waiting = {
        audience.resolved if audience.unresolved else audience
        for run in [*spool.runs(), *runs]
        for audience in run.audiences
    }
    return frozenset(waiting).union(ledger.audiences())


def progress_of(runs: tuple[Run, ...]) -> dict[Audience, AudienceState]:
    """How far unresolved audiences are translated, as if that were delivered."""
    sources = unresolved(runs)
    frontier = Frontier((Step("", Progress.of(runs).run),)) if sources else Frontier()
    return dict.fromkeys(sources, AudienceState(frontier=frontier))
