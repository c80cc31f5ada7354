"""What is known of the server's clock between two looks at it: it goes on, whatever ours is set to."""

import structlog

from bridge.clock import SECOND, Clock
from bridge.deliver.ledger import Ledger

log = structlog.get_logger()


class ServerClock:
    """An account's skew (server's clock less ours, ms): as last measured, less what ours was set by since.

    While no process ran nobody saw our clock being set; the next upload measures it.
    """

    def __init__(self, account: str, ledger: Ledger, clock: Clock) -> None:
        self._account = account
        self._ledger = ledger
        self._clock = clock
        self._reference = self._offset()

    def skew(self) -> int:
        """The skew now; 0: it was never measured, and our clock was not set. A new one is written down.

        Raises:
            LedgerFailed: It could not be.
        """
        known, offset = self._ledger.skew(self._account), self._offset()
        set_by = offset - self._reference
        if abs(set_by) < SECOND:  # small steps add up until they are worth a line
            return known - set_by
        self._ledger.set_skew(self._account, known - set_by)
        self._reference = offset
        log.warning("clock_was_set", account=self._account, seconds=set_by / SECOND)
        return known - set_by

    def measured(self, skew: int, attempt: int) -> None:
        """An attempt has seen the server's clock.

        Raises:
            LedgerFailed: It could not be written down.
        """
        self._ledger.set_skew(self._account, skew, attempt)
        self._reference = self._offset()

    def _offset(self) -> int:
        """Our clock less the time since whenever, ms: it changes only when our clock is set."""
        return self._clock.now() - self._clock.elapsed()
