"""Stopped, killed, frozen, doubled: what becomes of the process and of those that come after it."""

import contextlib
import signal
import socket
import uuid
from datetime import datetime
from pathlib import Path

import pytest

from tests.faults.site import Site
from tests.parts import events as made
from tests.parts.bridging import end
from tests.parts.events import Load
from tests.parts.proxy import Proxy
from tests.parts.waiting import free_port

pytestmark = [pytest.mark.kafka, pytest.mark.sshd]

IN_ORDER = 25
"""Seconds that a stop may take (contract.md, Commands)."""

EVENTS = 400
"""Of almost a megabyte each."""

MOST = 600 * 1024 * 1024
"""Bytes of memory: less than the process's own, the window's and all those events."""


@pytest.fixture
def site(kafka, sshd, tmp_path, request):
    return Site(kafka, sshd, tmp_path, f"processes.{request.node.name}")


@pytest.fixture
def proxy(sshd, site):
    """Between the bridge and its server."""
    one = Proxy(sshd.port)
    site.sftp["port"] = one.port
    yield one
    one.close()


@contextlib.contextmanager
def before_the_assignment(site):
    """No broker answers yet."""
    address = site.config["kafka"]["bootstrap_servers"]
    site.config["kafka"]["bootstrap_servers"] = f"127.0.0.1:{free_port()}"
    with site.running() as process:
        site.bridge.wait_for("source_unavailable")
        yield process
    site.config["kafka"]["bootstrap_servers"] = address


@contextlib.contextmanager
def with_an_open_window(site):
    """All is read, nothing is sealed."""
    site.config["window"]["max_age"] = "1h"
    site.config["http"]["listen"] = f"127.0.0.1:{free_port()}"
    with site.running() as process:
        site.until_consumed()
        yield process


@contextlib.contextmanager
def while_it_waits_for_quota(site):
    """One file an hour, which is gone; the other audience waits."""
    site.config["accounts"][0]["quota"]["files_per_hour"] = 1
    with site.running("--until-end") as process:
        site.bridge.wait_for("file_uploaded")
        yield process
    site.config["accounts"][0]["quota"]["files_per_hour"] = 1000


@contextlib.contextmanager
def while_the_server_is_away(site):
    """Uploads fail."""
    site.sshd.stop()
    with site.running("--until-end") as process:
        site.bridge.wait_for("upload_failed")
        yield process
    site.sshd.start()


@contextlib.contextmanager
def while_the_broker_is_frozen(site):
    """Commits are not answered."""
    site.config["window"]["max_age"] = "1h"
    site.config["http"]["listen"] = f"127.0.0.1:{free_port()}"
    with site.running() as process:
        site.until_consumed()
        site.kafka.pause()
        try:
            yield process
        finally:
            site.kafka.resume()


STATES = {
    "before the assignment": before_the_assignment,
    "with an open window": with_an_open_window,
    "while it waits for quota": while_it_waits_for_quota,
    "while the server is away": while_the_server_is_away,
    "while the broker is frozen": while_the_broker_is_frozen,
}


@pytest.mark.failure(58)
@pytest.mark.parametrize("state", STATES)
def test_stopped_in_any_state(site, state):
    """It ends in order within 25 s, with what it read sealed; the next start delivers all of it, once."""
    site.write()
    with STATES[state](site) as process:
        process.send_signal(signal.SIGTERM)
        assert process.wait(IN_ORDER) == 0, site.bridge.tail()
    site.config["window"]["max_age"] = "500ms"
    site.write()
    site.drain()
    site.check()


@pytest.mark.failure(58)
@pytest.mark.parametrize("goes_on", [True, False])
def test_stopped_in_the_middle_of_an_upload(proxy, site, goes_on):
    """It is finished if the server takes it, else left within 25 s: whole or not there, and once."""
    proxy.stall_after = 10_000
    site.write(events=3_000, users=3_000)
    with site.running("--until-end") as process:
        site.until(lambda: proxy.stalled, "the middle of an upload")
        process.send_signal(signal.SIGTERM)
        if goes_on:
            proxy.stall_after = None
        assert process.wait(IN_ORDER) == 0, site.bridge.tail()
        assert bool(site.bridge.events("upload_abandoned")) != goes_on
        assert bool(site.bridge.events("file_uploaded")) == goes_on
    proxy.stall_after = None
    site.drain()
    site.check()


@pytest.mark.failure(58)
def test_a_second_signal(proxy, site):
    """It ends the process at once, in the middle of an upload; nothing is lost, nothing partial is left."""
    proxy.stall_after = 10_000
    site.write(events=3_000, users=3_000)
    with site.running("--until-end") as process:
        site.until(lambda: proxy.stalled, "the middle of an upload")
        process.send_signal(signal.SIGTERM)
        process.send_signal(signal.SIGINT)
        assert process.wait(5) in (128 + signal.SIGTERM, 128 + signal.SIGINT)
    proxy.stall_after = None
    site.drain()
    site.check()


