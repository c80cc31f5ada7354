"""A whole run with all that goes wrong on the way: no secret and no user where they do not belong (I12).

Real Kafka, real OpenSSH, a registry with a password; a refused log-in, an impostor, refused events, a replay,
dead letters brought back in; the log at level debug, in both forms. Then all that it left is searched.
"""

import base64
import contextlib
import gzip
import json
import os
import stat
import threading
import urllib.error
import urllib.request
from pathlib import Path

import pytest

from tests import conftest
from tests.parts import events as made
from tests.parts import openssh
from tests.parts.bridging import (
    Bridge,
    account,
    configuration,
    delivered,
    end,
    produce,
    stream,
)
from tests.parts.events import Load
from tests.parts.openssh import OpenSsh
from tests.parts.registry import SchemaRegistry
from tests.parts.waiting import free_port, until

pytestmark = [pytest.mark.kafka, pytest.mark.sshd]

TERM = 15
OPENED, OPEN = "locks", 0o705
"""A folder that others may enter for a while, and its mode then."""
WRONG = "wrong-horse-battery-staple"
KAFKA_PASSWORD = "kafka-horse-battery-staple"
REGISTRY_PASSWORD = "registry-horse-battery-staple"
PARTNER = "partner-customer-%06d"
REFUSED = "refused-customer-000001"
SCHEMA = 7
START = Load().start
LOAD = Load(events=300, users=60)


