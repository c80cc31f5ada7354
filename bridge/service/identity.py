"""The identity table of a running bridge: who opens it, and the thread that follows its topic."""

from collections.abc import Callable
from functools import partial
from threading import Event
from typing import TYPE_CHECKING

import structlog

from bridge.clock import SECOND
from bridge.config import Config
from bridge.ingest.client_settings import client_settings, reader_settings
from bridge.ingest.cluster import LastingAdmin, LastingTopicIds
from bridge.service.outside import Outside
from bridge.spool.locks import LockHeld
from bridge.sync.table.ends import is_behind
from bridge.sync.table.follower import Follower, FollowerParts
from bridge.sync.table.snapshot import Snapshot
from bridge.sync.table.table import Table
from bridge.topic_ids import TopicIds
from bridge.translation.observer import TranslationObserver

if TYPE_CHECKING:
    from pathlib import Path

log = structlog.get_logger()

FOLDER = "identity-table"
"""Where it lies in the spool's directory; `spool.max_bytes` does not count it, as nothing of it may go."""

THREAD = "identity table"
"""Name of the thread that follows the topic."""

_PREFETCH = 64_000_000
"""Bytes of the topic that are fetched ahead, twice."""


def topic_of(config: Config) -> str | None:
    """The topic that streams have their users translated by; None: no stream has."""
    return next((stream.identify.table for stream in config.streams if stream.identify is not None), None)


def follower(
    config: Config, topic: str, outside: Outside, table: Table, beat: Callable[[], None]
) -> Follower:
    """What keeps the table up to its topic.

    Raises:
        BridgeError: The Kafka client does not take the settings.
    """
    return Follower(
        FollowerParts(
            settings=reader_settings(config.kafka, window_bytes=_PREFETCH),
            topic=topic,
            ids=topic_ids(config, outside),
            clock=outside.clock,
            beat=beat,
            consumer=outside.kafka.consumer,
        ),
        table,
    )


def topic_ids(config: Config, outside: Outside) -> TopicIds:
    """Who the cluster and its topics are."""
    admin = LastingAdmin(lambda: outside.kafka.admin({"log_level": 0, **client_settings(config.kafka)}))
    return outside.topic_ids or LastingTopicIds(admin)


class IdentityTable:
    """The table in the spool's directory, kept up to its topic by one thread."""

    def __init__(
        self,
        config: Config,
        topic: str,
        outside: Outside,
        observer: TranslationObserver,
        beat: Callable[[str], None],
    ) -> None:
        """Nothing is opened before `run`."""
        self._config = config
        self._topic = topic
        self._outside = outside
        self._observer = observer
        self._beat = beat
        self._directory: Path = config.spool.directory / FOLDER
        self._table: Table | None = None
        self._follower: Follower | None = None

    def snapshot(self) -> Snapshot | None:
        """What it knows; None as long as it has not read all that was in its topic when it began.

        None, too, from when it is found damaged until it is made anew.
        """
        if self._table is None or self._follower is None or not self._follower.caught_up:
            return None
        return None if self._table.damaged else self._table.snapshot()

    def tell(self) -> None:
        """Tell of it."""
        if self._table is not None and self._follower is not None:
            skipped = {reason.value: count for reason, count in self._follower.skipped.items()}
            complete_at = self._follower.complete_at
            behind = is_behind(complete_at, self._outside.clock.now())
            self._observer.table(
                self._table.usage(),
                complete_at=complete_at,
                caught_up=self._follower.caught_up and not behind,
                skipped=skipped,
            )

    def run(self, stop: Event) -> None:
        """Follow the topic until stopped.

        Raises:
            SpoolFailed: The disk failed.
            BridgeError: The Kafka client cannot go on.
        """
        table = self._opened(stop)
        if table is None:
            return
        with table:
            self._follower = follower(
                self._config, self._topic, self._outside, table, partial(self._beat, THREAD)
            )
            self._table = table
            self._follower.run(stop)

    def _opened(self, stop: Event) -> Table | None:
        """The table, once nobody else writes it; None: stopped before."""
        told = False
        while not stop.is_set():
            self._beat(THREAD)
            try:
                return Table.open(self._directory, clock=self._outside.clock, disk=self._outside.disk)
            except LockHeld as held:
                if not told:
                    log.info("identity_table_awaited", reason=str(held))
                told = True
                self._outside.clock.wait(stop, SECOND)
        return None
