"""Dead letters brought back in: real topics, a real server, and the state of the platform afterwards."""

import base64
import gzip
import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.parts import events as made
from tests.parts import oracle
from tests.parts.bridging import (
    Bridge,
    account,
    configuration,
    dead_letters,
    delivered,
    differences,
    end,
    produce,
    stream,
)
from tests.parts.events import Load
from tests.parts.waiting import until

pytestmark = [pytest.mark.kafka, pytest.mark.sshd]

HOUR = 3_600_000
T0 = 1_790_000_000_000 // HOUR * HOUR
USER = "11111111-2222-3333-4444-555555555555"


class Site:
    """Streams whose configuration is wrong at first."""

    def __init__(self, kafka, sshd, directory, *streams, **more):
        self.kafka, self.sshd = kafka, sshd
        for one in streams:
            kafka.create_topic(one["topics"][0], 4)
        self.config = configuration(kafka, sshd, directory, list(streams), **more)
        self.bridge = Bridge(directory, self.config)
        self.folder = directory / "spool" / "dead-letters"
        self.replays = directory / "spool" / "replays"

    def correct(self, **settings):
        """Other settings of the first stream."""
        self.config["streams"][0] |= settings
        self.bridge.write()

    def redrive(self, *more):
        """`s2s-bridge dead-letters redrive`, to its end; what it printed."""
        done = self.bridge.call("dead-letters", "redrive", *more)
        assert done.returncode == 0, done.stderr
        return done.stdout.splitlines()

    def lines(self):
        """All letters as they are written, in order of files."""
        return [
            line
            for path in sorted(self.folder.iterdir())
            for line in gzip.decompress(path.read_bytes()).splitlines()
        ]


def event(hour, *segments, client=None, **more):
    """An event of that hour; a segment is a number, negative to remove it."""
    return {
        "user_id": USER,
        "client": client,
        "event_time": T0 + hour * HOUR,
        "segments": [
            {"segment_id": abs(segment), "timestamp": -1 if segment < 0 else 0} for segment in segments
        ],
    } | more


def held(sshd):
    """Segments of USER by the files, with their timestamps."""
    state = oracle.fold(delivered(sshd))
    return {
        int(segment): stamp[0] for users in state.values() for segment, stamp in users.get(USER, {}).items()
    }


def reasons(lines):
    return sorted({json.loads(line)["reason"] for line in lines})