class Story:
    """What happened, and all that was told on the way: a name to a text."""

    def __init__(self, kafka, sshd, registry, folder):
        self.kafka, self.sshd, self.registry, self.folder = kafka, sshd, registry, folder
        self.spool = folder / "spool"
        self.told: dict[str, str] = {}
        self.modes: dict[str, set[int]] = {}
        """Of everything that was ever seen in the spool."""
        self.events = []
        self._secrets = folder / "secrets"
        self._secrets.mkdir()
        self.password = sshd.password_file.read_text().strip()
        self.port = free_port()
        self.bridge = Bridge(folder, self._configuration())
        self._produce()

    def secrets(self):
        """Every secret, each form in which it could be told."""
        plain = [self.password, WRONG, KAFKA_PASSWORD, REGISTRY_PASSWORD]
        coded = [base64.b64encode(one.encode()).decode().rstrip("=") for one in plain]
        log_in = base64.b64encode(f"reader:{REGISTRY_PASSWORD}".encode()).decode()
        return [*plain, *coded, log_in, *self.sshd.private_key_file.read_text().splitlines()[1:-1]]

    def users(self):
        """Every user id, with and without its hyphens, in lower case."""
        ids = {str(event["user_id"]).lower() for event in self.events} | {REFUSED}
        return ids | {one.replace("-", "") for one in ids}

    def run(self):
        """All of it."""
        old = os.umask(0)
        try:
            with self._watched():
                self._refused()
                self._secret("password", self.password)
                for one in self.bridge.config["accounts"]:
                    one["sftp"]["host_key"] = self.sshd.host_key
                self.bridge.config["logging"]["format"] = "console"
                self.bridge.write()
                (self.spool / OPENED).chmod(OPEN)
                self.bridge.drain()
                (self.spool / OPENED).chmod(0o700)
                self._commands()
        finally:
            os.umask(old)
        self.told["log"] = self.bridge.log.read_text()
        self.told["names"] = "\n".join(str(path) for path in (*self.files(), *delivered(self.sshd)))

    def files(self):
        """Everything in the spool, folders too."""
        return sorted(self.spool.rglob("*"))

    def _configuration(self):
        sftp = {"private_key_file": None, "password_file": self._secret("password", WRONG)}
        by_password = account(self.sshd)
        by_password["sftp"] |= sftp
        by_key = account(self.sshd, "other")
        by_key["sftp"] |= {"host": "localhost"}
        self.sshd.new_host_key()
        by_password["sftp"]["host_key"] = self.sshd.host_key
        ours = {"user_namespace": "xy", "user_table_id": "7"}
        config = configuration(
            self.kafka,
            self.sshd,
            self.folder,
            [
                stream("secret.json", inventory="display", account="other", **ours),
                stream("secret.avro", format="avro-confluent"),
            ],
            logging={"level": "debug", "format": "json"},
            http={"listen": f"127.0.0.1:{self.port}"},
            schema_registry={
                "url": self.registry.url,
                "username": "reader",
                "password_file": self._secret("registry", REGISTRY_PASSWORD),
            },
        )
        config["accounts"] = [by_password, by_key]
        config["kafka"]["secret_properties"] = {"sasl.password": self._secret("kafka", KAFKA_PASSWORD)}
        return config

    def _secret(self, name, content):
        path = self._secrets / name
        path.touch(0o600)
        path.write_text(content + "\n")
        return str(path)

    def _produce(self):
        partner = [event(PARTNER % number, START + number) for number in range(50)]
        bad = [
            event(REFUSED, START, segments=[{"segment_id": 0, "timestamp": 0}]),
            event(REFUSED + " ", START),
            event(REFUSED, START, client="Nobody"),
            event(REFUSED, 1 << 50),
        ]
        for topic in ("secret.json", "secret.avro"):
            self.kafka.create_topic(topic, 2)
        self.events += produce(self.kafka, "secret.json", [*partner, *bad], partitions=2)
        encode = made.avro_confluent(made.schema(), SCHEMA)
        self.registry.schemas[SCHEMA] = json.dumps(made.schema())
        self.events += produce(self.kafka, "secret.avro", made.make(LOAD, 3), encode, partitions=2)
        torn = encode(self.events[-1])[:-3]
        self.kafka.produce("secret.avro", [(0, str(self.events[-1]["user_id"]).encode(), torn)])
        self.kafka.produce("secret.json", [(0, REFUSED.encode(), b'{"user_id": "' + REFUSED.encode())])

    def _refused(self):
        """A wrong password, and an impostor; the pages and the process are looked at meanwhile."""
        process = self.bridge.start()
        try:
            for reason in ("authentication", "host_key"):
                until(lambda reason=reason: self._failed(reason), reason)
            for path in ("/metrics", "/healthz", "/readyz", "/", f"/{REFUSED}"):
                self.told[f"page {path}"] = self._page(path)
            for kind in ("cmdline", "environ"):
                self.told[kind] = Path(f"/proc/{process.pid}/{kind}").read_bytes().decode(errors="replace")
        finally:
            assert end(process, how=TERM) == 0, self.bridge.tail()

    def _failed(self, reason):
        return [line for line in self.bridge.events("upload_failed") if line["reason"] == reason]

    def _page(self, path):
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}", timeout=10) as answer:
                return f"{answer.headers}{answer.read().decode()}"
        except urllib.error.HTTPError as error:
            with error:
                return f"{error.headers}{error.read().decode()}"

    def _commands(self):
        """Each command's words, and that it came to an end of its own."""
        since, until_ = "2020-01-01T00:00:00Z", "2030-01-01T00:00:00Z"
        for arguments in (
            ("replay", "--from", since, "--to", until_, "--name", "again"),
            ("dead-letters", "list"),
            ("dead-letters", "list", "--json"),
            ("dead-letters", "redrive"),
            ("status",),
            ("status", "--json"),
            ("check", "--connect"),
        ):
            done = self.bridge.call(*arguments)
            self.told[" ".join(arguments)] = done.stdout + done.stderr
            assert done.returncode in {0, 1}, done.stderr
        self.bridge.config["streams"][0]["clinet"] = REGISTRY_PASSWORD
        self.bridge.config["kafka"]["properties"] = {"group.id": KAFKA_PASSWORD}
        self.bridge.write()
        done = self.bridge.call("check")
        assert done.returncode == 2
        self.told["check with faults"] = done.stdout + done.stderr

    @contextlib.contextmanager
    def _watched(self):
        """Notes the modes of all that comes and goes in the spool."""
        over = threading.Event()

        def watch():
            while not over.wait(0.003):
                for folder, folders, files in os.walk(self.spool):
                    for path in (Path(folder), *(Path(folder, name) for name in (*folders, *files))):
                        with contextlib.suppress(OSError):
                            mode = path.lstat().st_mode
                            self.modes.setdefault(str(path.relative_to(self.spool)), set()).add(mode)

        thread = threading.Thread(target=watch)
        thread.start()
        try:
            yield
        finally:
            over.set()
            thread.join()


def event(user, event_time, **more):
    """An event of the partner's stream."""
    return {
        "user_id": user,
        "segments": [{"segment_id": 5, "timestamp": 0}],
        "event_time": event_time,
    } | more


