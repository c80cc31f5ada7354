"""The running bridge: its threads, and the order in which they stop.

1. Ingest seals its window and commits; meanwhile a file that is being built is left, and an upload gets
   `FINISHING` before its connection is cut. Neither waits for the other.
2. Housekeeping ends; the pages go; the ledger is closed and the locks are given back.
All of that takes at most 25 s, as the contract asks (Commands).
"""

import threading
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path

import structlog

from bridge.config import Config
from bridge.deliver.deliverer import Deliverer
from bridge.deliver.remote import Remote
from bridge.errors import BridgeError
from bridge.ingest.collector import Collector
from bridge.observe.health import Health
from bridge.observe.http import HttpServer, pages
from bridge.observe.metrics import Metrics
from bridge.service import wiring
from bridge.service.housekeeping import Housekeeping
from bridge.service.opening import Opened, opened
from bridge.service.wiring import Outside
from bridge.spool.run import RunDamaged

log = structlog.get_logger()

SEALING = 11.0
"""Seconds that ingest gets to seal and commit, beside those that the uploads take."""

FINISHING = 8.0
"""Seconds that the uploads under way get to finish, together."""

LEAVING = 2.0
"""Seconds that threads get once their connections are cut."""


class Service:
    """One bridge, from its locks to its last commit."""

    def __init__(self, config: Config, outside: Outside, *, until_end: bool, adopt: bool) -> None:
        self._config = config
        self._outside = outside
        self._until_end = until_end
        self._adopt = adopt
        self._health = Health(lambda: _writable(config.spool.directory))
        self.metrics = Metrics(self._health)
        """What it counts."""
        self._changed = threading.Event()
        self._stop_ingest = threading.Event()
        self._stop_housekeeping = threading.Event()
        self._failures: list[BaseException] = []
        self._damages: list[RunDamaged] = []

    def run(self, stop: threading.Event) -> None:
        """Consume and deliver until `stop` is set or, with `until_end`, until all is delivered.

        Raises:
            BridgeError: It cannot start, or cannot go on.
        """
        with ExitStack() as stack:
            if self._config.http.listen is not None:
                paths = pages(self._health, self.metrics.text, self._outside.clock)
                stack.enter_context(HttpServer(self._config.http.listen, paths))
            held = stack.enter_context(opened(self._config, self._outside.clock, stop, adopt=self._adopt))
            self._work(held, stop)
        for failure in [*self._failures, *self._damages]:
            raise failure

    def _work(self, held: Opened, stop: threading.Event) -> None:
        housekeeping = self._housekeeping(held)
        ingest = wiring.collector(
            self._config,
            held,
            self._outside,
            observer=self.metrics.ingest,
            full_streams=housekeeping.pressed,
            stop=self._stop_ingest,
            until_end=self._until_end,
            adopt=self._adopt,
        )
        remotes = {account.name: self._outside.remote(account) for account in self._config.accounts}
        deliverers = {
            account.name: wiring.deliverer(
                account,
                self._config,
                held,
                clock=self._outside.clock,
                remote=remotes[account.name],
                observer=self.metrics.deliver,
                drain=ingest.finished.is_set,
            )
            for account in self._config.accounts
        }
        for deliverer in deliverers.values():
            deliverer.recover()
        collecting = self._thread("ingest", lambda: self._collect(ingest, list(deliverers.values())))
        delivering = [self._thread(f"deliver {name}", one.run) for name, one in deliverers.items()]
        keeping = self._thread("housekeeping", lambda: housekeeping.run(self._stop_housekeeping))
        log.info("started", spool=held.spool.id, until_end=self._until_end)
        while not stop.is_set() and not self._failures:
            if not any(thread.is_alive() for thread in delivering):
                break
            self._changed.wait(0.2)
            self._changed.clear()
        self._shut_down(collecting, list(deliverers.values()), delivering, list(remotes.values()), keeping)

    def _collect(self, ingest: Collector, deliverers: Sequence[Deliverer]) -> None:
        ingest.run(self._stop_ingest)
        for deliverer in deliverers:
            deliverer.wake()

    def _housekeeping(self, held: Opened) -> Housekeeping:
        return Housekeeping(
            config=self._config,
            spool=held.spool,
            ledger=held.ledger,
            clock=self._outside.clock,
            spool_bytes=self.metrics.spool_bytes,
            beat=lambda now: self._health.beat("housekeeping", now),
        )

    def _shut_down(
        self,
        collecting: threading.Thread,
        deliverers: Sequence[Deliverer],
        delivering: Sequence[threading.Thread],
        remotes: Sequence[Remote],
        keeping: threading.Thread,
    ) -> None:
        self._stop_ingest.set()
        for deliverer in deliverers:
            deliverer.stop()
        for thread in delivering:
            thread.join(FINISHING / len(delivering))
        late = [
            (remote, thread) for remote, thread in zip(remotes, delivering, strict=True) if thread.is_alive()
        ]
        for remote, thread in late:
            log.warning("upload_abandoned", thread=thread.name)
            remote.abandon()
        for _, thread in late:
            thread.join(LEAVING / len(late))
        collecting.join(SEALING)
        self._stop_housekeeping.set()
        keeping.join(LEAVING)
        still = [thread.name for thread in (collecting, *delivering, keeping) if thread.is_alive()]
        if still:
            raise BridgeError(f"{', '.join(still)} did not stop in time: what was not durable is done again")
        log.info("stopped")

    def _thread(self, name: str, work: Callable[[], None]) -> threading.Thread:
        def guarded() -> None:
            try:
                work()
            except RunDamaged as damage:
                log.error("account_stopped", thread=name, reason=str(damage))
                self._damages.append(damage)
            except BaseException as failure:  # noqa: BLE001  # a panic of a library too; it ends the process
                self._failures.append(failure)
            finally:
                self._changed.set()

        thread = threading.Thread(target=guarded, name=name, daemon=True)
        thread.start()
        return thread


def _writable(directory: Path) -> bool:
    probe = directory / "tmp" / ".probe"
    try:
        probe.touch()
        probe.unlink()
    except OSError:
        return False
    return True
