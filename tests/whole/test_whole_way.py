"""From a real topic to files on a real server: the issue's own demonstrations."""

import signal

import pytest

from tests.parts import events as made
from tests.parts.bridging import (
    Bridge,
    configuration,
    delivered,
    differences,
    end,
    produce,
    stream,
    wait_for_files,
)
from tests.parts.events import Load

pytestmark = [pytest.mark.kafka, pytest.mark.sshd]

CLIENTS = {"clients": ["Acme", "Globex"]}
LOAD = Load(events=200_000, users=20_000, clients=(None, "Acme", "Globex"))


@pytest.mark.failure(30, 31)
def test_200_000_random_events_fold_to_last_write_wins(kafka, sshd, tmp_path):
    """Shuffled, duplicated, display and mobile, three clients: every user and segment is right, once."""
    topic = "whole.random"
    kafka.create_topic(topic, 4)
    events = made.make(LOAD, 1)
    made.random.Random(2).shuffle(events)
    placed = produce(kafka, topic, events)
    bridge = Bridge(tmp_path, configuration(kafka, sshd, tmp_path, [stream(topic, **CLIENTS)]))
    bridge.drain()
    assert differences(sshd, placed) == []
    before = delivered(sshd)
    bridge.drain()
    assert delivered(sshd) == before


@pytest.mark.failure(58)
@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGKILL])
def test_stopped_in_the_middle_nothing_is_lost_or_undone(kafka, sshd, tmp_path, how):
    """After at least two files the process is ended, older events follow, and a restart makes all right."""
    topic = f"whole.{how.name.lower()}"
    kafka.create_topic(topic, 4)
    events = made.make(LOAD, 3)
    newer = [event for event in events if event["event_time"] >= LOAD.start + LOAD.span // 2]
    older = [event for event in events if event["event_time"] < LOAD.start + LOAD.span // 2]
    placed = produce(kafka, topic, newer)
    bridge = Bridge(tmp_path, configuration(kafka, sshd, tmp_path, [stream(topic, **CLIENTS)]))
    process = bridge.start()
    try:
        wait_for_files(sshd, 2)
        ends = {}
        for event in placed:
            ends[event["partition"]] = max(ends.get(event["partition"], 0), event["offset"] + 1)
        late = made.place(older, topic, 4, 5)
        late = [event | {"offset": event["offset"] + ends[event["partition"]]} for event in late]
        kafka.produce(topic, made.messages(late, made.json_text))
    finally:
        code = end(process, how)
    assert code == (0 if how is signal.SIGTERM else -how)
    bridge.drain()
    assert differences(sshd, placed + late) == []
