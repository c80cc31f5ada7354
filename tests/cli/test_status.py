"""`s2s-bridge status`: from made-up ledgers and runs, and beside a real bridge."""

import hashlib
import json
from dataclasses import replace

import polars as pl
import pytest

from bridge import cli
from bridge.clock import DAY, HOUR, MINUTE, SECOND
from bridge.config import Config, load
from bridge.deliver import statements
from bridge.deliver.file_state import FileState
from bridge.deliver.ledger import Ledger
from bridge.deliver.records import FileRecord, Outcome, Progress
from bridge.segments.codes import Codes
from bridge.segments.seen import Seen, day_of
from bridge.segments.stored import encoded, path_of
from bridge.service.opening import LEDGER
from bridge.service.telling.status import MOST_FILES, gather
from tests.parts.audiences import DISPLAY, HASHED
from tests.parts.bridging import Bridge, configuration, delivered, end, stream
from tests.parts.collecting import events
from tests.parts.spools import new_spool, one, seal
from tests.parts.waiting import until

NOON = 1_793_534_400_000
"""2026-11-01T12:00:00Z."""
NOW = NOON + 10 * MINUTE

TEXT = """\
kafka: {bootstrap_servers: "kafka:9092"}
spool: {directory: spool}
accounts:
  - name: a
    agency: Agency
    partner: Partner
    sftp: {host: sftp.example.com, username: agency, password_file: password, host_key: ssh-ed25519 AAAA}
    quota: {files_per_hour: 4, bytes_per_day: 1MB, guard: 0s}
streams:
  - {name: acme, topics: [acme], format: json, segment_namespace: ep, account: a}
"""


class StoppedClock:
    """It is always the same moment."""

    def now(self):
        return NOW

    def wait(self, _signal, _duration):
        raise AssertionError("status waits for nothing")


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "bridge.yaml"
    path.write_text(TEXT)
    return path


@pytest.fixture
def config(path) -> Config:
    return load(path, {})


@pytest.fixture
def spool(config):
    return new_spool(config.spool.directory)


def a_file(name, whose=DISPLAY, created_at=NOON, run=1):
    return FileRecord(
        name=name,
        audience=whose,
        state=FileState.BUILT,
        path=f"files/{name}",
        bytes=400_000,
        lines=10,
        memberships=20,
        sha256="ab" * 32,
        created_at=created_at,
        uploaded_at=None,
        detail="",
        progress=Progress(start="", stop=None, run=run, newest_event_time=5, removals_only=False),
    )


def attempt(ledger, file, outcome, at, detail=""):
    ledger.add_file(file)
    begun = ledger.begin_attempt(file.name, at, 0, lambda _: True)
    ledger.end_attempt(begun, at + SECOND, outcome, detail)


@pytest.fixture
def filled(spool):
    """Two runs, the first of them delivered, and a file that failed to go."""
    seal(spool, one(), now=NOON)
    seal(spool, one(user=2), now=NOW - 5 * MINUTE)
    seal(spool, {HASHED: [(1, 1, 0, 5, 0, 0, 0), (2, 1, 0, 5, 0, 0, 1)]}, now=NOW - 20 * MINUTE)
    with Ledger.create(spool.directory / LEDGER, spool.id, NOON) as ledger:
        attempt(ledger, a_file("Agency_Partner_202611011200.log.gz"), Outcome.UPLOADED, NOON)
        failing = a_file("Agency_Partner_202611011205.log.gz", HASHED, NOON + 5 * MINUTE, run=3)
        attempt(ledger, failing, Outcome.SPENT, NOON + 5 * MINUTE, "sftp x:22: disk full")
        ledger.raise_horizons({DISPLAY: NOON - HOUR})
        ledger.set_skew("a", 1500)
    return spool


