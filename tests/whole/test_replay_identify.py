"""Replays of events with a partner's user ids, as their users run them: files, topics, dead letters."""

import json
import signal
from pathlib import Path

import pytest

from bridge.clock import DAY, SystemClock
from bridge.spool.spool import Spool
from tests.parts.bridging import dead_letters, end
from tests.whole.test_identify import partner

pytestmark = pytest.mark.kafka

THEN = SystemClock().now() - DAY


def archive(directory, *memberships):
    """A file of events of yesterday: partner id and segment each."""
    path = directory / "archive.jsonl"
    events = [
        {"user_id": id_, "event_time": THEN + at, "segments": [{"segment_id": segment, "timestamp": 0}]}
        for at, (id_, segment) in enumerate(memberships)
    ]
    path.write_text("".join(f"{json.dumps(event)}\n" for event in events))
    return path


def replay(site, *arguments):
    done = site.bridge.call("replay", *arguments)
    assert done.returncode == 0, done.stderr
    assert "p1" not in done.stdout + done.stderr, "a user's id is told"
    return done.stdout.splitlines()


def live_runs(site):
    config = site.bridge.config
    return Spool.open(Path(config["spool"]["directory"]), clock=SystemClock()).runs()


def test_a_file_of_partner_ids_is_sent_by_mm_uuids_and_what_is_parked_comes_later(kafka, tmp_path):
    """Without a bridge and beside one; an opt-out ends it, and a replay of everything brings nothing back."""
    with partner(kafka, tmp_path) as site:
        site.visits("p1", 0)
        path = archive(tmp_path, ("p1", 11), ("p2", 12), ("p1", 13))
        known = "translated: 2 memberships of known users; 1 of unknown users "
        told = replay(site, "--files", str(path), "--dry-run")
        assert f"{known}would be parked" in told
        assert any(line.startswith("in all: 2 memberships in 1 file") for line in told)
        assert live_runs(site) == ()
        told = replay(site, "--files", str(path))
        assert f"{known}parked until a browser of theirs is known" in told
        site.until_platform_holds({0: {11, 13}})
        process = site.bridge.start()
        try:
            site.visits("p2", 1)
            site.until_platform_holds({0: {11, 13}, 1: {12}})
            site.opts_out("p1")
            site.until_platform_holds({1: {12}})
            told = replay(site, "--files", str(path))
            assert "translated: 1 memberships of known users" in "".join(told)
            site.publishes(("p2", 14))
            site.until_platform_holds({1: {12, 14}})
        finally:
            assert end(process, how=signal.SIGTERM) == 0, site.bridge.tail()


def test_a_topic_of_partner_ids_that_was_never_read_live_is_replayed(kafka, tmp_path):
    """Out of reach, Kafka is named, and nothing is sent by a table that nobody follows; then it goes on.

    What stands in the topic later decides about what is sent, and about what is parked.
    """
    with partner(kafka, tmp_path) as site:
        site.visits("p1", 0)
        path = archive(tmp_path, ("p1", 11))
        bootstrap = site.bridge.config["kafka"]["bootstrap_servers"]
        site.bridge.config["kafka"]["bootstrap_servers"] = "127.0.0.1:1"
        site.bridge.write()
        done = site.bridge.call("replay", "--files", str(path))
        assert done.returncode == 1
        (line,) = (line for line in done.stderr.splitlines() if not line.startswith("{"))
        assert f"topic {site.topics[1]}, by which users are translated: no broker answers" in line
        site.bridge.config["kafka"]["bootstrap_servers"] = bootstrap
        site.bridge.write()
        assert "goes on" in replay(site, "--files", str(path))[0]
        site.until_platform_holds({0: {11}})
        site.publishes(("p1", 15), ("p2", 16), at=THEN)
        site.publishes(("p3", 17), at=THEN + DAY * 3 // 4)
        told = replay(site, "--from", "-30d", "--to", "-12h")
        assert "translated: 1 memberships of known users; 1 of unknown users" in "".join(told)
        site.until_platform_holds({0: {11, 15}})
        site.visits("p2", 1)
        site.opts_out("p1")
        site.bridge.drain()
        site.until_platform_holds({1: {16}})
        replay(site, "--from", "-30d", "--to", "now")
        site.bridge.drain()
        site.publishes(("p2", 18))
        site.bridge.drain()
        site.until_platform_holds({1: {16, 18}})


def test_dead_letters_of_partner_ids_are_redriven(kafka, tmp_path):
    """What the bridge refused and takes now is translated, and parked where nobody is known."""
    with partner(kafka, tmp_path) as site:
        site.visits("p1", 0)
        stream = site.bridge.config["streams"][0]
        site.publishes(("p1", 11), ("p2", 12))
        stream["user_namespaces"], stream["fields"] = {}, {"user_id": "user"}
        site.bridge.write()
        site.bridge.drain()
        assert len(dead_letters(site.bridge.config)) == 2
        del stream["fields"]
        site.bridge.write()
        done = site.bridge.call("dead-letters", "redrive")
        assert done.returncode == 0, done.stderr
        assert "translated: 1 memberships of known users; 1 of unknown users parked" in done.stdout
        site.until_platform_holds({0: {11}})
        site.visits("p2", 1)
        site.bridge.drain()
        site.until_platform_holds({0: {11}, 1: {12}})
