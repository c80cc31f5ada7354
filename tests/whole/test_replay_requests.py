"""What users ask of `s2s-bridge replay`: what makes no sense, trial runs, archives, a share of the quota."""

import gzip
import io
import json
import re
import signal
import subprocess
import sys
import time
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import fastavro
import polars as pl
import pytest
from confluent_kafka import TopicPartition

from bridge.deliver.ledger import Ledger
from bridge.service.opening import LEDGER
from tests.parts import events as made
from tests.parts import oracle
from tests.parts.bridging import (
    Bridge,
    account,
    committed,
    configuration,
    delivered,
    differences,
    end,
    ends,
    produce,
    stream,
)
from tests.parts.events import Load
from tests.parts.waiting import until

pytestmark = [pytest.mark.kafka, pytest.mark.sshd]

HOUR = 3_600_000
T0 = 1_790_000_000_000 // HOUR * HOUR
LOAD = Load(events=3_000, users=400, clients=(None, "Acme"), start=T0, span=24 * HOUR)
SHORT_LINES = "import bridge.cli.replay_progress as progress, sys; progress.EVERY = 0.01; "


def iso(instant):
    return datetime.fromtimestamp(instant / 1000, UTC).isoformat().replace("+00:00", "Z")


def hours(since, until_):
    """The options for these hours of the load."""
    return ["--from", iso(T0 + since * HOUR), "--to", iso(T0 + until_ * HOUR)]


def site(kafka, sshd, tmp_path, topic, *, partitions=2, **more):
    """A topic, and a bridge for the load's clients."""
    kafka.create_topic(topic, partitions)
    config = configuration(kafka, sshd, tmp_path, [stream(topic, clients=["Acme"])], **more)
    return Bridge(tmp_path, config)


def replay(bridge, *arguments):
    """To its end, which must be a good one."""
    done = bridge.call("replay", *arguments)
    assert done.returncode == 0, done.stderr
    return done.stdout


def replay_log(bridge):
    return bridge.path.parent / "replay.log"


def wait_for_an_hour():
    """One that is not over in a moment: its files are counted."""
    until(lambda: time.time() % 3_600 < 3_540, "an hour that lasts", 90)


@contextmanager
def replaying(bridge, *arguments):
    """A replay in a process of its own, whose log often tells how far it is; killed at the end."""
    code = SHORT_LINES + "from bridge.cli import main; sys.exit(main(sys.argv[1:]))"
    with replay_log(bridge).open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-c", code, "replay", *arguments, "--config", str(bridge.path)],
            stdout=output,
            stderr=output,
            stdin=subprocess.DEVNULL,
            cwd=Path(__file__).parents[2],
        )
    try:
        yield process
    finally:
        end(process)


def told(bridge, word):
    """What a replay in a process of its own has written with this word in it, in whole lines."""
    return [
        line
        for line in replay_log(bridge).read_text().splitlines(keepends=True)
        if word in line and "\n" in line
    ]


def wait_for(bridge, word, count=1):
    """Once it has written so many lines with this word, they."""
    until(lambda: len(told(bridge, word)) >= count, f"{count} lines with {word!r}")
    return told(bridge, word)


def in_spool(bridge):
    """Names of the replays' folders."""
    folder = Path(bridge.config["spool"]["directory"]) / "replays"
    return sorted(path.name for path in folder.iterdir()) if folder.exists() else []


def refused(bridge, sshd, *arguments, code, words):
    """It ends so, with one line that holds these words, and leaves nothing on the server and in the spool."""
    before = sshd.files(), in_spool(bridge)
    done = bridge.call("replay", *arguments)
    lines = lines_for_people(done)
    assert (done.returncode, len(lines)) == (code, 1), (arguments, done.stderr)
    assert [word for word in words if word not in lines[0]] == [], (arguments, lines[0])
    assert before == (sshd.files(), in_spool(bridge)), arguments


