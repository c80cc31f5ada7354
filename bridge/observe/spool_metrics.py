"""What housekeeping counts."""

from collections.abc import Mapping

from bridge.observe.declared import Registry


class SpoolMetrics:
    """What housekeeping reports (service.upkeep_observer.UpkeepObserver), but for its beat."""

    def __init__(self, registry: Registry) -> None:
        self._bytes = registry.gauge("spool_bytes", "Disk that the spool takes")
        self._free = registry.gauge("spool_free_bytes", "Free room of the file system that the spool is on")
        self._paused = registry.gauge(
            "stream_paused", "1 while the spool has no room for the stream, else 0", "stream"
        )
        self._files = registry.gauge(
            "files", "Files that the ledger knows, 30 days back, by their state", "account", "state"
        )

    def used(self, size: int) -> None:
        """The spool takes `size` bytes."""
        self._bytes.set(size)

    def free(self, size: int) -> None:
        """Its file system has `size` bytes left."""
        self._free.set(size)

    def paused(self, streams: Mapping[str, bool]) -> None:
        """Which streams have to wait for room."""
        for stream, waits in streams.items():
            self._paused.labels(stream).set(waits)

    def files(self, counts: Mapping[tuple[str, str], int]) -> None:
        """How many files of an account are in a state."""
        for (account, state), count in counts.items():
            self._files.labels(account, state).set(count)
