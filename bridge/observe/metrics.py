"""The metrics of contract.md (Metrics), kept by what ingest and deliver report."""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from bridge.clock import SECOND
from bridge.observe.health import Health

_BUCKETS = (0.1, 0.5, 1, 5, 15, 60, 300, 900, 3600)  # seconds; 4 GB at 10 Mbit/s is an hour


class IngestMetrics:
    """What the ingest thread reports (ingest.observer.IngestObserver)."""

    def __init__(self, registry: CollectorRegistry, health: Health) -> None:
        self._health = health
        self._consumed = _counter(registry, "events_consumed", "Events read from Kafka", "stream")
        self._tombstones = _counter(registry, "tombstones", "Null values skipped", "stream")
        self._refused = _counter(registry, "dead_letters", "Events refused", "stream", "reason")
        self._sealed = _counter(registry, "memberships_sealed", "Memberships in sealed runs", "stream")
        self._lag = _gauge(registry, "consumer_lag", "Events not read yet", "topic", "partition")
        self._window = _gauge(registry, "window_bytes", "Memory of the open window")
        self._runs = _counter(registry, "runs_sealed", "Windows made durable")
        self._unsealed: dict[str, int] = {}

    def consumed(self, stream: str, events: int) -> None:
        """`events` were read."""
        self._consumed.labels(stream).inc(events)

    def tombstones(self, stream: str, events: int) -> None:
        """`events` were null values."""
        self._tombstones.labels(stream).inc(events)

    def refused(self, stream: str, reason: str, events: int) -> None:
        """`events` went to the dead letters."""
        self._refused.labels(stream, reason).inc(events)

    def collected(self, stream: str, memberships: int) -> None:
        """`memberships` are in the window; they count as sealed when the window is."""
        self._unsealed[stream] = self._unsealed.get(stream, 0) + memberships

    def window_bytes(self, size: int) -> None:
        """The window takes `size` bytes of memory."""
        self._window.set(size)

    def sealed(self, run_number: int, memberships: int) -> None:  # noqa: ARG002  # the port tells more
        """The window is a run."""
        self._runs.inc()
        for stream, count in self._unsealed.items():
            self._sealed.labels(stream).inc(count)
        self._unsealed.clear()

    def lag(self, topic: str, partition: int, events: int) -> None:
        """`events` of a partition are not read yet."""
        self._lag.labels(topic, str(partition)).set(events)

    def assigned(self, assigned: bool) -> None:  # noqa: FBT001  # a state, as in the port
        """Partitions are assigned, or none."""
        self._health.assigned(value=assigned)

    def beat(self, now: int) -> None:
        """The ingest thread works."""
        self._health.beat("ingest", now)


class DeliverMetrics:
    """What the deliverers report (deliver.observer.DeliverObserver)."""

    def __init__(self, registry: CollectorRegistry, health: Health) -> None:
        self._health = health
        where = ("account", "audience")
        self._pending = _gauge(registry, "pending_memberships", "Memberships waiting for delivery", *where)
        self._oldest = _gauge(registry, "oldest_pending_seconds", "Age of the oldest of them", *where)
        self._replays = _gauge(
            registry, "replay_pending_memberships", "Replayed ones waiting for delivery, at most", *where
        )
        self._horizon = _gauge(
            registry, "horizon_timestamp_seconds", "Events newer than this are judged exactly", *where
        )
        self._superseded = _counter(
            registry, "memberships_superseded", "Left out, as something newer was delivered", "audience"
        )
        self._beyond = _counter(
            registry, "memberships_beyond_horizon", "Set aside, as history does not reach them", "audience"
        )
        self._files = _counter(registry, "files_uploaded", "Files on the server", "account")
        self._bytes = _counter(registry, "bytes_uploaded", "Bytes of files on the server", "account")
        self._seconds = Histogram(
            "s2s_bridge_upload_seconds", "From log-in to final name", registry=registry, buckets=_BUCKETS
        )
        self._failures = _counter(registry, "upload_failures", "Uploads that failed", "account", "reason")
        self._files_left = _gauge(registry, "quota_files_remaining", "Files left this hour", "account")
        self._bytes_left = _gauge(registry, "quota_bytes_remaining", "Bytes left this UTC day", "account")

    def uploaded(self, account: str, size: int, seconds: float) -> None:
        """A file of `size` bytes has its final name."""
        self._files.labels(account).inc()
        self._bytes.labels(account).inc(size)
        self._seconds.observe(seconds)

    def failed(self, account: str, reason: str) -> None:
        """An upload failed."""
        self._failures.labels(account, reason).inc()

    def quota(self, account: str, files_remaining: int, bytes_remaining: int) -> None:
        """What the windows still allow."""
        self._files_left.labels(account).set(files_remaining)
        self._bytes_left.labels(account).set(bytes_remaining)

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


class Metrics:
    """All metrics in one registry."""

    def __init__(self, health: Health) -> None:
        self._registry = CollectorRegistry()
        self.ingest = IngestMetrics(self._registry, health)
        self.deliver = DeliverMetrics(self._registry, health)
        self._spool = _gauge(self._registry, "spool_bytes", "Disk that the spool takes")

    def text(self) -> bytes:
        """All metrics in the Prometheus text format."""
        return generate_latest(self._registry)

    def sums(self) -> dict[str, float]:
        """Each counter's and gauge's sum over its labels, by its name without `s2s_bridge_` and `_total`."""
        return {
            family.name.removeprefix("s2s_bridge_"): sum(
                sample.value for sample in family.samples if not sample.name.endswith("_created")
            )
            for family in self._registry.collect()
        }

    def spool_bytes(self, size: int) -> None:
        """The spool takes `size` bytes."""
        self._spool.set(size)


def _counter(registry: CollectorRegistry, name: str, text: str, *labels: str) -> Counter:
    return Counter(f"s2s_bridge_{name}", text, labels, registry=registry)


def _gauge(registry: CollectorRegistry, name: str, text: str, *labels: str) -> Gauge:
    return Gauge(f"s2s_bridge_{name}", text, labels, registry=registry)
