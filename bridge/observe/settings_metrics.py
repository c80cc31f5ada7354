"""The settings that alerts and charts hold against what is counted."""

from bridge.clock import SECOND
from bridge.config import Config
from bridge.observe.declared import Registry


class SettingsMetrics:
    """What the configuration says, and which program it is."""

    def __init__(self, registry: Registry) -> None:
        self._build = registry.gauge("build_info", "1; the label tells the version that runs", "version")
        self._started = registry.gauge("start_time_seconds", "When the bridge started")
        self._spool = registry.gauge("spool_max_bytes", "The setting spool.max_bytes")
        self._window = registry.gauge("window_max_bytes", "The setting window.max_bytes")
        self._window_age = registry.gauge("window_max_age_seconds", "The setting window.max_age")
        self._roll_age = registry.gauge("roll_max_age_seconds", "The setting roll.max_age")
        self._files = registry.gauge(
            "quota_files_limit", "The setting accounts[].quota.files_per_hour", "account"
        )
        self._bytes = registry.gauge(
            "quota_bytes_limit", "The setting accounts[].quota.bytes_per_day", "account"
        )
        self._reserve = registry.gauge(
            "quota_removals_reserve_bytes", "Bytes of the day that are kept for files of removals", "account"
        )
        self._guard = registry.gauge("quota_guard_seconds", "The setting accounts[].quota.guard", "account")

    def tell(self, config: Config, *, version: str, started_at: int) -> None:
        """Once, at the start."""
        self._build.labels(version).set(1)
        self._started.set(started_at / SECOND)
        self._spool.set(config.spool.max_bytes)
        self._window.set(config.window.max_bytes)
        self._window_age.set(config.window.max_age / SECOND)
        self._roll_age.set(config.roll.max_age / SECOND)
        for account in config.accounts:
            quota = account.quota
            self._files.labels(account.name).set(quota.files_per_hour)
            self._bytes.labels(account.name).set(quota.bytes_per_day)
            self._reserve.labels(account.name).set(quota.bytes_per_day * quota.removals_reserve)
            self._guard.labels(account.name).set(quota.guard / SECOND)
