"""A delivery far above `max_file_bytes`: parts, one by one, each with all that is there by its turn."""

import random
from collections import Counter

import pytest

from bridge.clock import HOUR
from bridge.demo.accelerated import AcceleratedClock
from tests.parts import events as made
from tests.parts import oracle
from tests.parts.bridging import stream
from tests.parts.hurried import START, Hurried, user_of

pytestmark = pytest.mark.kafka

TOPIC = "whole.parts"
USERS = 40_000
SEGMENTS = 16
LIMIT = 1_000_000
PER_HOUR = 3


@pytest.fixture
def hurried(kafka, tmp_path):
    kafka.create_topic(TOPIC)
    clock = AcceleratedClock(start=START, factor=600)
    clock.hurry()
    site = Hurried(kafka, tmp_path, [stream(TOPIC)], clock, files_per_hour=PER_HOUR, max_file_bytes="1MB")
    yield site
    site.server.stop()


def write(user, segments, offset, event_time):
    return {
        "user_id": user,
        "segments": [{"segment_id": code, "timestamp": timestamp} for code, timestamp in segments],
        "event_time": event_time,
        "topic": TOPIC,
        "partition": 0,
        "offset": offset,
    }


def crowd(now):
    """An event of many memberships for each user, that no compressor makes small."""
    dice = random.Random(7)
    users = sorted(user_of(dice.getrandbits(128)) for _ in range(USERS))
    events = []
    for offset, user in enumerate(dice.sample(users, USERS)):
        codes = dice.sample(range(1, 2**31), SEGMENTS)
        segments = [(code, 1_400_000_000 + dice.getrandbits(28)) for code in codes]
        events.append(write(user, segments, offset, now - HOUR + offset))
    return users, events


def test_many_parts_none_above_its_size_and_newer_removals_do_not_wait(hurried, kafka):
    """1 MB a file and three an hour: each user in one part of a pass, removals in the parts that follow."""
    users, events = crowd(hurried.clock.now())
    kafka.produce(TOPIC, made.messages(events, made.json_text))
    held = {event["user_id"]: event["segments"][0]["segment_id"] for event in events}
    with hurried.running():
        hurried.until(lambda: len(hurried.server.arrivals) >= 2, "two parts")
        # The first of them have gone, the last wait for a part that is not cut yet.
        newer = [*users[:50], *users[-50:]]
        now = hurried.clock.now()
        removals = [write(user, [(held[user], -1)], USERS + at, now + at) for at, user in enumerate(newer)]
        kafka.produce(TOPIC, made.messages(removals, made.json_text))
        told = len(hurried.server.arrivals)
        hurried.until(lambda: len(hurried.server.arrivals) > told, "another part")
    hurried.drain()
    arrivals, files = hurried.server.arrivals, hurried.files()
    assert hurried.server.violations == ()
    assert max(Counter(arrival.at // HOUR for arrival in arrivals).values()) <= PER_HOUR
    assert max(arrival.bytes for arrival in arrivals) <= LIMIT
    assert len(arrivals) > 8
    assert sum(arrival.bytes > LIMIT * 0.9 for arrival in arrivals) >= len(arrivals) - 3
    assert oracle.same(oracle.fold(files), oracle.last_write_wins(events + removals)) == []
    in_files = Counter(user for file in files for user in {user for user, _, _ in file.rows})
    assert {user for user, times in in_files.items() if times > 1} <= set(users[:50])
    assert set(in_files) == set(users)
    for user in newer[50:]:
        told = [dict(elements) for file in files for name, _, elements in file.rows if name == user]
        assert [part[str(held[user])] for part in told] == [-1]