def lines_for_people(done):
    """Of stderr, without the log."""
    return [line for line in done.stderr.splitlines() if not line.startswith("{")]


def requests(topic, late):
    """Options that make no sense, and what the line says; `late` is after all that is held."""
    day = hours(0, 24)
    known = f"{topic}:0"
    return [
        (
            [*hours(3, 2)],
            [f"--from {iso(T0 + 3 * HOUR)}", f"--to {iso(T0 + 2 * HOUR)}", "earlier time first"],
        ),
        ([*hours(3, 3)], ["is not before"]),
        (["--to", iso(T0)], ["--from: missing", "2026-11-01T00:00:00Z"]),
        (["--from", iso(T0)], ["--to: missing"]),
        (["--from", "last week", "--to", iso(T0)], ["--from last week", "no time", "2026-11-01T00:00:00Z"]),
        (day, [topic, "partition", "holds only what came since 2", "--files"]),
        (
            ["--from", iso(late), "--to", iso(late + HOUR)],
            [f"--from {iso(late)}", "nothing of that time", "last event came at 2", "earlier"],
        ),
        (
            [*day, "--stream", "nobody"],
            ["--stream nobody", "there is no such stream", topic.replace(".", "-")],
        ),
        ([*day, "--name", "a/b"], ["--name a/b", "letters, digits, hyphens and dots"]),
        ([*day, "events.avro"], ["events.avro", "behind --files"]),
        (["--from-offset", topic], [f"--from-offset {topic}", "TOPIC:PARTITION:OFFSET"]),
        (["--from-offset", f"{topic}:7:0"], [f"--from-offset {topic}:7:0", "no such partition"]),
        (["--from-offset", f"{known}:0"], [f"--from-offset {known}:0", "holds offsets 5 to 9"]),
        (["--from-offset", f"{known}:11"], [f"--from-offset {known}:11", "holds offsets 5 to 9"]),
        (["--from-offset", f"{known}:6", "--from-offset", f"{known}:7"], [topic, "twice"]),
        (["--from-offset", f"{known}:6", "--files", "events.avro"], ["--from-offset", "--files"]),
        (["--cancel"], ["--cancel", "--name"]),
        (["--cancel", "--name", "nothing"], ["--name nothing", "no unfinished replay", "status"]),
        (["--cancel", "--name", "a/b"], ["--name a/b", "letters, digits, hyphens and dots"]),
    ]


def test_requests_that_make_no_sense(kafka, sshd, tmp_path):
    """One line for each that names what was asked for and what to do; nothing is sent, nothing is left."""
    topic = "requests.bad"
    bridge = site(kafka, sshd, tmp_path, topic)
    kafka.produce(topic, [(number % 2, None, made.json_text(one)) for number, one in enumerate(some(20))])
    admin = kafka.admin()  # by name: a client without one is gone before its answer comes
    for answer in admin.delete_records([TopicPartition(topic, number, 5) for number in (0, 1)]).values():
        answer.result(30)
    for arguments, words in requests(topic, late=int(time.time()) * 1_000 + 48 * HOUR):
        refused(bridge, sshd, *arguments, code=2, words=words)
    assert sshd.files() == []
    assert in_spool(bridge) == []


def some(count):
    return made.make(Load(events=count, users=count, start=T0, span=HOUR), 1)


def json_lines(events):
    return b"".join(made.json_text(one) + b"\n" for one in events)


def avro(events):
    file = io.BytesIO()
    fastavro.writer(file, made.schema(), events, codec="deflate", sync_interval=2_000)
    return file.getvalue()


def parquet(events):
    file = io.BytesIO()
    pl.DataFrame(events, infer_schema_length=None).write_parquet(file)
    return file.getvalue()


def archive(folder, name, content):
    """A file of this content; its path."""
    path = folder / name
    path.write_bytes(content)
    return str(path)


