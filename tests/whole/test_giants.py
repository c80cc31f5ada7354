"""Users in more segments than a line, or a whole file, can hold."""

import random
import signal
import time

import pytest

from tests.parts.bridging import (
    Bridge,
    account,
    command,
    configuration,
    delivered,
    differences,
    end,
    produce,
    stream,
)
from tests.parts.waiting import until

pytestmark = [pytest.mark.kafka, pytest.mark.sshd]

GIANT = "2c3753c5-9a67-4600-f044-a5d7e0c5f6d7"
NEIGHBOURS = [f"{first}{GIANT[1:]}" for first in "1f"]
NOW = int(time.time() * 1000)


def event(user, codes, client=None, number=0):
    """Timestamps that no compressor makes small."""
    dice = random.Random(number)
    elements = [{"segment_id": code, "timestamp": 1_400_000_000 + dice.getrandbits(28)} for code in codes]
    return {"user_id": user, "client": client, "segments": elements, "event_time": NOW - 9_000 + number}


@pytest.mark.failure(36)
def test_a_user_larger_than_a_file_waits_alone(kafka, sshd, tmp_path):
    """Before the remedy its audience waits from this user on, and is told; after it all is delivered."""
    codes = random.Random(7).sample(range(1, 2**31), 60_000)
    events = [event(GIANT, codes[at : at + 15_000], number=at) for at in range(0, 60_000, 15_000)]
    events += [event(user, [17, 5]) for user in NEIGHBOURS] + [event(NEIGHBOURS[0], [9], "Acme")]
    kafka.create_topic("giants.users", 2)
    placed = produce(kafka, "giants.users", events, partitions=2)
    config = configuration(
        kafka,
        sshd,
        tmp_path,
        [stream("giants.users", clients=["Acme"])],
        accounts=[account(sshd, max_file_bytes="1MB")],
    )
    bridge = Bridge(tmp_path, config)
    process = bridge.start()
    try:
        told = bridge.wait_for("user_does_not_fit")[0]
        until(lambda: len(delivered(sshd)) == 2, "the other audience, and the user before")
    finally:
        assert end(process, signal.SIGTERM) == 0, bridge.tail()
    assert told["text_bytes"] > 1_000_000
    assert "raise quota.max_file_bytes" in told["remedy"]
    assert GIANT not in bridge.log.read_text()
    config["accounts"][0]["quota"]["max_file_bytes"] = "4GB"
    bridge.write()
    bridge.drain()
    assert differences(sshd, placed) == []
    checked = command("file", "check", *map(str, delivered(sshd)))
    assert checked.returncode == 0, checked.stdout + checked.stderr
