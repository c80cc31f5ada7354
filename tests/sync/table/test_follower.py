"""The follower with a real Kafka: the table is what the topic says, however often either of them stops."""

import errno
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import chain
from pathlib import Path

import pytest
from confluent_kafka import OFFSET_BEGINNING, Consumer, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewPartitions
from structlog.testing import capture_logs

from bridge.clock import SystemClock
from bridge.config import KafkaSettings
from bridge.ingest.client_settings import reader_settings
from bridge.ingest.cluster import AdminTopicIds
from bridge.spool.disk import Disk
from bridge.sync.mapping import Consent, UserSync, encode, key_of
from bridge.sync.table import follower as follower_module
from bridge.sync.table import window as windows
from bridge.sync.table.follower import Follower, FollowerParts
from bridge.sync.table.slab import TableDamaged
from bridge.sync.table.table import Table
from tests.parts.identity import SMALL, joined
from tests.parts.kafka import Kafka
from tests.parts.waiting import until

pytestmark = pytest.mark.kafka

COMPACTED = {
    "cleanup.policy": "compact",
    "min.cleanable.dirty.ratio": "0.001",
    "segment.ms": "100",
    "delete.retention.ms": "100",
    "max.compaction.lag.ms": "200",
}
NOW = SystemClock().now()


def browser(number: int) -> str:
    return f"00000000-0000-0000-0000-{number:012x}"


def told(id_: str, number: int, at: int, partition: int = 0) -> tuple[int, bytes, bytes]:
    """A message as the endpoint writes it; browser 0: an opt-out."""
    sync = UserSync(
        namespace="acme",
        partner_id=id_,
        mm_uuid=browser(number) if number else None,
        data_centre="ewr" if number else "",
        synced_at=NOW + at,
        consent=Consent.NO_SIGNAL if number else Consent.WITHDRAWN,
    )
    return partition, key_of(sync), encode(sync)


@contextmanager
def following(
    kafka: Kafka,
    topic: str,
    directory: Path,
    disk: Disk | None = None,
    beat: Callable[[], None] = lambda: None,
) -> Iterator[tuple[Table, Follower]]:
    """A follower in its thread, stopped in order at the end."""
    settings = KafkaSettings(bootstrap_servers=kafka.bootstrap)
    admin = AdminClient({"bootstrap.servers": kafka.bootstrap, "log_level": 0})
    parts = FollowerParts(
        settings=reader_settings(settings, window_bytes=8_000_000),
        topic=topic,
        ids=AdminTopicIds(admin),
        clock=SystemClock(),
        beat=beat,
    )
    stop = threading.Event()
    with Table.open(directory, clock=SystemClock(), disk=disk, sizes=SMALL) as table:
        follower = Follower(parts, table)
        thread = threading.Thread(target=follower.run, args=(stop,))
        thread.start()
        try:
            yield table, follower
        finally:
            stop.set()
            thread.join(60)


def synced(table: Table, *ids: str) -> dict[tuple[str, int], int]:
    """(id, browser) to when it was synced, after `NOW`."""
    return {key: at - NOW for key, (at, _) in joined(table, list(ids)).items()}


def test_a_topic_is_read_to_its_end_and_followed(kafka, tmp_path, monkeypatch):
    """What was there is in the table when it has caught up, of all partitions; what comes later follows."""
    monkeypatch.setattr(windows, "MAX_AGE", 100)
    kafka.create_topic("sync-read", partitions=3)
    kafka.produce("sync-read", [told("ann", 1, 1), told("ann", 2, 2, 1), told("bob", 3, 3, 2)])
    with following(kafka, "sync-read", tmp_path) as (table, follower):
        until(lambda: follower.caught_up, "the end of the topic")
        assert synced(table, "ann", "bob") == {("ann", 1): 1, ("ann", 2): 2, ("bob", 3): 3}
        kafka.produce("sync-read", [told("ann", 0, 9), told("bob", 4, 4)])
        until(lambda: synced(table, "ann", "bob") == {("bob", 3): 3, ("bob", 4): 4}, "the opt-out")