def test_archives_that_are_none(kafka, sshd, tmp_path):
    """One line that names the file and what is wrong with it; of the part before a break nothing is taken."""
    bridge = site(kafka, sshd, tmp_path, "requests.archives")
    events = some(300)
    whole = json_lines(events)
    good = archive(tmp_path, "good.jsonl", whole)
    half = len(gzip.compress(whole)) // 2
    none = {
        "notes.txt": (b"hello\nworld\n", "is no archive"),
        "empty": (b"", "is empty"),
        "packed-notes.gz": (gzip.compress(b"hello\n"), "is no archive"),
    }
    damaged = {
        "cut.jsonl.gz": (gzip.compress(whole)[:half], "truncated"),
        "cut.avro": (avro(events)[:-100], "truncated"),
        "cut.parquet": (parquet(events)[:-100], "truncated"),
        "cut.jsonl": (whole[:-20], "truncated"),
    }
    for code, files in ((2, none), (1, damaged)):
        for name, (content, what) in files.items():
            path = archive(tmp_path, name, content)
            refused(bridge, sshd, "--files", good, path, code=code, words=[f"{path}: ", what])
    for path in (str(tmp_path), str(tmp_path / "missing.avro")):
        refused(bridge, sshd, "--files", path, good, code=2, words=[path])
    bridge.config["streams"].append(stream("other"))
    bridge.write()
    names = "requests-archives | other"
    refused(bridge, sshd, "--files", good, code=2, words=["--files", "--stream", names])
    both = ["--stream", "other", "--stream", "requests-archives"]
    refused(bridge, sshd, "--files", good, *both, code=2, words=["--files", "--stream", names])
    refused(
        bridge,
        sshd,
        "--files",
        good,
        "--stream",
        "none",
        code=2,
        words=["--stream none", "requests-archives"],
    )
    assert sshd.files() == []
    assert in_spool(bridge) == []


def test_archives_give_what_their_events_say(kafka, sshd, tmp_path):
    """In any format, packed or not: the platform's state is last-write-wins over the events."""
    bridge = site(kafka, sshd, tmp_path, "requests.formats")
    events = made.make(LOAD, 21)
    wanted = [one | {"topic": "archive", "partition": 0, "offset": at} for at, one in enumerate(events)]
    formats = {
        "events.jsonl": json_lines(events),
        "events.jsonl.gz": gzip.compress(json_lines(events)),
        "events.avro": avro(events),
        "events.parquet": parquet(events),
    }
    for name, content in formats.items():
        bridge.config["spool"]["directory"] = str(tmp_path / f"spool-{name}")
        bridge.write()
        said = replay(bridge, "--files", archive(tmp_path, name, content))
        assert f"read: {len(events):,} events" in said
        assert differences(sshd, wanted) == [], name
        for path in delivered(sshd):
            path.unlink()


def test_archives_together_within_a_time(kafka, sshd, tmp_path):
    """Several files in one call, each of other users: their events from --from on and before --to."""
    bridge = site(kafka, sshd, tmp_path, "requests.together")
    days = [made.make(Load(events=300, users=60, start=T0 + day * 24 * HOUR), day) for day in range(3)]
    files = [
        archive(tmp_path, "first.avro", avro(days[0])),
        archive(tmp_path, "second.parquet", parquet(days[1])),
        archive(tmp_path, "third.jsonl.gz", gzip.compress(json_lines(days[2]))),
    ]
    replay(bridge, *hours(12, 48), "--files", *files)
    within = [one for day in days for one in day if T0 + 12 * HOUR <= one["event_time"] < T0 + 48 * HOUR]
    placed = [one | {"topic": "archive", "partition": 0, "offset": at} for at, one in enumerate(within)]
    assert 300 < len(placed) < 600
    assert differences(sshd, placed) == []


