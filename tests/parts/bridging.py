"""A bridge as its user runs it: a configuration file, a child process, files on the server."""

import gzip
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import yaml
from confluent_kafka import (
    OFFSET_BEGINNING,
    Consumer,
    KafkaError,
    KafkaException,
    Message,
    TopicPartition,
)

from tests.parts import events as made
from tests.parts import oracle
from tests.parts.events import Encoder, Event
from tests.parts.kafka import Kafka
from tests.parts.openssh import OpenSsh
from tests.parts.waiting import until

COORDINATOR_LOADS = (
    KafkaError.NOT_COORDINATOR,
    KafkaError.COORDINATOR_NOT_AVAILABLE,
    KafkaError.COORDINATOR_LOAD_IN_PROGRESS,
)


def configuration(kafka: Kafka, sshd: OpenSsh, directory: Path, streams: list[dict], **more: object) -> dict:
    """What to write into the file; `more` replaces or adds top-level keys."""
    return {
        "kafka": {"bootstrap_servers": kafka.bootstrap, "group_id": f"group-{directory.name}"},
        "spool": {"directory": str(directory / "spool")},
        "window": {"max_age": "500ms"},
        "roll": {"max_age": "1s"},
        "accounts": [account(sshd)],
        "streams": streams,
        "http": {"listen": None},
    } | more


def account(sshd: OpenSsh, name: str = "default", **quota: object) -> dict:
    """An account of the server, with room for any test unless told otherwise."""
    return {
        "name": name,
        "agency": "Agency",
        "partner": "Partner",
        "sftp": {
            "host": "127.0.0.1",
            "port": sshd.port,
            "username": sshd.username,
            "private_key_file": str(sshd.private_key_file),
            "host_key": sshd.host_key,
            "directory": str(sshd.root),
        },
        "quota": {"files_per_hour": 1000, "guard": "0s"} | quota,
    }


def stream(topic: str, **more: object) -> dict:
    """A stream of JSON events with the seed's namespace."""
    return {
        "name": topic.replace(".", "-"),
        "topics": [topic],
        "format": "json",
        "segment_namespace": "ep",
    } | more


def produce(
    kafka: Kafka,
    topic: str,
    events: list[Event],
    encode: Encoder = made.json_text,
    *,
    partitions: int = 4,
    seed: int = 1,
) -> list[Event]:
    """Write the events in this order; returns them with the places that they got."""
    placed = made.place(events, topic, partitions, seed)
    places = kafka.produce(topic, made.messages(placed, encode))
    return [
        event | {"partition": partition, "offset": offset}
        for event, (partition, offset) in zip(placed, places, strict=True)
    ]


def messages(kafka: Kafka, topic: str) -> list[Message]:
    """All that the topic holds now, in order of offsets within each partition."""
    consumer = _consumer(kafka, "reader")
    try:
        partitions = consumer.list_topics(topic, 10).topics[topic].partitions
        consumer.assign([TopicPartition(topic, number, OFFSET_BEGINNING) for number in partitions])
        found: list[Message] = []
        ended = 0
        while ended < len(partitions):
            for message in consumer.consume(1000, 1):
                if message.error() is None:
                    found.append(message)
                elif message.error().code() == KafkaError._PARTITION_EOF:
                    ended += 1
                else:
                    raise KafkaException(message.error())
        return found
    finally:
        consumer.close()


def committed(kafka: Kafka, config: dict, *topics: str) -> dict[str, dict[int, int]]:
    """What the bridge's group has committed, by topic and partition; nothing while its coordinator loads.

    A consumer asks: the admin client of confluent-kafka 2.16 crashes where the coordinator is not there yet.
    """
    consumer = _consumer(kafka, config["kafka"]["group_id"])
    try:
        known = consumer.list_topics(timeout=10).topics
        asked = [TopicPartition(topic, number) for topic in topics for number in known[topic].partitions]
        answers = consumer.committed(asked, 10)
    except KafkaException as failure:
        if failure.args[0].code() not in COORDINATOR_LOADS:
            raise
        return {}
    finally:
        consumer.close()
    found: dict[str, dict[int, int]] = {}
    for at in answers:
        if at.offset >= 0:
            found.setdefault(at.topic, {})[at.partition] = at.offset
    return found


