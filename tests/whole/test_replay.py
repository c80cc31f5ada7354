"""Replays as their users run them: real topics, a real server, and the state of the platform afterwards."""

import json
import signal
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests.parts import events as made
from tests.parts import oracle
from tests.parts.bridging import (
    Bridge,
    account,
    configuration,
    delivered,
    differences,
    end,
    produce,
    stream,
    wait_for_files,
)
from tests.parts.events import Load
from tests.parts.waiting import until

pytestmark = [pytest.mark.kafka, pytest.mark.sshd]

HOUR = 3_600_000
T0 = 1_790_000_000_000 // HOUR * HOUR
USER = "11111111-2222-3333-4444-555555555555"
LOAD = Load(events=60_000, users=6_000, clients=(None, "Acme"), start=T0, span=24 * HOUR)


def iso(instant):
    return datetime.fromtimestamp(instant / 1000, UTC).isoformat()


def event(hour, *segments, user=USER, remove_all=False):
    """An event of that hour; a segment is a number, negative to remove it."""
    return {
        "user_id": user,
        "remove_all": remove_all,
        "event_time": T0 + hour * HOUR,
        "segments": [
            {"segment_id": abs(segment), "timestamp": -1 if segment < 0 else 0} for segment in segments
        ],
    }


def site(kafka, sshd, tmp_path, topic, *, partitions=1, streams=None, **more):
    kafka.create_topic(topic, partitions)
    config = configuration(kafka, sshd, tmp_path, streams or [stream(topic)], **more)
    return Bridge(tmp_path, config)


def replay(bridge, since, until_, *more):
    """`s2s-bridge replay` of these hours, to its end."""
    return bridge.call("replay", "--from", iso(T0 + since * HOUR), "--to", iso(T0 + until_ * HOUR), *more)


def held(sshd):
    """Segments of USER by the files, with their timestamps."""
    state = oracle.fold(delivered(sshd))
    return {
        int(segment): stamp[0] for users in state.values() for segment, stamp in users.get(USER, {}).items()
    }