def test_from_offset_reads_these_partitions_alone(kafka, sshd, tmp_path):
    """From there on; the live group's commits stay as they are, and no group has come."""
    topic = "requests.offsets"
    bridge = site(kafka, sshd, tmp_path, topic, partitions=3)
    placed = produce(kafka, topic, made.make(LOAD, 22), partitions=3)
    places = {1: 500, 2: ends(placed)[2] - 100}
    options = [
        word for number, offset in places.items() for word in ("--from-offset", f"{topic}:{number}:{offset}")
    ]
    groups = known_groups(kafka)
    said = replay(bridge, *options)
    meant = [one for one in placed if one["offset"] >= places.get(one["partition"], 10**9)]
    assert f"read: {len(meant):,} events" in said
    assert differences(sshd, meant) == []
    assert known_groups(kafka) - groups == set()
    assert committed(kafka, bridge.config, topic) == {}
    bridge.drain()
    before = committed(kafka, bridge.config, topic)
    assert before == {topic: ends(placed)}
    replay(bridge, *options)
    assert committed(kafka, bridge.config, topic) == before
    assert known_groups(kafka) - groups == {bridge.config["kafka"]["group_id"]}
    assert differences(sshd, placed) == []


def known_groups(kafka):
    admin = kafka.admin()  # as above
    return {group.group_id for group in admin.list_consumer_groups().result(30).valid}


SIZES = {"B": 1, "kB": 1_000, "MB": 1_000_000}
WOULD_SEND = re.compile(
    r"would send: [^/]+/(\S+)  ([0-9,]+) memberships in ([0-9,]+) files?, ([0-9.]+) (\w+);"
)
UPLOADED = re.compile(r"uploaded: (\S+)  (\S+)  ([0-9,]+) memberships")
TRIVIA = 400
"""Bytes of a header, packed, and of what the forecast's size is rounded by."""


def number(text):
    return int(text.replace(",", ""))


def forecast(said):
    """What a trial run has said: memberships, files and bytes by audience."""
    return {
        label: (number(memberships), number(files), float(size) * SIZES[unit])
        for label, memberships, files, size, unit in WOULD_SEND.findall(said)
    }


def outcome(said, sshd):
    """What a replay has sent: the same of it."""
    return {
        label: (number(memberships), 1, (sshd.root / name).stat().st_size)
        for name, label, memberships in UPLOADED.findall(said)
    }


def check_forecast(expected, came):
    """Memberships and files to the last one, bytes but for what no forecast knows."""
    assert expected
    assert {label: counts for label, (*counts, _) in expected.items()} == {
        label: counts for label, (*counts, _) in came.items()
    }
    assert [label for label in came if not 0 < came[label][2] - expected[label][2] < TRIVIA] == []


def ledger_of(bridge):
    """What the ledger knows."""
    with Ledger.read_only(Path(bridge.config["spool"]["directory"]) / LEDGER) as ledger:
        return (
            ledger.audiences(),
            ledger.files(),
            ledger.attempts("default", 0),
            ledger.known_since("default"),
        )


def test_a_trial_run_tells_what_will_be_sent(kafka, sshd, tmp_path):
    """Without a bridge and beside one that has live data waiting: nothing is sent, spent or left."""
    topic = "requests.trial"
    bridge = site(kafka, sshd, tmp_path, topic)
    events = made.make(LOAD, 23)
    placed = produce(kafka, topic, events[:2_000], partitions=2)
    alone = replay(bridge, *hours(2, 12), "--dry-run")
    assert (sshd.files(), in_spool(bridge)) == ([], [])
    assert "quotas make of it about 1 h" in alone
    check_forecast(forecast(alone), outcome(replay(bridge, *hours(2, 12)), sshd))
    bridge.drain()
    bridge.config["roll"] = {"max_age": "1h"}
    bridge.write()
    process = bridge.start()
    try:
        placed += produce(kafka, topic, events[2_000:], partitions=2)
        until(lambda: committed(kafka, bridge.config, topic) == {topic: ends(placed)}, "all commits")
        left, files, ledger = in_spool(bridge), sshd.files(), ledger_of(bridge)
        beside = replay(bridge, *hours(4, 20), "--dry-run")
        assert (in_spool(bridge), sshd.files(), ledger_of(bridge)) == (left, files, ledger)
        check_forecast(forecast(beside), outcome(replay(bridge, *hours(4, 20)), sshd))
        assert end(process, signal.SIGTERM) == 0
    finally:
        end(process)
    bridge.drain()
    assert differences(sshd, placed) == []