@pytest.mark.failure(21, 50)
def test_killed_in_the_middle_of_an_upload(proxy, site):
    """What was sent of the file is no file; it is sent again as it was, and counts twice in the quota."""
    proxy.stall_after = 10_000
    site.write(events=3_000, users=3_000)
    with site.running("--until-end") as process:
        site.until(lambda: proxy.stalled, "the middle of an upload")
        end(process)
    proxy.stall_after = None
    site.drain()
    (left,) = site.bridge.events("attempt_left_open")
    assert (left["file"], left["attempt"]) == (site.status("files")[-1]["name"], 1)
    site.check()


@contextlib.contextmanager
def twin_at_the_lock(site):
    """A second process with the same spool, which waits for its lock: its pages are there by then."""
    site.config["http"]["listen"] = f"127.0.0.1:{free_port()}"
    site.bridge.write()
    process = site.bridge.start()
    try:
        site.until(site.answers, "the twin's pages")
        yield process
    finally:
        end(process)


@pytest.mark.failure(16, 59)
def test_a_twin_waits_for_a_frozen_process_and_takes_over_from_a_dead_one(site):
    """As long as the first one lives it has the spool; killed, the twin goes on where it stopped."""
    site.write()
    with site.running() as first:
        site.until_committed()
        first.send_signal(signal.SIGSTOP)
        with twin_at_the_lock(site) as twin:
            site.write()
            assert len(site.bridge.events("started")) == 1
            end(first)
            site.process = twin
            site.until_committed()
            assert end(twin, signal.SIGTERM) == 0, site.bridge.tail()
    site.drain()
    site.check(copies=1)


TAKEN_OVER = 5
"""Seconds in which the second of two processes works, once the first has ended."""


def seconds_between(first, second):
    """By the times of two log lines."""
    began, ended = (datetime.fromisoformat(line["timestamp"]) for line in (first, second))
    return (ended - began).total_seconds()


@pytest.mark.failure(16, 58)
def test_a_rolling_restart_whose_processes_overlap(site):
    """The second one says whom it waits for; the first ends in order, the second goes on soon: all once."""
    site.write()
    with site.running() as first:
        site.bridge.wait_for("run_sealed")
        with twin_at_the_lock(site) as twin:
            (line,) = site.bridge.wait_for("lock_awaited")
            assert line["held_by"] == f"process {first.pid} on host {socket.gethostname()}"
            site.write()
            assert end(first, signal.SIGTERM) == 0, site.bridge.tail()
            site.process = twin
            site.write()
            site.until_arrived()
            _, taken_over = site.bridge.wait_for("started", 2)
            (stopped,) = site.bridge.events("stopped")
            assert seconds_between(stopped, taken_over) < TAKEN_OVER
            assert end(twin, signal.SIGTERM) == 0, site.bridge.tail()
    site.check()


@pytest.mark.failure(16, 58)
def test_a_second_process_on_a_spool_is_stopped_while_it_waits(site):
    """It names the holder's process and host, and ends; the first one is not disturbed."""
    site.write()
    with site.running() as first:
        site.until_committed()
        with twin_at_the_lock(site) as twin:
            assert end(twin, signal.SIGTERM) == 0, site.bridge.tail()
        (line,) = site.bridge.events("stopped_waiting")
        assert f"is held by process {first.pid} on host {socket.gethostname()}" in line["waited_for"]
        site.write()
        site.until_committed()
    site.drain()
    site.check()


@pytest.mark.failure(37)
def test_large_events_do_not_swell_the_memory(site):
    """A topic of events as large as they may be takes no more memory than window and prefetch say."""
    padding = b" " * 850_000
    values = [made.json_text(large(number)) + padding for number in range(EVENTS)]
    site.kafka.produce(site.topic, [(number % 2, None, value) for number, value in enumerate(values)])
    with site.running() as process:
        site.until(lambda: site.offsets() == {0: EVENTS // 2, 1: EVENTS // 2}, "the commits")
        assert peak(process.pid) < MOST


def large(number):
    """An event of 2,000 memberships, about 100 kB."""
    return {
        "user_id": str(uuid.UUID(int=number + 1)),
        "segments": [
            {"segment_id": segment, "timestamp": 1_790_000_000 + number} for segment in range(1, 2_001)
        ],
        "event_time": Load.start + number,
    }


def peak(pid):
    """The most memory that the process had so far, bytes."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM"))
