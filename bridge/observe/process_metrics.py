"""What there is to tell of the process: its threads' beats, and what the operating system says of it."""

from collections.abc import Iterable

from prometheus_client import Metric, ProcessCollector
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from bridge.clock import SECOND
from bridge.observe.declared import PREFIX, Declared, Registry
from bridge.observe.health import Health

_BEATS = Declared(
    name=f"{PREFIX}thread_beat_timestamp_seconds",
    kind="gauge",
    labels=("thread",),
    meaning="When a thread that works last gave a sign of it; `/healthz` fails 300 s later",
)

_STOPPED = Declared(
    name=f"{PREFIX}thread_stopped",
    kind="gauge",
    labels=("thread",),
    meaning="1 where a damaged run has stopped the thread, and so its account; else 0",
)

_PROCESS = tuple(
    Declared(name=f"process_{name}", kind=kind, labels=(), meaning=meaning)
    for name, kind, meaning in (
        ("cpu_seconds_total", "counter", "Processor time of the process (on Linux)"),
        ("max_fds", "gauge", "Descriptors that it may have open"),
        ("open_fds", "gauge", "Descriptors that it has open"),
        ("resident_memory_bytes", "gauge", "Memory that it takes"),
        ("start_time_seconds", "gauge", "When it was started"),
        ("virtual_memory_bytes", "gauge", "Address space that it takes"),
    )
)


def tell_of_process(registry: Registry, health: Health) -> None:
    """Add them; `health` knows the threads."""
    registry.add(_OfThreads(health), _BEATS, _STOPPED)
    tell_of_system(registry)


def tell_of_system(registry: Registry) -> None:
    """Add what the operating system says."""
    registry.add(ProcessCollector(registry=None), *_PROCESS)


class _OfThreads(Collector):
    """Read when asked: a thread that is through with its work is not told any more."""

    def __init__(self, health: Health) -> None:
        self._health = health

    def collect(self) -> Iterable[Metric]:
        """The beats as they are now, and who has stopped."""
        beats, standing = self._health.beats, self._health.standing
        last = GaugeMetricFamily(_BEATS.name, _BEATS.meaning, labels=_BEATS.labels)
        for thread, beat in sorted(beats.items()):
            last.add_metric([thread], beat / SECOND)
        yield last
        stopped = GaugeMetricFamily(_STOPPED.name, _STOPPED.meaning, labels=_STOPPED.labels)
        for thread in sorted(beats.keys() | standing):
            stopped.add_metric([thread], thread in standing)
        yield stopped