def test_an_unfinished_replay_goes_on_and_a_finished_one_begins_anew(kafka, sshd, tmp_path):
    """Killed while it reads and while it waits for quota; until it is through it takes no other options."""
    topic = "requests.again"
    wait_for_an_hour()
    bridge = site(
        kafka, sshd, tmp_path, topic, window={"max_age": "10ms"}, accounts=[account(sshd, files_per_hour=3)]
    )
    placed = produce(kafka, topic, made.make(replace(LOAD, events=12_000), 24), partitions=2)
    day = [*hours(0, 24), "--name", "mine"]
    with replaying(bridge, *day) as process:
        wait_for(bridge, "run_sealed")
        assert end(process, signal.SIGKILL) == -signal.SIGKILL
    with replaying(bridge, *day) as process:
        assert wait_for(bridge, "mine:") == ["mine: goes on\n"]
        wait_for(bridge, "uploaded:", 2)
        waits = json.loads(wait_for(bridge, "replay_delivering")[-1])
        assert waits["audiences_left"] in {2, 3, 4}
        assert end(process, signal.SIGKILL) == -signal.SIGKILL
    for other in (
        [*hours(0, 23), "--name", "mine"],
        [*day, "--force"],
        [*day, "--stream", topic.replace(".", "-")],
        ["--from-offset", f"{topic}:0:1", "--name", "mine"],
    ):
        refused(bridge, sshd, *other, code=2, words=["--name mine", "unfinished", "same options", "--cancel"])
    replay(bridge, *day, "--dry-run")
    bridge.config["accounts"] = [account(sshd)]
    bridge.write()
    assert len(delivered(sshd)) == 2
    assert replay(bridge, *day).startswith("mine: goes on\n")
    once = delivered(sshd)
    assert len(once) == len({oracle.read(path).audience for path in once}) == 4
    assert differences(sshd, placed) == []
    said = replay(bridge, *day)
    assert "goes on" not in said
    assert f"read: {len(placed):,} events" in said
    assert len(delivered(sshd)) == 8
    assert differences(sshd, placed) == []


def test_a_replay_by_the_moment_of_asking_goes_on_with_its_first_times(kafka, sshd, tmp_path):
    """A refresh whose pod was killed sends what it was begun for, not a later time under the same name."""
    topic = "requests.relative"
    bridge = site(kafka, sshd, tmp_path, topic, window={"max_age": "10ms"})
    placed = produce(kafka, topic, made.make(LOAD, 26), partitions=2)
    ago = ["--from", f"-{int(time.time() * 1000) - T0 + HOUR}ms", "--to", "now", "--name", "refresh-1"]
    with replaying(bridge, *ago) as process:
        wait_for(bridge, "run_sealed")
        assert end(process, signal.SIGKILL) == -signal.SIGKILL
    assert replay(bridge, *ago).startswith("refresh-1: goes on\n")
    assert differences(sshd, placed) == []


