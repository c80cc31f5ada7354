"""What the operator got wrong, or what is away: one clear line, nothing lost, and healed it all arrives."""

import socket
import subprocess
import urllib.request

import pytest

from tests.parts import events as made
from tests.parts.bridging import (
    Bridge,
    configuration,
    delivered,
    differences,
    end,
    produce,
    stream,
)
from tests.parts.events import Load
from tests.parts.waiting import free_port, until

pytestmark = [pytest.mark.kafka, pytest.mark.sshd]

TERM = 15
WRONG = "correct-horse-battery-staple"
UNFIT = str.maketrans({"_": "-", "[": "-", "]": None})
"""What a test's name may hold, and a stream's may not."""


@pytest.fixture
def setting(kafka, sshd, tmp_path, request):
    """A bridge that was not started yet, with events in its topic."""
    return Setting(kafka, sshd, tmp_path, f"refusals.{request.node.name.translate(UNFIT)}")


class Setting:
    """One account, one JSON topic, everything told at level debug."""

    def __init__(self, kafka, sshd, directory, topic):
        self.kafka, self.sshd, self.topic = kafka, sshd, topic
        kafka.create_topic(topic, 2)
        self.events = produce(kafka, topic, made.make(Load(events=500, users=50), 31), partitions=2)
        self.config = configuration(kafka, sshd, directory, [stream(topic)], logging={"level": "debug"})
        self.bridge = Bridge(directory, self.config)
        self.sftp = self.config["accounts"][0]["sftp"]

    def check_arrived(self):
        """Everything is on the server as it should be."""
        assert differences(self.sshd, self.events) == []

    def check_log(self):
        """No traceback, no secret, no user, and no line that is neither the log's nor the command's own."""
        text = self.bridge.log.read_text()
        for line in text.splitlines():
            assert line.startswith(("{", "s2s-bridge: ")), line
        assert "Traceback" not in text
        lowered = text.lower()
        users = {event["user_id"].lower() for event in self.events}
        assert [user for user in users if user in lowered or user.replace("-", "") in lowered] == []
        assert [secret for secret in self.secrets() if secret in text] == []

    def secrets(self):
        """The passwords, and the private key's lines."""
        yield WRONG
        yield from self.sshd.private_key_file.read_text().splitlines()[1:-1]
        if self.sshd.password_file:
            yield self.sshd.password_file.read_text().strip()

    def failed(self, reason, count=1):
        """The lines of failed uploads, once there are so many, all for this reason."""
        lines = self.bridge.wait_for("upload_failed", count)
        assert {line["reason"] for line in lines} == {reason}
        assert {line["level"] for line in lines} == {"error"}
        assert delivered(self.sshd) == []
        return lines

    def run_until_failed(self, reason):
        """Start, wait for the one line, stop in order; what it said."""
        process = self.bridge.start("--until-end")
        try:
            (line, *_) = self.failed(reason)
        finally:
            code = end(process, how=TERM)
        assert code == 0, self.bridge.tail()
        return line["detail"]


@pytest.mark.failure(39)
@pytest.mark.parametrize("kind", ["password", "key"])
def test_a_refused_log_in(setting, tmp_path, kind):
    """The line names the server and the keys to look at; with the right secret in the file all arrives."""
    if kind == "password" and setting.sshd.password_file is None:
        pytest.skip("a password needs an account of its own, which only root can make")
    file = tmp_path / "secret"
    if kind == "password":
        file.write_text(WRONG + "\n")
        del setting.sftp["private_key_file"]
        setting.sftp["password_file"] = str(file)
    else:
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(file)], check=True)
        setting.sftp["private_key_file"] = str(file)
    setting.bridge.write()
    detail = setting.run_until_failed("authentication")
    assert detail == (
        f"sftp 127.0.0.1:{setting.sshd.port}: the log-in was refused; "
        "check username and password_file or private_key_file"
    )
    right = setting.sshd.password_file if kind == "password" else setting.sshd.private_key_file
    file.write_text(right.read_text())
    setting.bridge.drain()
    setting.check_arrived()
    setting.check_log()


def test_a_missing_secret_file(setting, tmp_path):
    """The line names the file; it is not read before the log-in, so it may come later."""
    file = tmp_path / "not-yet-there"
    setting.sftp["private_key_file"] = str(file)
    setting.bridge.write()
    detail = setting.run_until_failed("authentication")
    assert f"cannot read {file}: No such file or directory" in detail
    file.write_text(setting.sshd.private_key_file.read_text())
    setting.bridge.drain()
    setting.check_arrived()
    setting.check_log()


