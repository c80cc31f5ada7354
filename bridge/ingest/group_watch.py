"""Sees to it that the group has us: librdkafka may lose our partitions, and never join again.

It asks a broker where the group's coordinator is, and waits without end for the answer. Where it gives up the
connection to that broker in the same moment, it throws the question away, and there never is one.
"""

from collections.abc import Iterable
from functools import partial
from typing import TYPE_CHECKING

from bridge.calls import Calls
from bridge.clock import MINUTE, SECOND, Clock
from bridge.errors import BridgeError
from bridge.topic_ids import TopicIds

if TYPE_CHECKING:
    from concurrent.futures import Future

LOOK = 10 * SECOND
"""How often it asks, ms."""

PATIENCE = 10 * MINUTE
"""How long the group may leave us without a word while Kafka answers, ms; a hung thread is given as long."""


class GroupWatch:
    """Counts Kafka's answers from a loss of partitions on, until the group tells what is ours, be it none."""

    def __init__(self, group: str, ids: TopicIds, clock: Clock, calls: Calls) -> None:
        self._group = group
        self._ids = ids
        self._clock = clock
        self._calls = calls
        self._due = 0
        self._answers: int | None = None
        self._asked: Future[dict[str, str]] | None = None

    @property
    def due(self) -> bool:
        """It is time to look."""
        if self._asked is not None:
            return self._asked.done()
        return self._answers is not None and self._clock.now() >= self._due

    def lost(self) -> None:
        """Partitions went; the client joins anew, and is told what is ours."""
        self._answers = 0

    def joined(self) -> None:
        """The group has told what is ours."""
        self._answers = None

    def look(self, topics: Iterable[str]) -> None:
        """Ask Kafka for these topics, or look for the answer, where it is time.

        Only answers count: while no broker answers, a new client would be no better off.

        Raises:
            BridgeError: There were enough of them, and no word of the group.
        """
        if self._asked is None:
            self._due = self._clock.now() + LOOK
            self._asked = self._calls.begin("group", partial(self._ids.topic_ids, sorted(topics)))
        elif self._asked.done():
            answered, self._asked = self._asked.exception() is None, None
            if answered and self._answers is not None:
                self._answers += 1
                if self._answers * LOOK >= PATIENCE:
                    raise BridgeError(
                        f"group {self._group}: the client has not joined again for "
                        f"{PATIENCE // MINUTE} minutes, though Kafka answers: it hangs; start again"
                    )
