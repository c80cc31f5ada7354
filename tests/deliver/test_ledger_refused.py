"""A whole deliverer whose ledger cannot be written, is lost, or is wanted by another process too."""

import errno
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from bridge.clock import DAY, MINUTE
from bridge.deliver.file_state import FileState
from bridge.deliver.ledger import LedgerFailed
from bridge.deliver.records import Outcome
from bridge.errors import BridgeError
from bridge.service.opening import LEDGER, open_ledger
from bridge.service.outside import Outside
from tests.parts.audiences import DISPLAY
from tests.parts.delivering import START, Fault, Site, Write

MIDNIGHT = START - START % DAY + DAY
ROOT = Path(__file__).parents[2]


@pytest.fixture
def disk(tmp_path):
    """A small file system of its own."""
    folder = tmp_path / "disk"
    folder.mkdir()
    if mount("-t", "tmpfs", "-o", "size=2m", "tmpfs", folder):
        pytest.skip("mounting a tmpfs is not allowed here")
    yield folder
    subprocess.run(["umount", "--lazy", folder], check=True)


def mount(*arguments):
    return subprocess.run(["mount", *arguments], check=False, capture_output=True).returncode


def built(directory, *writes, fault=Fault.UNREACHABLE, **quota):
    """A site whose files, one for each write, are built; the first upload of each has failed."""
    site = Site(directory, **quota)
    for write in writes:
        site.give(write)
    failed = set()
    site.remote.fault = lambda name: None if name in failed else failed.add(name) or fault
    site.until(lambda: len(failed) == len(writes))
    site.remote.tried.clear()
    return site


def fill(file):
    while True:
        file.write(bytes(1024))


def go_on(site):
    """Steps until something is tried."""
    site.until(lambda: site.remote.tried)


@pytest.mark.failure(9, 51)
def test_on_a_full_disk_nothing_is_uploaded(disk):
    """No room for the ledger's journal: it stops with the remedy; with room all is delivered."""
    site = built(disk, Write(1, 7))
    with (disk / "ballast").open("wb", buffering=0) as ballast:
        with pytest.raises(OSError, match=os.strerror(errno.ENOSPC)):
            fill(ballast)
        with pytest.raises(LedgerFailed, match="see that its disk has room and is writable"):
            go_on(site)
    assert site.remote.tried == []
    (disk / "ballast").unlink()
    assert site.restart() == 0
    site.deliver()
    assert len(site.remote.arrived) == 1
    assert site.differences() == []
    site.ledger.close()


@pytest.mark.failure(11, 51)
def test_on_a_read_only_disk_nothing_is_uploaded(disk):
    """The start stops with the remedy, before any upload; once writable again all is delivered."""
    site = built(disk, Write(1, 7))
    site.ledger.close()
    assert mount("-o", "remount,ro", disk) == 0
    with pytest.raises(LedgerFailed, match="see that its disk has room and is writable"):
        site.restart()
    site.ledger.close()
    assert mount("-o", "remount,rw", disk) == 0
    assert site.remote.tried == []
    assert site.restart() == 0
    site.deliver()
    assert site.differences() == []
    site.ledger.close()


@pytest.mark.failure(14, 53)
@pytest.mark.parametrize("harm", ["cut", "garbage", "gone"])
def test_a_lost_ledgers_windows_count_as_spent(tmp_path, harm):
    """Without --adopt nothing starts; with it all goes again, but nothing before the day is over."""
    site = Site(tmp_path)
    site.give(Write(1, 7), Write(2, 8))
    site.deliver()
    site.give(Write(1, 7, -1))
    site.ledger.close()
    path = site.spool.directory / LEDGER
    content = {"cut": path.read_bytes()[:-1], "garbage": b"garbage" * 999, "gone": None}[harm]
    path.unlink() if content is None else path.write_bytes(content)
    outside = Outside(clock=site.clock, remote=pytest.fail)
    with pytest.raises(BridgeError, match="--adopt"):
        open_ledger(site.spool, [site.account], outside, adopt=False)
    assert (path.read_bytes() if path.exists() else None) == content
    site.ledger = open_ledger(site.spool, [site.account], outside, adopt=True)
    site.deliverer = site._deliverer()
    before = len(site.remote.tried)
    site.deliver()
    again = [at for at, _ in site.remote.tried[before:]]
    assert again
    assert min(again) >= MIDNIGHT + site.account.quota.guard
    assert site.of(1) == set()
    assert site.of(2) == {8}
    assert site.differences() == []


RACER = """
import sys
from pathlib import Path
from bridge.config import Account, RollSettings
from bridge.deliver.deliverer import Deliverer, DelivererParts
from bridge.deliver.folder import FolderRemote
from bridge.deliver.ledger import Ledger
from bridge.deliver.observer import SilentObserver
from bridge.spool.spool import Spool
from tests.parts.clocks import HandClock

def wait():
    print("ready", flush=True)
    sys.stdin.readline()

class Waiting(SilentObserver):
    "Told of the quota that it has read, it waits for the others."
    def quota(self, account, files_remaining, bytes_remaining):
        assert files_remaining == 1
        wait()

directory, now, name = Path(sys.argv[1]), int(sys.argv[2]), sys.argv[4]
clock = HandClock(now)
deliverer = Deliverer(DelivererParts(
    account=Account.model_validate_json(sys.argv[3]),
    roll=RollSettings(max_age=0),
    spool=Spool.open(directory / "spool", clock=clock),
    ledger=Ledger.open(directory / "spool" / "ledger.sqlite"),
    remote=FolderRemote(directory / "remote", temporary_suffix=".part", clock=clock),
    clock=clock,
    observer=Waiting(),
    placeholders={},
    fallback_placeholder="9999999",
    historical_after={},
    file_room=lambda: 10**12,
    drain=lambda: False,
))
if name:
    wait()
    deliverer._uploads.upload(name)
else:
    deliverer.step()
"""


@pytest.mark.failure(56)
def test_of_processes_that_race_for_slot_20_one_gets_it(tmp_path):
    """All three have seen it free, and go on at once: one file arrives, one attempt more is counted."""
    writes = [Write(user, 7, audience=replace(DISPLAY, client=f"c{user}")) for user in range(1, 5)]
    site = built(tmp_path, *writes, fault=Fault.CUT, files_per_hour=20)
    names = [tried.file.name for tried in site.ledger.unfinished("a")]
    for _ in range(15):
        attempt = site.ledger.begin_attempt(names[3], site.clock.now(), 0, lambda _: True)
        site.ledger.end_attempt(attempt, site.clock.now(), Outcome.SPENT)
    site.clock.move(MINUTE)
    now, account = str(site.clock.now()), site.account.model_dump_json()
    racers = [
        subprocess.Popen(
            [sys.executable, "-c", RACER, tmp_path, now, account, name],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            cwd=ROOT,
            env=os.environ | {"PYTHONPATH": str(ROOT)},
            text=True,
        )
        for name in ("", *names[1:3])
    ]
    for racer in racers:
        while racer.stdout.readline() not in ("ready\n", ""):
            pass
    for racer in racers:
        racer.stdin.write("go\n")
        racer.stdin.flush()
    for racer in racers:
        racer.communicate(timeout=60)
    assert [racer.returncode for racer in racers] == [0, 0, 0]
    (arrived,) = (tmp_path / "remote").glob("*.gz")
    assert site.ledger.file(arrived.name).state is FileState.UPLOADED
    assert len(site.counted()) == 20
