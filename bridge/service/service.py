"""The running bridge: its threads, and the order in which they stop.

1. Nobody asks the processing logs any more, and a turn of translation is left. Ingest seals its window and
   commits; meanwhile a file that is being built is left, and an upload gets `deliveries.FINISHING` before
   its connection is cut. Neither waits for the other.
2. Housekeeping ends, and what was seen of segments is written; the pages go; the ledger is closed and the
   locks are given back.
All of that takes at most 25 s, as the contract asks (Commands). Where a thread does not end in time, or is
silent for too long while all works, the process ends at once (`watchdog`).
"""

import threading
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path

import structlog

from bridge.clock import SECOND
from bridge.config import Config
from bridge.errors import BridgeError
from bridge.ingest.collector import Collector
from bridge.observe.health import Health
from bridge.observe.http import HttpServer, pages
from bridge.observe.metrics import Metrics
from bridge.observe.silence import Patience
from bridge.service import wiring
from bridge.service.deliveries import LEAVING, Deliveries
from bridge.service.expected import expect
from bridge.service.housekeeping import Housekeeping
from bridge.service.identity import IdentityTable, topic_of
from bridge.service.opening import Opened, opened
from bridge.service.outside import Outside
from bridge.service.page.front import FrontPage
from bridge.service.reconciling import Reconciliations
from bridge.service.segment_keeper import SegmentKeeper
from bridge.service.telling.translation import REMEDY, untranslated
from bridge.service.translating import Translating
from bridge.service.watchdog import Watchdog, end_at_once, unstopped, watched
from bridge.spool.disk import MODE
from bridge.spool.locks import LockHeld
from bridge.spool.openness import open_to_others
from bridge.spool.spool import Spool

log = structlog.get_logger()

STOPPING = 23 * SECOND
"""How long all of it may take, ms: who has to leave last gets what the others have not used."""

SEALING = 11.0
"""Seconds that ingest gets to seal and commit, beside those that the uploads take."""