def test_a_restart_goes_on_where_the_table_is(kafka, tmp_path):
    """The second start reads what came meanwhile, and not again what it had: the offsets are the table's."""
    kafka.create_topic("sync-restart")
    kafka.produce("sync-restart", [told(f"u{at}", 1, at + 1) for at in range(200)])
    with following(kafka, "sync-restart", tmp_path) as (table, follower):
        until(lambda: follower.caught_up, "the end of the topic")
        known_at = table.snapshot().known_at
    kafka.produce("sync-restart", [told("new", 2, 5)])
    with following(kafka, "sync-restart", tmp_path) as (table, follower):
        until(lambda: follower.caught_up, "the end of the topic")
        assert synced(table, "new", "u7") == {("new", 2): 5, ("u7", 1): 8}
        changed = [frame["id"].to_list() for frame in table.snapshot().changes("acme").since(known_at)]
        assert [*chain(*changed)] == ["new"]
        assert table.positions == {0: 201}


def test_garbage_is_counted_and_skipped(kafka, tmp_path):
    """What no endpoint writes does not stop what one does; each is counted by its reason."""
    far, value = NOW + 30 * 86_400_000, told("ann", 1, 1)[2]
    kafka.create_topic("sync-garbage")
    garbage = [
        (0, b"acme ann", b"\xc3\x01nothing"),
        (0, None, value),
        (0, b"acme bob " + browser(1).encode(), value),
        told("cat", 1, far - NOW),
        (0, b"no such key at all", None),
        (0, None, None),
    ]
    good = [told(f"u{at:03}", at, at) for at in range(1, 301)]
    kafka.produce("sync-garbage", [*good[:100], *garbage, *good[100:]])
    with following(kafka, "sync-garbage", tmp_path) as (table, follower):
        until(lambda: follower.caught_up, "the end of the topic")
        assert len(synced(table, *[f"u{at:03}" for at in range(1, 301)], "ann", "bob", "cat")) == 300
        assert {why.value: count for why, count in follower.skipped.items()} == {
            "not_a_mapping": 3,
            "other_key": 2,
            "time": 1,
        }


def test_tombstones_and_compaction(kafka, tmp_path):
    """A tombstone forgets. Compacted since, the topic says the same to who was there and who comes anew."""
    kafka.create_topic("sync-compact", config=COMPACTED)
    many = [told(f"u{at % 20:02}", 1, at + 1) for at in range(400)]
    ann = told("ann", 1, 5)
    kafka.produce("sync-compact", [*many, ann, told("bob", 2, 6), (0, ann[1], None)])
    ids = [*(f"u{at:02}" for at in range(20)), "ann", "bob"]
    with following(kafka, "sync-compact", tmp_path / "there") as (table, follower):
        until(lambda: follower.caught_up, "the end of the topic")
        before = synced(table, *ids)
    assert before == {(f"u{at:02}", 1): 381 + at for at in range(20)} | {("bob", 2): 6}

    def compacted() -> bool:
        kafka.produce("sync-compact", [told("last", 1, 7)])  # it takes a message to roll the active segment
        return messages(kafka, "sync-compact") < 100

    until(compacted, "Kafka's compaction")
    for name in ("there", "anew"):
        with following(kafka, "sync-compact", tmp_path / name) as (table, follower):
            until(lambda: follower.caught_up, "the end of the topic")
            assert synced(table, *ids, "last") == before | {("last", 1): 7}


@pytest.mark.failure(67)
def test_a_topic_made_anew_is_another_topic(kafka, tmp_path, monkeypatch):
    """While it is followed, and between two starts: what the old one said is gone, the new one is read."""
    monkeypatch.setattr(follower_module, "LOOK", 200)
    monkeypatch.setattr(windows, "MAX_AGE", 100)
    kafka.create_topic("sync-anew")
    kafka.produce("sync-anew", [told("ann", 1, 1), told("bob", 1, 1)])
    with following(kafka, "sync-anew", tmp_path) as (table, follower):
        until(lambda: follower.caught_up, "the end of the topic")
        known_at = table.snapshot().known_at
        kafka.delete_topic("sync-anew")
        kafka.create_topic("sync-anew")
        kafka.produce("sync-anew", [told("cat", 2, 2)])
        until(lambda: synced(table, "ann", "bob", "cat") == {("cat", 2): 2}, "the new topic")
        assert table.snapshot().known_at > known_at, "who asks for changes since then hears of them"
    kafka.delete_topic("sync-anew")
    kafka.create_topic("sync-anew")
    kafka.produce("sync-anew", [told("dog", 3, 3)])
    with following(kafka, "sync-anew", tmp_path) as (table, follower):
        until(lambda: follower.caught_up, "the end of the topic")
        assert synced(table, "cat", "dog") == {("dog", 3): 3}


