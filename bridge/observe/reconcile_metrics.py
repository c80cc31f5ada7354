"""What the reconcilers count."""

from collections.abc import Iterable

from bridge.clock import SECOND
from bridge.observe.declared import Registry
from bridge.observe.health import Health


class ReconcileMetrics:
    """What the reconcilers report (deliver.reconcile_observer.ReconcileObserver)."""

    def __init__(self, registry: Registry, health: Health) -> None:
        self._health = health
        self._confirmed = registry.counter(
            "files_confirmed", "Files that the platform has processed, by its log", "account"
        )
        self._rejected = registry.counter(
            "files_rejected", "Files that the platform has refused, by its log", "account"
        )
        self._accepted = registry.counter(
            "lines_accepted", "Lines of processed files that the platform took, by its log", "account"
        )
        self._refused = registry.counter(
            "lines_refused", "Lines that the platform did not take, by its log", "account"
        )
        self._unconfirmed = registry.gauge(
            "files_unconfirmed", "Uploaded files of which the platform's log has not said the end", "account"
        )
        self._overdue = registry.gauge(
            "files_overdue", "Those of them that should have been processed by now", "account"
        )
        self._not_resent = registry.gauge(
            "files_not_resent", "Files refused by the platform that nobody has asked to send again", "account"
        )
        self._looked = registry.gauge(
            "processing_log_last_look_timestamp_seconds",
            "When the processing log last answered, or there was nothing to ask it",
            "account",
        )
        self._reachable = registry.gauge(
            "processing_log_reachable", "0 while the processing log does not answer, else 1", "account"
        )
        self._skipped = registry.counter(
            "processing_log_entries_skipped", "Entries of the log without a file or a status", "account"
        )

    def expect(self, accounts: Iterable[str]) -> None:
        """Counters of these begin at 0, so that their first step can be seen."""
        for account in accounts:
            for counter in (self._confirmed, self._rejected, self._accepted, self._refused, self._skipped):
                counter.labels(account)

    def confirmed(self, account: str, accepted: int, refused: int) -> None:
        """A file was processed."""
        self._confirmed.labels(account).inc()
        self._count(account, accepted, refused)

    def rejected(self, account: str, accepted: int, refused: int) -> None:
        """A file was refused."""
        self._rejected.labels(account).inc()
        self._count(account, accepted, refused)

    def unconfirmed(self, account: str, files: int, overdue: int) -> None:
        """Of so many files the end is not known."""
        self._unconfirmed.labels(account).set(files)
        self._overdue.labels(account).set(overdue)

    def not_resent(self, account: str, files: int) -> None:
        """So many refused files wait for somebody."""
        self._not_resent.labels(account).set(files)

    def looked(self, account: str, now: int) -> None:
        """The log has answered, or there was nothing to ask."""
        self._looked.labels(account).set(now / SECOND)

    def reachable(self, account: str, *, value: bool) -> None:
        """Whether it answered when it was last asked."""
        self._reachable.labels(account).set(value)

    def skipped(self, account: str, entries: int) -> None:
        """Entries that lack what they must have."""
        self._skipped.labels(account).inc(entries)

    def looking(self, account: str, now: int) -> None:
        """The reconciler of an account works."""
        self._health.beat(f"reconcile {account}", now)

    def _count(self, account: str, accepted: int, refused: int) -> None:
        self._accepted.labels(account).inc(accepted)
        self._refused.labels(account).inc(refused)
