"""Which stream a topic belongs to (contract.md, streams: a topic belongs to one stream)."""

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from bridge.config import Stream


class Topics:
    """The topics of all streams: names, and patterns that begin with ^."""

    def __init__(self, streams: "Iterable[Stream]") -> None:
        self.streams = tuple(streams)
        """In the order of the configuration."""
        self.subscription = [topic for stream in self.streams for topic in stream.topics]
        """What to subscribe to, as librdkafka takes it."""
        self.names = frozenset(topic for topic in self.subscription if not topic.startswith("^"))
        """The topics that must exist."""
        self._patterns = [
            (re.compile(topic), stream)
            for stream in self.streams
            for topic in stream.topics
            if topic.startswith("^")
        ]
        self._streams = {
            topic: stream for stream in self.streams for topic in stream.topics if topic in self.names
        }

    def stream_of(self, topic: str) -> "Stream | None":
        """The stream that a topic belongs to: by its name, else by the first pattern; None: to none."""
        if topic not in self._streams:
            found = next((stream for pattern, stream in self._patterns if pattern.search(topic)), None)
            if found is None:
                return None
            self._streams[topic] = found
        return self._streams[topic]

    @property
    def has_patterns(self) -> bool:
        """Whether topics are found by a pattern, too."""
        return bool(self._patterns)
