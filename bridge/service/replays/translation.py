"""The translation of a replay whose events carry a partner's ids: where the identity table comes from.

Where a bridge runs, it has the table, which is read as it lies there. Where none runs, this process brings
the table up to its topic itself, and lets it go before it translates: a bridge may start.
"""

from collections.abc import Callable
from dataclasses import dataclass
from threading import Event

import structlog
from confluent_kafka import KafkaException

from bridge.clock import SECOND
from bridge.config import Config
from bridge.errors import BridgeError
from bridge.ingest.faults import MISSING, error_of, told
from bridge.service.identity import FOLDER, follower, topic_ids, topic_of
from bridge.service.outside import Outside
from bridge.spool.locks import LockHeld
from bridge.spool.replays import Replay
from bridge.spool.spool import Spool
from bridge.stopping import Stopped, leave_if
from bridge.sync.table.looking import look
from bridge.sync.table.slab import TableDamaged
from bridge.sync.table.snapshot import Snapshot
from bridge.sync.table.table import Table
from bridge.translation.replayed import translate
from bridge.translation.shelf import unresolved
from bridge.translation.turn import Tally

log = structlog.get_logger()


@dataclass(frozen=True, kw_only=True, slots=True)
class ReplayTranslation:
    """Of replays that this process holds the lock of."""

    config: Config
    """The configuration."""
    outside: Outside
    """What is outside."""
    spool: Spool
    """Where users who are not known are parked."""
    see_room: Callable[[], None]
    """Called again and again; raises where the spool has no room for more."""

    def run(self, replay: Replay, stop: Event, *, dry: bool) -> Tally | None:
        """Translate the replay, all of which is read; None: stopped before, and the same call goes on.

        Args:
            replay: What is to be delivered afterwards.
            stop: Set when the process is to stop.
            dry: It is only looked at: nothing is parked.

        Raises:
            BridgeError: The identity table is not to be had, a run is damaged, the disk refused, or what
                `see_room` raised; the same call goes on.
        """
        if not unresolved(replay.runs()):
            return Tally()
        try:
            return self._translated(replay, stop, dry=dry)
        except TableDamaged as damage:  # who follows the table need not have met it, nor this one be heard
            raise BridgeError(
                f"{damage} by a bridge that reads that place of it; sooner, if you remove "
                f"{self.spool.directory / FOLDER} while no bridge runs; then call this again: it goes on "
                f"where it was"
            ) from damage

    def _translated(self, replay: Replay, stop: Event, *, dry: bool) -> Tally | None:
        """As `run`, without what to do about a damaged table."""
        snapshot = self._snapshot(stop)
        if snapshot is None:
            return None

        def watch() -> None:
            leave_if(stop)
            self.see_room()

        try:
            tally = translate(
                replay.store,
                snapshot,
                parking=None if dry else self.spool,
                until=replay.record.until,
                now=self.outside.clock.now,
                watch=watch,
            )
        except Stopped:
            return None
        log.info("replay_translated", replay=replay.id, memberships=tally.matched, unmatched=tally.unmatched)
        return tally

    def _snapshot(self, stop: Event) -> Snapshot | None:
        """The identity table, once it holds all of its topic; None: stopped before."""
        topic = topic_of(self.config)
        if topic is None:
            raise BridgeError(
                "streams[].identify: what was read has a partner's user ids, and no stream translates them "
                "any more: give the stream its identify again, then call this again"
            )
        directory, waits = self.spool.directory / FOLDER, False
        while not stop.is_set():
            try:
                table = Table.open(directory, clock=self.outside.clock, disk=self.outside.disk)
            except LockHeld:
                snapshot = look(directory)
                if snapshot is not None:
                    return snapshot
                if not waits:
                    log.warning("replay_waits_for_table", topic=topic, reason="the bridge reads it still")
                waits = True
                self.outside.clock.wait(stop, SECOND)
            else:
                with table:
                    return self._followed(table, topic, stop)
        return None

    def _followed(self, table: Table, topic: str, stop: Event) -> Snapshot | None:
        """The table, once it has caught up with its topic; None: stopped before."""
        self._see_topic(topic)
        ended = Event()

        def beat() -> None:
            if stop.is_set() or following.caught_up:
                ended.set()

        following = follower(self.config, topic, self.outside, table, beat)
        if not table.complete:
            log.warning("replay_waits_for_table", topic=topic, reason="it is read from its start")
        following.run(ended)
        return table.snapshot() if following.caught_up else None

    def _see_topic(self, topic: str) -> None:
        """A table that nobody follows does not know who has opted out since: nothing is sent by it.

        Raises:
            BridgeError: Kafka is out of reach, or has no such topic.
        """
        try:
            topic_ids(self.config, self.outside).topic_ids([topic])
        except KafkaException as exception:
            error = error_of(exception)
            if error is not None and error.code() in MISSING:
                raise BridgeError(
                    f"topic {topic}: Kafka has no such topic, and users are translated by it: check "
                    f"streams[].identify.table, or create it; then call this again: it goes on where it was"
                ) from exception
            where = f"topic {topic}, by which users are translated"
            raise told(exception, self.config.kafka.group_id, where) from exception
