"""Locks between real processes."""

import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from bridge.clock import MINUTE, SystemClock
from bridge.spool.locks import Lock, LockHeld

HOLDER = """
import sys
from pathlib import Path
from bridge.clock import SystemClock
from bridge.spool.locks import Lock
with Lock(Path(sys.argv[1])).acquire(0, SystemClock()):
    print("held", flush=True)
    sys.stdin.read()
"""


class CountingClock:
    """A clock whose waits pass at once."""

    def __init__(self):
        self.waited = 0

    def now(self):
        return self.waited

    def wait(self, signal, duration):
        self.waited += duration
        return signal.is_set()


@pytest.fixture
def holder(tmp_path):
    """Another process that holds the lock until its stdin is closed."""
    with subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(tmp_path / "ingest.lock")],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        cwd=Path(__file__).parents[2],
    ) as process:
        assert process.stdout.readline() == b"held\n"
        yield process
        process.kill()


def test_a_lock_that_another_process_holds_is_refused_by_name(tmp_path, holder):
    """Who cannot have the lock within its time is told which process on which host to stop."""
    clock = CountingClock()
    with pytest.raises(LockHeld, match=rf"process {holder.pid} on host {os.uname().nodename}.*waited 60 s"):
        Lock(tmp_path / "ingest.lock").acquire(MINUTE, clock)
    assert clock.waited == MINUTE


def test_a_killed_holder_leaves_no_lock(tmp_path, holder):
    """SIGKILL frees the lock: nobody must remove a file by hand."""
    holder.kill()
    holder.wait()
    with Lock(tmp_path / "ingest.lock").acquire(0, SystemClock()) as lock:
        assert lock.holder() == f"process {os.getpid()} on host {os.uname().nodename}"


def test_a_waiting_process_gets_the_lock_when_it_is_released(tmp_path, holder):
    """Waiting ends with the lock as soon as the other process lets go of it."""
    releaser = threading.Thread(target=holder.stdin.close)
    releaser.start()
    with Lock(tmp_path / "ingest.lock").acquire(MINUTE, SystemClock()):
        releaser.join()


def test_two_holders_in_one_process_exclude_each_other(tmp_path):
    """Threads of a process are kept apart as processes are."""
    first, second = Lock(tmp_path / "a.lock"), Lock(tmp_path / "a.lock")
    with first.acquire(0, SystemClock()), pytest.raises(LockHeld):
        second.acquire(0, SystemClock())
    with second.acquire(0, SystemClock()):
        pass


def test_waiting_ends_when_the_process_is_told_to_stop(tmp_path):
    """A stop signal ends the waiting without the lock."""
    stop = threading.Event()
    stop.set()
    with Lock(tmp_path / "a.lock").acquire(0, SystemClock()), pytest.raises(LockHeld):
        Lock(tmp_path / "a.lock").acquire(MINUTE, SystemClock(), stop)


def test_a_lock_whose_holder_wrote_nothing_is_still_a_lock(tmp_path):
    """Between taking and signing, or on a full disk, the holder is unknown, but holds."""
    path = tmp_path / "a.lock"
    with Lock(path).acquire(0, SystemClock()):
        path.write_text("garbage")
        with pytest.raises(LockHeld, match="an unknown process"):
            Lock(path).acquire(0, SystemClock())
