"""Events, files, the platform's loader, its processing log, and what a person then reads."""

import json
import threading
from pathlib import Path

import httpx2 as httpx
import pytest

from bridge.clock import SystemClock
from bridge.config import Account, load
from bridge.deliver.remote import unheard
from bridge.deliver.sftp import SftpRemote
from bridge.sandbox.rules import Rules
from bridge.sandbox.sandbox import Sandbox
from bridge.sandbox.settings import Settings
from bridge.sandbox.site import SandboxSite
from bridge.service.outside import Outside
from bridge.service.service import Service
from tests.parts import bridging, oracle
from tests.parts import events as made
from tests.parts.bridging import Bridge, end
from tests.parts.events import Load
from tests.parts.waiting import free_port, until
from tests.sandbox.test_whole_way import LOOPBACK, TOPIC, configured, held

PATIENCE = 180
"""Seconds: several processes start one after another."""

SOON = {"window": {"max_age": "500ms"}, "roll": {"max_age": "1s"}}


class CorruptingRemote(SftpRemote):
    """A line that changes a byte in the middle of each file: of the right size, it is no gzip any more."""

    def upload(self, local, name, progress, measured=unheard):
        content = bytearray(local.read_bytes())
        content[len(content) // 2] ^= 0xFF
        broken = local.with_name(f"{local.name}.broken")
        broken.write_bytes(content)
        try:
            return super().upload(broken, name, progress, measured)
        finally:
            broken.unlink()


class Platform:
    """A sandbox, and a bridge pointed at it by what it says."""

    def __init__(self, kafka, sandbox: Sandbox, directory: Path, topic: str) -> None:
        self.kafka = kafka
        self.sandbox = sandbox
        self.topic = topic
        self.events: list[dict] = []
        self.page = f"127.0.0.1:{free_port()}"
        config = configured(kafka, sandbox, directory) | SOON | {"http": {"listen": self.page}}
        config["streams"][0]["topics"] = [topic]
        config["accounts"][0]["platform"]["processing_log"]["poll"] = "500ms"
        self.bridge = Bridge(directory, config)

    def produce(self, count: int, seed: int) -> None:
        events = made.make(Load(events=count, users=50, clients=(None,)), seed)
        self.events += bridging.produce(self.kafka, self.topic, events, seed=seed)

    def drain_corrupting(self) -> None:
        """`run --until-end`, over a line that corrupts."""
        clock = SystemClock()

        def remote(account: Account) -> CorruptingRemote:
            return CorruptingRemote(account.sftp, clock)

        outside = Outside(clock=clock, remote=remote)
        Service(load(self.bridge.path, {}), outside, until_end=True, adopt=False).run(threading.Event())

    def files(self) -> list[dict]:
        return json.loads(self.bridge.call("status", "--json").stdout)["files"]

    def get(self, path: str) -> str:
        return httpx.get(f"http://{self.page}{path}").text

    def metric(self, name: str) -> float:
        lines = self.get("/metrics").splitlines()
        return sum(float(line.split()[-1]) for line in lines if line.startswith(f"s2s_bridge_{name}{{"))

    def until_processed(self) -> None:
        """The sandbox has nothing left to do."""
        until(lambda: all(one.processed_at is not None for one in self.sandbox.processing.records()), "files")

    def differences(self) -> list[str]:
        return oracle.same(held(self.sandbox), oracle.last_write_wins(self.events))


@pytest.fixture
def platform(kafka, tmp_path, request):
    topic = f"{TOPIC}.{request.node.name}"
    kafka.create_topic(topic, 4)
    settings = Settings(http=LOOPBACK, sftp=LOOPBACK, rules=Rules(account="sandbox"))
    with Sandbox(SandboxSite(tmp_path / "sandbox"), settings, SystemClock()) as sandbox:
        yield Platform(kafka, sandbox, tmp_path, topic)


@pytest.mark.kafka
def test_what_the_platform_has_loaded_is_confirmed(platform):
    """Events become files, the sandbox loads them, and status, metrics and the file's way say so."""
    bridge = platform.bridge
    platform.produce(500, 1)
    process = bridge.start()
    try:
        bridge.wait_for("file_confirmed", 2, PATIENCE)
        until(lambda: platform.differences() == [], "all to be loaded", PATIENCE)
        until(
            lambda: {one["state"] for one in platform.files()} == {"confirmed"},
            "all to be confirmed",
            PATIENCE,
        )
        assert platform.metric("files_unconfirmed") == 0
        assert platform.metric("files_confirmed_total") == len(platform.files())
        assert platform.metric("lines_accepted_total") == sum(one["lines"] for one in platform.files())
        assert platform.metric("processing_log_reachable") == 1
    finally:
        assert end(process, how=bridging.signal.SIGTERM) == 0, bridge.tail()
    for one in platform.files():
        told = {key: one[key] for key in ("state", "lines_accepted", "lines_refused", "reason", "overdue")}
        expected = {"state": "confirmed", "lines_accepted": one["lines"], "lines_refused": 0}
        assert told == expected | {"reason": None, "overdue": False}
        assert one["processed_at"] >= one["uploaded_at"]
    shown = bridge.call("status", "--file", platform.files()[0]["name"]).stdout
    assert "confirmed" in shown
    assert "the platform took" in shown
    assert bridge.events("file_rejected") == bridge.events("processing_log_unreachable") == []


@pytest.mark.failure(62)
@pytest.mark.kafka
def test_a_corrupted_file_is_rejected_shown_resent_and_confirmed(platform):
    """Nothing of it is lost: the platform holds in the end what last-write-wins gives over all events."""
    bridge = platform.bridge
    platform.produce(500, 2)
    platform.drain_corrupting()
    platform.until_processed()
    bad = [one["name"] for one in platform.files()]
    told = [one["name"] for one in platform.files() if one["state"] == "rejected"]
    said = bridge.call("reconcile")
    assert (said.returncode, said.stderr) == (0, "")
    for name in set(bad) - set(told):  # the bridge itself may have asked before it ended
        assert f"{name}: rejected, lines: 0 accepted, 0 refused: not gzip, or damaged" in said.stdout
    assert {one["state"] for one in platform.files()} == {"rejected"}
    assert {one["reason"][:20] for one in platform.files()} == {"not gzip, or damaged"}
    assert "not gzip, or damaged" in bridge.call("status").stdout
    assert "files resend" in bridge.call("status", "--file", bad[0]).stdout
    process = bridge.start()
    try:
        until(
            lambda: f"s2s-bridge files resend {bad[0]}" in _page(platform), "the remark on the page", PATIENCE
        )
        until(lambda: platform.metric("files_not_resent") == len(bad), "the metric")
        assert bridge.call("files", "resend", *bad).returncode == 0
        bridge.wait_for("file_confirmed", len(bad), PATIENCE)
        until(lambda: platform.metric("files_not_resent") == 0, "nobody to be needed any more")
    finally:
        assert end(process, how=bridging.signal.SIGTERM) == 0, bridge.tail()
    states = {one["name"]: one["state"] for one in platform.files()}
    assert {states.pop(name) for name in bad} == {"rejected"}
    assert set(states.values()) == {"confirmed"}
    assert platform.differences() == []


def _page(platform: Platform) -> str:
    try:
        return platform.get("/")
    except httpx.TransportError:
        return ""
