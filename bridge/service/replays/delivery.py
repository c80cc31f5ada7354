"""The second half of a replay: its runs are delivered, by whoever holds the accounts.

Where a bridge runs on the spool, it delivers them, and this process waits and tells. Where none runs, this
process delivers, live data that is due too, and asks the processing logs, as an account may wait for their
word; and gives way as soon as a bridge starts.
"""

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import structlog

from bridge.audience.audience import Audience
from bridge.clock import SECOND
from bridge.config import Config
from bridge.deliver.file_state import UNFINISHED, FileState
from bridge.deliver.lanes import HeldReplay
from bridge.deliver.ledger import Ledger
from bridge.deliver.records import AudienceState, FileRecord
from bridge.deliver.waiting import Pending, unsent
from bridge.observe.health import Health
from bridge.observe.metrics import Metrics
from bridge.observe.silence import Patience
from bridge.service.deliveries import Deliveries
from bridge.service.opening import LEDGER, Opened, claimed, opened_beside
from bridge.service.outside import Outside
from bridge.service.reconciling import Reconciliations
from bridge.service.threads import Threads
from bridge.service.watchdog import Watchdog, end_at_once, unstopped, watched
from bridge.spool.replays import Replay
from bridge.spool.spool import Spool

log = structlog.get_logger()

LOOK = 0.5
"""Seconds between two looks at how far it is."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Delivery:
    """How far a replay is delivered."""

    waiting: Mapping[Audience, Pending]
    """What is yet to be sent, by audience; upper bounds."""
    files: tuple[FileRecord, ...]
    """Its files so far, the oldest first."""

    @property
    def done(self) -> bool:
        """All is delivered."""
        return not self.waiting and not any(file.state in UNFINISHED for file in self.files)

    @property
    def uploaded(self) -> tuple[FileRecord, ...]:
        """The files that have arrived."""
        return tuple(file for file in self.files if file.state not in (*UNFINISHED, FileState.FAILED))


@dataclass(frozen=True, kw_only=True, slots=True)
class ReplayDelivery:
    """The delivery of one replay that is read."""

    config: Config
    """The configuration."""
    outside: Outside
    """What is outside."""
    spool: Spool
    """Where it is."""
    replay: Replay
    """Its runs."""

    def run(self, stop: threading.Event, tell: Callable[[Delivery], None]) -> bool:
        """Wait until all is delivered, and deliver where no bridge does; False: stopped before.

        Args:
            stop: Set when the process is to stop.
            tell: Called whenever there was a look at how far it is.

        Raises:
            BridgeError: This process delivered, and could not go on.
        """
        while not stop.is_set():
            with opened_beside(self.spool, self.config, self.outside) as opened:
                done = self._deliver(opened, stop, tell) if opened else self._watch(stop, tell)
            if done:
                return True
        return False

    def _watch(self, stop: threading.Event, tell: Callable[[Delivery], None]) -> bool:
        """One look at what the bridge does, and a pause."""
        path = self.spool.directory / LEDGER
        if path.exists():  # a bridge that is just starting makes it
            with Ledger.read_only(path) as ledger:
                delivery = self._look(ledger)
            tell(delivery)
            if delivery.done:
                return True
        self.outside.clock.wait(stop, SECOND)
        return False

    def _deliver(self, opened: Opened, stop: threading.Event, tell: Callable[[Delivery], None]) -> bool:
        """Deliver what waits of the accounts, until the replay is through or somebody else is to go on."""
        clock, health = self.outside.clock, Health(lambda: True)
        threads, metrics = watched(health, clock), Metrics(health)
        deliveries = Deliveries(
            self.config, opened, self.outside, metrics.deliver, drain=threading.Event().is_set
        )
        reconciliations = Reconciliations(self.config, opened.ledger, clock, metrics.reconcile)
        deliveries.start(threads)
        reconciliations.start(threads)
        watchdog = Watchdog(threads, health, clock, Patience(), end_at_once)

        def look_and_tell(delivery: Delivery) -> None:
            watchdog.look()
            tell(delivery)

        try:
            self._work(opened, deliveries, threads, stop, look_and_tell)
        finally:
            reconciliations.stop()
            deliveries.stop()
            if threads.alive:
                end_at_once(unstopped(sorted(threads.alive)))
        threads.raise_first()
        delivery = self._look(opened.ledger)
        tell(delivery)
        return delivery.done

    def _work(  # the parts of one delivery
        self,
        opened: Opened,
        deliveries: Deliveries,
        threads: Threads,
        stop: threading.Event,
        tell: Callable[[Delivery], None],
    ) -> None:
        """Until all is delivered, or somebody else is to go on, or it cannot."""
        claims = 0
        while deliveries.working and not (stop.is_set() or threads.failures or threads.damages):
            delivery = self._look(opened.ledger)
            tell(delivery)
            # another replay that looks whether it may deliver has the claim too, but not for two looks
            claims = claims + 1 if claimed(self.spool, self.outside.clock) else 0
            if claims > 1:
                log.info("gives_way", replay=self.replay.id, to="a bridge that starts")
            if delivery.done or claims > 1:
                return
            threads.wait(LOOK)

    def _look(self, ledger: Ledger) -> Delivery:
        return Delivery(
            waiting=unsent(held(self.replay), ledger.audiences()), files=ledger.of_replay(self.replay.id)
        )


def held(replay: Replay) -> HeldReplay:
    """A replay as the deliver room sees it."""
    return HeldReplay(record=replay.record, runs=replay.runs())


def known_states(spool: Spool) -> dict[Audience, AudienceState]:
    """What the spool's ledger knows of the audiences; nothing where there is no ledger yet.

    Raises:
        LedgerFailed: It cannot be read.
    """
    path = spool.directory / LEDGER
    if not path.exists():
        return {}
    with Ledger.read_only(path) as ledger:
        return ledger.audiences()