class Service:
    """One bridge, from its locks to its last commit."""

    def __init__(
        self,
        config: Config,
        outside: Outside,
        *,
        until_end: bool,
        adopt: bool,
        patience: Patience | None = None,
        end: Callable[[str], None] = end_at_once,
    ) -> None:
        """`end` ends the process where a thread hangs, and is told why; `patience` is how long it may."""
        self._config = config
        self._outside = outside
        self._until_end = until_end
        self._adopt = adopt
        self._health = Health(lambda: _writable(config.spool.directory))
        self.metrics = Metrics(self._health)
        """What it counts."""
        expect(self.metrics, config, outside.clock)
        self._front = FrontPage(config, self._health, self.metrics, outside.clock)
        self._threads = watched(self._health, outside.clock)
        self._end = end
        self._watchdog = Watchdog(self._threads, self._health, outside.clock, patience or Patience(), end)
        self._stop_ingest = threading.Event()
        self._stop_translating = threading.Event()
        self._stop_housekeeping = threading.Event()

    def run(self, stop: threading.Event) -> None:
        """Consume and deliver until `stop` is set or, with `until_end`, until all is delivered.

        Raises:
            BridgeError: It cannot start, or cannot go on.
        """
        with ExitStack() as stack:
            if self._config.http.listen is not None:
                paths = pages(self._health, self.metrics.text, self._outside.clock) | {"/": self._front}
                stack.enter_context(HttpServer(self._config.http.listen, paths))
            try:
                held = stack.enter_context(opened(self._config, self._outside, stop, adopt=self._adopt))
            except LockHeld as other:
                if not stop.is_set():
                    raise
                log.info("stopped_waiting", waited_for=str(other))  # nothing was begun: it is in order
                return
            self._work(held, stop)
        self._threads.raise_first()

    def _work(self, held: Opened, stop: threading.Event) -> None:
        self._front.opened = held.spool
        _warn_if_open(self._config.spool.directory)
        _warn_if_untranslated(self._config, held.spool)
        housekeeping = self._housekeeping(held)
        keeper = SegmentKeeper(
            self._config, held.spool, self._outside, lambda now: self._health.beat("segments", now)
        )
        ingest = wiring.collector(
            self._config,
            held,
            self._outside,
            observer=self.metrics.ingest,
            watches=keeper.watches,
            full_streams=housekeeping.pressed,
            stop=self._stop_ingest,
            until_end=self._until_end,
            adopt=self._adopt,
        )
        translating = self._translating(held, ingest.finished.is_set)
        steps = [ingest.finished] if translating is None else [ingest.finished, translating.drained]
        deliveries = Deliveries(
            self._config,
            held,
            self._outside,
            self.metrics.deliver,
            drain=lambda: all(step.is_set() for step in steps),
        )
        reconciliations = Reconciliations(
            self._config, held.ledger, self._outside.clock, self.metrics.reconcile
        )
        deliveries.start(self._threads)
        reconciliations.start(self._threads)
        collecting = self._threads.start("ingest", lambda: self._collect(ingest, deliveries))
        keeping = [self._threads.start("housekeeping", lambda: housekeeping.run(self._stop_housekeeping))]
        if keeper.watches:
            keeping.append(self._threads.start("segments", lambda: keeper.run(self._stop_housekeeping)))
        if translating is not None:
            keeping += translating.start(self._threads, self._stop_translating)
        log.info("started", spool=held.spool.id, until_end=self._until_end)
        while not stop.is_set() and not self._threads.failures and deliveries.working:
            self._threads.wait(0.2)
            self._watchdog.look()
        self._shut_down(collecting, deliveries, reconciliations, keeping)

    def _collect(self, ingest: Collector, deliveries: Deliveries) -> None:
        ingest.run(self._stop_ingest)
        deliveries.wake()

    def _housekeeping(self, held: Opened) -> Housekeeping:
        return Housekeeping(
            config=self._config,
            spool=held.spool,
            ledger=held.ledger,
            clock=self._outside.clock,
            observer=self.metrics.spool,
            beat=lambda now: self._health.beat("housekeeping", now),
        )

    def _translating(self, held: Opened, drain: Callable[[], bool]) -> Translating | None:
        """None: no stream has its users translated."""
        topic = topic_of(self._config)
        if topic is None:
            return None

        def beat(thread: str) -> None:
            self._health.beat(thread, self._outside.clock.now())

        return Translating(
            self._config,
            spool=held.spool,
            ledger=held.ledger,
            table=IdentityTable(self._config, topic, self._outside, self.metrics.translation, beat),
            clock=self._outside.clock,
            observer=self.metrics.translation,
            beat=beat,
            drain=drain,
        )

    def _shut_down(
        self,
        collecting: threading.Thread,
        deliveries: Deliveries,
        reconciliations: Reconciliations,
        keeping: Sequence[threading.Thread],
    ) -> None:
        deadline = self._outside.clock.elapsed() + STOPPING
        self._stop_ingest.set()
        self._stop_translating.set()
        reconciliations.stop()
        deliveries.stop()
        collecting.join(SEALING)
        self._stop_housekeeping.set()
        for thread in keeping:
            left = (deadline - self._outside.clock.elapsed()) / SECOND
            thread.join(max(LEAVING / len(keeping), left))
        ended = (collecting, *deliveries.threads, *reconciliations.threads, *keeping)
        still = [thread.name for thread in ended if thread.is_alive()]
        if still:
            self._end(unstopped(still))
            raise BridgeError(unstopped(still))  # in a test, whose process goes on
        log.info("stopped")


def _warn_if_open(directory: Path) -> None:
    folders = open_to_others(directory)
    if folders:
        log.warning(
            "spool_open_to_others",
            folders=[str(folder) for folder in folders],
            remedy="chmod o-rwx them, as the spool holds user ids",
        )


def _warn_if_untranslated(config: Config, spool: Spool) -> None:
    rows = untranslated(config, spool.runs())
    if rows:
        log.warning("nobody_translates", memberships=rows, remedy=REMEDY)


def _writable(directory: Path) -> bool:
    probe = directory / "tmp" / ".probe"
    try:
        probe.touch(mode=MODE)
        probe.unlink(missing_ok=True)  # another look at the same moment may have done so
    except OSError:
        return False
    return True
