"""A topic, a server and a bridge between them; what is written is remembered for the oracle."""

import contextlib
import json
import os
import signal
import subprocess
import urllib.request
from collections.abc import Iterator

from tests.parts import events as made
from tests.parts import oracle
from tests.parts.bridging import (
    Bridge,
    committed,
    configuration,
    delivered,
    differences,
    end,
    ends,
    produce,
    stream,
)
from tests.parts.events import DAY, Load
from tests.parts.waiting import until

QUICK = {
    "session.timeout.ms": 6000,
    "heartbeat.interval.ms": 500,
    "topic.metadata.refresh.interval.ms": 500,
    "reconnect.backoff.max.ms": 500,
}
"""Kafka's properties: the shortest session that a broker grants, and changes that are seen soon."""

UNFIT = str.maketrans({"_": "-", "[": "-", "]": None, " ": "-", "/": "-"})
"""What a test's name may hold, and a stream's may not."""

SESSION = 6.0
"""Seconds after which a silent member is gone."""


class Site:
    """One JSON topic, one account; the bridge is not started yet."""

    def __init__(self, kafka, sshd, directory, name, *, partitions=2, **more):
        topic = name.lower().translate(UNFIT)
        self.kafka, self.sshd, self.topic, self.partitions = kafka, sshd, topic, partitions
        self.process = None
        """The one of `running`."""
        kafka.create_topic(topic, partitions)
        self.config = configuration(kafka, sshd, directory, [stream(topic)], **more)
        self.config["kafka"]["properties"] = dict(QUICK)
        self.sftp = self.config["accounts"][0]["sftp"]
        self.spool = directory / "spool"
        self.bridge = Bridge(directory, self.config)
        self.events = []
        """What is in the topic, with its places."""

    def write(self, events=300, users=60, topic=None, **load):
        """So many more events, of a day of their own; returns them. Another topic's are not ours."""
        number = len(self.events)
        what = Load(events=events, users=users, start=Load.start + number % 50 * DAY, **load)
        placed = produce(self.kafka, topic or self.topic, made.make(what, number), partitions=self.partitions)
        if topic is None:
            self.events += placed
        return placed

    def drain(self, *arguments):
        """The bridge as it is configured now, up to the end."""
        self.bridge.write()
        self.bridge.drain(*arguments)

    @contextlib.contextmanager
    def running(self, *arguments) -> Iterator[subprocess.Popen]:
        """The bridge runs; if it still does at the end, it is stopped in order, which must go well."""
        self.bridge.write()
        process = self.process = self.bridge.start(*arguments)
        try:
            yield process
        except BaseException:
            end(process)
            raise
        if process.poll() is None:
            assert end(process, signal.SIGTERM) == 0, self.bridge.tail()

    def fails(self, *arguments) -> str:
        """The one line that a start, which ends with 1, says beside its log."""
        self.bridge.write()
        process = self.bridge.start(*arguments)
        try:
            assert process.wait(90) == 1, self.bridge.tail()
        finally:
            end(process)
        return self.last_words()

    def status(self, part) -> list[dict]:
        """A list of `status --json`."""
        done = self.bridge.call("status", "--json")
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)[part]

    def last_words(self) -> str:
        """The newest line that is no log line."""
        told = [line for line in self.bridge.log.read_text().splitlines() if not line.startswith("{")]
        assert all(line.startswith("s2s-bridge: ") for line in told), told
        return told[-1]

    def answers(self, page="metrics") -> str:
        """A page of the running bridge's; empty before it is there."""
        with contextlib.suppress(OSError):
            address = f"http://{self.config['http']['listen']}/{page}"
            return urllib.request.urlopen(address, timeout=5).read().decode()
        return ""

    def metric(self, name) -> float:
        """The sum of a counter over its labels, as the running bridge shows it."""
        lines = self.answers().splitlines()
        return sum(float(line.split()[-1]) for line in lines if line.startswith(f"s2s_bridge_{name}{{"))

    def offsets(self) -> dict[int, int]:
        """What the group has committed, by partition."""
        return committed(self.kafka, self.config, self.topic).get(self.topic, {})

    def until_committed(self) -> None:
        """All that was written is committed."""
        self.until(lambda: self.offsets() == ends(self.events), "the commits")

    def until_consumed(self) -> None:
        """The bridge, whose pages are on, has read exactly what was written."""
        self.until(lambda: self.metric("events_consumed_total") == len(self.events), "the events")

    def until_arrived(self) -> None:
        """All that was written is on the server, as the oracle has it."""
        self.until(lambda: differences(self.sshd, self.events) == [], "the events on the server")

    def until(self, condition, what, seconds=40) -> None:
        """As `waiting.until`; it fails at once where the bridge has ended."""

        def reached():
            if condition():
                return True
            assert self.process.poll() is None, self.bridge.tail()
            return False

        until(reached, what, seconds)

    def check(self, copies=0) -> None:
        """Nothing is lost, undone or torn; at most so many files came twice; all committed, the log clean."""
        assert differences(self.sshd, self.events) == []
        assert repeated(self.sshd) <= copies
        assert self.offsets() == ends(self.events)
        assert [path.name for path in self.sshd.files() if not path.name.endswith(".log.gz")] == []
        assert "Traceback" not in self.bridge.log.read_text()
        users = {str(event["user_id"]).lower() for event in self.events}
        log = self.bridge.log.read_text().lower()
        assert [user for user in users if user in log] == []


def repeated(sshd) -> int:
    """How many files hold rows that another one holds already, all of them."""
    rows = [repr(oracle.read(path).rows) for path in delivered(sshd)]
    return len(rows) - len(set(rows))


def fill(folder):
    """Not a byte of its disk is free, until `ballast` is gone."""
    descriptor = os.open(folder / "ballast", os.O_WRONLY | os.O_CREAT, 0o600)
    for size in (65_536, 1):
        with contextlib.suppress(OSError):
            while True:
                os.write(descriptor, bytes(size))
    os.close(descriptor)
