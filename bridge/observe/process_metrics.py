"""What there is to tell of the process: its threads' beats, and what the operating system says of it."""

from collections.abc import Callable, Iterable, Mapping

from prometheus_client import Metric, ProcessCollector
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from bridge.clock import SECOND
from bridge.observe.declared import PREFIX, Declared, Registry

_BEATS = Declared(
    name=f"{PREFIX}thread_beat_timestamp_seconds",
    kind="gauge",
    labels=("thread",),
    meaning="When a thread that works last gave a sign of it; `/healthz` fails 300 s later",
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


def tell_of_process(registry: Registry, beats: Callable[[], Mapping[str, int]]) -> None:
    """Add them; `beats` gives the last beat of each thread, epoch ms."""
    registry.add(_Beats(beats), _BEATS)
    registry.add(ProcessCollector(registry=None), *_PROCESS)


class _Beats(Collector):
    """Read when asked: a thread that is through with its work is not told any more."""

    def __init__(self, beats: Callable[[], Mapping[str, int]]) -> None:
        self._beats = beats

    def collect(self) -> Iterable[Metric]:
        """The beats as they are now."""
        family = GaugeMetricFamily(_BEATS.name, _BEATS.meaning, labels=_BEATS.labels)
        for thread, beat in sorted(self._beats().items()):
            family.add_metric([thread], beat / SECOND)
        yield family
