"""What the streams have done since the process began, from its metrics."""

from collections import defaultdict, deque
from collections.abc import Iterable, Mapping, Sequence

from bridge.clock import MINUTE, SECOND
from bridge.config import Stream
from bridge.ingest.topics import Topics
from bridge.observe.metrics import Sample
from bridge.service.page.records import StreamCounts

LATELY = 5 * MINUTE
"""A rate is that of the last so many ms, if somebody looked then; never of more than twice as many."""

LEAST = 5 * SECOND
"""And of at least so long: less says nothing."""


class Flows:
    """Remembers what was read when somebody looked, to tell rates."""

    def __init__(self, streams: Sequence[Stream]) -> None:
        self._topics = Topics(streams)
        self._looks: deque[tuple[int, Mapping[str, float]]] = deque()

    def look(self, samples: Iterable[Sample], elapsed: int) -> tuple[StreamCounts, ...]:
        """The streams as these samples have them.

        Args:
            samples: Of all metrics.
            elapsed: When that is, on a clock that only goes on, ms.
        """
        sums: defaultdict[str, defaultdict[str, float]] = defaultdict(lambda: defaultdict(float))
        refused: defaultdict[str, dict[str, int]] = defaultdict(dict)
        translated: defaultdict[str, dict[str, int]] = defaultdict(dict)
        for sample in samples:
            stream = self._stream_of(sample)
            sums[sample.name][stream] += sample.value
            if sample.name == "dead_letters_total" and sample.value:
                refused[stream][sample.labels["reason"]] = int(sample.value)
            if sample.name == "identify_memberships_total":
                translated[stream][sample.labels["result"]] = int(sample.value)
        rates = self._rates(sums["events_consumed_total"], elapsed)
        return tuple(
            StreamCounts(
                stream=stream.name,
                events=int(sums["events_consumed_total"][stream.name]),
                rate=rates.get(stream.name),
                behind=int(sums["consumer_lag"][stream.name]),
                memberships=int(sums["memberships_sealed_total"][stream.name]),
                refused=refused[stream.name],
                paused=sums["stream_paused"][stream.name] > 0,
                translated=translated[stream.name],
            )
            for stream in self._topics.streams
        )

    def _stream_of(self, sample: Sample) -> str:
        topic = sample.labels.get("topic")
        if topic is None:
            return sample.labels.get("stream", "")
        stream = self._topics.stream_of(topic)
        return stream.name if stream else ""

    def _rates(self, events: Mapping[str, float], elapsed: int) -> Mapping[str, float]:
        """Events a second of each stream since an earlier look; empty: there was none."""
        while len(self._looks) > 1 and self._looks[1][0] <= elapsed - LATELY:
            self._looks.popleft()
        if self._looks and self._looks[0][0] < elapsed - 2 * LATELY:  # nobody has looked for long
            self._looks.clear()
        since, before = self._looks[0] if self._looks else (elapsed, {})
        if not self._looks or elapsed - self._looks[-1][0] >= LEAST:
            self._looks.append((elapsed, dict(events)))
        if elapsed - since < LEAST:
            return {}
        return {
            stream.name: (events.get(stream.name, 0) - before.get(stream.name, 0))
            * SECOND
            / (elapsed - since)
            for stream in self._topics.streams
        }
