"""Kafka is away, forgets, or answers into the void, while the bridge runs as its user runs it."""

import signal
import time

import pytest
from confluent_kafka import KafkaError, TopicPartition

from tests.faults.site import SESSION, Site
from tests.parts.bridging import differences, end, ends
from tests.parts.proxy import Proxy
from tests.parts.waiting import until

pytestmark = [pytest.mark.kafka, pytest.mark.sshd]

OFFSET_COMMIT = (8).to_bytes(2)
"""Which request it is, behind the four bytes of its length."""

AT_MOST = 15
"""Refusals in two waits of 40 s: the pauses double up to 30 s, and each is at least half as long."""


@pytest.fixture
def proxy(kafka):
    """Between the broker and those who come by `proxied_port`."""
    one = Proxy(kafka.hidden_port, kafka.proxied_port)
    yield one
    one.close()


@pytest.fixture
def site(kafka, sshd, tmp_path, request):
    return Site(kafka, sshd, tmp_path, f"broker.{request.node.name}")


def is_commit(data):
    return data[4:6] == OFFSET_COMMIT


@pytest.mark.failure(17)
def test_a_frozen_broker(kafka, site):
    """Silent for longer than a session, it costs nothing but the time: no restart, no file twice."""
    site.config["kafka"]["properties"]["socket.timeout.ms"] = 2000
    site.write()
    with site.running():
        site.until_committed()
        site.write()
        kafka.pause()
        try:
            site.bridge.wait_for("broker_unreachable")
            until_a_session_is_over()
        finally:
            kafka.resume()
        site.until_committed()
    site.drain()
    site.check()


def until_a_session_is_over():
    """From now on."""
    began = time.monotonic()
    until(lambda: time.monotonic() > began + SESSION, "the end of the session")


@pytest.mark.failure(17)
def test_a_broker_that_comes_back(kafka, site):
    """Stopped and started under a running bridge: the same process goes on, and all arrives once."""
    site.write()
    with site.running():
        site.until_committed()
        kafka.stop()
        try:
            site.bridge.wait_for("broker_unreachable")
        finally:
            kafka.restart()
        site.write()
        site.until_committed()
    site.drain()
    site.check()


@pytest.mark.failure(7)
@pytest.mark.parametrize("then", ["goes on", "is killed"])
def test_the_reply_to_a_commit_is_lost(kafka, site, proxy, then):
    """The offset is committed and nobody says so: the same run stands for it, and nothing is taken twice."""
    site.config["kafka"]["bootstrap_servers"] = f"127.0.0.1:{kafka.proxied_port}"
    proxy.lose_reply_to = is_commit
    site.write()
    with site.running() as process:
        site.until(lambda: proxy.lost, "the lost reply")
        if then == "is killed":
            end(process)
        else:
            site.until_committed()
    site.write()
    site.drain()
    site.check()


@pytest.mark.failure(7)
def test_a_commit_that_never_arrives(kafka, site, proxy):
    """The connection ends within the request: it is sent again, and nothing is taken twice."""
    site.config["kafka"]["bootstrap_servers"] = f"127.0.0.1:{kafka.proxied_port}"
    proxy.lose_request = is_commit
    site.write()
    with site.running():
        site.until(lambda: proxy.lost, "the lost request")
        site.until_committed()
        site.write()
        site.until_committed()
    site.drain()
    site.check()


def requests(data):
    """Where in the client's bytes each request begins."""
    at = 0
    while at < len(data):
        yield at
        at += 4 + int.from_bytes(data[at : at + 4])


def of_another_generation(group):
    """Turns commits of the group into those of a generation that is over, or never was."""

    def altered(data):
        for at in requests(data):
            if is_commit(data[at:]):
                generation = data.index(group.encode(), at) + len(group)
                data = data[:generation] + (12345).to_bytes(4) + data[generation + 4 :]
        return data

    return altered


