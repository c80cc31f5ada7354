"""The process as its operator meets it: with Kafka, without, and with a topic that is not as it should be."""

import gc
import json
import signal
import socket
import sqlite3
import subprocess
import sys
import threading
import urllib.request
import uuid
from contextlib import closing

import pytest
import yaml
from structlog.testing import capture_logs

from bridge.cli import main
from bridge.clock import SystemClock
from bridge.config import load, load_endpoint
from bridge.errors import BridgeError, UsageError
from bridge.service.syncing import SyncService
from bridge.sync.endpoint import GIF
from bridge.sync.mapping import decode
from tests.parts.kafka import Kafka
from tests.parts.waiting import free_port, until
from tests.sync.serving import MM_UUID, Site, configuration, service
from tests.sync.stores import InKafka

VISIT = f"/sync?mmuuid={MM_UUID}&dc=iad"


@pytest.mark.kafka
def test_a_visit_is_a_message_of_the_topic(kafka, tmp_path):
    """Under its key, as the schema has it; acknowledged, and counted as stored."""
    backend = InKafka(kafka)
    with service(tmp_path, kafka.bootstrap, topic=backend.topic, answer_within="30s") as one:
        site = Site(one, tmp_path)
        assert site.ask(VISIT, Cookie="s2s_id=p1").body == GIF
        assert site.outcomes() == {"stored": 1}
        assert site.ask("/opt-out", Cookie="s2s_id=p1").status == 200
    kept = backend.kept()
    assert kept.keys() == {f"acme p1 {MM_UUID}".encode(), b"acme p1"}
    assert {decode(value).data_centre for value in kept.values()} == {"iad", ""}


@pytest.mark.kafka
def test_a_topic_that_is_not_there_stops_the_start_and_is_not_made(kafka, tmp_path):
    """One line names the setting, the topic and the remedy."""
    topic = f"user-sync-{uuid.uuid4().hex}"
    with (
        pytest.raises(BridgeError, match=rf"^user_sync\.topic: Kafka shows us no topic {topic}; create it"),
        service(tmp_path, kafka.bootstrap, topic=topic),
    ):
        pass
    assert topic not in kafka.admin().list_topics(timeout=10).topics


@pytest.mark.kafka
def test_a_topic_that_loses_mappings_stops_the_start(kafka, tmp_path):
    """The brokers' default deletes; what compacts and deletes after a long time is somebody's choice."""
    topic = f"user-sync-{uuid.uuid4().hex}"
    kafka.create_topic(topic)
    with (
        pytest.raises(
            BridgeError, match=rf"topic {topic} has cleanup.policy=delete, .*; alter it to compact"
        ),
        service(tmp_path, kafka.bootstrap, topic=topic),
    ):
        pass
    both = f"user-sync-{uuid.uuid4().hex}"
    kafka.create_topic(both, 1, {"cleanup.policy": "compact,delete"})
    with service(tmp_path, kafka.bootstrap, topic=both) as one:
        assert one.port


@pytest.mark.kafka
def test_check_connect_tells_of_the_topic(kafka, tmp_path, capsys):
    """As the start would; nothing is made."""
    backend = InKafka(kafka)
    for topic, code, line in (
        (backend.topic, 0, f"user_sync.topic: ok: topic {backend.topic}, compacted"),
        ("gone", 2, "user_sync.topic: Kafka shows us no topic gone; create it with cleanup.policy=compact"),
    ):
        path = configuration(tmp_path, kafka.bootstrap, topic=topic)
        (tmp_path / "p").write_text("secret")
        main(["check", "--config", str(path), "--connect"])
        captured = capsys.readouterr()
        assert line in (captured.err if code else captured.out)


