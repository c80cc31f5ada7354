"""A real Apache Kafka: one broker that is its own controller, on loopback.

The jars come from Maven (kafka/pom.xml) into .cache/ of the checkout, once.
"""

import fcntl
import hashlib
import secrets
import shutil
import signal
import subprocess
from base64 import urlsafe_b64encode
from collections.abc import Iterable, Mapping
from pathlib import Path

from confluent_kafka import KafkaException, Message, Producer
from confluent_kafka.admin import (
    AclBinding,
    AclBindingFilter,
    AclOperation,
    AclPermissionType,
    AdminClient,
    NewTopic,
    ResourcePatternType,
    ResourceType,
)

from tests.parts.waiting import free_port, until

HERE = Path(__file__).parent / "kafka"
CACHE = Path(__file__).parents[2] / ".cache"

PROPERTIES = {
    "process.roles": "broker,controller",
    "node.id": "1",
    "controller.listener.names": "CONTROLLER",
    "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,PROXIED:PLAINTEXT,CONTROLLER:PLAINTEXT",
    "auto.create.topics.enable": "false",
    "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
    "allow.everyone.if.no.acl.found": "true",
    "group.initial.rebalance.delay.ms": "0",
    "offsets.topic.num.partitions": "4",
    "offsets.topic.replication.factor": "1",
    "share.coordinator.state.topic.num.partitions": "1",
    "share.coordinator.state.topic.replication.factor": "1",
    "share.coordinator.state.topic.min.isr": "1",
    "transaction.state.log.num.partitions": "2",
    "transaction.state.log.replication.factor": "1",
    "transaction.state.log.min.isr": "1",
    "log.cleaner.dedupe.buffer.size": "16000000",
    "log.retention.check.interval.ms": "1000",
    "log.segment.delete.delay.ms": "1000",
    "message.max.bytes": "16000000",
}


def missing() -> str | None:
    """Why no Kafka can be started here; None: nothing is missing."""
    if not shutil.which("java"):
        return "Java is missing"
    if not shutil.which("mvn") and not _stamp().exists():
        return "Maven is missing"
    return None