@pytest.mark.failure(66)
def test_a_topic_that_comes_and_grows(kafka, tmp_path, monkeypatch):
    """One that is not there is waited for, and told of; partitions that it gets later are read too."""
    monkeypatch.setattr(follower_module, "LOOK", 200)
    monkeypatch.setattr(windows, "MAX_AGE", 100)
    with capture_logs() as lines, following(kafka, "sync-grows", tmp_path) as (table, follower):
        until(lambda: waits(lines), "the first failure")
        assert not follower.caught_up
        kafka.create_topic("sync-grows")
        kafka.produce("sync-grows", [told("ann", 1, 1)])
        until(lambda: synced(table, "ann") == {("ann", 1): 1}, "the new topic")
        admin = kafka.admin()
        admin.create_partitions([NewPartitions("sync-grows", 3)])["sync-grows"].result(30)
        until(lambda: len(partitions(kafka, "sync-grows")) == 3, "the new partitions")
        kafka.produce("sync-grows", [told("bob", 2, 2, 2), told("cat", 3, 3, 1)])
        expected = {("ann", 1): 1, ("bob", 2): 2, ("cat", 3): 3}
        until(lambda: synced(table, "ann", "bob", "cat") == expected, "the new partitions")


@pytest.mark.failure(66)
def test_no_broker_is_waited_for(tmp_path_factory, tmp_path, monkeypatch):
    """Before the start and while it is followed: it is told, and goes on by itself."""
    monkeypatch.setattr(windows, "MAX_AGE", 100)
    own = Kafka.start(tmp_path_factory.mktemp("kafka"))
    try:
        own.create_topic("sync-down")
        own.produce("sync-down", [told("ann", 1, 1)])
        own.stop()
        with following(own, "sync-down", tmp_path) as (table, follower), capture_logs() as lines:
            until(lambda: waits(lines), "the first failure")
            assert not follower.caught_up
            own.restart()
            until(lambda: follower.caught_up, "the end of the topic")
            own.stop()
            until(lambda: waits(lines) > 1, "the second failure")
            own.restart()
            own.produce("sync-down", [told("bob", 2, 2)])
            until(lambda: synced(table, "ann", "bob") == {("ann", 1): 1, ("bob", 2): 2}, "the new mapping")
    finally:
        own.stop()


def test_a_table_is_of_the_last_time_that_it_held_all(kafka, tmp_path, monkeypatch):
    """That goes on while nothing comes, and stands while something that came is not in the table."""
    monkeypatch.setattr(follower_module, "LOOK", 200)
    kafka.create_topic("sync-age", partitions=2)
    kafka.produce("sync-age", [told("ann", 1, 1)])
    disk = FullDisk()
    disk.full = False
    with following(kafka, "sync-age", tmp_path, disk) as (table, follower):
        until(lambda: follower.caught_up, "the end of the topic")
        first = follower.complete_at
        until(lambda: follower.complete_at > first, "the next look")
        disk.full = True
        kafka.produce("sync-age", [told("bob", 2, 2)])
        came_at = SystemClock().now()
        until(lambda: disk.refused > 1, "the second try")
        assert follower.complete_at <= came_at
        assert follower.caught_up, "what it holds is still gone by"
        disk.full = False
        until(lambda: follower.complete_at > came_at, "the new mapping")
        assert synced(table, "bob") == {("bob", 2): 2}
        held = follower.complete_at
    with Table.open(tmp_path, clock=SystemClock()) as table:
        assert table.complete_at >= held, "it outlives its process"


def test_a_topic_that_is_written_to_without_a_pause(kafka, tmp_path, monkeypatch):
    """Whenever its ends are asked for something is there that was not read: that makes no table old."""
    monkeypatch.setattr(follower_module, "LOOK", 0)
    kafka.create_topic("sync-busy")

    def write() -> None:
        kafka.produce("sync-busy", [told("ann", 1, 1)])

    with following(kafka, "sync-busy", tmp_path, beat=write) as (_, follower):
        until(lambda: follower.caught_up, "the first ends")
        first = follower.complete_at
        until(lambda: follower.complete_at > first, "the next ones")