@pytest.mark.failure(38)
def test_an_unknown_host(setting):
    """The line names the host and the key of the configuration; it is tried again; corrected, all arrives."""
    setting.sftp["host"] = "no-such-host.invalid"
    setting.bridge.write()
    process = setting.bridge.start("--until-end")
    try:
        lines = setting.failed("dns", 2)
    finally:
        code = end(process, how=TERM)
    assert code == 0, setting.bridge.tail()
    assert lines[0]["detail"].startswith(
        f"sftp no-such-host.invalid:{setting.sshd.port}: the host name is not known; check sftp.host"
    )
    setting.sftp["host"] = "127.0.0.1"
    setting.bridge.write()
    setting.bridge.drain()
    setting.check_arrived()
    setting.check_log()


@pytest.mark.failure(40)
def test_a_changed_host_key(setting):
    """Nothing is sent to an impostor; the line gives the new key's fingerprint, as ssh-keygen prints it."""
    setting.sshd.new_host_key()
    detail = setting.run_until_failed("host_key")
    public = setting.sshd.base / "ssh_host_ed25519_key.pub"
    shown = subprocess.run(
        ["ssh-keygen", "-l", "-f", str(public)], capture_output=True, text=True, check=True
    ).stdout.split()[1]
    assert detail == (
        f"sftp 127.0.0.1:{setting.sshd.port}: its host key ssh-ed25519 {shown} is not the pinned one; "
        "nothing was sent; ask its operator, then pin the new key"
    )
    assert "Accepted" not in setting.sshd.log()
    setting.sftp["host_key"] = setting.sshd.host_key
    setting.bridge.write()
    setting.bridge.drain()
    setting.check_arrived()
    setting.check_log()


def test_a_stopped_server_comes_back(setting):
    """It is tried again and again, and everything arrives without a restart; no quota is spent meanwhile."""
    setting.sshd.stop()
    process = setting.bridge.start("--until-end")
    try:
        lines = setting.failed("refused", 3)
        assert {line["outcome"] for line in lines} == {"given_back"}
        assert lines[0]["detail"].startswith(
            f"sftp 127.0.0.1:{setting.sshd.port}: nothing listens there; check sftp.host and sftp.port"
        )
        setting.sshd.start()
        assert process.wait(60) == 0, setting.bridge.tail()
    finally:
        end(process)
    setting.check_arrived()
    setting.check_log()


def test_a_missing_topic_ends_a_run_until_the_end(setting):
    """One line and exit 1; nothing is made, and with the topic there all arrives."""
    later = f"{setting.topic}.later"
    setting.config["streams"][0]["topics"].append(later)
    setting.bridge.write()
    process = setting.bridge.start("--until-end")
    try:
        assert process.wait(60) == 1, setting.bridge.tail()
    finally:
        end(process)
    told = [line for line in setting.bridge.log.read_text().splitlines() if not line.startswith("{")]
    assert told == [f"s2s-bridge: topic {later}: Kafka has no such topic: check the name or create it"]
    assert setting.kafka.admin().list_topics(timeout=10).topics.get(later) is None
    setting.kafka.create_topic(later, 2)
    setting.bridge.drain()
    setting.check_arrived()
    setting.check_log()


def test_a_missing_topic_is_waited_for(setting):
    """Without --until-end the others go on, a metric tells, and when it is made its events arrive too."""
    later, port = f"{setting.topic}.later", free_port()
    setting.config["http"]["listen"] = f"127.0.0.1:{port}"
    setting.config["kafka"]["properties"] = {"topic.metadata.refresh.interval.ms": 1000}
    setting.config["streams"][0]["topics"].append(later)
    setting.bridge.write()
    process = setting.bridge.start()
    try:
        (line, *_) = setting.bridge.wait_for("topic_missing")
        assert (line["topic"], line["remedy"]) == (later, "check the name or create it")
        assert tells_of(port, later) == "1.0"
        until(
            lambda: differences(setting.sshd, setting.events) == [], "the events of the topic that is there"
        )
        setting.kafka.create_topic(later, 2)
        more = made.make(Load(events=500, users=50), 32)
        setting.events += produce(setting.kafka, later, more, partitions=2)
        until(lambda: differences(setting.sshd, setting.events) == [], "the events of the other topic")
        assert tells_of(port, later) == "0.0"
    finally:
        code = end(process, how=TERM)
    assert code == 0, setting.bridge.tail()
    setting.check_log()


