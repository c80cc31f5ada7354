"""An account's server is away for longer than the spool can take: the disk stays flat, the others go on."""

import base64
import random
import signal
import threading
import time
from pathlib import Path

import pytest
from confluent_kafka import Consumer, TopicPartition

from tests.parts import events as made
from tests.parts.bridging import (
    Bridge,
    account,
    configuration,
    delivered,
    differences,
    end,
    stream,
    wait_for_files,
)
from tests.parts.openssh import OpenSsh
from tests.parts.waiting import until

pytestmark = [pytest.mark.kafka, pytest.mark.sshd]

MAX_BYTES = 4_000_000
RUN_BYTES = MAX_BYTES // 40
"""More than a window of this test makes."""

FILE_BYTES = MAX_BYTES // 25
POLL_INTERVAL = 8
"""max.poll.interval.ms, in seconds."""

ID_BYTES = 180
"""Of randomness in a user's id: few events are many bytes."""

START = made.Load().start
TABLES = {"xx": "7"}


@pytest.fixture
def other_sshd():
    """A second server, which is never away."""
    server = OpenSsh()
    try:
        server.start()
        yield server
    finally:
        server.close()


class Disk:
    """The most bytes that a folder has taken, looked at twenty times a second."""

    def __init__(self, folder: Path) -> None:
        self.most = 0
        self._folder = folder
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._over.set()
        self._thread.join()

    def _look(self) -> None:
        while not self._over.wait(0.05):
            self.most = max(self.most, sum(map(_size, self._folder.rglob("*"))))


def _size(path: Path) -> int:
    try:
        return path.stat().st_size if path.is_file() else 0
    except FileNotFoundError:
        return 0


def writes(topic, count, seed):
    """Events in the order of their times: a tenth removes what an earlier one added, or everything."""
    dice = random.Random(seed)
    events = []
    for offset in range(count):
        again = events and dice.random() < 0.1
        user = dice.choice(events)["user_id"] if again else _user(dice)
        everything = bool(again) and dice.random() < 0.3
        element = {"segment_id": 10_001 + dice.randrange(3), "timestamp": -1 if again else 0}
        events.append(
            {
                "user_id": user,
                "remove_all": everything,
                "segments": [] if everything else [element],
                "event_time": START + offset,
                "topic": topic,
                "partition": 0,
                "offset": offset,
            }
        )
    return events


def _user(dice):
    return base64.b85encode(dice.randbytes(ID_BYTES)).decode()


def produce(kafka, events):
    """To the events' topic."""
    kafka.produce(events[0]["topic"], made.messages(events, made.json_text))


def committed(kafka, group, topic):
    """The offset that the group has committed; -1001: none."""
    consumer = Consumer({"bootstrap.servers": kafka.bootstrap, "group.id": group, "log_level": 0})
    try:
        return consumer.committed([TopicPartition(topic, 0)], timeout=10)[0].offset
    finally:
        consumer.close()


def partner(topic, account_name):
    """A stream of a partner's users."""
    return stream(topic, account=account_name, user_namespace="xx", user_table_id="7", max_future="10000d")


def test_a_full_spool_waits_and_other_accounts_go_on(kafka, sshd, other_sshd, tmp_path):
    """Three times `spool.max_bytes` while sshd is stopped: disk flat, member kept, then all is delivered."""
    full, free = "whole.full", "whole.free"
    for topic in (full, free):
        kafka.create_topic(topic)
    much = writes(full, 3 * MAX_BYTES // ID_BYTES, 1)
    little = [writes(free, 50 * (at + 1), 2)[50 * at :] for at in range(3)]
    produce(kafka, much)
    quota = {"max_file_bytes": FILE_BYTES}
    config = configuration(
        kafka,
        sshd,
        tmp_path,
        [partner(full, "full"), partner(free, "free")],
        accounts=[account(sshd, "full", **quota), account(other_sshd, "free", **quota)],
        spool={"directory": str(tmp_path / "spool"), "max_bytes": MAX_BYTES},
        window={"max_age": "200ms", "max_bytes": RUN_BYTES},
    )
    config["accounts"][1]["sftp"]["host"] = "localhost"
    config["kafka"]["properties"] = {
        "max.poll.interval.ms": str(1000 * POLL_INTERVAL),
        "session.timeout.ms": str(1000 * POLL_INTERVAL),
    }
    bridge = Bridge(tmp_path, config)
    sshd.stop()
    process = bridge.start()
    try:
        with Disk(tmp_path / "spool") as disk:
            until(lambda: paused(bridge), "the pressure")
            began = time.monotonic()
            for at, events in enumerate(little):
                produce(kafka, events)
                wait_for_files(other_sshd, at + 1)
            assert paused(bridge) == ["whole-full"]
            until(lambda: time.monotonic() > began + 1.3 * POLL_INTERVAL, "the poll interval")
            assert committed(kafka, config["kafka"]["group_id"], full) < len(much) / 2
            assert delivered(sshd) == []
            assert 0.8 * MAX_BYTES < disk.most < 1.3 * MAX_BYTES
            sshd.start()
            group = config["kafka"]["group_id"]
            until(lambda: committed(kafka, group, full) == len(much), "the last commit", 120)
        assert disk.most < 1.3 * MAX_BYTES
    finally:
        code = end(process, signal.SIGTERM)
    assert code == 0, bridge.tail()
    events = [line["action"] for line in bridge.lines()]
    assert events.count("partitions_assigned") == 1
    assert "partitions_lost" not in events
    assert "MAX_POLL_EXCEEDED" not in bridge.log.read_text()
    bridge.drain()
    for server, all_events in ((sshd, much), (other_sshd, [*little[0], *little[1], *little[2]])):
        defaults = {"user_namespace": "xx", "table_ids": TABLES}
        assert differences(server, all_events, **defaults) == []


def paused(bridge):
    """The streams that wait by now."""
    told = [line["paused_streams"] for line in bridge.lines() if line["action"] == "spool_pressure"]
    return told[-1] if told else []