def test_what_is_no_message_is_not_waited_for(kafka, tmp_path, monkeypatch):
    """What a transaction ends with, one that was aborted, and one that is open: nobody ever reads those."""
    monkeypatch.setattr(follower_module, "LOOK", 200)
    kafka.create_topic("sync-marks")
    settings = {"bootstrap.servers": kafka.bootstrap, "transactional.id": "sync-marks", "log_level": 0}
    producer = Producer(settings)
    producer.init_transactions(30)
    with following(kafka, "sync-marks", tmp_path) as (table, follower):
        for end in (producer.commit_transaction, producer.abort_transaction, None):
            producer.begin_transaction()
            _, key, value = told("ann", 1, 1) if end == producer.commit_transaction else told("bob", 2, 2)
            producer.produce("sync-marks", value, key)
            producer.flush(30)
            if end is not None:
                end(30)
            came_at = SystemClock().now()
            until(lambda came_at=came_at: (follower.complete_at or 0) > came_at, "the next look")
            assert synced(table, "ann", "bob") == {("ann", 1): 1}
    producer.abort_transaction(30)


@pytest.mark.failure(67)
def test_a_damaged_table_is_made_anew_while_it_is_followed(kafka, tmp_path, monkeypatch):
    """Who finds a damaged block gets an error that says so; then the topic is read again from its start."""
    monkeypatch.setattr(windows, "MAX_AGE", 100)
    kafka.create_topic("sync-damage")
    kafka.produce("sync-damage", [told("ann", 1, 1)])
    with following(kafka, "sync-damage", tmp_path) as (table, follower):
        until(lambda: follower.caught_up, "the end of the topic")
        (slab,) = tmp_path.glob("*.slab")
        with slab.open("r+b") as file:
            file.seek(40)
            file.write(bytes(8))
        with pytest.raises(TableDamaged, match="made anew from its topic"):
            joined(table, ["ann"])
        until(lambda: not table.damaged and follower.caught_up, "the table made anew")
        assert synced(table, "ann") == {("ann", 1): 1}


@pytest.mark.failure(68)
def test_a_full_disk_pauses(kafka, tmp_path):
    """Nothing is lost and nothing piles up while there is no room: when there is, it goes on."""
    kafka.create_topic("sync-full")
    kafka.produce("sync-full", [told("ann", 1, 1)])
    disk = FullDisk()
    with capture_logs() as lines, following(kafka, "sync-full", tmp_path, disk) as (table, follower):
        until(lambda: disk.refused > 1, "the second try")
        assert not follower.caught_up
        disk.full = False
        until(lambda: follower.caught_up, "the end of the topic")
        assert synced(table, "ann") == {("ann", 1): 1}
    assert {line["event"] for line in lines} >= {"identity_table_waits"}


class FullDisk(Disk):
    """Has no room for slabs, until `full` is false."""

    full = True
    refused = 0

    def write(self, descriptor: int, data: bytes | memoryview) -> int:
        if self.full and bytes(data[:4]) == b"PAR1":
            self.refused += 1
            raise OSError(errno.ENOSPC, "no room")
        return super().write(descriptor, data)


def partitions(kafka: Kafka, topic: str) -> dict:
    """What the broker has of the topic."""
    admin = kafka.admin()
    return admin.list_topics(topic, timeout=10).topics[topic].partitions


def waits(lines: list) -> int:
    """How often it was told that the topic is waited for."""
    return sum(line["event"] == "identity_topic_waited_for" for line in lines)


def messages(kafka: Kafka, topic: str) -> int:
    """How many messages Kafka still has in the first partition."""
    consumer = Consumer(
        {"bootstrap.servers": kafka.bootstrap, "group.id": "count", "enable.partition.eof": True}
    )
    consumer.assign([TopicPartition(topic, 0, OFFSET_BEGINNING)])
    try:
        count = 0
        while True:
            message = consumer.poll(30)
            assert message is not None
            if message.error():
                return count
            count += 1
    finally:
        consumer.close()
