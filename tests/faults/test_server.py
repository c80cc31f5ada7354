"""The server freezes, lies in the way, is full, or its files are taken at once, under a whole bridge."""

import contextlib
import os
import shutil
import subprocess
import threading
from datetime import UTC, datetime, timedelta

import pytest

from tests.faults.site import Site, fill
from tests.parts import oracle
from tests.parts.bridging import account, delivered, differences, stream
from tests.parts.openssh import OpenSsh
from tests.parts.waiting import until

pytestmark = [pytest.mark.kafka, pytest.mark.sshd]

ROOM = 64 * 1024
"""Bytes of the small disk of a server."""


@pytest.fixture
def site(kafka, sshd, tmp_path, request):
    return Site(kafka, sshd, tmp_path, f"server.{request.node.name}")


@pytest.fixture
def other_sshd():
    """A second server, which is never in trouble."""
    server = OpenSsh()
    try:
        server.start()
        yield server
    finally:
        server.close()


@pytest.mark.failure(41)
def test_a_frozen_server(kafka, site, other_sshd):
    """It costs one attempt and delays nobody else; thawed, its files arrive whole and once."""
    other = f"{site.topic}.other"
    kafka.create_topic(other, site.partitions)
    site.config["accounts"].append(account(other_sshd, "other") | {"partner": "Other"})
    site.config["accounts"][1]["sftp"]["host"] = "localhost"
    site.config["streams"].append(stream(other, account="other"))
    site.write()
    with site.running():
        site.bridge.wait_for("partitions_assigned")
        site.sshd.freeze()
        site.bridge.wait_for("upload_begun")
        here = site.write(topic=other)
        until(lambda: differences(other_sshd, here) == [], "the files of the other account")
        (failed, *_) = site.bridge.wait_for("upload_failed")
        site.sshd.thaw()
        assert failed["reason"] == "timeout"
        site.until_arrived()
    site.check()


@pytest.mark.failure(46)
@pytest.mark.parametrize("suffix", [".part", None])
def test_the_platform_takes_files_at_once(site, tmp_path, suffix):
    """A file that is gone before we look again counts as arrived: it is not sent a second time."""
    site.sftp["temporary_suffix"] = suffix
    taken = tmp_path / "taken"
    taken.mkdir()
    site.write()
    with taking(site.sshd, taken):
        site.drain()
        site.write()
        site.drain()
    files = sorted(taken.iterdir())
    assert oracle.same(oracle.fold(files), oracle.last_write_wins(site.events)) == []
    assert len({repr(oracle.read(path).rows) for path in files}) == len(files)
    assert site.bridge.events("upload_failed") == []


@contextlib.contextmanager
def taking(sshd, target):
    """Whatever has its final name is moved away at once."""
    over = threading.Event()

    def work():
        while not over.is_set():
            for path in delivered(sshd):
                path.rename(target / path.name)

    thread = threading.Thread(target=work)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


@pytest.mark.failure(47)
def test_the_final_name_is_taken(site):
    """A file that is not ours is never written over; the line says to move it away, and then ours arrives."""
    now = datetime.now(UTC)
    foreign = [
        site.sshd.root / f"Agency_Partner_{now + timedelta(minutes=at):%Y%m%d%H%M}.log.gz" for at in range(4)
    ]
    for path in foreign:
        path.write_bytes(b"not ours")
    site.write()
    with site.running():
        (failed, *_) = site.bridge.wait_for("upload_failed")
        assert "is not ours, move it away" in failed["detail"]
        assert {path.read_bytes() for path in foreign} == {b"not ours"}
        for path in foreign:
            path.unlink()
    site.drain()
    site.check()


@pytest.mark.failure(48)
def test_the_servers_disk_is_full(site):
    """What does not fit is removed again, so that nothing partial lies there; with room it arrives."""
    if os.geteuid() != 0:
        pytest.skip("only root can mount a small file system")
    folder = site.sshd.root / "small"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={ROOM}", "tmpfs", str(folder)]
    if subprocess.run(mount, check=False, capture_output=True).returncode:
        pytest.skip("no file system can be mounted here")
    try:
        shutil.chown(folder, site.sshd.username)
        site.sftp["directory"] = str(folder)
        ballast = folder / "ballast"
        fill(folder)
        site.write()
        with site.running():
            (failed, *_) = site.bridge.wait_for("upload_failed")
            assert failed["reason"] == "disk_full"
            assert [path.name for path in folder.iterdir()] == ["ballast"]
            ballast.unlink()
        site.drain()
        for path in folder.iterdir():
            shutil.copy(path, site.sshd.root)
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)
    folder.rmdir()
    site.check()