def test_a_redriven_add_does_not_undo_a_removal_delivered_meanwhile(kafka, sshd, tmp_path):
    """Refused for its client; then the client is allowed, and a newer event takes one of two segments."""
    site = Site(kafka, sshd, tmp_path, stream("letters.removed"))
    placed = produce(kafka, "letters.removed", [event(1, 7, 8, client="Acme")], partitions=1)
    site.bridge.drain()
    assert (delivered(sshd), reasons(site.lines())) == ([], ["unknown_client"])
    site.correct(clients=["Acme"])
    placed += produce(kafka, "letters.removed", [event(2, -7, client="Acme")], partitions=1)
    site.bridge.drain()
    told = site.redrive()
    assert held(sshd) == {8: (T0 + HOUR) // 1000}
    assert differences(sshd, placed) == []
    assert (len(delivered(sshd)), list(site.folder.iterdir())) == (2, [])
    assert "passed: 1 unknown_client" in told
    assert told[-1].startswith("delivered: 1 memberships in 1 file, ")
    assert site.redrive() == [f"no dead letters in {site.folder}"]
    shown = json.loads(site.bridge.call("status", "--json").stdout)
    assert [(one["name"][:8], one["state"]) for one in shown["replays"]] == [("redrive-", "delivered")]


def wrong_schema(directory):
    """A pinned schema with a field more than the events were written with."""
    schema = made.schema()
    schema["fields"].append({"name": "campaign", "type": "string"})
    path = directory / "wrong.avsc"
    path.write_text(json.dumps(schema))
    return path


def test_what_a_corrected_configuration_accepts_comes_in_and_the_rest_stays(kafka, sshd, tmp_path):
    """Clients, a namespace and a schema are corrected one after the other, live events come in between."""
    avro = {"format": "avro", "schema": str(wrong_schema(tmp_path)), "segment_namespace": "av"}
    site = Site(kafka, sshd, tmp_path, stream("letters.json"), stream("letters.avro", **avro))
    load = Load(events=6_000, users=500, clients=(None, "Acme", "Globex"), start=T0, span=20 * HOUR)
    events = made.make(load, 41)
    for number, one in enumerate(events):
        one["segment_namespace"] = "other" if number % 3 == 0 else None
    bad = [event(1, 7, user_id="nobody"), event(1, 7, event_time=0), event(1, 7, client="Nobody")]
    placed = produce(kafka, "letters.json", [*events[:3_000], *bad, *events[3_000:4_000]])
    avro_events = made.make(Load(events=1_000, users=100, start=T0), 42)
    avro_placed = produce(kafka, "letters.avro", avro_events, made.avro(made.schema()))
    site.bridge.drain()
    first = site.lines()
    assert reasons(first) == [
        "invalid_event_time",
        "invalid_user_id",
        "undecodable",
        "unknown_client",
        "unknown_namespace",
    ]

    site.correct(clients=["Acme", "Globex"])
    told = site.redrive("--reason", "unknown_client")
    assert any(
        line.startswith("stays: ") and "unknown_namespace; the first: letters.json" in line for line in told
    )
    second = site.lines()
    assert [line for line in first if line in set(second)] == second
    assert sum(json.loads(line)["reason"] != "unknown_client" for line in second) == sum(
        json.loads(line)["reason"] != "unknown_client" for line in first
    )

    site.correct(segment_namespaces=["other"])
    site.config["streams"][1]["schema"] = str(made.SCHEMAS / "segment_membership.avsc")
    site.bridge.write()
    placed += produce(kafka, "letters.json", events[4_000:])
    site.bridge.drain()
    site.redrive()
    assert sorted(site.lines()) == sorted(line for line in first if is_bad(line))
    assert len(site.lines()) == len(bad)
    want = oracle.last_write_wins([*placed[:3_000], *placed[3_000 + len(bad) :]])
    want |= oracle.last_write_wins(avro_placed, segment_namespace="av")
    assert oracle.same(oracle.fold(delivered(sshd)), want) == []
    before = {path: path.read_bytes() for path in site.folder.iterdir()}
    assert "taken: 0 of 3 events, 0 memberships" in site.redrive()
    assert {path: path.read_bytes() for path in site.folder.iterdir()} == before


def is_bad(line):
    """A letter of an event that no configuration here accepts."""
    stored = json.loads(line)
    return stored["reason"] in ("invalid_user_id", "invalid_event_time") or b'"Nobody"' in base64.b64decode(
        stored["value"]
    )


def test_beside_a_running_bridge_the_bridge_delivers_them(kafka, sshd, tmp_path):
    """With its one ledger, while it goes on to refuse others, which are there for the next call."""
    site = Site(kafka, sshd, tmp_path, stream("letters.beside"))
    load = Load(events=5_000, users=500, clients=("Acme",), start=T0)
    placed = produce(kafka, "letters.beside", made.make(load, 43))
    site.bridge.drain()
    site.correct(clients=["Acme"])
    process = site.bridge.start()
    try:
        site.bridge.wait_for("started", 2)
        produce(kafka, "letters.beside", [event(1, 7, client="Nobody")], partitions=1)
        told = site.redrive()
        names = [line.split()[1] for line in told if line.startswith("uploaded:")]
        assert names
        uploaded = {one["file"] for one in site.bridge.events("file_uploaded")}
        assert set(names) <= uploaded
        until(lambda: len(site.lines()) == 1, "the event refused meanwhile")
        assert end(process, signal.SIGTERM) == 0
    finally:
        end(process)
    assert differences(sshd, placed) == []
    assert [json.loads(line)["reason"] for line in site.lines()] == ["unknown_client"]


def start_redrive(site):
    """`s2s-bridge dead-letters redrive` in a process of its own."""
    with (site.folder.parent.parent / "redrive.log").open("ab") as output:
        return subprocess.Popen(
            [sys.executable, "-m", "bridge", "dead-letters", "redrive", "--config", str(site.bridge.path)],
            stdout=output,
            stderr=output,
            stdin=subprocess.DEVNULL,
            cwd=Path(__file__).parents[2],
        )


def test_killed_at_any_stage_nothing_is_lost_and_nothing_sent_twice(kafka, sshd, tmp_path):
    """Killed when a run is sealed, a file written anew, all read, a file sent; called again, it goes on."""
    site = Site(
        kafka,
        sshd,
        tmp_path,
        stream("letters.killed"),
        accounts=[account(sshd, max_file_bytes="20kB")],
        window={"max_age": "100ms", "max_bytes": "5MB"},
    )
    load = Load(events=60_000, users=8_000, clients=("Acme",), start=T0)
    placed = produce(kafka, "letters.killed", made.make(load, 44))
    site.bridge.drain()
    assert len(dead_letters(site.config)) == len(placed)
    files = sorted(site.folder.iterdir())
    assert len(files) > 2
    site.correct(clients=["Acme"])
    stages = {
        "a run": lambda: list(site.replays.glob("*/*.run")),
        "a file less": lambda: len(list(site.folder.iterdir())) < len(files),
        "all read": lambda: (
            '"read"' in "".join(path.read_text() for path in site.replays.glob("*/replay.json"))
        ),
        "a file sent": lambda: len(delivered(sshd)) > 1,
    }
    for what, reached in stages.items():
        process = start_redrive(site)
        try:
            until(reached, what)
            assert process.poll() is None
        finally:
            assert end(process, signal.SIGKILL) == -signal.SIGKILL
    site.redrive()
    assert list(site.folder.iterdir()) == []
    assert len(list(site.replays.glob("*/replay.json"))) == 1
    assert differences(sshd, placed) == []
    sent = [(file.audience, row[0]) for file in map(oracle.read, delivered(sshd)) for row in file.rows]
    assert len(set(sent)) == len(sent)


def test_a_topic_that_is_gone_keeps_its_letters(kafka, sshd, tmp_path):
    """So does one that no stream reads any more; what can be judged is, and a damaged file is told."""
    site = Site(kafka, sshd, tmp_path, stream("letters.here"), stream("letters.gone"), stream("letters.left"))
    for number, topic in enumerate(["letters.here", "letters.gone", "letters.left"]):
        produce(kafka, topic, [event(1, 7 + number, client="Acme")], partitions=1)
        site.bridge.drain()
    damaged = site.folder / "000000000000.jsonl.gz"
    damaged.write_bytes(min(site.folder.iterdir()).read_bytes()[:-4])
    kafka.delete_topic("letters.gone")
    for one in site.config["streams"]:
        one["clients"] = ["Acme"]
    site.config["streams"].pop()
    site.bridge.write()
    before = damaged.read_bytes()
    done = site.bridge.call("dead-letters", "redrive")
    assert done.returncode == 1
    (line, *_) = done.stderr.splitlines()
    assert line.startswith(f"{damaged}:2: truncated: its gzip ends too soon")
    assert held(sshd) == {7: (T0 + HOUR) // 1000}
    assert "stays: 1 Kafka has no such topic; the first: letters.gone partition 0 offset 0: " in done.stdout
    assert "stays: 1 no stream reads its topic; the first: letters.left partition 0 offset 0: " in done.stdout
    assert damaged.read_bytes() == before
    damaged.unlink()
    assert [json.loads(line)["topic"] for line in site.lines()] == ["letters.gone", "letters.left"]
