"""Topics that cannot be read now: they are waited for, and told of every minute, while others are read."""

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

import structlog

from bridge.clock import MINUTE
from bridge.errors import BridgeError
from bridge.ingest.faults import DENIED, MISSING

if TYPE_CHECKING:
    from bridge.clock import Clock

_log = structlog.get_logger()

UNREADABLE = MISSING | DENIED
"""Errors of one topic, which its own remedy mends: a name, a topic to be made, an ACL."""


def unreadable(name: str, code: int) -> BridgeError:
    """What a run ends with that waits for no topic; `code` is one of `UNREADABLE`."""
    if code in DENIED:
        return BridgeError(f"topic {name}: Kafka does not let us read it: check the user's ACLs")
    return BridgeError(f"topic {name}: Kafka has no such topic: check the name or create it")


class Unreadable:
    """Which topics cannot be read, and when each is to be told of again."""

    def __init__(self, clock: "Clock", tell: Callable[[str, bool], None]) -> None:
        """`tell` is told of each topic whether it cannot be read, as it becomes known."""
        self._clock = clock
        self._tell = tell
        self._codes: dict[str, int] = {}
        self._due: dict[str, int] = {}

    def __bool__(self) -> bool:
        return bool(self._codes)

    def found(self, topic: str, code: int) -> None:
        """Kafka says of this topic one of `UNREADABLE`."""
        self._codes[topic] = code
        self._due.setdefault(topic, 0)
        self._tell(topic, True)  # noqa: FBT003  # said of the topic before it

    def read(self, topics: Iterable[str]) -> None:
        """These can be read."""
        for topic in topics:
            self._codes.pop(topic, None)
            self._due.pop(topic, None)
            self._tell(topic, False)  # noqa: FBT003  # as above

    def raise_first(self) -> None:
        """For a run that waits for no topic.

        Raises:
            BridgeError: One cannot be read.
        """
        for topic, code in self._codes.items():
            raise unreadable(topic, code)

    def remind(self) -> None:
        """Tell of those that were not told of within a minute."""
        now = self._clock.now()
        for topic, code in self._codes.items():
            if now < self._due[topic]:
                continue
            self._due[topic] = now + MINUTE
            if code in DENIED:
                _log.warning("topic_forbidden", topic=topic, remedy="let the user read it: check its ACLs")
            else:
                _log.warning("topic_missing", topic=topic, remedy="check the name or create it")
