"""What is told of streams whose users are translated."""

import json
import os
import re
import threading
from dataclasses import replace
from pathlib import Path

import pytest

from bridge import cli
from bridge.clock import DAY, MINUTE
from bridge.config import load
from bridge.deliver.ledger import Ledger
from bridge.service.identity import FOLDER
from bridge.service.opening import LEDGER
from bridge.service.telling.status import gather
from bridge.service.telling.translation import untranslated
from bridge.sync.table import looking
from bridge.sync.table.contents import FILE_NAME
from bridge.sync.table.slab import TableDamaged
from bridge.translation.progress import Progress
from tests.parts.audiences import DISPLAY
from tests.parts.clocks import HandClock
from tests.parts.identity import Told, opened, window
from tests.parts.spools import QuickDisk, new_spool, seal

NOW = 1_793_534_400_000
"""2026-11-01T12:00:00Z."""

TEXT = """\
kafka: {bootstrap_servers: "kafka:9092"}
spool: {directory: spool}
roll: {max_bytes: 1MB}
accounts:
  - name: a
    agency: Agency
    partner: Partner
    sftp: {host: sftp.example.com, username: agency, password_file: password, host_key: ssh-ed25519 AAAA}
streams:
  - {name: first, topics: [one], format: json, segment_namespace: ep, account: a, inventory: display,
     IDENTIFY}
  - {name: again, topics: [two], format: json, segment_namespace: ep, account: a, inventory: display,
     IDENTIFY}
  - {name: other, topics: [three], format: json, segment_namespace: ep, account: a, inventory: display,
     client: B, IDENTIFY}
  - {name: plain, topics: [four], format: json, segment_namespace: ep, account: a}
"""

SOURCE = replace(DISPLAY, user_namespace="acme", unresolved=True)
OTHER = replace(SOURCE, client="B")


def rows(count, start=0):
    return [(user, 1, 0, 5, 0, 0, user) for user in range(start, start + count)]


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "bridge.yaml"
    path.write_text(TEXT.replace("IDENTIFY", "identify: {from: acme, park: 20d}"))
    return path


@pytest.fixture
def config(path):
    return load(path, {})


@pytest.fixture
def without(tmp_path):
    """The same spool, once nobody has identify any more."""
    path = tmp_path / "without.yaml"
    path.write_text(re.sub(r",\s+IDENTIFY", "", TEXT))
    return load(path, {})


@pytest.fixture
def spool(config):
    """Of the first stream 3 rows are translated and 4 wait; of another one 2 wait, for longer."""
    spool = new_spool(config.spool.directory)
    Ledger.create(spool.directory / LEDGER, spool.id, NOW - DAY).close()
    seal(spool, {SOURCE: rows(3)}, now=NOW - DAY)
    done = Progress(run=1, known_at=NOW - DAY)
    seal(spool, {DISPLAY: rows(2)}, now=NOW - DAY, positions=done.positions())
    seal(spool, {OTHER: rows(2)}, now=NOW - 5 * MINUTE)
    seal(spool, {SOURCE: rows(4)}, now=NOW - 2 * MINUTE)
    return spool


def told(config):
    return gather(config, HandClock(NOW)).to_json()["translation"]


def table(config, *batches):
    """A table that has taken these batches, each a list of ids."""
    made = opened(config.spool.directory / FOLDER, disk=QuickDisk())
    for number, ids in enumerate(batches):
        made.append(window([Told(id_, 1, 5) for id_ in ids]), {0: number}, NOW - 1000 + number)
    return made


@pytest.mark.usefixtures("spool")
def test_what_waits_and_what_is_kept_is_told_by_stream(config):
    """What several streams collect together is the first one's; the turn is due when the oldest is."""
    found = told(config)
    assert found["streams"] == [
        {
            "stream": "first",
            "from": "acme",
            "park_seconds": 20 * 86_400,
            "pending_memberships": 4,
            "oldest_pending_seconds": 120,
            "kept_memberships": 3,
        },
        {
            "stream": "again",
            "from": "acme",
            "park_seconds": 20 * 86_400,
            "pending_memberships": 0,
            "oldest_pending_seconds": None,
            "kept_memberships": 0,
        },
        {
            "stream": "other",
            "from": "acme",
            "park_seconds": 20 * 86_400,
            "pending_memberships": 2,
            "oldest_pending_seconds": 300,
            "kept_memberships": 0,
        },
    ]
    assert (found["translated_run"], found["known_at"]) == (1, "2026-10-31T12:00:00Z")
    assert found["due_at"] == "2026-11-01T12:10:00Z"


@pytest.mark.usefixtures("spool")
def test_no_file_is_of_an_unresolved_audience(config):
    """They are neither audiences that wait nor histories, and no field tells of them."""
    found = gather(config, HandClock(NOW)).to_json()
    assert [(one["user_namespace"], one["pending_memberships"]) for one in found["audiences"]] == [("mm", 2)]
    assert [one["user_namespace"] for one in found["horizons"]] == ["mm"]
    assert "unresolved" not in found["audiences"][0]


def test_without_identify_nothing_is_told(without, config, spool):
    """Nor of a configuration that never had it."""
    assert gather(without, HandClock(NOW)).translation is None
    assert spool.runs()
    assert config.streams[3].identify is None


@pytest.mark.usefixtures("spool")
def test_what_nobody_translates_is_a_note_with_its_remedy(without, config):
    """Six memberships wait though no stream has identify: they stay, until it is back."""
    (note,) = gather(without, HandClock(NOW)).notes
    assert "6 memberships by partner ids wait, and no stream has identify" in note
    assert "give their stream its identify again" in note
    assert gather(config, HandClock(NOW)).notes == ()


