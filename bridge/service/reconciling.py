"""Asking the processing logs: a thread for each account that has one, beside all that delivers.

None of them holds anything up: what they ask is bounded, and a stop ends a call at once.
"""

import threading
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from functools import partial

from bridge.clock import SECOND, Clock
from bridge.config import Account, Config, ProcessingLogSettings
from bridge.config.fault import Location
from bridge.deliver.ledger import Ledger
from bridge.deliver.reconcile_observer import ReconcileObserver, Unobserved
from bridge.deliver.reconciler import Found, Reconciler
from bridge.deliver.records import FileRecord
from bridge.platform.api import CallStopped
from bridge.platform.log_client import LogClient
from bridge.service.threads import Threads

LOOK = 5 * SECOND
"""How often the ledger is asked whether there is anything to ask the log, ms; or `poll`, if shorter."""

LEAVING = 1.0
"""Seconds that the threads get to end, together: a step of the ledger's, at most."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ProcessingLog:
    """The processing log of an account."""

    account: Account
    """Whose files it tells of."""
    settings: ProcessingLogSettings
    """Where it is, and how it is read."""
    path: Location
    """Of those settings in the configuration."""

    def client(self, clock: Clock, stop: threading.Event | None = None) -> LogClient:
        """Asks it; `stop` ends a call."""
        return LogClient(self.account, self.settings, self.path, clock, stop)


def processing_logs(config: Config) -> Iterator[ProcessingLog]:
    """Those that are configured, in the order of accounts."""
    for at, account in enumerate(config.accounts):
        settings = account.platform.processing_log
        if settings is not None:
            path = ("accounts", at, "platform", "processing_log")
            yield ProcessingLog(account=account, settings=settings, path=path)


@contextmanager
def reconciler(
    log: ProcessingLog,
    ledger: Ledger,
    clock: Clock,
    observer: ReconcileObserver,
    stop: threading.Event | None = None,
) -> Iterator[Reconciler]:
    """The reconciler of an account, its connection given back behind the block."""
    with closing(log.client(clock, stop)) as client:
        yield Reconciler(
            log.account.name, log.settings, client.page, ledger=ledger, clock=clock, observer=observer
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class Reconciled:
    """What came of asking an account's log once."""

    account: str
    """Its name."""
    at: int
    """When it was asked."""
    found: Found | None
    """What was found; None: there was nothing to ask about."""
    left: tuple[FileRecord, ...]
    """Files that are still neither confirmed nor rejected."""
    overdue_after: int
    """After its upload a file should be confirmed or rejected, ms."""


def reconcile(logs: Iterable[ProcessingLog], ledger: Ledger, clock: Clock) -> Iterator[Reconciled]:
    """Ask each log once, beside a running bridge too.

    Raises:
        LedgerFailed: It cannot be read or written.
    """
    for log in logs:
        with reconciler(log, ledger, clock, Unobserved()) as one:
            at, found = clock.now(), None if one.idle else one.look()
        yield Reconciled(
            account=log.account.name,
            at=at,
            found=found,
            left=ledger.unconfirmed(log.account.name),
            overdue_after=log.settings.overdue_after,
        )


class Reconciliations:
    """The reconcilers of a running bridge."""

    def __init__(self, config: Config, ledger: Ledger, clock: Clock, observer: ReconcileObserver) -> None:
        self._logs = tuple(processing_logs(config))
        self._ledger = ledger
        self._clock = clock
        self._observer = observer
        self._stop = threading.Event()
        self.threads: tuple[threading.Thread, ...] = ()
        """Once they were started."""

    def start(self, threads: Threads) -> None:
        """Begin."""
        self.threads = tuple(
            threads.start(f"reconcile {log.account.name}", partial(self._run, log)) for log in self._logs
        )

    def stop(self) -> None:
        """End; a question that is not answered yet is asked anew by the next process."""
        self._stop.set()
        for thread in self.threads:
            thread.join(LEAVING / len(self.threads))

    def _run(self, log: ProcessingLog) -> None:
        with reconciler(log, self._ledger, self._clock, self._observer, self._stop) as one:
            while not self._stop.is_set():
                with suppress(CallStopped):
                    one.step()
                self._clock.wait(self._stop, min(LOOK, log.settings.poll))