class Kafka:
    """A running broker: `bootstrap` is its address, `directory` holds its data and broker.log.

    Clients that come by `hidden_port` are told to go to `proxied_port`: there a test may put a proxy to it.
    """

    def __init__(self, directory: Path, more: Mapping[str, str] | None = None) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        self.directory = directory
        self.port = free_port()
        self.hidden_port, self.proxied_port, controller = free_port(), free_port(), free_port()
        own = f"PLAINTEXT://127.0.0.1:{self.port}"
        hidden = f"PROXIED://127.0.0.1:{self.hidden_port}"
        lines = PROPERTIES | {
            "log.dirs": str(directory / "data"),
            "listeners": f"{own},{hidden},CONTROLLER://127.0.0.1:{controller}",
            "advertised.listeners": f"{own},PROXIED://127.0.0.1:{self.proxied_port}",
            "controller.quorum.voters": f"1@127.0.0.1:{controller}",
            **(more or {}),
        }
        text = "".join(f"{name}={value}\n" for name, value in lines.items())
        self._properties = directory / "server.properties"
        self._properties.write_text(text)
        self._libs = _jars()
        self._process: subprocess.Popen[bytes] | None = None

    @classmethod
    def start(cls, directory: Path, more: Mapping[str, str] | None = None) -> "Kafka":
        """A new, empty broker in `directory`, with `more` properties; returns when it answers."""
        kafka = cls(directory, more)
        # Its first letter is an A: the tool takes an id that begins with "-" for an option.
        cluster = urlsafe_b64encode(bytes(1) + secrets.token_bytes(15)).decode().rstrip("=")
        format_ = ("format", "--cluster-id", cluster, "--config", str(kafka._properties))
        done = subprocess.run(
            kafka._java("kafka.tools.StorageTool", *format_), capture_output=True, text=True, check=False
        )
        if done.returncode:
            raise RuntimeError(f"Kafka's storage could not be formatted: {done.stdout}{done.stderr}")
        kafka._run()
        return kafka

    @property
    def bootstrap(self) -> str:
        return f"127.0.0.1:{self.port}"

    @property
    def pid(self) -> int:
        if self._process is None:
            raise RuntimeError("Kafka is stopped")
        return self._process.pid

    def stop(self) -> None:
        """Stop in order, the hard way after 20 s; the data stays. A paused broker is stopped too."""
        if self._process is None:
            return
        self._process.send_signal(signal.SIGCONT)
        self._process.terminate()
        try:
            self._process.wait(20)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process = None

    def kill(self) -> None:
        """End it at once; the data stays."""
        self._process_now().kill()
        self._process_now().wait()
        self._process = None

    def restart(self) -> None:
        """Stop, unless it is, and start again on the same data and port."""
        self.stop()
        self._run()

    def pause(self) -> None:
        """Freeze the broker: connections stay open and nothing answers."""
        self._process_now().send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        self._process_now().send_signal(signal.SIGCONT)

    def admin(self) -> AdminClient:
        return AdminClient({"bootstrap.servers": self.bootstrap, "log_level": 0})

    def keep_from_us(self, topic: str) -> None:
        """Only somebody else may do anything with the topic."""
        admin = self.admin()
        for done in admin.create_acls([AclBinding(*_theirs(topic))]).values():
            done.result(10)

    def leave_to_us(self, topic: str) -> None:
        """All may again."""
        admin = self.admin()
        for done in admin.delete_acls([AclBindingFilter(*_theirs(topic))]).values():
            done.result(10)

    def create_topic(self, name: str, partitions: int = 1, config: dict[str, str] | None = None) -> None:
        """Returns when the topic can be written to."""
        admin = self.admin()
        topic = NewTopic(name, num_partitions=partitions, replication_factor=1, config=config or {})
        admin.create_topics([topic])[name].result(30)
        until(lambda: _partitions(admin, name) == partitions, f"the topic {name}")

    def delete_topic(self, name: str) -> None:
        """Returns when the topic is gone from the broker's answers."""
        admin = self.admin()
        admin.delete_topics([name])[name].result(30)
        until(lambda: _partitions(admin, name) == 0, f"the end of the topic {name}")

    def produce(
        self, topic: str, messages: Iterable[tuple[int, bytes | None, bytes | None]]
    ) -> list[tuple[int, int]]:
        """Write (partition, key, value) each, in this order.

        Returns when all are stored, with each one's partition and offset.
        """
        places: dict[int, tuple[int, int]] = {}

        def stored(index: int, error: object, message: Message) -> None:
            if error is not None:
                raise KafkaException(error)
            places[index] = (message.partition(), message.offset())

        # One request at a time keeps each partition in the order given.
        producer = Producer(
            {
                "bootstrap.servers": self.bootstrap,
                "linger.ms": 5,
                "acks": "all",
                "log_level": 0,
                "max.in.flight": 1,
                "message.max.bytes": 15_000_000,
                "queue.buffering.max.messages": 2_000_000,
            }
        )
        for index, (partition, key, value) in enumerate(messages):
            producer.produce(
                topic,
                value,
                key,
                partition,
                on_delivery=lambda error, message, index=index: stored(index, error, message),
            )
            producer.poll(0)
        if producer.flush(60):
            raise TimeoutError(f"not all messages for {topic} were stored within 60 s")
        return [places[index] for index in range(len(places))]

    def _process_now(self) -> subprocess.Popen[bytes]:
        if self._process is None:
            raise RuntimeError("Kafka is stopped")
        return self._process

    def _run(self) -> None:
        with (self.directory / "broker.log").open("ab") as log:
            self._process = subprocess.Popen(
                self._java("kafka.Kafka", str(self._properties)),
                stdout=log,
                stderr=log,
                stdin=subprocess.DEVNULL,
                start_new_session=True,  # Ctrl-C at the terminal is for pytest, which then stops us
            )
        try:
            until(self._answers, "Kafka's first answer")
        except BaseException:
            self.stop()
            raise

    def _answers(self) -> bool:
        process = self._process_now()
        if process.poll() is not None:
            self._process = None
            raise RuntimeError("Kafka ended at once: " + (self.directory / "broker.log").read_text()[-2000:])
        admin = self.admin()  # by name: a client without one is gone before its answer comes
        try:
            return bool(admin.list_topics(timeout=2).brokers)
        except KafkaException:
            return False

    def _java(self, name: str, *arguments: str) -> list[str]:
        return [
            "java",
            "-Xmx512m",
            "-XX:+UseSerialGC",
            "-XX:TieredStopAtLevel=1",
            f"-Dlog4j2.configurationFile={HERE / 'log4j2.properties'}",
            "-cp",
            f"{self._libs}/*",
            name,
            *arguments,
        ]


def _partitions(admin: AdminClient, topic: str) -> int:
    found = admin.list_topics(timeout=10).topics.get(topic)
    return 0 if found is None or found.error else len(found.partitions)


def _stamp() -> Path:
    """Stands when .cache/kafka/libs holds what this pom.xml names."""
    digest = hashlib.sha256((HERE / "pom.xml").read_bytes()).hexdigest()[:16]
    return CACHE / "kafka" / f"libs-{digest}.complete"


def _jars() -> Path:
    """The folder of jars, fetched at the first use; two test runs at once wait for each other."""
    folder = CACHE / "kafka"
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not _stamp().exists():
            shutil.rmtree(folder / "libs", ignore_errors=True)
            done = subprocess.run(
                [
                    "mvn",
                    "-q",
                    "-B",
                    "-f",
                    str(HERE / "pom.xml"),
                    f"-Dmaven.repo.local={CACHE / 'm2'}",
                    "dependency:copy-dependencies",
                    "-DincludeScope=runtime",
                    f"-DoutputDirectory={folder / 'libs'}",
                ],
                capture_output=True,
                text=True,
                check=False,
            )
            if done.returncode:
                raise RuntimeError(f"Maven could not fetch Kafka's jars: {done.stdout[-2000:]}")
            _stamp().touch()
    return folder / "libs"


def _theirs(topic: str) -> tuple[object, ...]:
    """Where an ACL of a topic names somebody, nobody else may do anything with it."""
    pattern = (ResourceType.TOPIC, topic, ResourcePatternType.LITERAL)
    return (*pattern, "User:somebody", "*", AclOperation.READ, AclPermissionType.ALLOW)