def test_a_cancelled_replay_is_over(kafka, sshd, tmp_path):
    """What was sent stays, the rest is never sent; its name is free for another."""
    topic = "requests.cancelled"
    wait_for_an_hour()
    bridge = site(kafka, sshd, tmp_path, topic, accounts=[account(sshd, files_per_hour=3)])
    produce(kafka, topic, made.make(LOAD, 25), partitions=2)
    with replaying(bridge, *hours(0, 24), "--name", "mine") as process:
        wait_for(bridge, "uploaded:", 2)
        refused(bridge, sshd, "--cancel", "--name", "mine", code=1, words=["replay-mine", str(process.pid)])
    done = bridge.call("replay", "--cancel", "--name", "mine")
    assert (done.returncode, lines_for_people(done)) == (0, [])
    assert done.stdout.startswith("mine: cancelled")
    bridge.config["accounts"] = [account(sshd)]
    bridge.write()
    before = delivered(sshd)
    assert replay(bridge, *hours(30, 31), "--name", "mine").endswith(
        "delivered: 0 memberships in 0 files, 0 B\n"
    )
    assert delivered(sshd) == before


def test_in_a_pipe_the_log_tells_how_far_it_is(kafka, sshd, tmp_path):
    """While it reads a line every so often: what is read, what is left, how fast; no bar anywhere."""
    topic = "requests.pipe"
    bridge = site(kafka, sshd, tmp_path, topic)
    events = made.make(Load(events=60_000, users=6_000, start=T0, span=24 * HOUR), 26)
    produce(kafka, topic, events, partitions=2)
    with replaying(bridge, *hours(0, 24)) as process:
        assert process.wait(120) == 0
    lines = [json.loads(line) for line in told(bridge, "replay_reading")]
    read, left = [line["events"] for line in lines], [line["events_left"] for line in lines]
    assert read == sorted(read)
    assert left == sorted(left, reverse=True)
    assert read[-1] - read[0] > 0 < left[0] - left[-1]
    assert [line for line in lines if line["events_per_second"] > 0 and line["seconds_left"] is None] == []
    assert "\x1b" not in replay_log(bridge).read_text()


def test_a_replay_leaves_the_hours_files_to_live_data_that_waits(kafka, sshd, tmp_path):
    """It takes its share and no more; what becomes due meanwhile goes at once, and before what is left."""
    topic = "requests.share"
    wait_for_an_hour()
    bridge = site(
        kafka,
        sshd,
        tmp_path,
        topic,
        roll={"max_age": "1h", "max_bytes": "200kB"},
        accounts=[account(sshd, files_per_hour=8, replay_share=0.25)],
    )
    placed = produce(kafka, topic, made.make(LOAD, 27), partitions=2)
    process = bridge.start()
    try:
        until(lambda: committed(kafka, bridge.config, topic) == {topic: ends(placed)}, "all commits")
        with replaying(bridge, *hours(0, 24), "--name", "mine"):
            wait_for(bridge, "uploaded:", 2)
            kafka.produce(topic, [(0, None, made.json_text(one)) for one in many_of_one_audience()])
            until(lambda: len(delivered(sshd)) > 2, "the file of what is due")
            bridge.wait_for("file_uploaded", 3)
            assert kinds(bridge) == ["replay", "replay", "live"]
            assert end(process, signal.SIGTERM) == 0
    finally:
        end(process)
    bridge.config |= {"accounts": [account(sshd, files_per_hour=100)], "roll": {"max_age": "1s"}}
    bridge.write()
    bridge.drain()
    assert kinds(bridge)[:6] == ["replay", "replay", "live", "live", "live", "live"]
    replay(bridge, *hours(0, 24), "--name", "mine")
    assert kinds(bridge)[6:] == ["replay", "replay"]


def many_of_one_audience():
    """So many memberships that their file is due by its size."""
    return [
        {
            "user_id": f"99999999-2222-3333-4444-{user:012}",
            "event_time": T0 + 30 * HOUR,
            "segments": [{"segment_id": segment, "timestamp": 0} for segment in range(1, 201)],
        }
        for user in range(1, 501)
    ]


def kinds(bridge):
    """Of what each file is, in the order in which they arrived."""
    _, files, *_ = ledger_of(bridge)
    return ["replay" if file.replay else "live" for file in sorted(files, key=lambda one: one.uploaded_at)]
