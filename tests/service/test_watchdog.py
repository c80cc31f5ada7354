"""Whose silence ends the process: threads that work and hang, and nobody else's."""

import subprocess
import sys
import threading

import pytest

from bridge.clock import MINUTE, SECOND
from bridge.observe.health import SILENCE, Health
from bridge.observe.metrics import Metrics
from bridge.observe.silence import Patience
from bridge.service.watchdog import Watchdog, watched
from bridge.spool.run import RunDamaged
from tests.parts.clocks import HandClock
from tests.parts.waiting import until

START = 1_790_000_000_000


class Site:
    """Threads, their beats, and what their watchdog said."""

    def __init__(self):
        self.clock = HandClock(START)
        self.health = Health(lambda: True)
        self.threads = watched(self.health, self.clock)
        self.said: list[str] = []
        self.go_on = threading.Event()
        patience = Patience()
        self.watchdog = Watchdog(self.threads, self.health, self.clock, patience, self.said.append)

    def look(self, duration, *, beating=()):
        """So long, with a look each second, while these threads beat."""
        for _ in range(duration // SECOND):
            self.clock.move(SECOND)
            for name in beating:
                self.health.beat(name, self.clock.now())
            self.watchdog.look()

    def ended(self, thread):
        """Wait until it has."""
        until(lambda: not thread.is_alive(), "its end", 10)


@pytest.fixture
def site():
    one = Site()
    yield one
    one.go_on.set()


def test_a_thread_that_hangs_before_its_first_beat_is_found(site):
    """Silence counts from the thread's start on; the line names it and how long, and no other."""
    site.threads.start("deliver a", site.go_on.wait)
    site.threads.start("housekeeping", site.go_on.wait)
    site.look(SILENCE + 4 * MINUTE, beating=["housekeeping"])
    assert site.said == []
    assert site.health.faults(site.clock.now()) == ["thread deliver a has been silent for 540 s"]
    site.look(MINUTE + SECOND, beating=["housekeeping"])
    assert site.said[0] == (
        "hung thread, silent: deliver a for 600 s; the process ends, what was not durable is done again at "
        "the next start; see disk and network"
    )


def test_a_thread_that_is_through_makes_nobody_ill(site):
    """With --until-end ingest is through hours before the quotas let the last file go."""
    thread = site.threads.start("ingest", lambda: site.health.beat("ingest", START))
    site.threads.start("deliver a", site.go_on.wait)
    site.ended(thread)
    site.look(30 * MINUTE, beating=["deliver a"])
    assert site.said == []
    assert site.health.faults(site.clock.now()) == []


@pytest.mark.failure(12)
def test_a_stopped_account_does_not_end_the_others(site):
    """One whose run is damaged has stopped: the metrics tell, and nobody is to restart the others for it."""

    def fail():
        raise RunDamaged("a run is damaged")

    site.ended(site.threads.start("deliver a", fail, account="a"))
    site.threads.start("deliver b", site.go_on.wait)
    site.look(30 * MINUTE, beating=["deliver b"])
    assert site.said == []
    assert site.health.faults(site.clock.now()) == []
    assert site.health.stops() == ["thread deliver a has stopped, as a run is damaged"]
    told = Metrics(site.health).text().decode()
    assert 's2s_bridge_thread_stopped{thread="deliver a"} 1.0' in told
    assert 's2s_bridge_thread_stopped{thread="deliver b"} 0.0' in told


def test_a_thread_that_all_need_is_missed(site):
    """Where a damaged run stops reading itself, /healthz tells: everything stands still."""

    def fail():
        raise RunDamaged("a run is damaged")

    site.ended(site.threads.start("ingest", fail))
    site.look(SILENCE + SECOND)
    assert site.health.faults(site.clock.now()) == ["thread ingest has been silent for 301 s"]


def test_the_end_does_not_wait_for_a_log_that_hangs():
    """Where nobody reads stderr, which may be why a thread hangs, the process ends all the same."""
    script = """
import os
from bridge.service.watchdog import end_at_once
os.set_blocking(2, False)
try:
    while True:
        os.write(2, b"x" * 65_536)
except BlockingIOError:
    os.set_blocking(2, True)
end_at_once("nobody hears this")
"""
    process = subprocess.Popen([sys.executable, "-c", script], stderr=subprocess.PIPE)
    try:
        assert process.wait(60) == 1
    finally:
        process.kill()
        process.communicate()
