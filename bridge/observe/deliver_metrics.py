"""What the deliverers count."""

from collections.abc import Iterable

from bridge.clock import SECOND
from bridge.observe.declared import Registry
from bridge.observe.health import Health

_BUCKETS = (0.1, 0.5, 1, 5, 15, 60, 300, 900, 3600)  # seconds; 4 GB at 10 Mbit/s is an hour


class DeliverMetrics:
    """What the deliverers report (deliver.observer.DeliverObserver)."""

    def __init__(self, registry: Registry, health: Health) -> None:
        self._health = health
        where = ("account", "audience")
        self._pending = registry.gauge("pending_memberships", "Memberships waiting for delivery", *where)
        self._oldest = registry.gauge(
            "oldest_pending_seconds", "Age of the oldest membership that waits", *where
        )
        self._replays = registry.gauge(
            "replay_pending_memberships", "Memberships of replays waiting for delivery, at most", *where
        )
        self._horizon = registry.gauge(
            "horizon_timestamp_seconds", "Events newer than this are judged exactly", *where
        )
        self._superseded = registry.counter(
            "memberships_superseded", "Memberships left out, as something newer was delivered", "audience"
        )
        self._beyond = registry.counter(
            "memberships_beyond_horizon", "Memberships set aside, as history does not reach them", "audience"
        )
        self._files = registry.counter("files_uploaded", "Files on the server", "account")
        self._bytes = registry.counter("bytes_uploaded", "Bytes of files on the server", "account")
        self._seconds = registry.histogram("upload_seconds", "From log-in to final name", _BUCKETS)
        self._failures = registry.counter("upload_failures", "Uploads that failed", "account", "reason")
        self._last = registry.gauge(
            "last_upload_timestamp_seconds", "When a file last arrived; none: never", "account"
        )
        self._files_left = registry.gauge("quota_files_remaining", "Files left this hour", "account")
        self._bytes_left = registry.gauge("quota_bytes_remaining", "Bytes left this UTC day", "account")
        self._replay_bytes = registry.gauge(
            "quota_replay_bytes_used", "Bytes of this UTC day that went to replays", "account"
        )
        self._files_reset = registry.gauge(
            "quota_files_reset_timestamp_seconds", "When the hour of files ends", "account"
        )
        self._bytes_reset = registry.gauge(
            "quota_bytes_reset_timestamp_seconds", "When the UTC day of bytes ends", "account"
        )
        self._skew = registry.gauge(
            "server_clock_skew_seconds", "The server's clock less ours, as last measured", "account"
        )

    def expect(self, accounts: Iterable[str], reasons: Iterable[str], audiences: Iterable[str]) -> None:
        """Counters of these begin at 0, so that their first step can be seen."""
        for account in accounts:
            self._files.labels(account)
            self._bytes.labels(account)
            for reason in reasons:
                self._failures.labels(account, reason)
        for audience in audiences:
            self._superseded.labels(audience)
            self._beyond.labels(audience)

    def uploaded(self, account: str, size: int, seconds: float) -> None:
        """A file of `size` bytes has its final name."""
        self._files.labels(account).inc()
        self._bytes.labels(account).inc(size)
        self._seconds.observe(seconds)

    def failed(self, account: str, reason: str) -> None:
        """An upload failed."""
        self._failures.labels(account, reason).inc()

    def served(self, account: str, instant: int) -> None:
        """When a file last arrived."""
        self._last.labels(account).set(instant / SECOND)

    def quota(self, account: str, files_remaining: int, bytes_remaining: int) -> None:
        """What the windows still allow."""
        self._files_left.labels(account).set(files_remaining)
        self._bytes_left.labels(account).set(bytes_remaining)

    def resets(self, account: str, files: int, size: int) -> None:
        """When the windows end."""
        self._files_reset.labels(account).set(files / SECOND)
        self._bytes_reset.labels(account).set(size / SECOND)

    def replayed(self, account: str, size: int) -> None:
        """What of the day's bytes went to replays."""
        self._replay_bytes.labels(account).set(size)

    def skew(self, account: str, skew: int) -> None:
        """How far the server's clock is ahead of ours."""
        self._skew.labels(account).set(skew / SECOND)

    def pending(self, account: str, audience: str, memberships: int, oldest_seconds: float) -> None:
        """What waits of an audience."""
        self._pending.labels(account, audience).set(memberships)
        self._oldest.labels(account, audience).set(oldest_seconds)

    def replay_pending(self, account: str, audience: str, memberships: int) -> None:
        """What waits of an audience's replays."""
        self._replays.labels(account, audience).set(memberships)

    def superseded(self, audience: str, memberships: int) -> None:
        """Rows left out, as something newer was delivered."""
        self._superseded.labels(audience).inc(memberships)

    def beyond_horizon(self, audience: str, memberships: int) -> None:
        """Adds set aside, as history does not reach so far."""
        self._beyond.labels(audience).inc(memberships)

    def horizon(self, account: str, audience: str, instant: int) -> None:
        """Events newer than this are judged exactly."""
        self._horizon.labels(account, audience).set(instant / SECOND)

    def beat(self, account: str, now: int) -> None:
        """The deliverer of an account works."""
        self._health.beat(f"deliver {account}", now)
