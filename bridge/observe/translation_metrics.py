"""What the translation of partner ids counts."""

from collections.abc import Iterable, Mapping

from bridge.clock import SECOND
from bridge.observe.declared import Registry
from bridge.translation.turn import Tally

_RESULTS = ("matched", "unmatched", "found_later")


class TranslationMetrics:
    """What the translation and the identity table report (translation.observer.TranslationObserver)."""

    def __init__(self, registry: Registry) -> None:
        self._memberships = registry.counter(
            "identify_memberships",
            "Memberships by partner ids: their user known, not known, or known later for a browser",
            "stream",
            "result",
        )
        self._taken_back = registry.counter(
            "identify_taken_back", "Browsers that an opt-out took out of an audience", "stream"
        )
        self._kept = registry.gauge(
            "identify_kept_memberships",
            "Rows by partner ids in the spool: to be translated, or kept for browsers not known yet",
            "stream",
        )
        self._bytes = registry.gauge("identity_table_bytes", "Disk that the identity table takes")
        self._caught_up = registry.gauge(
            "identity_table_caught_up",
            "1 once the identity table holds all of its topic; 0 before, and when it is 2 minutes behind",
        )
        self._complete = registry.gauge(
            "identity_table_complete_timestamp_seconds",
            "When the identity table last held all of its topic, which is asked every 10 s; 0: never",
        )
        self._skipped = registry.gauge(
            "identity_table_skipped_messages", "Messages of its topic not taken since the start", "reason"
        )

    def expect(self, streams: Iterable[str]) -> None:
        """Streams whose users are translated; their counters begin at 0."""
        for stream in streams:
            for result in _RESULTS:
                self._memberships.labels(stream, result)
            self._taken_back.labels(stream)

    def translated(self, stream: str, tally: Tally) -> None:
        """A turn has come to this."""
        counts = (tally.matched, tally.unmatched, tally.found)
        for result, count in zip(_RESULTS, counts, strict=True):
            self._memberships.labels(stream, result).inc(count)
        self._taken_back.labels(stream).inc(tally.taken_back)

    def kept(self, stream: str, memberships: int) -> None:
        """What lies in the spool of a stream."""
        self._kept.labels(stream).set(memberships)

    def table(
        self, size: int, *, complete_at: int | None, caught_up: bool, skipped: Mapping[str, int]
    ) -> None:
        """How the identity table is."""
        self._bytes.set(size)
        self._complete.set((complete_at or 0) / SECOND)
        self._caught_up.set(caught_up)
        for reason, count in skipped.items():
            self._skipped.labels(reason).set(count)
