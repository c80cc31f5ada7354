"""Partner ids that were collected when a stream is translated no more."""

import json
import signal

import pytest

from bridge.clock import SystemClock
from tests.parts.bridging import Bridge, configuration, end, produce, stream
from tests.parts.waiting import until

pytestmark = [pytest.mark.kafka, pytest.mark.sshd]

EVENT = {
    "mobile": False,
    "client": None,
    "user_namespace": None,
    "segment_namespace": None,
    "remove_all": False,
    "segments": [{"segment_id": 1, "timestamp": 0}],
}


@pytest.mark.failure(70)
def test_who_starts_without_identify_is_told_of_what_nobody_translates(kafka, sshd, tmp_path):
    """A warning with its remedy, and the note of `status`; they stay until identify is back."""
    topic, mappings = "identify.removed", "identify.removed.user-sync"
    kafka.create_topic(topic, 1)
    kafka.create_topic(mappings, 1, {"cleanup.policy": "compact"})
    now = SystemClock().now()
    events = [EVENT | {"user_id": f"p{number}", "event_time": now} for number in range(3)]
    produce(kafka, topic, events, partitions=1)
    identify = {"inventory": "display", "identify": {"from": "partner", "table": mappings}}
    config = configuration(kafka, sshd, tmp_path, [stream(topic, **identify)], roll={"max_age": "1h"})
    bridge = Bridge(tmp_path, config)

    def status():
        done = bridge.call("status", "--json")
        assert (done.returncode, done.stderr) == (0, "")
        return json.loads(done.stdout)

    def waiting():
        found = status()["translation"]
        return found and found["streams"][0]["pending_memberships"]

    process = bridge.start()
    try:
        until(lambda: waiting() == 3, "3 memberships that wait")
        assert status()["audiences"] == []
    finally:
        assert end(process, signal.SIGTERM) == 0, bridge.tail()
    assert bridge.events("nobody_translates") == []

    with_identify = config["streams"]
    config["streams"] = [stream(topic)]
    bridge.write()
    process = bridge.start()
    try:
        (told,) = bridge.wait_for("nobody_translates")
        bridge.wait_for("started", 2)
    finally:
        assert end(process, signal.SIGTERM) == 0, bridge.tail()
    assert (told["level"], told["memberships"]) == ("warning", 3)
    assert "identify" in told["remedy"]
    (note,) = status()["notes"]
    assert "3 memberships by partner ids wait" in note

    config["streams"] = with_identify
    bridge.write()
    assert waiting() == 3
    assert status()["notes"] == []