def told_as(error):
    """Turns the coordinator's refusals, of two partitions, into this one."""

    def altered(data):
        for partition in range(2):
            place = partition.to_bytes(4)
            refusal = place + KafkaError.ILLEGAL_GENERATION.to_bytes(2)
            data = data.replace(refusal, place + error.to_bytes(2))
        return data

    return altered


@pytest.mark.failure(18)
@pytest.mark.parametrize(
    ("name", "rounds"), [("REBALANCE_IN_PROGRESS", 1), ("ILLEGAL_GENERATION", 4), ("UNKNOWN_MEMBER_ID", 4)]
)
def test_a_commit_that_comes_too_late(kafka, site, proxy, name, rounds):
    """The coordinator refuses all of them: the runs stand for them, and nothing is taken twice.

    Two of the three take the partitions: the bridge joins and commits again, after pauses that double. So
    refusals are few however long it lasts, and meanwhile it reads and delivers on.
    """
    site.config["kafka"]["bootstrap_servers"] = f"127.0.0.1:{kafka.proxied_port}"
    # This coordinator knows our member: it fences off a heartbeat between a refusal and the next joining.
    site.config["kafka"]["properties"]["heartbeat.interval.ms"] = 2000
    proxy.alter_request = of_another_generation(site.config["kafka"]["group_id"])
    proxy.alter_reply = told_as(getattr(KafkaError, name))
    site.write()
    with site.running():
        site.until(lambda: len(site.bridge.events("commit_failed")) >= rounds, "refusals")
        site.write()
        site.until_arrived()
    refused = site.bridge.events("commit_failed")
    assert {line["error"] for line in refused} == {name}
    assert len(refused) < AT_MOST
    assert site.offsets() == {}
    proxy.alter_request = proxy.alter_reply = None
    site.write()
    site.drain()
    assert site.bridge.events("partition_resumed")
    site.check()


def slept_through(site, process, act):
    """The bridge has read all; `act` is done while it sleeps, and has no request to the broker open."""
    site.until_committed()
    process.send_signal(signal.SIGSTOP)
    act()
    process.send_signal(signal.SIGCONT)


@pytest.mark.failure(25)
def test_retention_passes_a_bridge_that_slept(kafka, site):
    """Events gone before they were read end the run; each start tells the gap, until the operator adopts."""

    def forget():
        site.write()
        asked = [TopicPartition(site.topic, partition, low) for partition, low in lows.items()]
        admin = kafka.admin()  # by name: a client without one is gone before its answer comes
        for answer in admin.delete_records(asked).values():
            answer.result(20)

    site.config["kafka"]["properties"]["fetch.wait.max.ms"] = 20
    site.write()
    lows = {partition: offset + 50 for partition, offset in ends(site.events).items()}
    with site.running() as process:
        slept_through(site, process, forget)
        assert process.wait(60) == 1, site.bridge.tail()
    assert "retention has passed it while it waited" in site.last_words()
    assert "are gone by the topic's retention: run with --adopt to go on at" in site.fails()
    site.drain("--adopt")
    gone = {at: range(lows[at] - 50, lows[at]) for at in lows}
    site.events = [event for event in site.events if event["offset"] not in gone[event["partition"]]]
    site.check()


@pytest.mark.failure(27)
def test_a_topic_is_made_anew_unseen(kafka, site):
    """While the bridge has no request open, and longer than the old one was: its first events come too."""
    old = []

    def remake():
        kafka.delete_topic(site.topic)
        kafka.create_topic(site.topic, site.partitions)
        old.extend(site.events)
        site.events = [{} for _ in old]  # what is written next is of another day, and of other users
        site.write(events=500)
        del site.events[: len(old)]

    site.config["kafka"]["properties"]["fetch.wait.max.ms"] = 20
    site.write()
    with site.running() as process:
        slept_through(site, process, remake)
        until(lambda: process.poll() is not None, "it sees that the topic is another one")
    assert process.returncode == 1
    assert "was made anew" in site.last_words()
    site.drain()
    assert differences(site.sshd, old + site.events) == []
    assert site.offsets() == ends(site.events)
