"""compose.yaml, as far as it can be judged without an engine: what it mounts, and what its helpers make."""

import os
import re
import subprocess
import time
from pathlib import Path

import polars as pl
import pytest
import yaml

from bridge.audience.roster import Roster
from bridge.cli import main
from bridge.config import load
from bridge.deliver.host_keys import from_known_hosts
from bridge.ingest.decode import decoder_for
from bridge.ingest.validate import Validator
from tests.parts import dockerfile
from tests.parts.dockerfile import REPOSITORY

COMPOSE = yaml.safe_load((REPOSITORY / "compose.yaml").read_text())
SERVICES = COMPOSE["services"]
BRIDGE = SERVICES["bridge"]
HELPERS = REPOSITORY / "deploy" / "compose"
LAST = dockerfile.read().last


def mounts(service: dict) -> dict[str, str]:
    """Where in the container what is mounted."""
    return {mount.split(":")[1]: mount.split(":")[0] for mount in service["volumes"]}


def server(root: Path, *words: str) -> None:
    """What the SFTP server does at its start, below `root`."""
    subprocess.run(["sh", HELPERS / "sftp.sh", *words], check=True, env=os.environ | {"ROOT": str(root)})


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the SFTP server has made at its first start."""
    folder = tmp_path_factory.mktemp("root")
    server(folder, "true")
    return folder


@pytest.fixture(scope="module")
def configuration(root: Path) -> Path:
    """The mounted configuration, its secrets those below `root`."""
    source = mounts(BRIDGE)["/etc/s2s-bridge/bridge.yaml"]
    path = root / "bridge.yaml"
    path.write_text((REPOSITORY / source).read_text().replace("/run/s2s-bridge", f"{root}/run/s2s-bridge"))
    return path


def test_every_file_and_volume_is_there():
    """Nothing is mounted that the engine would make as an empty folder of root's."""
    for service in SERVICES.values():
        for source in mounts(service).values():
            assert (REPOSITORY / source).exists() if source.startswith(".") else source in COMPOSE["volumes"]


def test_every_image_has_a_tag_and_kafka_is_the_one_of_the_tests():
    """No service changes by itself to whatever is newest; the broker is one that the bridge is tried on."""
    images = {name: service["image"] for name, service in SERVICES.items()}
    assert all(re.fullmatch(r"[\w./-]+:[\w.-]+", image) for image in images.values())
    assert not [image for image in images.values() if image.endswith(":latest")]
    broker = re.search(
        r"<artifactId>kafka_.*?<version>(.+?)<",
        (REPOSITORY / "tests/parts/kafka/pom.xml").read_text(),
        re.DOTALL,
    )
    assert broker
    assert images["kafka"] == images["events"] == f"apache/kafka:{broker[1]}"


def test_the_bridge_has_no_rights_and_writes_where_the_image_says():
    """Compose shows the bridge as it should run anywhere: no capability, a root that cannot be written."""
    assert BRIDGE["read_only"] is True
    assert BRIDGE["cap_drop"] == ["ALL"]
    assert BRIDGE["security_opt"] == ["no-new-privileges:true"]
    assert not {"privileged", "cap_add", "user"} & set(BRIDGE)
    assert [mount.split(":")[0] for mount in BRIDGE["tmpfs"]] == ["/tmp"]
    writable = {mount.split(":")[1] for mount in BRIDGE["volumes"] if not mount.endswith(":ro")}
    assert writable == {LAST.one("VOLUME")}
    assert BRIDGE["ports"] == [f"127.0.0.1:8080:{LAST.one('EXPOSE')}"]
    assert int(BRIDGE["stop_grace_period"].removesuffix("s")) > 25, "contract.md: a stop takes up to 25 s"


def test_the_mounted_configuration_is_good(configuration: Path, capsys: pytest.CaptureFixture[str]):
    """With what the server leaves it, `check` finds no fault and warns of nothing."""
    assert main(["check", "--config", str(configuration)]) == 0
    assert capsys.readouterr() == ("configuration is good: 1 account, 1 stream\n", "")
    settings = load(configuration, {})
    assert str(settings.spool.directory) == LAST.one("VOLUME")
    host, port = settings.kafka.bootstrap_servers.split(":")
    assert f"PLAINTEXT://{host}:{port}" in SERVICES["kafka"]["environment"]["KAFKA_ADVERTISED_LISTENERS"]
    assert settings.accounts[0].sftp.host in SERVICES
    assert "BOOTSTRAP" in SERVICES["events"]["environment"]


def test_the_server_shows_the_key_and_takes_the_password_that_the_bridge_was_given(root: Path):
    """Both sides get the same; the bridge's files are its user's alone, and no private key is among them."""
    shared = root / "run" / "s2s-bridge"
    assert sorted(path.name for path in shared.iterdir()) == ["known_hosts", "sftp-password"]
    pinned = from_known_hosts((shared / "known_hosts").read_text().splitlines(), "sftp", 22)
    public = (root / "etc/ssh/ssh_host_ed25519_key.pub").read_text().split()[1]
    assert [len(pinned.accepted), public in (shared / "known_hosts").read_text()] == [1, True]
    password = (shared / "sftp-password").read_text()
    assert re.fullmatch(r"[0-9a-f]{48}", password)
    assert (root / "etc/sftp/users.conf").read_text() == f"agency:{password}:::upload\n"
    user = int(LAST.one("USER").split(":")[0]) if os.geteuid() == 0 else os.geteuid()
    for path in (shared, *shared.iterdir()):
        assert (path.stat().st_uid, path.stat().st_mode & 0o077) == (user, 0)


def test_a_second_start_of_the_server_changes_nothing(root: Path):
    """Key and password outlive the server's container: the bridge has them pinned."""
    shared = root / "run" / "s2s-bridge"
    before = {path: path.read_bytes() for path in shared.iterdir()}
    server(root, "true")
    assert {path: path.read_bytes() for path in shared.iterdir()} == before


def test_every_sample_event_is_accepted(configuration: Path, tmp_path: Path):
    """What the events' service writes becomes memberships of four audiences, and no dead letter."""
    for name in ("kafka-topics.sh", "kafka-console-producer.sh"):
        tool = tmp_path / name
        tool.write_text(
            f'#!/bin/sh\necho "$@" >{tmp_path}/{name}.arguments\n' + "cat\n" * ("producer" in name)
        )
        tool.chmod(0o755)
    printed = subprocess.run(
        [HELPERS / "events.sh"],
        env=os.environ | {"KAFKA": str(tmp_path), "BOOTSTRAP": "kafka:9092", "EVENTS": "500"},
        capture_output=True,
        check=True,
    )
    *values, told = printed.stdout.splitlines()
    assert told == b"500 events are in the topic segments"
    (stream,) = load(configuration, {}).streams
    assert f"--topic {stream.topics[0]} " in (tmp_path / "kafka-topics.sh.arguments").read_text()
    decoded = decoder_for(stream, None).decode(values)
    assert (len(decoded.events), decoded.refused) == (500, ())
    roster = Roster()
    result = Validator(stream, roster).sort_out(decoded.events, int(time.time() * 1000))
    assert result.refused == ()
    rows = pl.concat(result.frames)
    assert len(rows) == 500
    assert rows["audience"].n_unique() == 4
