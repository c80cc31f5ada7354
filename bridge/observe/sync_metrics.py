"""What the user sync's process counts. No label holds an id, or a word that a browser has chosen."""

from collections.abc import Iterable
from typing import TYPE_CHECKING

from bridge.clock import SECOND
from bridge.observe.declared import Declared, Registry
from bridge.observe.process_metrics import tell_of_system

if TYPE_CHECKING:
    from prometheus_client import Counter

_BUCKETS = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1, 2.5)

_STORED = "stored"
_OTHER = "other"
_NONE = "none"


class SyncMetrics:
    """What the endpoint and its store report (sync.observer.SyncObserver, sync.store.StoreObserver)."""

    def __init__(self) -> None:
        self._registry = Registry()
        self._visits = self._registry.counter(
            "syncs", "Visits of browsers, by what came of them (docs/user-sync.md)", "outcome"
        )
        self._stored = self._registry.counter(
            "syncs_stored", "Mappings stored, by the platform's data centre; `other`, `none`", "data_centre"
        )
        self._seconds = self._registry.histogram(
            "sync_seconds", "From a visit to its answer, the store's among it", _BUCKETS
        )
        self._in_flight = self._registry.gauge("syncs_in_flight", "Visits that are being answered")
        self._opt_outs = self._registry.counter("opt_outs", "Opt-outs, by what came of them", "outcome")
        self._works = self._registry.gauge("sync_store_works", "1; 0: what comes is not stored")
        self._answer_within = self._registry.gauge(
            "sync_answer_within_seconds", "The setting user_sync.answer_within"
        )
        self._started = self._registry.gauge("sync_start_time_seconds", "When the process started")
        tell_of_system(self._registry)
        # Looked up once, and not with each visit.
        self._of_outcome: dict[str, Counter] = {}
        self._of_data_centre: dict[str, Counter] = {}

    def expect(
        self, outcomes: Iterable[str], data_centres: Iterable[str], *, answer_within: float, started_at: int
    ) -> None:
        """All outcomes, and the data centres that are counted each, begin at 0.

        Args:
            outcomes: Of visits and opt-outs.
            data_centres: Those of the setting.
            answer_within: The setting, in seconds.
            started_at: In milliseconds.
        """
        self._answer_within.set(answer_within)
        self._started.set(started_at / SECOND)
        for outcome in outcomes:
            self._of_outcome[outcome] = self._visits.labels(outcome)
            self._opt_outs.labels(outcome)
        for data_centre in (*data_centres, _OTHER, _NONE):
            self._of_data_centre[data_centre] = self._stored.labels(data_centre)

    @property
    def declared(self) -> tuple[Declared, ...]:
        """What there is, by name."""
        return self._registry.declared

    def text(self) -> bytes:
        """All metrics in the Prometheus text format."""
        return self._registry.text()

    def came(self) -> None:
        """A visit has begun."""
        self._in_flight.inc()

    def went(self, outcome: str, data_centre: str, seconds: float) -> None:
        """It is answered."""
        self._in_flight.dec()
        self._of_outcome[outcome].inc()
        self._seconds.observe(seconds)
        if outcome == _STORED:
            counted = self._of_data_centre
            counted.get(data_centre or _NONE, counted[_OTHER]).inc()

    def opted_out(self, outcome: str) -> None:
        """Somebody has asked to be forgotten."""
        self._opt_outs.labels(outcome).inc()

    def works(self, *, value: bool) -> None:
        """Whether what comes is stored."""
        self._works.set(value)
