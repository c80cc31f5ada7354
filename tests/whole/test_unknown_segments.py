"""Segments that nobody can buy, from a real topic to what is delivered, refused and told of them."""

import json
import signal
import time
import urllib.request
import uuid
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests.parts import oracle
from tests.parts.bridging import (
    Bridge,
    configuration,
    dead_letters,
    delivered,
    end,
    produce,
    stream,
)
from tests.parts.waiting import free_port, until

pytestmark = [pytest.mark.kafka, pytest.mark.sshd]

NOW = int(time.time() * 1000)
HOUR = 3_600_000
HEADER = "full_path,code,uniques,wholesale_cpm,retail_cpm,buyable\n|Acme,,,,,0\n"


def event(user, *segments, age=0):
    """Of a user of this number; a negative segment is a removal."""
    return {
        "user_id": str(uuid.UUID(int=user << 64 | 0xC0DE)),
        "mobile": False,
        "client": None,
        "user_namespace": None,
        "segment_namespace": None,
        "remove_all": False,
        "segments": [{"segment_id": abs(one), "timestamp": -1 if one < 0 else 0} for one in segments],
        "event_time": NOW - HOUR + user - age,
    }


def write(path, *codes):
    fresh = path.with_suffix(".new")
    fresh.write_text(HEADER + "".join(f"|Acme|Segment {one},{one},1000,0.50,1.00,1\n" for one in codes))
    fresh.replace(path)


def held(sshd):
    """The segments that the platform has users in."""
    state = oracle.fold(delivered(sshd))
    return {int(one) for users in state.values() for segments in users.values() for one in segments}


def asked(bridge, *command):
    done = bridge.call(*command, "--json")
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


class Site:
    """A bridge whose stream names a taxonomy of the segments 1, 2 and 3."""

    def __init__(self, kafka, sshd, directory, topic, **more):
        self.kafka, self.topic, self.sshd = kafka, topic, sshd
        kafka.create_topic(topic, 1)
        self.taxonomy = directory / "acme.csv"
        write(self.taxonomy, 1, 2, 3)
        self.port = free_port()
        settings = stream(topic, taxonomy="acme.csv", **more)
        self.bridge = Bridge(
            directory,
            configuration(kafka, sshd, directory, [settings], http={"listen": f"127.0.0.1:{self.port}"}),
        )

    def produce(self, *events):
        return produce(self.kafka, self.topic, list(events), partitions=1)

    def counted(self):
        """What the metric says of unknown memberships."""
        url = f"http://127.0.0.1:{self.port}/metrics"
        with urllib.request.urlopen(url, timeout=5) as answer:
            lines = answer.read().decode().splitlines()
        name = "s2s_bridge_unknown_segment_memberships_total{"
        return sum(float(line.split()[-1]) for line in lines if line.startswith(name))

    def page(self):
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/", timeout=30) as answer:
            return answer.read().decode()


def test_what_nobody_can_buy_is_delivered_and_told(kafka, sshd, tmp_path):
    """By default all is sent; counts are in the metric at once, on the page and in status once written.

    They outlive a kill; `segments unused` says which codes no event used, and since when it has watched.
    """
    site = Site(kafka, sshd, tmp_path, "unknown.keep")
    site.produce(event(1, 1, 9), event(2, 9, -8), event(3, 1))
    process = site.bridge.start()
    try:
        site.bridge.wait_for("file_uploaded")
        until(lambda: site.counted() == 3, "three memberships counted")
        assert end(process, signal.SIGTERM) == 0
        process = site.bridge.start()
        site.bridge.wait_for("started", 2)
        until(lambda: "<td" in site.page() and "segments-unknown" in site.page(), "the page tells")
        site.produce(event(4, 7))
        site.bridge.wait_for("file_uploaded", 2)
        end(process)
    finally:
        end(process)
    assert held(sshd) == {1, 7, 9}
    today = datetime.now(UTC).strftime("%Y-%m-%d")
    (shown,) = asked(site.bridge, "status")["segments"]
    assert shown["unknown"][:1] == [{"code": "9", "memberships": 2, "first_day": today, "last_day": today}]
    assert {one["code"] for one in shown["unknown"]} >= {"9", "8"}
    assert asked(site.bridge, "segments", "unknown")["streams"] == [shown]
    (use,) = asked(site.bridge, "segments", "unused")["taxonomies"]
    assert [(one["code"], one["path"], one["last_day"]) for one in use["unused"]] == [
        ("2", "Acme > Segment 2", None),
        ("3", "Acme > Segment 3", None),
    ]
    text = site.bridge.call("segments", "unused").stdout
    assert "1 day, less than 30" in text or "2 days, less than 30" in text
    assert "Acme > Segment 3" in text
    assert "Segments that nobody can buy" in site.bridge.call("status").stdout
    assert all(Path(tmp_path, "spool", "segments").glob("*.json"))


def test_what_nobody_can_buy_is_refused_until_the_taxonomy_holds_it(kafka, sshd, tmp_path):
    """Whole events are refused, removals never; a taxonomy that changes judges from then on.

    A replay judges as ingest does, and what was refused comes in by a redrive.
    """
    site = Site(kafka, sshd, tmp_path, "unknown.refuse", unknown_segments="refuse")
    bad = (event(1, 1, 9), event(2, 9, -1), event(3, 6))
    site.produce(*bad, event(4, 2, -9), event(5, -6))
    process = site.bridge.start()
    try:
        until(lambda: len(dead_letters(site.bridge.config)) == 3, "three letters")
        site.bridge.wait_for("file_uploaded")
        assert held(sshd) == {2}
        assert {one["reason"] for one in dead_letters(site.bridge.config)} == {"unknown_segment"}
        write(site.taxonomy, 1, 2, 3, 9)
        site.bridge.wait_for("taxonomy_read", 2)
        site.produce(event(6, 9), event(7, 6))
        until(lambda: len(dead_letters(site.bridge.config)) == 4, "one more")
        site.bridge.wait_for("file_uploaded", 2)
        assert held(sshd) == {2, 9}
        assert site.counted() == 2 + 1 + 1 + 1 + 1 - 1 + 1
        redriven = site.bridge.call("dead-letters", "redrive")
        assert redriven.returncode == 0, redriven.stderr
        assert "passed: 2 unknown_segment" in redriven.stdout
        since, before = (datetime.fromtimestamp((NOW + at) / 1000, UTC).isoformat() for at in (-2 * HOUR, 0))
        replayed = site.bridge.call("replay", "--from", since, "--to", before, "--dry-run")
        assert replayed.returncode == 0, replayed.stderr
        assert "2 unknown_segment" in replayed.stdout + replayed.stderr
    finally:
        end(process)
    assert [one["reason"] for one in dead_letters(site.bridge.config)] == ["unknown_segment"] * 2
    assert held(sshd) == {1, 2, 9}


def test_a_start_and_check_name_a_broken_taxonomy(kafka, sshd, tmp_path):
    """By its path in the configuration, its file and its line; with exit code 2."""
    site = Site(kafka, sshd, tmp_path, "unknown.broken")
    site.taxonomy.write_text(HEADER + "|Acme|Segment,x,1000,0.50,1.00,1\n")
    checked = site.bridge.call("check")
    assert checked.returncode == 2
    assert checked.stderr.startswith(f"streams[0].taxonomy: {site.taxonomy}:3:2: code: ")
    started = site.bridge.call("run")
    assert started.returncode == 2
    assert f"{site.taxonomy}:3:2: code: " in started.stderr
    assert "Traceback" not in started.stderr