def test_what_is_translated_waits_for_nobody(without, spool):
    """What is only kept goes with the retention, as history does."""
    seal(spool, {}, positions=Progress(run=4, known_at=NOW).positions())
    assert untranslated(without, spool.runs()) == 0


@pytest.mark.usefixtures("spool")
def test_the_table_is_told_from_its_files(config):
    """Its rows and bytes, and when its newest batch was taken; no lock is asked for."""
    with table(config, ["u1", "u2"], ["u3"]) as made:  # which holds the lock
        assert not told(config)["table"]["complete"]
        made.completed(NOW - 2000)
        found = told(config)["table"]
    assert found["complete"]
    assert (found["topic"], found["rows"], found["trouble"]) == ("user-sync", 3, None)
    assert found["known_at"] == "2026-11-01T11:59:59Z"
    slabs = sorted((config.spool.directory / FOLDER).glob("*.slab"))
    assert found["bytes"] == sum(slab.stat().st_size for slab in slabs)


@pytest.mark.usefixtures("spool")
def test_a_table_that_is_not_there_holds_nothing(config):
    """It is not made by who asks."""
    nothing = {"topic": "user-sync", "known_at": None, "rows": 0, "bytes": 0, "complete": False}
    assert told(config)["table"] == nothing | {"complete_at": None, "behind": True, "trouble": None}
    assert not (config.spool.directory / FOLDER).exists()


def cut(folder: Path) -> None:
    path = folder / FILE_NAME
    path.write_bytes(path.read_bytes()[:-1])


def lose(folder: Path) -> None:
    next(folder.glob("*.slab")).unlink()


def shorten(folder: Path) -> None:
    os.truncate(next(folder.glob("*.slab")), 10)


def shut(folder: Path) -> None:
    (folder / FILE_NAME).unlink()
    (folder / FILE_NAME).mkdir()


@pytest.mark.usefixtures("spool")
@pytest.mark.parametrize(
    ("harm", "what"),
    [
        (cut, "the checksum of the contents differs"),
        (lose, "it is not there, or its size differs"),
        (shorten, "it is not there, or its size differs"),
        (shut, "Is a directory"),
    ],
)
def test_a_damaged_table_is_a_line(config, path, capsys, harm, what):
    """It names the file; all else is told, and the exit code is 0."""
    with table(config, ["u1"]):
        harm(config.spool.directory / FOLDER)
    found = told(config)
    assert what in found["table"]["trouble"]
    assert FOLDER in found["table"]["trouble"]
    assert found["streams"][0]["pending_memberships"] == 4
    assert cli.main(["status", "--config", str(path)]) == 0
    out, err = capsys.readouterr()
    assert what in out
    assert err == ""


def test_a_table_that_is_merged_meanwhile_is_not_damaged(config):
    """Its slabs come and go while it is read; each look sees the table of one instant."""
    folder, stop, looks, faults = config.spool.directory / FOLDER, threading.Event(), [0], []

    def look():
        while not stop.is_set():
            try:
                looking.known(folder)
            except TableDamaged as damage:
                faults.append(str(damage))
            looks[0] += 1

    with table(config, ["u0"]) as made:
        thread = threading.Thread(target=look)
        thread.start()
        for number in range(60):
            made.append(window([Told(f"u{number}", 1, 5)]), {0: number}, NOW + number)
            while made.merge_step(NOW + number):
                pass
        stop.set()
        thread.join()
    assert faults == []
    assert looks[0] > 0


@pytest.mark.usefixtures("spool")
def test_for_people(path, config, monkeypatch, capsys):
    """A row a stream, how far it is translated, and the table; without identify, nothing of it."""
    monkeypatch.setattr("bridge.cli.status.SystemClock", lambda: HandClock(NOW))
    with table(config, ["u1", "u2"]):
        assert cli.main(["status", "--config", str(path)]) == 0
    out = capsys.readouterr().out
    lines = [line.split() for line in out.splitlines()]
    assert ["first", "acme", "4", "2m", "in", "10m", "3", "20d"] in lines
    assert ["other", "acme", "2", "5m", "in", "10m", "0", "20d"] in lines
    assert ["again", "acme", "0", "0", "20d"] in lines
    assert "translated up to run 1, as far as users were known" in out
    assert "identity table of topic user-sync: 2 rows," in out
    assert "the newest of 2026-11-01 11:59:59Z; not all of it was read yet, so nothing is translated" in out
    assert "unresolved" not in out


@pytest.mark.usefixtures("spool")
def test_how_old_the_table_is(path, config, monkeypatch, capsys):
    """By when it last held all of its topic; one that nobody has followed since is behind, and said to be."""
    monkeypatch.setattr("bridge.cli.status.SystemClock", lambda: HandClock(NOW))

    def line():
        assert cli.main(["status", "--config", str(path)]) == 0
        return next(one for one in capsys.readouterr().out.splitlines() if one.startswith("identity table"))

    with table(config, ["u1"]) as made:
        made.completed(NOW - 20_000)
        assert line().endswith("it holds all that the topic had at 2026-11-01 11:59:40Z")
        assert (told(config)["table"]["complete_at"], told(config)["table"]["behind"]) == (
            "2026-11-01T11:59:40Z",
            False,
        )
        made.completed(NOW - 180 * MINUTE)
    assert line().endswith("at 2026-11-01 09:00:00Z, 3h ago: opt-outs and browsers since then are not known")
    assert told(config)["table"]["behind"] is True


@pytest.mark.usefixtures("spool")
def test_json_is_one_object(path, capsys):
    """`translation` stands beside the contract's keys; null where no stream has identify."""
    assert cli.main(["status", "--config", str(path), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["translation"]["table"]["topic"] == "user-sync"