@pytest.mark.failure(66)
@pytest.mark.kafka
def test_kafka_may_come_later_and_go_in_between(tmp_path_factory, tmp_path):
    """Browsers are answered all the time; what comes meanwhile counts as not stored; no restart is needed."""
    broker = Kafka.start(tmp_path_factory.mktemp("kafka-sync"))
    try:
        backend = InKafka(broker)
        broker.stop()
        stop = threading.Event()
        settings = load(configuration(tmp_path, broker.bootstrap, topic=backend.topic), {})
        one = SyncService(settings, SystemClock())
        with capture_logs() as lines:
            running = threading.Thread(target=one.run, args=(stop,))
            running.start()
            until(lambda: one.port, "its start")
            site = Site(one, tmp_path)
            for restart in (broker.restart, broker.restart):
                assert site.ask(VISIT, Cookie="s2s_id=p1").body == GIF
                assert site.outcomes()["not_stored"] > 0
                restart()
                come_until(site, "stored")
                broker.stop()
                come_until(site, "not_stored")
            assert site.status("/readyz")[0] == 200
            stop.set()
            running.join(30)
        assert not running.is_alive()
        told = [line["event"] for line in lines if line["event"] != "librdkafka"]
        assert told[0] == "sync_store_failed"
        assert told.count("sync_store_recovered") >= 2
        broker.restart()
        assert backend.kept().keys() == {f"acme p1 {MM_UUID}".encode()}
    finally:
        broker.stop()


class Hanging(SystemClock):
    """A clock that, once it hangs, says the time only when it is allowed to."""

    def __init__(self):
        self.hangs, self.asked, self.allowed = threading.Event(), threading.Event(), threading.Event()

    def now(self):
        if not self.hangs.is_set():
            return super().now()
        self.asked.set()
        assert self.allowed.wait(60)
        return super().now()


def test_a_process_that_hangs_is_not_healthy(tmp_path):
    """Nobody is answered any more, and only a start helps; `/readyz`, which all may fail at once, is mute."""
    clock = Hanging()
    path = configuration(tmp_path, sqlite_file="sync.sqlite")
    with SyncService(load(path, {}), clock) as one:
        site = Site(one, tmp_path)
        until(lambda: site.status("/healthz") == (200, "ok\n"), "its start", 10)
        clock.hangs.set()
        visitor = threading.Thread(target=site.ask, args=(VISIT,))
        visitor.start()
        assert clock.asked.wait(10)
        assert site.status("/healthz") == (503, "browsers are not answered in time\n")
        assert site.status("/readyz")[0] == 200
        clock.allowed.set()
        visitor.join(30)
        assert site.status("/healthz") == (200, "ok\n")


def test_the_command_serves_until_it_is_told_to_stop(tmp_path):
    """SIGTERM: it ends in order, with 0, and the log says so; no file of the bridge's is needed or made."""
    port, status = free_port(), free_port()
    path = configuration(
        tmp_path,
        sqlite_file="sync.sqlite",
        listen=f"127.0.0.1:{port}",
        status_listen=f"127.0.0.1:{status}",
    )
    command = [sys.executable, "-m", "bridge", "sync", "serve", "--config", str(path)]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.PIPE)
    try:
        until(lambda: answers(status), "its start")
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/sync?kind=js") as answer:
            assert answer.read() == b""
        process.send_signal(signal.SIGTERM)
        out, err = process.communicate(timeout=30)
    finally:
        process.kill()
    assert (process.returncode, out) == (0, b"")
    assert [json.loads(line)["action"] for line in err.splitlines()] == ["sync_started", "sync_stopped"]
    assert {one.name for one in tmp_path.iterdir()} == {"bridge.yaml", "key", "sync.sqlite"}


def test_who_is_in_when_it_stops_is_answered_first(tmp_path):
    """However long user_sync.answer_within lets a mapping take; nobody else is let in meanwhile."""
    with service(tmp_path, sqlite_file="sync.sqlite", answer_within="10s") as one:
        site = Site(one, tmp_path)
        came = []
        browser = threading.Thread(target=lambda: came.append(site.ask(VISIT, Cookie="s2s_id=p1")))
        stopping = threading.Thread(target=one.__exit__)
        with closing(sqlite3.connect(site.file, isolation_level=None, check_same_thread=False)) as other:
            other.execute("BEGIN IMMEDIATE")
            browser.start()
            until(lambda: "s2s_bridge_syncs_in_flight 1.0" in site.metrics(), "the visit")
            stopping.start()
            until(lambda: not listens(one.port), "nobody to be let in")
            stopping.join(2)  # longer than a web server waits by itself
            assert not came
            other.execute("COMMIT")
        browser.join(30)
        stopping.join(30)
        assert [answer.body for answer in came] == [GIF]
        assert len(site.stored()) == 1


