"""The bridge's own disk is full, fails, shrinks, or is gone; the child process is the real one."""

import contextlib
import errno
import os
import resource
import shutil
import subprocess
from pathlib import Path

import pytest

from bridge.clock import SystemClock
from bridge.spool.spool import Spool
from tests.faults.site import Site, fill
from tests.parts.bridging import ends

pytestmark = [pytest.mark.kafka, pytest.mark.sshd]

ROOM = 20_000_000
"""Bytes of a small disk."""

LIMIT = 250_000
"""Bytes that a file may have: more than the ledger's and the log's, less than a run's."""


@pytest.fixture
def site(kafka, sshd, tmp_path, request):
    return Site(kafka, sshd, tmp_path, f"disk.{request.node.name}")


@contextlib.contextmanager
def mounted(*arguments):
    """A mount at the last argument, for a while."""
    if os.geteuid() != 0:
        pytest.skip("only root can mount")
    done = subprocess.run(["mount", *arguments], check=False, capture_output=True, text=True)
    if done.returncode:
        pytest.skip(f"nothing can be mounted here: {done.stderr.strip()}")
    try:
        yield Path(arguments[-1])
    finally:
        subprocess.run(["umount", "--lazy", arguments[-1]], check=True)


@pytest.fixture
def small(site):
    """The spool is on a disk of its own, of ROOM bytes."""
    site.spool.mkdir(mode=0o700)
    with mounted("-t", "tmpfs", "-o", f"size={ROOM},mode=700", "tmpfs", str(site.spool)) as disk:
        yield disk


@pytest.fixture(scope="module")
def library(tmp_path_factory):
    """fault.c, compiled."""
    compiler = shutil.which("cc")
    if compiler is None:
        pytest.skip("a C compiler is missing")
    target = tmp_path_factory.mktemp("fault") / "fault.so"
    source = Path(__file__).with_name("fault.c")
    subprocess.run([compiler, "-shared", "-fPIC", "-O1", "-o", target, source, "-ldl"], check=True)
    return target


@contextlib.contextmanager
def faulty(monkeypatch, library, *, call, path, number):
    """The disk of children started within fails once, when the yielded file is there; then that is gone."""
    trigger = library.with_name("trigger")
    trigger.unlink(missing_ok=True)
    names = {
        "LD_PRELOAD": str(library),
        "FAULT_CALL": call,
        "FAULT_PATH": path,
        "FAULT_ERRNO": str(number),
        "FAULT_FILE": str(trigger),
    }
    with monkeypatch.context() as patch:
        for name, value in names.items():
            patch.setenv(name, value)
        yield trigger


@pytest.mark.failure(9)
def test_no_room_for_a_run(small, site):
    """Nothing is committed while there is none, and the member stays; with room all goes on by itself."""
    site.config["roll"]["max_age"] = "1h"
    site.write()
    with site.running():
        site.until_committed()
        before = site.offsets()
        fill(small)
        site.write()
        lines = site.bridge.wait_for("seal_failed", 3)
        assert "the disk is full" in lines[0]["reason"]
        assert site.offsets() == before
        (small / "ballast").unlink()
        site.until_committed()
    assert len(site.bridge.events("partitions_assigned")) == 1
    site.drain()
    site.check()


@pytest.mark.failure(9)
def test_no_room_for_the_ledger(small, site):
    """Where an upload cannot be written down none begins, the process ends; with room all arrives, once."""
    site.config["roll"]["max_age"] = "3s"
    site.write()
    with site.running() as process:
        site.until_committed()
        fill(small)
        assert process.wait(60) == 1, site.bridge.tail()
    assert "ledger cannot be used (database or disk is full)" in site.last_words()
    assert site.sshd.files() == []
    (small / "ballast").unlink()
    site.drain()
    site.check()


@pytest.mark.failure(9)
def test_a_start_without_room(small, site):
    """One line that names the disk, and exit 1; with room all arrives."""
    site.write()
    fill(small)
    assert "disk" in site.fails()
    (small / "ballast").unlink()
    site.drain()
    site.check()


@pytest.mark.failure(9)
def test_closing_a_file_fails(monkeypatch, library, site):
    """What was synced before is durable, whatever its close says: nothing is lost and nothing comes twice."""
    disk = faulty(monkeypatch, library, call="close", path="/spool/runs/", number=errno.ENOSPC)
    with disk as trigger, site.running():
        site.bridge.wait_for("partitions_assigned")
        trigger.touch()
        site.write()
        site.until(lambda: not trigger.exists(), "the failing close")
        site.until_committed()
    site.drain()
    site.check()


@pytest.mark.failure(8)
@pytest.mark.parametrize("path", ["/spool/tmp/", "/spool/ledger"], ids=["run", "ledger"])
def test_one_sync_fails(monkeypatch, library, site, path):
    """The process ends at once with a line; what it could not trust is not committed, nor counted as sent."""
    disk = faulty(monkeypatch, library, call="fsync", path=path, number=errno.EIO)
    with disk as trigger, site.running() as process:
        site.bridge.wait_for("partitions_assigned")
        trigger.touch()
        site.write()
        assert process.wait(60) == 1, site.bridge.tail()
        assert not trigger.exists()
    assert str(site.spool) in site.last_words()
    if path == "/spool/tmp/":
        assert site.offsets() == {}
    site.drain()
    site.check()


@pytest.mark.failure(10)
def test_a_run_above_the_limit_of_a_file(site):
    """Written in part, then refused: the process ends with a line, no part is left, and nothing is lost."""
    with site.running() as process:
        site.bridge.wait_for("partitions_assigned")
        resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (LIMIT, LIMIT))
        site.write(events=15_000, users=15_000)
        assert process.wait(60) == 1, site.bridge.tail()
    assert "the disk failed (File too large)" in site.last_words()
    assert [path.name for path in (site.spool / "tmp").iterdir()] == []
    site.drain()
    site.check()


@pytest.mark.failure(11)
def test_the_disk_becomes_read_only(site):
    """The process ends with a line that names it, and nothing is committed; writable again, all arrives."""
    site.write()
    with site.running() as process:
        site.until_committed()
        spool = str(site.spool)
        with mounted("--bind", spool, spool):
            subprocess.run(["mount", "-o", "remount,bind,ro", spool], check=True)
            before = site.offsets()
            site.write()
            assert process.wait(60) == 1, site.bridge.tail()
            assert site.offsets() == before
            assert "read-only" in site.last_words().lower()
            assert "read-only" in site.fails().lower()
    site.drain()
    site.check()


@pytest.mark.failure(15)
def test_the_spool_is_lost(site):
    """What is committed and in no spool is told with both ways out; adopted, it goes on behind that."""
    site.write()
    site.drain()
    shutil.rmtree(site.spool)
    before = ends(site.events)
    site.write()
    line = site.fails()
    assert "was committed by another spool or tool" in line
    assert "--adopt" in line
    assert "reset the group's offsets" in line
    assert site.offsets() == before
    with site.running("--adopt"):
        site.until_committed()
    with site.running():
        site.bridge.wait_for("partitions_assigned", 3)
    held = Spool.open(site.spool, clock=SystemClock()).positions().values()
    assert {position.partition: position.next_offset for position in held} == ends(site.events)
