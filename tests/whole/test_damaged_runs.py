"""Damage in the spool: the bridge delivers nothing wrong, tells what to read again, and that remedy works."""

import shutil
import signal

import pytest
from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition

from bridge.spool.run import Run
from tests.parts import events as made
from tests.parts import oracle
from tests.parts.bridging import (
    Bridge,
    account,
    committed,
    configuration,
    delivered,
    end,
    ends,
    produce,
    stream,
)
from tests.parts.waiting import until

pytestmark = [pytest.mark.kafka, pytest.mark.sshd]


class Site:
    """A stopped bridge with one sealed run, of which nothing is delivered; two streams, an account each."""

    def __init__(self, kafka, sshd, directory, prefix):
        self.kafka, self.sshd = kafka, sshd
        self.topics = [f"{prefix}.left", f"{prefix}.right"]
        accounts = [account(sshd, name) | {"partner": name.title()} for name in ("left", "right")]
        accounts[1]["sftp"]["host"] = "localhost"  # two accounts of one server would be one
        streams = [
            stream(topic, account=topic.rpartition(".")[2], segment_namespace=topic[-2:])
            for topic in self.topics
        ]
        self.config = configuration(
            kafka, sshd, directory, streams, accounts=accounts, roll={"max_age": "1h"}
        )
        self.config["kafka"]["properties"] = {"session.timeout.ms": "6000"}
        self.bridge = Bridge(directory, self.config)
        self.placed = {}
        for topic in self.topics:
            kafka.create_topic(topic, 2)
            self.placed[topic] = produce(kafka, topic, made.make(made.Load(events=60), 7), partitions=2)
        wanted = {topic: ends(placed) for topic, placed in self.placed.items()}
        process = self.bridge.start()
        try:
            until(lambda: committed(kafka, self.config, *self.topics) == wanted, "all is committed")
        finally:
            assert end(process, signal.SIGTERM) == 0, self.bridge.tail()
        assert delivered(sshd) == []
        self.config["roll"]["max_age"] = "1s"
        self.bridge.write()
        self.runs = sorted((directory / "spool").rglob("*.run"))

    def wanted(self, *topics):
        state = {}
        for topic in topics:
            state |= oracle.last_write_wins(self.placed[topic], segment_namespace=topic[-2:])
        return state

    def differs(self, *topics):
        return oracle.same(oracle.fold(delivered(self.sshd)), self.wanted(*topics))


def flip(path, at):
    content = bytearray(path.read_bytes())
    content[at] ^= 4
    path.write_bytes(content)


@pytest.mark.failure(12)
def test_a_bit_flips_in_an_undelivered_run(kafka, sshd, tmp_path):
    """Its account stops and names the offsets, the other is delivered; with the file's copy all is well."""
    site = Site(kafka, sshd, tmp_path, "flip")
    path = next(path for path in site.runs if _of(path, "left"))
    copy = shutil.copy(path, tmp_path / "copy")
    with Run(path) as run:
        (audience, *_) = (one for one in run.audiences if one.account == "left")
        flip(path, run.blocks(audience)[0].offset + 30)
    process = site.bridge.start()
    try:
        (stopped,) = site.bridge.wait_for("account_stopped")
        until(lambda: site.differs(site.topics[1]) == [], "the other account is delivered")
        assert process.poll() is None
    finally:
        code = end(process, signal.SIGTERM)
    assert (code, site.differs(site.topics[1])) == (1, [])
    assert f"run {path} is damaged: the checksum of the block" in stopped["reason"]
    for partition, after in ends(site.placed[site.topics[0]]).items():
        assert f"{site.topics[0]} partition {partition} from 0 (up to {after})" in stopped["reason"]
    shutil.copy(copy, path)
    site.bridge.drain()
    assert site.differs(*site.topics) == []


def _of(path, name):
    with Run(path) as run:
        return any(audience.account == name for audience in run.audiences)


@pytest.mark.failure(5, 13)
def test_an_unreadable_run_is_moved_away_and_read_again(kafka, sshd, tmp_path):
    """The start fails and names file and remedy; after the remedy everything is delivered all the same."""
    site = Site(kafka, sshd, tmp_path, "unreadable")
    (path, *_) = site.runs
    whole = path.read_bytes()
    path.write_bytes(whole[:-200])
    refused(site, path, "its end is missing")
    path.write_bytes(whole)
    flip(path, -40)
    refused(site, path, "the checksum of its footer differs")
    assert delivered(sshd) == []
    for each in site.runs:
        each.rename(tmp_path / each.name)
    reset(kafka, site.config, site.topics)
    site.bridge.drain()
    assert site.differs(*site.topics) == []


def refused(site, path, why):
    """A start that fails with one line, which says what to do."""
    process = site.bridge.start()
    try:
        assert process.wait(60) == 1
    finally:
        end(process)
    last = site.bridge.tail().splitlines()[-1]
    assert last.startswith(f"s2s-bridge: run {path} is damaged: {why}; ")
    assert "move it away and reset the group's offsets to a time before" in last


def reset(kafka, config, topics):
    """As `kafka-consumer-groups --reset-offsets` does: it is refused until the group has no member."""
    consumer = Consumer({"bootstrap.servers": kafka.bootstrap, "group.id": config["kafka"]["group_id"]})
    beginning = [TopicPartition(topic, number, 0) for topic in topics for number in (0, 1)]

    def done():
        try:
            return consumer.commit(offsets=beginning, asynchronous=False)
        except KafkaException as refusal:
            if refusal.args[0].code() != KafkaError.UNKNOWN_MEMBER_ID:
                raise
            return None

    try:
        until(done, "the group's offsets are reset")
    finally:
        consumer.close()