def test_a_topic_that_we_may_not_read(setting):
    """The others go on, a metric tells, and once the ACL is mended its events arrive too; or a run ends."""
    theirs, port = f"{setting.topic}.theirs", free_port()
    setting.kafka.create_topic(theirs, 2)
    more = produce(setting.kafka, theirs, made.make(Load(events=500, users=50), 33), partitions=2)
    setting.kafka.keep_from_us(theirs)
    setting.config["http"]["listen"] = f"127.0.0.1:{port}"
    setting.config["kafka"]["properties"] = {"topic.metadata.refresh.interval.ms": 1000}
    setting.config["streams"][0]["topics"].append(theirs)
    setting.bridge.write()
    process = setting.bridge.start()
    try:
        (line, *_) = setting.bridge.wait_for("topic_forbidden")
        assert (line["topic"], line["remedy"]) == (theirs, "let the user read it: check its ACLs")
        assert tells_of(port, theirs) == "1.0"
        until(lambda: differences(setting.sshd, setting.events) == [], "the events of the other topic")
        setting.kafka.leave_to_us(theirs)
        setting.events += more
        until(lambda: differences(setting.sshd, setting.events) == [], "the events of this topic")
        assert tells_of(port, theirs) == "0.0"
    finally:
        code = end(process, how=TERM)
    assert code == 0, setting.bridge.tail()
    setting.check_log()


def test_a_topic_that_we_may_not_read_ends_a_run_until_the_end(setting):
    """One line and exit 1: its end is not to be known."""
    setting.kafka.keep_from_us(setting.topic)
    try:
        setting.bridge.write()
        process = setting.bridge.start("--until-end")
        assert process.wait(60) == 1, setting.bridge.tail()
    finally:
        setting.kafka.leave_to_us(setting.topic)
    told = [line for line in setting.bridge.log.read_text().splitlines() if not line.startswith("{")]
    assert told == [
        f"s2s-bridge: topic {setting.topic}: Kafka does not let us read it: check the user's ACLs"
    ]


def tells_of(port, topic):
    """What /metrics says of whether the topic is missing."""
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=5) as answer:
        told = answer.read().decode()
    sample = f's2s_bridge_topic_unreadable{{topic="{topic}"}} '
    (value,) = [line.removeprefix(sample) for line in told.splitlines() if line.startswith(sample)]
    return value


@pytest.mark.failure(32)
def test_a_registry_that_does_not_answer(setting, registry, tmp_path):
    """The line names its address, without the log-in; when it answers, everything arrives."""
    registry.stop()
    (tmp_path / "registry-password").write_text(WRONG)
    setting.config["schema_registry"] = {
        "url": registry.url,
        "username": "somebody",
        "password_file": str(tmp_path / "registry-password"),
    }
    topic = f"{setting.topic}.avro"
    setting.kafka.create_topic(topic, 2)
    setting.config["streams"].append(stream(topic, format="avro-confluent", segment_namespace="av"))
    setting.bridge.write()
    schema = made.schema()
    registry.schemas = {1: made.json.dumps(schema)}
    avro = made.make(Load(events=500, users=50, start=Load.start + 1), 33)
    avro = [event | {"segment_namespace": "av"} for event in avro]
    with socket.create_server(("127.0.0.1", registry.port)):
        setting.events += produce(setting.kafka, topic, avro, made.avro_confluent(schema, 1), partitions=2)
        process = setting.bridge.start("--until-end")
        try:
            lines = setting.bridge.wait_for("registry_unreachable", 2)
        except BaseException:
            end(process)
            raise
    registry.start()
    try:
        assert process.wait(60) == 0, setting.bridge.tail()
    finally:
        end(process)
    assert lines[0]["stream"] == topic.replace(".", "-")
    assert lines[0]["reason"] == (
        f"schema registry {registry.url} does not answer within 5 s; see that it runs"
    )
    setting.check_arrived()
    setting.check_log()


@pytest.mark.parametrize("verb", ["run", "check"])
def test_a_bad_configuration(setting, verb):
    """Exit 2 and a line for each fault: its path, and the nearest known key."""
    setting.config["rol"] = {"max_age": "1s"}
    setting.config["window"]["max_age"] = "soon"
    setting.config["streams"][0]["clint"] = "Acme"
    setting.config["streams"][0]["format"] = "protobuf"
    setting.config["accounts"][0]["quota"]["max_file_bytes"] = "5GB"
    del setting.sftp["username"]
    setting.bridge.write()
    done = setting.bridge.call(verb)
    assert done.returncode == 2
    assert done.stdout == ""
    lines = done.stderr.splitlines()
    paths = {line.split(": ")[0] for line in lines}
    assert paths == {
        "rol",
        "window.max_age",
        "streams[0].clint",
        "streams[0].format",
        "accounts[0].quota.max_file_bytes",
        "accounts[0].sftp.username",
    }
    assert len(lines) == 6
    assert any(line.startswith("rol: ") and "roll" in line for line in lines)
    assert any(line.startswith("streams[0].clint: ") and "client" in line for line in lines)
