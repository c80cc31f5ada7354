"""Other members come, go, freeze and die in the bridge's consumer group; nothing is lost, rewound or torn."""

import shutil
import signal
import threading
from contextlib import contextmanager

import pytest
from confluent_kafka import Consumer

from bridge.clock import SystemClock
from bridge.spool.spool import Spool
from tests.faults.site import QUICK, Site
from tests.parts.bridging import end, ends
from tests.parts.collecting import Collecting, Setting, events, places, places_of, stream
from tests.parts.proxy import Proxy
from tests.parts.waiting import free_port, until

pytestmark = [pytest.mark.kafka, pytest.mark.sshd]


@pytest.fixture
def site(kafka, sshd, tmp_path, request):
    return Site(kafka, sshd, tmp_path, f"group.{request.node.name}", partitions=4)


class Stranger:
    """A member that another program brings: it reads nothing and commits nothing."""

    def __init__(self, site):
        self.assigned = set()
        self._consumer = Consumer(
            QUICK
            | {
                "bootstrap.servers": site.kafka.bootstrap,
                "group.id": site.config["kafka"]["group_id"],
                "partition.assignment.strategy": "cooperative-sticky",
                "enable.auto.commit": False,
                "max.poll.interval.ms": QUICK["session.timeout.ms"],
                "log_level": 0,
            }
        )
        self._consumer.subscribe([site.topic], on_assign=self._assign, on_revoke=self._revoke)
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._poll)
        self._thread.start()

    def leave(self):
        """In order: the others get its partitions at once."""
        self.die()
        self._consumer.close()

    def die(self):
        """It polls no more: from then on it holds its partitions until the group misses it."""
        self._over.set()
        self._thread.join()

    def _poll(self):
        while not self._over.is_set():
            self._consumer.consume(1000, 0.05)

    def _assign(self, consumer, partitions):
        consumer.incremental_assign(partitions)
        self.assigned |= {one.partition for one in partitions}

    def _revoke(self, consumer, partitions):
        consumer.incremental_unassign(partitions)
        self.assigned -= {one.partition for one in partitions}


@contextmanager
def stranger(site):
    """A stranger that has got partitions, and leaves at the end."""
    member = Stranger(site)
    try:
        site.until(lambda: member.assigned, "the stranger's partitions")
        yield member
    finally:
        member.leave()


@pytest.mark.failure(20)
def test_a_member_joins_while_a_window_is_open(site):
    """What was read of its partitions is sealed and committed before they go, and not taken twice after."""
    site.config["window"]["max_age"] = "1h"
    site.write()
    with site.running():
        site.bridge.wait_for("partitions_assigned")
        with stranger(site) as member:
            taken = set(member.assigned)
            assert {at for at in taken if site.offsets().get(at) != ends(site.events)[at]} == set()
            site.write()
    site.drain()
    site.check()


@pytest.mark.failure(24)
def test_a_storm_of_rebalances(site):
    """A member comes and goes again and again, while events come: the bridge goes on, nothing comes twice."""
    with site.running():
        for number in range(4):
            site.bridge.wait_for("partitions_assigned", number + 1)
            with stranger(site):
                site.write(events=100)
        site.bridge.wait_for("partitions_assigned", 5)
        site.until_committed()
    site.drain()
    site.check()


@pytest.mark.failure(21)
def test_a_member_dies_during_an_upload(site):
    """The bridge gets its partitions while the server hangs: they are read and committed, nothing waits."""
    proxy = Proxy(site.sshd.port)
    site.sftp["port"] = proxy.port
    proxy.stall_after = 5_000
    site.write(events=3_000, users=3_000)
    with site.running():
        with stranger(site) as member:
            site.write()
            site.bridge.wait_for("upload_begun")
            member.die()
            site.until_committed()
        assert site.bridge.events("file_uploaded") == []
        proxy.stall_after = None
    site.drain()
    proxy.close()
    site.check()


@pytest.mark.failure(22)
def test_a_bridge_that_slept_too_long(site):
    """Missed with a window open: it seals, commits once partitions are ours again, takes no event twice."""
    site.config["window"]["max_age"] = "1h"
    site.config["kafka"]["properties"]["max.poll.interval.ms"] = 6000
    site.config["http"]["listen"] = f"127.0.0.1:{free_port()}"
    site.write()
    with site.running() as process:
        site.until_consumed()
        with missed(site, process):
            pass
        site.bridge.wait_for("partitions_assigned", 2)
        site.until_committed()
        assert site.bridge.events("commit_failed") == []
        site.write()
        site.until_consumed()
    assert len(site.bridge.events("partitions_lost")) == 1
    site.drain()
    site.check()


@contextmanager
def missed(site, process):
    """The bridge sleeps, and the group knows that it is gone; at the end it wakes."""
    process.send_signal(signal.SIGSTOP)
    try:
        until(lambda: not members(site), "the end of its session")
        yield
    finally:
        process.send_signal(signal.SIGCONT)


def members(site):
    """The members of the group."""
    admin, group = site.kafka.admin(), site.config["kafka"]["group_id"]
    return admin.describe_consumer_groups([group])[group].result(10).members


@pytest.mark.failure(23)
def test_a_stale_owner_wakes(kafka, site, tmp_path):
    """Another bridge has read on: it commits nothing, says so and ends; the two together have all."""
    site.config["window"]["max_age"] = "1s"
    kafka.produce(site.topic, events(400))
    heir = Setting(
        bootstrap=kafka.bootstrap,
        directory=tmp_path / "heir",
        streams=(stream(topics=(site.topic,)),),
        group=site.config["kafka"]["group_id"],
        adopt=True,
        properties={name: str(value) for name, value in QUICK.items()},
    )
    with site.running() as process:
        site.until(lambda: site.offsets() == dict.fromkeys(range(4), 100), "the first commits")
        kafka.produce(site.topic, events(400, start=400))
        with missed(site, process), Collecting(heir) as other:
            until(lambda: site.offsets() == dict.fromkeys(range(4), 200), "the heir's commits")
            process.send_signal(signal.SIGCONT)
            assert process.wait(60) == 1, site.bridge.tail()
            assert site.offsets() == dict.fromkeys(range(4), 200)
            kafka.produce(site.topic, events(400, start=800))
            until(lambda: site.offsets() == dict.fromkeys(range(4), 300), "the heir's last commits")
            other.stop()
    assert "was committed by another spool or tool" in site.last_words()
    own = places(Spool.open(site.spool, clock=SystemClock()))
    assert sorted({*own, *places(other.spool)}) == places_of(1200)


@pytest.mark.failure(19)
def test_a_clone_of_the_spool(site, tmp_path):
    """Started beside its original, it takes over; that one ends with a line that says so; all arrives."""
    site.write()
    with site.running() as process:
        site.until_committed()
        site.until_arrived()
        clone = tmp_path / "clone"
        shutil.copytree(site.spool, clone)
        site.config["spool"]["directory"] = str(clone)
        site.bridge.path = tmp_path / "clone.yaml"
        site.bridge.write()
        second = site.bridge.start()
        try:
            assert process.wait(60) == 1, site.bridge.tail()
            assert "another bridge with this spool's identity runs: the spool was cloned" in site.last_words()
            site.process = second
            site.write()
            site.until_committed()
        finally:
            code = end(second, signal.SIGTERM)
    assert code == 0, site.bridge.tail()
    site.drain()
    site.check(copies=2)