def ends(placed: list[Event]) -> dict[int, int]:
    """The offset after the last of these events, by partition."""
    found: dict[int, int] = {}
    for event in placed:
        found[event["partition"]] = max(found.get(event["partition"], 0), event["offset"] + 1)
    return found


def dead_letters(config: dict) -> list[dict]:
    """The dead letters in the folder, in which nothing else may lie."""
    folder = Path(config["spool"]["directory"]) / "dead-letters"
    files = sorted(folder.iterdir()) if folder.exists() else []
    assert [path.name for path in files if not path.name.endswith(".jsonl.gz") or not path.is_file()] == []
    return [json.loads(line) for path in files for line in gzip.decompress(path.read_bytes()).splitlines()]


def command(*arguments: str) -> subprocess.CompletedProcess:
    """A command of the product's, to its end."""
    return subprocess.run(
        [sys.executable, "-m", "bridge", *arguments],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
        cwd=Path(__file__).parents[2],
    )


class Bridge:
    """The command, with one configuration; started as often as wanted."""

    def __init__(self, directory: Path, config: dict) -> None:
        self.config = config
        self.path = directory / "bridge.yaml"
        self.log = directory / "bridge.log"
        self.write()

    def write(self) -> None:
        """The configuration as it is now becomes the file."""
        self.path.write_text(yaml.safe_dump(self.config))

    def start(self, *arguments: str, program: str = "bridge") -> subprocess.Popen:
        """`s2s-bridge run`, in a process of its own; or another module that does the same."""
        with self.log.open("ab") as log:
            return subprocess.Popen(
                [sys.executable, "-m", program, "run", "--config", str(self.path), *arguments],
                stderr=log,
                stdin=subprocess.DEVNULL,
                cwd=Path(__file__).parents[2],
            )

    def drain(self, *arguments: str, seconds: float = 120) -> None:
        """`run --until-end`, which must end well."""
        process = self.start("--until-end", *arguments)
        try:
            assert process.wait(seconds) == 0, self.tail()
        finally:
            end(process)

    def call(self, *arguments: str) -> subprocess.CompletedProcess:
        """Another command with this configuration."""
        return command(*arguments, "--config", str(self.path))

    def lines(self) -> list[dict]:
        """What it logged."""
        text = self.log.read_text() if self.log.exists() else ""
        return [json.loads(line) for line in text.splitlines() if line.startswith("{")]

    def events(self, name: str) -> list[dict]:
        """Its log lines of this action."""
        return [line for line in self.lines() if line["action"] == name]

    def wait_for(self, name: str, count: int = 1, seconds: float = 60) -> list[dict]:
        """Its log lines of this action, once there are so many."""
        until(lambda: len(self.events(name)) >= count, f"{count} log lines {name}", seconds)
        return self.events(name)

    def tail(self) -> str:
        """The end of its log, for a failure's message."""
        return self.log.read_text()[-4000:]


def _consumer(kafka: Kafka, group: str) -> Consumer:
    return Consumer(
        {
            "bootstrap.servers": kafka.bootstrap,
            "group.id": group,
            "enable.auto.commit": False,
            "enable.partition.eof": True,
            "log_level": 0,
        }
    )


def end(process: subprocess.Popen, how: signal.Signals = signal.SIGKILL) -> int:
    """Ends the process, if it still runs; returns its exit code."""
    if process.poll() is None:
        os.kill(process.pid, how)
    return process.wait(60)


def delivered(sshd: OpenSsh) -> list[Path]:
    """Whole files in the order of their stamps; that is the order of upload within a series."""
    return sorted(path for path in sshd.root.iterdir() if path.name.endswith(".log.gz"))


def wait_for_files(sshd: OpenSsh, count: int) -> None:
    """At least so many files are there."""
    until(lambda: len(delivered(sshd)) >= count, f"{count} files")


def differences(sshd: OpenSsh, events: list[dict], **defaults: object) -> list[str]:
    """What the delivered files, folded, say otherwise than the events do."""
    return oracle.same(oracle.fold(delivered(sshd)), oracle.last_write_wins(events, **defaults))
