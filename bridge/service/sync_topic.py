"""The topic of the user sync: made by whoever runs Kafka, never by us, and looked at before it is written to.

Producing to a topic that is not there makes it where brokers allow that, with their defaults: it would not be
compacted, and its mappings would be gone after a week.
"""

from collections.abc import Callable

import structlog
from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import (  # type: ignore[attr-defined]  # they are public, by its documentation
    AdminClient,
    ConfigResource,
    ResourceType,
)

from bridge.clock import MINUTE, SECOND, Clock
from bridge.errors import BridgeError
from bridge.ingest.faults import error_of
from bridge.sync.store import StoreObserver

log = structlog.get_logger()

TIMEOUT = 5.0
"""Seconds that the brokers have to answer."""

_LOOK = 5 * SECOND
"""Between two looks, ms."""

_POLICY = "cleanup.policy"
_COMPACT = "compact"


def unfit(admin: AdminClient, topic: str) -> str | None:
    """What is wrong with the topic, and what to do; None: it is there and compacted.

    A topic whose settings we may not see is taken for compacted.

    Raises:
        KafkaException: No broker answers.
    """
    known = admin.list_topics(timeout=TIMEOUT).topics  # of all: asking for one by name might make it
    if topic not in known:
        return (
            f"Kafka shows us no topic {topic}; create it with {_POLICY}={_COMPACT}, allow us to write it, "
            "or correct it"
        )
    resource = ConfigResource(ResourceType.TOPIC, topic)
    try:
        (answer,) = admin.describe_configs([resource], request_timeout=TIMEOUT).values()
        policy = str(answer.result()[_POLICY].value)
    except KafkaException as exception:
        error = error_of(exception)
        if error is not None and error.code() == KafkaError.TOPIC_AUTHORIZATION_FAILED:
            return None
        raise
    if _COMPACT in policy.split(","):
        return None
    return f"topic {topic} has {_POLICY}={policy}, by which mappings are lost; alter it to {_COMPACT}"


class SyncTopic:
    """Whether the topic may be written to; brokers that do not answer at the start are asked again."""

    def __init__(
        self, name: str | None, admin: Callable[[], AdminClient], *, clock: Clock, observer: StoreObserver
    ) -> None:
        """Nothing is asked yet; `name`: None where there is no topic."""
        self.name = name or ""
        self._admin = admin
        self._clock = clock
        self._observer = observer
        self._usable = not name
        self._next_look = 0
        self._next_telling = 0

    def usable(self) -> bool:
        """Whether it is known to be fit."""
        return self._usable

    def first_look(self) -> None:
        """Ask once.

        Raises:
            BridgeError: The brokers answer, and it is not fit.
        """
        try:
            found = unfit(self._admin(), self.name)
        except KafkaException as exception:
            error = error_of(exception)
            self._observer.failed(error.name() if error else "the brokers do not answer")
            return
        if found is not None:
            raise BridgeError(f"user_sync.topic: {found}")
        self._usable = True

    def look(self) -> None:
        """Ask again, now and then, until it is fit."""
        now = self._clock.elapsed()
        if self._usable or now < self._next_look:
            return
        self._next_look = now + _LOOK
        try:
            found = unfit(self._admin(), self.name)
        except KafkaException:
            return
        if found is None:
            self._usable = True
            self._observer.recovered()
        elif now >= self._next_telling:
            self._next_telling = now + MINUTE
            log.error("sync_topic_unfit", topic=self.name, remedy=found)