def test_without_a_spool(path, tmp_path, capsys):
    """It says so, exits 0 and makes nothing; the JSON has empty lists, and nothing is used."""
    assert cli.main(["status", "--config", str(path)]) == 0
    out, err = capsys.readouterr()
    assert f"{tmp_path / 'spool'}: no spool yet" in out
    assert "0 of 4" in out
    assert err == ""
    assert cli.main(["status", "--config", str(path), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["audiences"], found["horizons"], found["files"]) == ([], [], [])
    assert [account["quota"]["files"]["used"] for account in found["accounts"]] == [0]
    assert not (tmp_path / "spool").exists()


def test_without_a_ledger(config, spool):
    """A spool without one that has no runs is new; with runs, its quotas count as spent and all waits."""
    status = gather(config, StoppedClock())
    assert "no ledger yet" in status.notes[0]
    assert status.accounts[0].usage.files_used == 0
    seal(spool, one(), now=NOON)
    status = gather(config, StoppedClock())
    assert "--adopt" in status.notes[0]
    assert (status.accounts[0].usage.files_used, status.accounts[0].usage.bytes_used) == (4, 1_000_000)
    assert [waiting.memberships for waiting in status.audiences] == [1]
    assert not (spool.directory / LEDGER).exists()


@pytest.mark.usefixtures("filled")
def test_json(config):
    """The contract's object, key for key: its names, times in ISO 8601 UTC, null for what is not there."""
    found = gather(config, StoppedClock()).to_json()
    (account,) = found["accounts"]
    assert account["name"] == "a"
    assert account["quota"] == {
        "files": {"used": 2, "limit": 4, "resets_at": "2026-11-01T13:00:00Z"},
        "bytes": {"used": 800_000, "limit": 1_000_000, "resets_at": "2026-11-02T00:00:00Z"},
    }
    partner, own = found["audiences"]
    assert (
        partner.items()
        >= {
            "account": "a",
            "client": None,
            "mobile": False,
            "user_namespace": "xx",
            "segment_namespace": "ep",
            "pending_memberships": 2,
            "oldest_pending_seconds": 1200,
            "due_at": "2026-11-01T12:05:00Z",
            "horizon": None,
        }.items()
    )
    assert (
        own.items()
        >= {
            "user_namespace": "mm",
            "pending_memberships": 1,
            "oldest_pending_seconds": 300,
            "horizon": "2026-11-01T11:00:00Z",
            "delivered_run": 1,
        }.items()
    )
    assert [file["name"][-19:-7] for file in found["files"]] == ["202611011205", "202611011200"]
    failing, uploaded = found["files"]
    assert (failing["state"], failing["uploaded_at"]) == ("uploading", None)
    assert (failing["attempts"], failing["detail"]) == (1, "sftp x:22: disk full")
    assert (
        uploaded.items()
        >= {
            "account": "a",
            "client": None,
            "mobile": False,
            "state": "uploaded",
            "bytes": 400_000,
            "lines": 10,
            "memberships": 20,
            "sha256": "ab" * 32,
            "uploaded_at": "2026-11-01T12:00:01Z",
        }.items()
    )


def test_a_closed_quota_counts_as_spent(config, filled):
    """What the server refused for quota is shown as spent, and until when."""
    with Ledger.open(filled.directory / LEDGER) as ledger:
        ledger.close_account("a", NOON + HOUR)
    (account,) = gather(config, StoppedClock()).to_json()["accounts"]
    assert account["quota"]["files"]["used"] == 4
    assert account["closed_until"] == "2026-11-01T13:00:00Z"


@pytest.mark.usefixtures("filled")
def test_for_people(path, monkeypatch, capsys):
    """Quotas, what waits, why a file is not uploaded, and the files; in a pipe without a colour or a cut."""
    monkeypatch.setattr("bridge.cli.status.SystemClock", StoppedClock)
    assert cli.main(["status", "--config", str(path)]) == 0
    out = capsys.readouterr().out
    lines = [line.split() for line in out.splitlines()]
    quota = ["a", "2", "of", "4", "(50%)", "50m", "800", "kB", "of", "1", "MB", "(80%)", "11h", "50m"]
    assert quota in lines
    assert ["a", "(global)/xx:7/ep/display/hashed", "2", "20m", "now", "none"] in lines
    own = "a (global)/mm/ep/display 1 5m in 10m 2026-11-01 11:00:00Z"
    assert own.split() in lines
    failing = (
        "Agency_Partner_202611011205.log.gz uploading 2026-11-01 12:05:00Z 1 400 kB sftp x:22: disk full"
    )
    assert failing.split() in lines
    assert "\x1b" not in out
    assert "…" not in out
    assert all(line == line.rstrip() for line in out.splitlines())


def test_the_horizon_of_every_audience(path, config, filled, monkeypatch, capsys):
    """Whether it waits or not, and where none of its runs is kept: how far back it is judged, and by what."""
    monkeypatch.setattr("bridge.cli.status.SystemClock", StoppedClock)
    gone = replace(DISPLAY, account="b", client="Gone")
    with Ledger.open(filled.directory / LEDGER) as ledger:
        ledger.raise_horizons({gone: NOON - DAY})
        progress = Progress(start="", stop=None, run=3, newest_event_time=5, removals_only=False)
        ledger.skip(DISPLAY, progress)
    told = [
        (one["account"], one["client"], one["user_namespace"], one["horizon"], one["history_from"])
        for one in gather(config, StoppedClock()).to_json()["horizons"]
    ]
    assert told == [
        ("a", None, "mm", "2026-11-01T11:00:00Z", "2026-11-01T12:00:00Z"),
        ("a", None, "xx", None, "2026-11-01T11:50:00Z"),
        ("b", "Gone", "mm", "2026-10-31T12:00:00Z", None),
    ]
    cli.main(["status", "--config", str(path)])
    _, _, table = capsys.readouterr().out.partition("History: ")
    assert [line.split() for line in table.splitlines()[1:]] == [
        line.split()
        for line in (
            "account audience horizon kept since",
            "a (global)/mm/ep/display 2026-11-01 11:00:00Z 2026-11-01 12:00:00Z",
            "a (global)/xx:7/ep/display/hashed none 2026-11-01 11:50:00Z",
            "b Gone/mm/ep/display 2026-10-31 12:00:00Z none",
        )
    ]


@pytest.mark.parametrize("options", [[], ["--file", "Agency_Partner_202611011200.log.gz"]])
def test_what_a_server_said_is_shown_as_it_is(path, spool, monkeypatch, capsys, options):
    """Brackets and colons are no marks of ours: nothing is left out, and nothing fails."""
    monkeypatch.setattr("bridge.cli.status.SystemClock", StoppedClock)
    said = "sftp [fe80::1]:22: the server refused to open: 'see [/red] :warning: [bold]'"
    with Ledger.create(spool.directory / LEDGER, spool.id, NOON) as ledger:
        attempt(ledger, a_file("Agency_Partner_202611011200.log.gz"), Outcome.SPENT, NOON, said)
    assert cli.main(["status", "--config", str(path), *options]) == 0
    assert said in capsys.readouterr().out


def test_only_the_newest_files_are_shown_to_people(path, spool, monkeypatch, capsys):
    """Twenty of them; the JSON has all."""
    monkeypatch.setattr("bridge.cli.status.SystemClock", StoppedClock)
    with Ledger.create(spool.directory / LEDGER, spool.id, NOON) as ledger:
        for minute in range(25):
            file = a_file(f"Agency_Partner_2026110110{minute:02}.log.gz", created_at=NOON + minute)
            attempt(ledger, file, Outcome.UPLOADED, NOON - DAY)
    cli.main(["status", "--config", str(path)])
    out = capsys.readouterr().out
    assert "Files: the newest 20" in out
    assert out.count(".log.gz") == 20
    assert "1004.log.gz" not in out
    cli.main(["status", "--config", str(path), "--json"])
    assert len(json.loads(capsys.readouterr().out)["files"]) == 25


@pytest.mark.failure(62)
def test_a_rejected_file_is_told_however_many_came_since(config, spool):
    """Until it is asked to be sent again: after a weekend it is still what somebody has to see to."""
    bad = "Agency_Partner_202611011000.log.gz"
    with Ledger.create(spool.directory / LEDGER, spool.id, NOON) as ledger:
        attempt(ledger, a_file(bad, created_at=NOON - DAY), Outcome.UPLOADED, NOON - DAY)
        ledger.reject(bad, detail="bad header")
        later = replace(a_file("", created_at=NOON), state=FileState.CONFIRMED, uploaded_at=NOON)
        with ledger._database.transaction() as connection:
            for number in range(MOST_FILES):
                statements.insert_file(connection, replace(later, name=f"{number}.log.gz"))
        told = {one.file.name for one in gather(config, StoppedClock()).files}
        assert len(told) == MOST_FILES + 1
        assert bad in told
        ledger.ask_resend(bad, NOON)
    assert bad not in {one.file.name for one in gather(config, StoppedClock()).files}


def test_a_damaged_ledger_is_one_line(path, spool, capsys):
    """It is told, with the file and the way out, and the exit code is 1."""
    (spool.directory / LEDGER).write_bytes(b"garbage")
    assert cli.main(["status", "--config", str(path)]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert LEDGER in line
    assert "--adopt" in line


@pytest.mark.kafka
@pytest.mark.sshd
def test_beside_a_running_bridge_and_after_it(kafka, sshd, tmp_path):
    """What waits is told while the bridge runs; afterwards the file, with the hash of what arrived."""
    kafka.create_topic("status.beside", 4)
    kafka.produce("status.beside", events(500))
    waiting_long = configuration(kafka, sshd, tmp_path, [stream("status.beside")], roll={"max_age": "1h"})
    bridge = Bridge(tmp_path, waiting_long)

    def told():
        done = bridge.call("status", "--json")
        assert (done.returncode, done.stderr) == (0, "")
        return json.loads(done.stdout)

    process = bridge.start()
    try:
        until(lambda: sum(one["pending_memberships"] for one in told()["audiences"]) == 500, "500 waiting")
        (audience,) = told()["audiences"]
    finally:
        end(process)
    assert audience.items() >= {"account": "default", "client": None, "mobile": False}.items()
    bridge.drain()
    found = told()
    assert found["audiences"] == []
    (file,), (path,) = found["files"], delivered(sshd)
    assert (file["name"], file["state"], file["memberships"]) == (path.name, "uploaded", 500)
    assert file["sha256"] == hashlib.sha256(path.read_bytes()).hexdigest()
    assert found["accounts"][0]["quota"]["bytes"]["used"] == file["bytes"] == path.stat().st_size


def test_unknown_segments_stand_in_the_status_and_a_damaged_record_is_a_note(tmp_path, capsys):
    """The 20 most frequent of each stream that names a taxonomy, as its record says."""
    path = tmp_path / "bridge.yaml"
    path.write_text(TEXT.replace("account: a}", "account: a, taxonomy: acme.csv}"))
    config = load(path, {})
    spool = new_spool(config.spool.directory)
    (stream,) = gather(config, StoppedClock()).to_json()["segments"]
    assert (stream["watched_since"], stream["unknown"]) == (None, [])
    codes = Codes(["1"], hashed=False)
    day = day_of(NOW)
    seen = Seen.nothing(day, hashed=False).knowing(codes, day)
    many = [number for number in range(2, 40) for _ in range(number)]
    record = path_of(spool.directory, "acme")
    record.write_bytes(encoded(seen.after(codes.sight(pl.Series(many)), day)))
    (stream,) = gather(config, StoppedClock()).to_json()["segments"]
    assert stream["taxonomy"] == str(tmp_path / "acme.csv")
    assert (stream["watched_since"], stream["watched_until"]) == ("2026-11-01", "2026-11-01")
    assert [(one["code"], one["memberships"]) for one in stream["unknown"]] == [
        (str(number), number) for number in range(39, 19, -1)
    ]
    assert cli.main(["status", "--config", str(path)]) == 0
    shown = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert ["acme", "39", "39", "2026-11-01", "2026-11-01"] in shown
    record.write_bytes(b"{")
    status = gather(config, StoppedClock())
    assert (status.segments, status.notes[-1].startswith(f"{record} is not what was written")) == ((), True)


def test_segments_of_no_taxonomy_are_a_wrong_question(path, capsys):
    """Where no stream names one, or there is no such stream, exit code 2 and what to do."""
    assert cli.main(["segments", "unused", "--config", str(path)]) == 2
    assert "no taxonomy is named; write streams[].taxonomy" in capsys.readouterr().err
    assert cli.main(["segments", "unknown", "--config", str(path), "--stream", "x"]) == 2
    assert "--stream x: there is no such stream" in capsys.readouterr().err
