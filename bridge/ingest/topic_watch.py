"""Sees to it that a topic is still the one that was assigned (design.md, invariant 3).

Kafka tells a consumer that its topic is gone only while it asks for messages. One that slept, or was
disconnected, while a topic was made anew, would go on in the new one at the old one's offset.
"""

from collections.abc import Mapping
from concurrent.futures import Future
from functools import partial

from bridge.calls import Calls
from bridge.clock import SECOND, Clock
from bridge.errors import BridgeError
from bridge.topic_ids import TopicIds

LOOK = 10 * SECOND
"""How often it asks, ms."""


class TopicWatch:
    """Asks who the topics are, now and then, and waits for no answer."""

    def __init__(self, ids: TopicIds, clock: Clock, calls: Calls) -> None:
        self._ids = ids
        self._clock = clock
        self._calls = calls
        self._due = 0
        self._asked: tuple[Mapping[str, str], Future[dict[str, str]]] | None = None

    @property
    def due(self) -> bool:
        """It is time to look."""
        if self._asked is not None:
            return self._asked[1].done()
        return self._clock.now() >= self._due

    def look(self, known: Mapping[str, str]) -> None:
        """Ask, or look for the answer, where it is time.

        Args:
            known: The ids of the topics that are assigned, by their names.

        Raises:
            BridgeError: A topic is another one than it was.
        """
        if self._asked is not None:
            before, answer = self._asked
            if answer.done():
                self._asked = None
                self._compare(before, known, answer)
        elif known and self._clock.now() >= self._due:
            self._due = self._clock.now() + LOOK
            self._asked = known, self._calls.begin("topics", partial(self._ids.topic_ids, sorted(known)))

    @staticmethod
    def _compare(before: Mapping[str, str], known: Mapping[str, str], answer: Future[dict[str, str]]) -> None:
        """An answer that is older than the present assignment says nothing, nor does one that failed."""
        if answer.exception() is not None:
            return
        found = answer.result()
        for name, topic_id in found.items():
            if before[name] == known.get(name, topic_id) != topic_id:
                raise made_anew(name)


def made_anew(name: str) -> BridgeError:
    """What to tell of a topic that is another one than we read."""
    return BridgeError(
        f"topic {name}: it was made anew while it was read: start again, then the new one is read from its "
        f"beginning"
    )