@pytest.fixture(scope="module")
def story(kafka, tmp_path_factory):
    """It happens once for all tests here."""
    conftest._need(openssh.missing())
    sshd, registry = OpenSsh(), SchemaRegistry()
    try:
        if sshd.password_file is None:
            pytest.skip("a password needs an account of its own, which only root can make")
        sshd.start()
        registry.start()
        one = Story(kafka, sshd, registry, tmp_path_factory.mktemp("story"))
        one.run()
        yield one
    finally:
        registry.stop()
        sshd.close()


def test_it_happened(story):
    """All that could have told a secret or a user was there: the search below has something to find it in."""
    told = story.told
    for line in ("authentication", "host_key", "file_uploaded", "run_sealed", "schema_fetched"):
        assert line in told["log"]
    for reason in ("invalid_segment_id", "unknown_client", "undecodable", "invalid_event_time"):
        assert reason in told["dead-letters list"] + told["page /metrics"]
    assert "s2s_bridge_events_consumed_total" in told["page /metrics"]
    assert "--config" in told["cmdline"]
    assert '"files"' in told["status --json"]
    assert "configuration is good" in told["check --connect"]
    assert "did you mean client" in told["check with faults"]
    assert any(state.is_dir() for state in (story.spool / "replays").iterdir())
    secret = base64.b64encode(f"reader:{REGISTRY_PASSWORD}".encode()).decode()
    assert f"Basic {secret}" in story.registry.log_ins
    text = b"".join(gzip.decompress(path.read_bytes()) for path in delivered(story.sshd)).decode()
    assert PARTNER % 1 in text


def test_no_secret_was_told(story):
    """Not in a log, a page, a command's words, an argument, the environment, a name; in no form of it."""
    for name, text in story.told.items():
        assert [secret for secret in story.secrets() if secret in text] == [], name


def test_no_secret_is_on_disk(story):
    """Nor in any file that the run has left: its files of secrets are the only ones."""
    coded = [secret.encode() for secret in story.secrets()]
    for path in (*story.files(), *delivered(story.sshd)):
        if path.is_file():
            content = path.read_bytes()
            content += gzip.decompress(content) if path.suffix == ".gz" else b""
            assert [secret for secret in coded if secret in content] == [], path


def test_no_user_was_told(story):
    """Nor any user id: not of accepted events, not of refused ones."""
    for name, text in story.told.items():
        lowered = text.lower()
        assert [user for user in story.users() if user in lowered] == [], name


def test_users_are_in_files_of_data_alone(story):
    """Runs, audience files and dead letters hold them, as they must; nothing else in the spool does."""
    data = {"runs", "files", "dead-letters", "replays", "beyond-horizon"}
    users = [user.encode() for user in story.users()]
    others = [path for path in story.files() if path.relative_to(story.spool).parts[0] not in data]
    assert {"ledger.sqlite", "spool.json", "numbers.json"} <= {path.name for path in others}
    for path in others:
        if path.is_file():
            assert [user for user in users if user in path.read_bytes().lower()] == [], path


def test_nobody_else_may_look_into_the_spool(story):
    """Though the umask was 0: every folder is 0700 and every file 0600, those in the making as well."""
    assert stat.S_IMODE(story.spool.stat().st_mode) == 0o700
    seen = {name.partition("/")[0] for name in story.modes}
    assert {"runs", "files", "dead-letters", "replays", "tmp", "locks", "ledger.sqlite"} <= seen
    assert any(name.startswith("tmp/") for name in story.modes)
    wide = {
        (name, stat.S_IMODE(mode))
        for name, modes in story.modes.items()
        for mode in modes
        if stat.S_IMODE(mode) != (0o700 if stat.S_ISDIR(mode) else 0o600)
    }
    assert wide <= {(OPENED, OPEN)}


def test_a_folder_that_others_opened_is_told_of(story):
    """A start on a spool that somebody has opened says so, once, with the folder; and leaves it as it is."""
    (line,) = [line for line in story.told["log"].splitlines() if "spool_open_to_others" in line]
    assert str(story.spool / OPENED) in line
    assert "chmod o-rwx" in line


def test_the_log_holds_no_traceback(story):
    """Neither the log nor a command: what went wrong is a line."""
    assert [name for name, text in story.told.items() if "Traceback" in text] == []
