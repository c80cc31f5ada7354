"""The order of arrival does not matter, across runs of the process and files already delivered."""

import pytest

from tests.parts import events as made
from tests.parts.bridging import Bridge, configuration, delivered, differences, produce, stream
from tests.parts.events import Load

pytestmark = [pytest.mark.kafka, pytest.mark.sshd]

LOAD = Load(events=100_000, users=10_000, clients=(None, "Acme", "Globex"), remove_alls=0.1)


@pytest.mark.failure(31)
def test_the_newer_half_is_delivered_first(kafka, sshd, tmp_path):
    """Older events with remove-alls that come after undo nothing newer, and what they add still counts."""
    topic = "order.halves"
    kafka.create_topic(topic, 4)
    middle = LOAD.start + LOAD.span // 2
    events = made.make(LOAD, 21)
    newer = [event for event in events if event["event_time"] >= middle]
    older = [event for event in events if event["event_time"] < middle]
    assert any(event["remove_all"] for event in older)
    config = configuration(kafka, sshd, tmp_path, [stream(topic, clients=["Acme", "Globex"])])
    bridge = Bridge(tmp_path, config)
    first = produce(kafka, topic, newer)
    bridge.drain()
    before = delivered(sshd)
    assert differences(sshd, first) == []
    second = produce(kafka, topic, older)
    bridge.drain()
    assert len(delivered(sshd)) > len(before)
    assert differences(sshd, first + second) == []