def test_a_replayed_add_does_not_undo_a_delivered_removal(kafka, sshd, tmp_path):
    """Add, remove, both delivered; a replay of the add alone sends nothing, and the user stays removed."""
    topic = "replay.removed"
    bridge = site(kafka, sshd, tmp_path, topic)
    placed = produce(kafka, topic, [event(1, 7, 8), event(2, -7)], partitions=1)
    bridge.drain()
    before = delivered(sshd)
    done = replay(bridge, 1, 2)
    assert done.returncode == 0, done.stderr
    assert held(sshd) == {8: (T0 + HOUR) // 1000}
    assert differences(sshd, placed) == []
    assert len(delivered(sshd)) == len(before) + 1


def test_a_replayed_add_stays_removed_where_nothing_is_left_to_send(kafka, sshd, tmp_path):
    """Where all of a replay has lost there is no file."""
    topic = "replay.lost"
    bridge = site(kafka, sshd, tmp_path, topic)
    produce(kafka, topic, [event(1, 7), event(2, -7)], partitions=1)
    bridge.drain()
    before = delivered(sshd)
    done = replay(bridge, 1, 2)
    assert done.returncode == 0, done.stderr
    assert "delivered: 0 memberships in 0 files" in done.stdout
    assert delivered(sshd) == before


def test_replayed_adds_before_a_delivered_remove_all_stay_gone(kafka, sshd, tmp_path):
    """Adds, then a remove_all with a new add behind it: a replay of the adds changes nothing."""
    topic = "replay.emptied"
    bridge = site(kafka, sshd, tmp_path, topic)
    placed = produce(kafka, topic, [event(1, 7), event(2, 8), event(3, 9, remove_all=True)], partitions=1)
    bridge.drain()
    done = replay(bridge, 1, 3)
    assert done.returncode == 0, done.stderr
    assert set(held(sshd)) == {9}
    assert differences(sshd, placed) == []


def test_a_replayed_remove_all_takes_nothing_newer(kafka, sshd, tmp_path):
    """What came after it, within the replayed time or behind it, is said again behind the -1."""
    topic = "replay.remove-all"
    bridge = site(kafka, sshd, tmp_path, topic)
    placed = produce(
        kafka, topic, [event(1, 6), event(2, 7, remove_all=True), event(3, 8), event(9, 9)], partitions=1
    )
    bridge.drain()
    done = replay(bridge, 2, 3)
    assert done.returncode == 0, done.stderr
    assert set(held(sshd)) == {7, 8, 9}
    assert differences(sshd, placed) == []


def test_an_add_that_waits_while_the_replay_runs_stays(kafka, sshd, tmp_path):
    """A live add is read but not due; a replay of older removals goes first; the add stays."""
    topic = "replay.waiting"
    bridge = site(kafka, sshd, tmp_path, topic)
    placed = produce(kafka, topic, [event(1, 5, 7), event(2, -7, remove_all=True)], partitions=1)
    bridge.drain()
    bridge.config["roll"] = {"max_age": "1h"}
    bridge.write()
    process = bridge.start()
    try:
        runs = len(bridge.events("run_sealed"))
        placed += [
            one | {"offset": one["offset"] + 2} for one in produce(kafka, topic, [event(3, 7)], partitions=1)
        ]
        bridge.wait_for("run_sealed", runs + 1)
        before = len(delivered(sshd))
        done = replay(bridge, 1, 3)
        assert done.returncode == 0, done.stderr
        assert len(delivered(sshd)) == before + 1
        assert end(process, signal.SIGTERM) == 0
    finally:
        end(process)
    bridge.drain()
    assert set(held(sshd)) == {7}
    assert differences(sshd, placed) == []


def test_files_of_a_replay_have_historical_timestamps(kafka, sshd, tmp_path):
    """On a spool of its own, without a bridge: 0 becomes the event's second; -1 and given ones stay."""
    topic = "replay.historical"
    bridge = site(kafka, sshd, tmp_path, topic)
    events = [
        event(1, 7, -8),
        event(2) | {"segments": [{"segment_id": 9, "timestamp": 1_500_000_000}]},
        event(5, 10),
    ]
    placed = produce(kafka, topic, events, partitions=1)
    done = replay(bridge, 1, 3)
    assert done.returncode == 0, done.stderr
    assert held(sshd) == {7: (T0 + HOUR) // 1000, 9: 1_500_000_000}
    (file,) = delivered(sshd)
    shown = json.loads(bridge.call("status", "--json").stdout)
    assert [one["name"] for one in shown["files"] if one["replay"]] == [file.name]
    bridge.drain()  # the live bridge begins at the topic's start: nothing was committed in its name
    assert differences(sshd, placed) == []


def test_events_after_the_replayed_time_decide_without_being_sent(kafka, sshd, tmp_path):
    """On an empty spool the topic itself is the history: what was removed later is not added."""
    topic = "replay.decides"
    bridge = site(kafka, sshd, tmp_path, topic, partitions=3)
    other = "99999999-2222-3333-4444-555555555555"
    produce(kafka, topic, [event(1, 7, 8), event(6, -7), event(7, 9), event(8, 5, user=other)], partitions=3)
    done = replay(bridge, 1, 2)
    assert done.returncode == 0, done.stderr
    assert set(held(sshd)) == {8}
    state = oracle.fold(delivered(sshd))
    assert [user for users in state.values() for user in users] == [USER]


@pytest.mark.failure(60)
def test_a_replay_beside_a_running_bridge_goes_by_the_bridge(kafka, sshd, tmp_path):
    """The bridge delivers it, with the one ledger; the replay shows the files and ends with them."""
    topic = "replay.beside"
    bridge = site(kafka, sshd, tmp_path, topic, partitions=4, streams=[stream(topic, clients=["Acme"])])
    placed = produce(kafka, topic, made.make(LOAD, 11))
    process = bridge.start()
    try:
        bridge.wait_for("file_uploaded")
        done = replay(bridge, 3, 9)
        assert done.returncode == 0, done.stderr
        names = [line.split()[1] for line in done.stdout.splitlines() if line.startswith("uploaded:")]
        uploaded = {one["file"] for one in bridge.events("file_uploaded")}
        assert names
        assert set(names) <= uploaded
        assert end(process, signal.SIGTERM) == 0
    finally:
        end(process)
    bridge.drain()
    assert differences(sshd, placed) == []


@pytest.mark.failure(60)
def test_a_replay_that_delivers_gives_way_to_a_bridge_that_starts(kafka, sshd, tmp_path):
    """It holds the account while it waits for a slot; the bridge starts within its patience, and goes on."""
    topic = "replay.gives-way"
    bridge = site(
        kafka,
        sshd,
        tmp_path,
        topic,
        partitions=4,
        streams=[stream(topic, clients=["Acme"])],
        accounts=[account(sshd, files_per_hour=2)],
    )
    placed = produce(kafka, topic, made.make(LOAD, 12))
    waiting = start_replay(bridge, 0, 30)
    try:
        wait_for_files(sshd, 1)
        bridge.config["accounts"] = [account(sshd, files_per_hour=1000)]
        bridge.write()
        process = bridge.start()
        try:
            assert waiting.wait(60) == 0, replay_log(bridge).read_text()
            assert end(process, signal.SIGTERM) == 0
        finally:
            end(process)
    finally:
        end(waiting)
    bridge.drain()
    assert differences(sshd, placed) == []


def start_replay(bridge, since, until_, *more):
    """`s2s-bridge replay` in a process of its own."""
    with replay_log(bridge).open("ab") as output:
        return subprocess.Popen(
            [
                *(sys.executable, "-m", "bridge", "replay", "--config", str(bridge.path)),
                *("--from", iso(T0 + since * HOUR), "--to", iso(T0 + until_ * HOUR), *more),
            ],
            stdout=output,
            stderr=output,
            stdin=subprocess.DEVNULL,
            cwd=Path(__file__).parents[2],
        )


def replay_log(bridge):
    return bridge.path.parent / "replay.log"


def kill_after(bridge, process, lines):
    """Kill the replay when it has written so many more lines."""

    def written():
        return len(replay_log(bridge).read_text().splitlines())

    wanted = written() + lines
    until(lambda: written() >= wanted or process.poll() is not None, "a moment")
    assert end(process, signal.SIGKILL) == -signal.SIGKILL, "it was through before its time"


@pytest.mark.failure(60)
def test_killed_at_five_random_moments_it_goes_on_and_sends_nothing_twice(kafka, sshd, tmp_path):
    """Kills while it reads, seals, builds, uploads: the state is that without kills, each user came once."""
    topic = "replay.killed"
    bridge = site(
        kafka,
        sshd,
        tmp_path,
        topic,
        partitions=4,
        streams=[stream(topic, clients=["Acme"])],
        accounts=[account(sshd, max_file_bytes="150kB")],
        window={"max_age": "100ms"},
    )
    placed = produce(kafka, topic, made.make(LOAD, 13))
    dice = made.random.Random(14)
    replay_log(bridge).touch()
    for _ in range(5):
        kill_after(bridge, start_replay(bridge, 0, 30), dice.randrange(1, 12))
    done = replay(bridge, 0, 30)
    assert done.returncode == 0, done.stderr
    assert "goes on" in done.stdout
    assert differences(sshd, placed) == []
    files = [oracle.read(path) for path in delivered(sshd)]
    came = [(file.audience, user) for file in files for user, *_ in file.rows]
    assert len(set(came)) == len(came)
