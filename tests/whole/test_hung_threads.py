"""A thread that hangs for ever: the process ends by itself, says why, and the next one loses nothing."""

import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.parts import events as made
from tests.parts.bridging import Bridge, configuration, differences, end, produce, stream, wait_for_files
from tests.parts.events import Load
from tests.parts.hanging import FACTOR, GIVE_UP

pytestmark = [pytest.mark.kafka, pytest.mark.sshd]


@pytest.fixture
def site(kafka, sshd, tmp_path, request):
    """A configuration, and events in its topic."""
    topic = f"hung.{request.node.name.translate(str.maketrans('_[] ', '----'))}"
    kafka.create_topic(topic, 2)
    bridge = Bridge(tmp_path, configuration(kafka, sshd, tmp_path, [stream(topic)]))
    return bridge, produce(kafka, topic, made.make(Load(events=200, users=50), 7), partitions=2)


def hanging(bridge, where):
    """The bridge in a process of its own, of which one thread hangs there."""
    with bridge.log.open("ab") as log:
        return subprocess.Popen(
            [sys.executable, "-m", "tests.parts.hanging", str(bridge.path), where],
            stderr=log,
            stdin=subprocess.DEVNULL,
            cwd=Path(__file__).parents[2],
        )


@pytest.mark.parametrize(("where", "thread"), [("upload", "deliver default"), ("ingest", "ingest")])
def test_a_hung_thread_ends_the_process(site, sshd, where, thread):
    """A call that nothing can end: exit 1 and one line with the thread, how long, and what becomes of it."""
    bridge, events = site
    process = hanging(bridge, where)
    try:
        assert process.wait(60) == 1
    finally:
        end(process)
    *_, last = bridge.log.read_text().splitlines()
    assert re.fullmatch(
        f"s2s-bridge: hung thread, silent: {thread} for 2[0-2] s; the process ends, what was not durable is "
        "done again at the next start; see disk and network",
        last,
    )
    assert "Traceback" not in bridge.log.read_text()
    bridge.drain()
    assert differences(sshd, events) == []


def test_a_hung_thread_does_not_keep_a_stop_waiting(site):
    """SIGTERM while a thread hangs: the process is gone within the 25 s of the contract, with exit 1."""
    bridge, _ = site
    process = hanging(bridge, "upload")
    try:
        bridge.wait_for("upload_begun")
        process.send_signal(signal.SIGTERM)
        assert process.wait(25) == 1
    finally:
        end(process)
    *_, last = bridge.log.read_text().splitlines()
    assert last == (
        "s2s-bridge: deliver default did not stop in time; what was not durable is done again at the next "
        "start"
    )


def test_a_process_that_was_stopped_for_long_goes_on(site, kafka, sshd):
    """Frozen for longer than a thread may be silent and woken again, it works on, and stops in order."""
    bridge, events = site
    topic = bridge.config["streams"][0]["topics"][0]
    process = hanging(bridge, "nowhere")
    try:
        wait_for_files(sshd, 1)
        process.send_signal(signal.SIGSTOP)
        time.sleep(1.2 * GIVE_UP / FACTOR / 1000)  # what is tested is that so much time passes
        process.send_signal(signal.SIGCONT)
        more = produce(kafka, topic, made.make(Load(events=200, users=50), 8), partitions=2)
        wait_for_files(sshd, 2)
        assert end(process, how=signal.SIGTERM) == 0, bridge.tail()
    finally:
        end(process)
    bridge.drain()
    assert differences(sshd, [*events, *more]) == []
