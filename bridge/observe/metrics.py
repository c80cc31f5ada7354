"""The metrics of contract.md (Metrics) and more (docs/metrics.md), kept by what the parts report."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from bridge.observe.declared import PREFIX, Declared, Registry
from bridge.observe.deliver_metrics import DeliverMetrics
from bridge.observe.health import Health
from bridge.observe.ingest_metrics import IngestMetrics
from bridge.observe.process_metrics import tell_of_process
from bridge.observe.reconcile_metrics import ReconcileMetrics
from bridge.observe.settings_metrics import SettingsMetrics
from bridge.observe.spool_metrics import SpoolMetrics
from bridge.observe.translation_metrics import TranslationMetrics


@dataclass(frozen=True, kw_only=True, slots=True)
class Sample:
    """One value of a metric."""

    name: str
    """The metric's, without `s2s_bridge_`."""
    labels: Mapping[str, str]
    """Of what."""
    value: float
    """How much."""


class Metrics:
    """All metrics in one registry."""

    def __init__(self, health: Health) -> None:
        self._registry = Registry()
        self.ingest = IngestMetrics(self._registry, health)
        self.deliver = DeliverMetrics(self._registry, health)
        self.reconcile = ReconcileMetrics(self._registry, health)
        self.spool = SpoolMetrics(self._registry)
        self.translation = TranslationMetrics(self._registry)
        self.settings = SettingsMetrics(self._registry)
        tell_of_process(self._registry, health)

    @property
    def declared(self) -> tuple[Declared, ...]:
        """What there is, by name."""
        return self._registry.declared

    def text(self) -> bytes:
        """All metrics in the Prometheus text format."""
        return self._registry.text()

    def sums(self) -> dict[str, float]:
        """Each counter's and gauge's sum over its labels, by its name without `s2s_bridge_` and `_total`."""
        return {
            family.name.removeprefix(PREFIX): sum(
                sample.value for sample in family.samples if not sample.name.endswith("_created")
            )
            for family in self._registry.families()
        }

    def samples(self) -> Iterator[Sample]:
        """Every value there is."""
        for family in self._registry.families():
            for sample in family.samples:
                yield Sample(name=sample.name.removeprefix(PREFIX), labels=sample.labels, value=sample.value)
