"""The newest record of a stream's segments: ingest counts, another thread reads taxonomies and writes."""

import threading
from typing import Protocol

from bridge.segments.codes import Codes, Sighting
from bridge.segments.seen import Seen


class Watching(Protocol):
    """What ingest asks, and tells, of one stream's segments. Neither waits for a disk or a network."""

    def codes(self) -> Codes:
        """By which the next batch is judged."""
        ...

    def see(self, sighting: Sighting, day: int) -> None:
        """A batch showed this on a day."""
        ...


class Watch:
    """Of one stream; safe from any thread, and never waits for a disk or a network."""

    def __init__(self, seen: Seen) -> None:
        self._seen = seen
        self._changing = threading.Lock()

    @property
    def seen(self) -> Seen:
        """What is known now."""
        return self._seen

    def codes(self) -> Codes:
        """By which the next batch is judged."""
        return self._seen.codes

    def see(self, sighting: Sighting, day: int) -> None:
        """A batch showed this on a day."""
        with self._changing:
            self._seen = self._seen.after(sighting, day)

    def know(self, codes: Codes, day: int) -> None:
        """The taxonomy was read on a day."""
        with self._changing:
            self._seen = self._seen.knowing(codes, day)

    def keep(self, day: int) -> Seen:
        """What is to be kept on a day."""
        with self._changing:
            self._seen = self._seen.on(day)
            return self._seen
