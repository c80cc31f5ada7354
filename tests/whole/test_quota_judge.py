"""A server that counts by its own clock judges how the quota is kept, and in which order audiences go."""

import random
from collections import Counter
from itertools import pairwise

import pytest

from bridge.audience import names
from bridge.clock import HOUR, MINUTE, SECOND
from tests.parts import events as made
from tests.parts import oracle
from tests.parts.bridging import stream
from tests.parts.clocks import HourlyClock
from tests.parts.hurried import START, Hurried, user_of

pytestmark = pytest.mark.kafka

CLIENTS = ("", "Acme", "Globex", "Initech", "Umbrella")
PER_HOUR = 3
HOURS = 5
MAX_AGE = 10 * MINUTE
SLACK = 30 * MINUTE
"""How late the deliverer may learn of an event: two seconds of real time."""


def load(dice, now, placed):
    """Some events of some clients, at this time; topic and first offset as in `placed`."""
    events = []
    for client in dice.sample(CLIENTS, dice.randrange(1, 4)):
        for _ in range(dice.randrange(1, 20)):
            everything = dice.random() < 0.1
            element = {"segment_id": dice.randrange(1, 5), "timestamp": dice.choice([0, 0, -1])}
            events.append(
                {
                    "user_id": user_of(dice.randrange(1, 30)),
                    "client": client or None,
                    "remove_all": everything,
                    "segments": [] if everything else [element],
                    "event_time": now,
                    "topic": placed["topic"],
                    "partition": 0,
                    "offset": placed["offset"] + len(events),
                }
            )
    return events


def unfair(arrivals, loads):
    """Who went twice while another was due that had not gone; times are the test's own.

    Args:
        arrivals: Time and client of each file.
        loads: Time and client of each load.
    """
    found = []
    for client in CLIENTS:
        for first, second in pairwise(at for at, whose in arrivals if whose == client):
            for at, other in loads:
                due = at + SLACK < first and at + MAX_AGE + SLACK < second
                gone = any(at < then <= second for then, whose in arrivals if whose == other)
                if due and not gone:
                    found.append((client, first, second, other, at))
    return found


@pytest.mark.parametrize("skew", [20 * SECOND, -20 * SECOND], ids=["ahead", "behind"])
def test_a_server_with_its_own_clock_sees_the_quota_kept(kafka, tmp_path, skew):
    """Three files an hour, five audiences, random load, a clock 20 s off: no violation, all are served."""
    topic = f"whole.judge.{skew}"
    kafka.create_topic(topic)
    clients = [client for client in CLIENTS if client]
    site = Hurried(
        kafka,
        tmp_path,
        [stream(topic.replace("-", "m"), topics=[topic], clients=clients)],
        HourlyClock(START),
        skew=skew,
        files_per_hour=PER_HOUR,
    )
    dice, clock = random.Random(skew), site.clock
    events, loads = [], []
    try:
        with site.running():
            while clock.now() < START + HOURS * HOUR:
                now = clock.now()
                some = load(dice, now, {"topic": topic, "offset": len(events)})
                kafka.produce(topic, made.messages(some, made.json_text))
                loads += [(clock.now(), client) for client in {event["client"] or "" for event in some}]
                events += some
                later = now + dice.randrange(10 * MINUTE)
                site.until(lambda later=later: clock.now() >= later, "the next load")
        site.drain()
    finally:
        site.server.stop()
    arrivals = [(arrival.at - skew, names.parse(arrival.name).client) for arrival in site.server.arrivals]
    hours = Counter((at + skew) // HOUR for at, _ in arrivals)
    assert site.server.violations == ()
    assert max(hours.values()) == PER_HOUR
    live = [(at, client) for at, client in arrivals if at < START + HOURS * HOUR]
    assert min(Counter(client for _, client in live).values()) >= 2
    assert {client for _, client in live} == set(CLIENTS)
    assert unfair(live, loads) == []
    assert oracle.same(oracle.fold(site.files()), oracle.last_write_wins(events)) == []
