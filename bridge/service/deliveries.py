"""The deliverers of all accounts at work: a thread for each, and how they stop."""

from collections.abc import Callable
from typing import TYPE_CHECKING

import structlog

from bridge.config import Config
from bridge.deliver.observer import DeliverObserver
from bridge.service import wiring
from bridge.service.opening import Opened
from bridge.service.outside import Outside
from bridge.service.threads import Threads

if TYPE_CHECKING:
    import threading

log = structlog.get_logger()

FINISHING = 8.0
"""Seconds that the uploads under way get to finish, together."""

LEAVING = 2.0
"""Seconds that threads get once their connections are cut."""


class Deliveries:
    """One deliverer an account. The locks of the accounts are held."""

    def __init__(
        self,
        config: Config,
        opened: Opened,
        outside: Outside,
        observer: DeliverObserver,
        drain: Callable[[], bool],
    ) -> None:
        self._remotes = {account.name: outside.remote(account) for account in config.accounts}
        self._deliverers = {
            account.name: wiring.deliverer(
                account,
                config,
                opened,
                clock=outside.clock,
                remote=self._remotes[account.name],
                observer=observer,
                drain=drain,
            )
            for account in config.accounts
        }
        self.threads: tuple[threading.Thread, ...] = ()
        """Once they were started."""

    def start(self, threads: Threads) -> None:
        """End what a crash left open, and begin.

        Raises:
            LedgerFailed: The ledger cannot be written.
        """
        for deliverer in self._deliverers.values():
            deliverer.recover()
        self.threads = tuple(
            threads.start(f"deliver {name}", one.run, account=name) for name, one in self._deliverers.items()
        )

    @property
    def working(self) -> bool:
        """Whether any account's thread runs."""
        return any(thread.is_alive() for thread in self.threads)

    def wake(self) -> None:
        """Something has changed: look at once."""
        for deliverer in self._deliverers.values():
            deliverer.wake()

    def stop(self) -> None:
        """No upload is begun any more; those under way get `FINISHING`, then their connections are cut."""
        for deliverer in self._deliverers.values():
            deliverer.stop()
        for thread in self.threads:
            thread.join(FINISHING / len(self.threads))
        late = [
            (account, thread)
            for account, thread in zip(self._remotes, self.threads, strict=True)
            if thread.is_alive()
        ]
        for account, _ in late:
            log.warning("upload_abandoned", account=account)
            self._remotes[account].abandon()
        for _, thread in late:
            thread.join(LEAVING / len(late))