def listens(port):
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def come_until(site, outcome):
    """Browsers come, and are answered, until one more of them has this outcome."""
    before = site.outcomes().get(outcome, 0)

    def met():
        assert site.ask(VISIT, Cookie="s2s_id=p1").body == GIF
        return site.outcomes().get(outcome, 0) > before

    until(met, f"a visit that is {outcome}")


def answers(port):
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/healthz") as answer:
            return answer.status == 200
    except OSError:
        return False


def test_what_is_there_at_the_start_is_looked_at_no_more(tmp_path):
    """A collection that goes through all modules lets every browser wait meanwhile (docs/decisions/0054)."""
    stop = threading.Event()
    stop.set()
    frozen = gc.get_freeze_count()
    try:
        service(tmp_path, sqlite_file="sync.sqlite").run(stop)
        assert gc.get_freeze_count() > frozen
    finally:
        gc.unfreeze()


def test_a_configuration_without_the_section_is_told(tmp_path):
    """What is missing, and where it is described."""
    path = configuration(tmp_path)
    text = path.read_text()
    path.write_text(text[: text.index("user_sync")])
    with pytest.raises(UsageError, match=r"^user_sync: missing; write the section, as docs/user-sync.md"):
        SyncService(load(path, {}), SystemClock())


def test_nothing_of_a_bridge_is_needed(tmp_path):
    """Without accounts and streams it answers and stores: who breaks into its machine finds neither."""
    path = configuration(tmp_path, sqlite_file="sync.sqlite")
    document = yaml.safe_load(path.read_text())
    path.write_text(yaml.safe_dump({key: document[key] for key in ("kafka", "user_sync")}))
    with SyncService(load_endpoint(path, {}), SystemClock()) as one:
        site = Site(one, tmp_path)
        assert site.ask(VISIT, Cookie="s2s_id=p1").body == GIF
        assert [mapping.partner_id for mapping in site.stored()] == ["p1"]


def test_a_short_key_stops_the_start(tmp_path):
    """It could be guessed; the file is named, and not the key."""
    settings = configuration(tmp_path, sqlite_file="sync.sqlite")
    (tmp_path / "key").write_text("secret")
    one = SyncService(load(settings, {}), SystemClock())
    with (
        pytest.raises(BridgeError, match=r"^user_sync\.signing_key_files\[0\]: .*/key holds fewer") as told,
        one,
    ):
        pass
    assert "secret" not in str(told.value)


def test_properties_that_the_client_does_not_take_are_one_clear_line(tmp_path):
    """No traceback, and not the client's own words, which quote values."""
    path = configuration(tmp_path)
    path.write_text(path.read_text().replace("kafka:\n", "kafka:\n  properties: {no.such: 'secret'}\n"))
    one = SyncService(load(path, {}), SystemClock())
    with pytest.raises(BridgeError, match=r"^kafka\.properties: the client does not take them") as told, one:
        pass
    assert "secret" not in str(told.value)


def test_an_address_that_is_taken_names_its_setting(tmp_path):
    """Both of them, each by its own name."""
    with service(tmp_path, sqlite_file="a.sqlite") as first:
        for setting, port in (("listen", first.port), ("status_listen", first.status_port)):
            one = service(tmp_path, sqlite_file="b.sqlite", **{setting: f"127.0.0.1:{port}"})
            with pytest.raises(BridgeError, match=rf"^user_sync\.{setting}: cannot listen on"), one:
                pass
