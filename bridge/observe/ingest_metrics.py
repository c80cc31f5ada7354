"""What the ingest thread counts."""

from collections.abc import Iterable

from bridge.clock import SECOND
from bridge.observe.declared import Registry
from bridge.observe.health import Health


class IngestMetrics:
    """What the ingest thread reports (ingest.observer.IngestObserver)."""

    def __init__(self, registry: Registry, health: Health) -> None:
        self._health = health
        self._consumed = registry.counter("events_consumed", "Events read from Kafka", "stream")
        self._polled = registry.counter("topic_events_consumed", "Events read from Kafka, by topic", "topic")
        self._tombstones = registry.counter("tombstones", "Null values skipped", "stream")
        self._refused = registry.counter("dead_letters", "Events refused", "stream", "reason")
        self._sealed = registry.counter("memberships_sealed", "Memberships in sealed runs", "stream")
        self._unknown = registry.counter(
            "unknown_segment_memberships",
            "Memberships read of segments that the stream's taxonomy does not hold for sale",
            "stream",
        )
        self._lag = registry.gauge("consumer_lag", "Events not read yet", "topic", "partition")
        self._window = registry.gauge("window_bytes", "Memory of the open window")
        self._runs = registry.counter("runs_sealed", "Windows made durable")
        self._assigned = registry.gauge("assigned", "1 while partitions are assigned, else 0")
        self._unreadable = registry.gauge(
            "topic_unreadable", "1 while Kafka has no such topic, or does not let us read it, else 0", "topic"
        )
        self._answered = registry.gauge(
            "kafka_answered_timestamp_seconds", "When Kafka last answered; it is asked every 10 s; 0: never"
        )
        self._unsealed: dict[str, int] = {}

    def expect(self, streams: Iterable[str], reasons: Iterable[str], watched: Iterable[str]) -> None:
        """Counters of these begin at 0, so that their first step can be seen.

        `watched`: the streams that name a taxonomy; of the others nobody knows what is unknown.
        """
        for stream in watched:
            self._unknown.labels(stream)
        for stream in streams:
            for counter in (self._consumed, self._tombstones, self._sealed):
                counter.labels(stream)
            for reason in reasons:
                self._refused.labels(stream, reason)

    def consumed(self, stream: str, events: int) -> None:
        """`events` were read."""
        self._consumed.labels(stream).inc(events)

    def polled(self, topic: str, events: int) -> None:
        """`events` of them were a topic's."""
        self._polled.labels(topic).inc(events)

    def tombstones(self, stream: str, events: int) -> None:
        """`events` were null values."""
        self._tombstones.labels(stream).inc(events)

    def refused(self, stream: str, reason: str, events: int) -> None:
        """`events` went to the dead letters."""
        self._refused.labels(stream, reason).inc(events)

    def collected(self, stream: str, memberships: int) -> None:
        """`memberships` are in the window; they count as sealed when the window is."""
        self._unsealed[stream] = self._unsealed.get(stream, 0) + memberships

    def unknown_segments(self, stream: str, memberships: int) -> None:
        """`memberships` are of segments that nobody can buy."""
        self._unknown.labels(stream).inc(memberships)

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
        self._polled.labels(topic)  # from 0 on: how far a topic is behind is the one over the other

    def assigned(self, assigned: bool) -> None:  # noqa: FBT001  # a state, as in the port
        """Partitions are assigned, or none."""
        self._assigned.set(assigned)
        self._health.assigned(value=assigned)

    def unreadable(self, topic: str, unreadable: bool) -> None:  # noqa: FBT001  # as above
        """A topic of the configuration is not there, or is."""
        self._unreadable.labels(topic).set(unreadable)

    def answered(self, now: int) -> None:
        """Kafka has answered."""
        self._answered.set(now / SECOND)

    def beat(self, now: int) -> None:
        """The ingest thread works."""
        self._health.beat("ingest", now)
