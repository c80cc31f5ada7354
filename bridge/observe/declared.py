"""A registry whose metrics say what they are: docs/metrics.md is made of that."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, Metric, generate_latest
from prometheus_client.registry import Collector

PREFIX = "s2s_bridge_"
"""Of every metric that is the bridge's own."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Declared:
    """What a metric is."""

    name: str
    """Its whole name, as a query has it."""
    kind: str
    """`counter`, `gauge` or `histogram`."""
    labels: tuple[str, ...]
    """Names of its labels."""
    meaning: str
    """One line."""


class Registry:
    """Metrics under one prefix."""

    def __init__(self) -> None:
        self._collectors = CollectorRegistry()
        self._declared: list[Declared] = []

    @property
    def declared(self) -> tuple[Declared, ...]:
        """All metrics, by name."""
        return tuple(sorted(self._declared, key=lambda one: one.name))

    def counter(self, name: str, meaning: str, *labels: str) -> Counter:
        """A counter; `_total` is added to its name."""
        self._declare("counter", f"{name}_total", meaning, labels)
        return Counter(f"{PREFIX}{name}", meaning, labels, registry=self._collectors)

    def gauge(self, name: str, meaning: str, *labels: str) -> Gauge:
        """A gauge."""
        self._declare("gauge", name, meaning, labels)
        return Gauge(f"{PREFIX}{name}", meaning, labels, registry=self._collectors)

    def histogram(self, name: str, meaning: str, buckets: Sequence[float]) -> Histogram:
        """A histogram without labels."""
        self._declare("histogram", name, meaning, ())
        return Histogram(f"{PREFIX}{name}", meaning, registry=self._collectors, buckets=buckets)

    def add(self, collector: Collector, *declared: Declared) -> None:
        """A collector that makes these metrics when it is asked."""
        self._collectors.register(collector)
        self._declared += declared

    def families(self) -> Iterable[Metric]:
        """All metrics with their values."""
        return self._collectors.collect()

    def text(self) -> bytes:
        """All metrics in the Prometheus text format."""
        return generate_latest(self._collectors)

    def _declare(self, kind: str, name: str, meaning: str, labels: tuple[str, ...]) -> None:
        self._declared.append(Declared(name=f"{PREFIX}{name}", kind=kind, labels=labels, meaning=meaning))
