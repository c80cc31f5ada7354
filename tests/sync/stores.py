"""Stores of both kinds, what they hold, and outages of theirs."""

import asyncio
import sqlite3
import threading
import uuid
from contextlib import closing, contextmanager

from confluent_kafka import Consumer, Producer, TopicPartition

from bridge.sync.kafka_store import PRODUCER, KafkaStore
from bridge.sync.mapping import Consent, UserSync
from bridge.sync.sqlite_store import SqliteStore

PATIENCE = 30.0
"""Seconds: an acknowledgement of a broker that works comes in time, on a busy machine too."""

HASTE = 2.0
"""Seconds, where what is kept is to fail."""


class Loop:
    """An event loop in a thread, as a web server has one."""

    def __init__(self):
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()

    def run(self, *awaitables):
        """What all of them come to; they are begun in this order, and then wait together."""

        async def together():
            return await asyncio.gather(*awaitables)

        return asyncio.run_coroutine_threadsafe(together(), self._loop).result(60)

    def close(self):
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(20)
        self._loop.close()


class Told:
    """What a store has reported."""

    def __init__(self):
        self.all = []

    def failed(self, reason):
        assert reason
        self.all.append("failed")

    def recovered(self):
        self.all.append("recovered")


class InKafka:
    """A topic of its own."""

    def __init__(self, kafka):
        self._kafka = kafka
        self.topic = f"user-sync-{uuid.uuid4().hex}"
        kafka.create_topic(self.topic, 3, {"cleanup.policy": "compact"})
        self.usable = True

    def store(self, told, most=10_000, patience=PATIENCE):
        properties = {"bootstrap.servers": self._kafka.bootstrap, "log_level": 0} | PRODUCER
        if patience > HASTE:
            properties["delivery.timeout.ms"] = round(patience * 1000)
        return KafkaStore(
            lambda: Producer(properties),
            self.topic,
            usable=lambda: self.usable,
            patience=patience,
            most=most,
            observer=told,
        )

    def kept(self):
        """Values by key: the last of each, as compaction leaves it."""
        settings = {
            "bootstrap.servers": self._kafka.bootstrap,
            "group.id": "nobody",
            "enable.partition.eof": True,
            "log_level": 0,
        }
        consumer = Consumer(settings)
        consumer.assign([TopicPartition(self.topic, number, 0) for number in range(3)])
        found, ends = {}, 0
        while ends < 3:
            for message in consumer.consume(1000, 1):
                if message.error():
                    ends += 1
                else:
                    found[message.key()] = message.value()
        consumer.close()
        return found

    @contextmanager
    def outage(self):
        """The broker answers nothing, and then all that it was sent."""
        self._kafka.pause()
        try:
            yield
        finally:
            self._kafka.resume()


class InSqlite:
    """A file of its own."""

    def __init__(self, folder):
        self.path = folder / "sync.sqlite"

    def store(self, told, most=10_000, patience=PATIENCE):
        return SqliteStore(self.path, patience=patience, most=most, observer=told)

    def kept(self):
        """Values by key, as another process sees them."""
        with closing(sqlite3.connect(self.path)) as connection:
            return dict(connection.execute("SELECT key, value FROM user_sync"))

    @contextmanager
    def outage(self):
        """Another process writes, and does not end."""
        with closing(sqlite3.connect(self.path, isolation_level=None)) as connection:
            connection.execute("BEGIN IMMEDIATE")
            yield
            connection.execute("ROLLBACK")


def sync(number, synced_at=1_790_000_000_000):
    return UserSync(
        namespace="acme",
        partner_id=f"p{number}",
        mm_uuid=f"5f11538c-fcb6-4600-88e0-{number:012x}",
        data_centre="ewr",
        synced_at=synced_at,
        consent=Consent.NO_SIGNAL,
    )
