"""What `status --file` tells, of files whose way is known: a real spool and ledger, a server that fails."""

import gzip
import hashlib
import io
import json
import re
from dataclasses import replace

import pytest

from bridge import cli
from bridge.audience.header import Header
from bridge.clock import DAY, HOUR, MINUTE, SECOND
from bridge.config import load
from bridge.deliver.file_state import UNFINISHED, FileState
from bridge.deliver.remote import Reason
from bridge.errors import BridgeError, UsageError
from bridge.observe.log import configure
from bridge.service.telling.file_way import follow
from bridge.service.telling.next_step import BY_REASON, BY_STATE, next_step
from bridge.spool.replays import ReplayState
from bridge.translation.progress import Progress
from bridge.units import iso
from tests.parts.audiences import DISPLAY
from tests.parts.delivering import START, Fault, Killed, Site, Write
from tests.parts.spools import position, seal

TEXT = """\
kafka: {{bootstrap_servers: "kafka:9092"}}
spool: {{directory: {directory}}}
accounts:
  - name: {account}
    agency: Agency
    partner: Partner
    sftp: {{host: sftp.example.com, username: agency, password_file: password, host_key: ssh-ed25519 AAAA}}
    quota: {{files_per_hour: {files}, bytes_per_day: 1MB, guard: 0s}}
streams:
  - {{name: t, topics: [t], format: json, segment_namespace: ep, account: {account}}}
  - {{name: other, topics: [other], format: json, segment_namespace: other, account: {account}}}
"""


class Followed:
    """A site, the configuration that belongs to it, and its log."""

    def __init__(self, directory):
        self.site = Site(directory)
        self.path = directory / "bridge.yaml"
        self.configure()
        self.log = io.StringIO()
        configure(form="json", level="debug", clock=self.site.clock, stream=self.log)

    def configure(self, account="a", files=20):
        text = TEXT.format(directory=self.site.spool.directory, account=account, files=files)
        self.path.write_text(text)

    def way(self, name):
        return follow(load(self.path, {}), self.site.clock, name)

    def told(self, name):
        return self.way(name).to_json()

    def lines(self, name):
        """The log's lines that somebody finds who looks for the name of a file."""
        return [json.loads(line) for line in self.log.getvalue().splitlines() if name in line]

    def fail(self, *faults):
        """The next uploads fail so, then all is well."""
        left = list(faults)
        self.site.remote.fault = lambda _: left.pop(0) if left else None

    def newest(self):
        return self.site.ledger.names()[0]


@pytest.fixture
def followed(tmp_path):
    return Followed(tmp_path)


def _text(path):
    """An audience file's text."""
    return gzip.decompress(path.read_bytes()).decode()


def _replay(site):
    """A replay of one event, which is read and may be delivered."""
    made = site.spool.replays.create(
        name="again",
        now=site.clock.now(),
        until=None,
        past_horizon=True,
        parameters={"asked": {}, "plan": {}},
    )
    row = (1, 9, 0, START - HOUR, 0, 0, 5)
    seal(made.store, {DISPLAY: [row]}, now=site.clock.now(), positions=[position(topic="t")])
    site.spool.replays.move_on(made, ReplayState.READ)
    return made


def test_the_way_told_is_the_way_it_went(followed):
    """A file that could not be sent, then was cut, then arrived: each attempt, the runs and their offsets."""
    site = followed.site
    site.give(Write(1, 7), Write(2, 7), placed=True)
    site.clock.move(10 * SECOND)
    site.give(Write(3, 7), placed=True)
    followed.fail(Fault.UNREACHABLE, Fault.CUT)
    site.arrives()
    (path,) = site.remote.arrived
    told = followed.told(path.name)
    assert (
        told["file"].items()
        >= {
            "name": path.name,
            "state": "uploaded",
            "bytes": path.stat().st_size,
            "sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
            "lines": 3,
            "memberships": 3,
            "attempts": 3,
            "replay": None,
        }.items()
    )
    assert [(one["attempt"], one["outcome"], one["reason"], one["detail"]) for one in told["attempts"]] == [
        (1, "given_back", "refused", "nobody answers"),
        (2, "spent", "connection_lost", "it was cut"),
        (3, "uploaded", None, ""),
    ]
    assert [one["started_at"] for one in told["attempts"]] == [iso(at) for at, _ in site.remote.tried]
    assert told["file"]["uploaded_at"] == told["attempts"][-1]["ended_at"]
    assert [(one["low"], one["run"], one["state"]) for one in told["runs"]] == [
        (1, 1, "live"),
        (2, 2, "live"),
    ]
    assert [one["sealed_at"] for one in told["runs"]] == [iso(START), iso(START + 10 * SECOND)]
    assert [
        [(at["topic"], at["partition"], at["first_offset"], at["next_offset"]) for at in one["offsets"]]
        for one in told["runs"]
    ] == [[("t", 0, 0, 2)], [("t", 0, 2, 3)]]
    header = Header.of(told["header"])
    assert header == Header.parse(_text(path).splitlines())
    assert told["file"]["reserved_at"] == iso(header.date_created * SECOND)
    assert told["to_do"] == ""


def test_who_looks_for_a_files_name_in_the_log_finds_its_way(followed):
    """From its name to its arrival, each line with all that joins it; and the runs that it is made of."""
    site = followed.site
    site.give(Write(1, 7))
    site.give(Write(2, 7))
    followed.fail(Fault.UNREACHABLE, Fault.CUT)
    site.arrives()
    (path,) = site.remote.arrived
    lines = followed.lines(path.name)
    assert [(line["action"], line.get("attempt")) for line in lines if line["level"] != "debug"] == [
        ("name_reserved", None),
        ("file_built", None),
        ("upload_begun", 1),
        ("upload_failed", 1),
        ("upload_begun", 2),
        ("upload_failed", 2),
        ("upload_begun", 3),
        ("file_uploaded", 3),
    ]
    assert [line["stage"] for line in lines if line["action"] == "upload_reached"] == [
        "opened",
        "opened",
        "sent",
        "renamed",
    ]
    joined = {"account": "a", "audience": DISPLAY.label, "file": path.name, "replay": None}
    assert [line for line in lines if not line.items() >= joined.items()] == []
    (built,) = [line for line in lines if line["action"] == "file_built"]
    assert (built["low"], built["run"]) == (1, 2)
    sealed = [json.loads(line) for line in followed.log.getvalue().splitlines() if '"run_sealed"' in line]
    assert [line["run"] for line in sealed] == [1, 2]


@pytest.mark.failure(50)
def test_a_file_left_by_a_crash(followed):
    """Its attempt is open, then unknown; the next one finds the file there, and the log says so too."""
    site = followed.site
    site.give(Write(1, 7), placed=True)
    followed.fail(Fault.KILLED)
    with pytest.raises(Killed):
        site.deliver()
    name = followed.newest()
    told = followed.told(name)
    assert told["file"]["state"] == "uploading"
    assert [(one["ended_at"], one["outcome"]) for one in told["attempts"]] == [(None, None)]
    assert "if it has died, start it" in told["to_do"].lower()
    site.clock.move(MINUTE)
    assert site.restart() == 1
    site.deliver()
    told = followed.told(name)
    assert [(one["outcome"], one["detail"]) for one in told["attempts"]] == [
        ("unknown", ""),
        ("given_back", "it was there already"),
    ]
    assert (told["file"]["state"], told["to_do"]) == ("uploaded", "")
    told = [line for line in followed.lines(name) if line["level"] != "debug"]
    assert [line["action"] for line in told[2:]] == [
        "upload_begun",
        "attempt_left_open",
        "upload_begun",
        "file_uploaded",
    ]
    assert [line["attempt"] for line in told[2:]] == [1, 1, 2, 2]
    assert told[-1]["found"] is True


def test_runs_that_were_merged_or_retired(followed):
    """Merged, its offsets are those of all in there; retired, nobody knows them; the numbers stay told."""
    site = followed.site
    for user in (1, 2, 3):
        site.give(Write(user, 7), placed=True)
    site.arrives()
    first = followed.newest()
    site.give(Write(4, 7), placed=True)
    site.give(Write(5, 7), placed=True)
    site.arrives()
    second = followed.newest()
    runs = site.spool.runs()
    site.spool.retire(runs[0])
    site.spool.merge(runs[2:])
    told = [(one["run"], one["state"], one["now"]) for one in followed.told(first)["runs"]]
    assert told == [
        (1, "retired", None),
        (2, "live", {"low": 2, "run": 2}),
        (3, "merged", {"low": 3, "run": 5}),
    ]
    assert [one["run"] for one in followed.told(second)["runs"]] == [4, 5]
    (offsets,) = followed.told(second)["runs"][0]["offsets"]
    assert (offsets["first_offset"], offsets["next_offset"]) == (2, 5)
    assert followed.told(first)["runs"][0]["offsets"] == []


def test_a_replays_file(followed):
    """It is made of its replay's runs, whose offsets are those that the replay has read."""
    site = followed.site
    site.give(Write(1, 7), placed=True)
    site.arrives()
    replay = _replay(site)
    site.arrives()
    told = followed.told(followed.newest())
    assert told["file"]["replay"] == replay.id
    assert [(one["run"], one["state"]) for one in told["runs"]] == [(2, "live")]
    assert [line["replay"] for line in followed.lines(followed.newest())] == [replay.id] * 7
    sealed = [json.loads(line) for line in followed.log.getvalue().splitlines() if '"run_sealed"' in line]
    assert [(line["run"], line["replay"]) for line in sealed] == [(1, None), (2, replay.id)]


def test_offsets_are_those_of_topics_that_may_fill_the_audience(followed):
    """Of fifty clients' topics in a run, only those of the file's are of interest, and those of no stream."""
    site = followed.site
    took = [position(topic=name, topic_id=name) for name in ("t", "other", "gone")]
    seal(site.spool, {DISPLAY: [(1, 7, 0, START, 0, 0, 0)]}, now=START, positions=took)
    site.arrives()
    (run,) = followed.told(followed.newest())["runs"]
    assert [one["topic"] for one in run["offsets"]] == ["gone", "t"]


def test_how_far_partner_ids_were_translated_is_no_offset(followed):
    """It stands among the positions of a run, and is of no topic that anybody could read again."""
    site = followed.site
    site.give(Write(1, 7), placed=True)
    done = Progress(run=1, known_at=site.clock.now())
    seal(site.spool, {DISPLAY: [(2, 7, 0, START, 0, 0, 1)]}, now=START, positions=done.positions())
    site.arrives()
    runs = followed.told(followed.newest())["runs"]
    assert [[one["topic"] for one in run["offsets"]] for run in runs] == [["t"], []]


def test_what_to_do(followed):
    """Nothing, the quota, the reason of the last attempt, or an account that nobody has any more."""
    site = followed.site
    site.give(Write(1, 7, audience=replace(DISPLAY, client="Acme")))
    site.arrives()
    assert followed.told(followed.newest())["to_do"] == ""
    followed.fail(*[Fault.UNREACHABLE] * 5)
    site.give(Write(2, 7))
    site.until(lambda: len(site.remote.tried) == 3)
    name = followed.newest()
    assert BY_REASON[Reason.REFUSED] in followed.told(name)["to_do"]
    assert "tried again by itself" in followed.told(name)["to_do"]
    followed.configure(account="b")
    assert "account a is not in the configuration" in followed.told(name)["to_do"]
    followed.configure(files=1)
    until = iso(START + 30 * MINUTE)
    assert f"the hour's files, which are used up until {until}" in followed.told(name)["to_do"]


def test_a_file_larger_than_what_is_left_of_the_day(followed):
    """It waits for the next day, though the bytes are not used up."""
    site, config = followed.site, load(followed.path, {})
    followed.fail(Fault.UNREACHABLE)
    site.give(Write(1, 7))
    site.until(lambda: site.ledger.unfinished("a"))
    (tried,) = site.ledger.unfinished("a")
    large = replace(tried, file=replace(tried.file, bytes=1_000_001))
    assert "too few are left until" in next_step(large, config, site.ledger, site.clock.now())
    assert "too few" not in next_step(tried, config, site.ledger, site.clock.now())


def test_every_state_and_reason_has_an_answer():
    """Nobody is left with a word of ours alone."""
    assert set(BY_STATE) | set(UNFINISHED) == set(FileState)
    assert set(BY_REASON) == set(Reason)


def test_a_file_of_an_older_version(followed):
    """What was not noted then is not made up: its runs and its reservation are null."""
    site = followed.site
    site.give(Write(1, 7))
    site.arrives()
    name = followed.newest()
    with site.ledger._database.transaction() as connection:
        connection.execute("UPDATE files SET runs = NULL, reserved_at = NULL")
    told = followed.told(name)
    assert (told["runs"], told["file"]["reserved_at"], told["run"]) == (None, None, 1)
    assert "DateCreated" not in told["header"]
    assert "older version" in _shown(followed, name)


def _shown(followed, name):
    done = io.StringIO()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("sys.stdout", done)
        assert cli.main(["status", "--config", str(followed.path), "--file", name]) == 0
    return done.getvalue()


def test_for_people(followed):
    """All of it on a page: facts, runs, offsets, attempts, what to do; nothing is cut."""
    site = followed.site
    site.give(Write(1, 7), Write(2, 7), placed=True)
    site.give(Write(3, 7), placed=True)
    followed.fail(Fault.CUT)
    site.until(lambda: site.remote.tried)
    name = followed.newest()
    shown = _shown(followed, name)
    lines = [" ".join(line.split()) for line in shown.splitlines()]
    assert f"file {name}" in lines
    assert "state uploading: it was cut" in lines
    assert f"2 {iso(START)} as it was" in lines
    assert "t 0 0 2" in lines
    (attempt,) = [line for line in lines if line.startswith("1 ") and "spent" in line]
    assert attempt.endswith("spent connection_lost it was cut")
    assert lines[-1].startswith(f"To do: {BY_REASON[Reason.CONNECTION_LOST]}")
    assert "…" not in shown


@pytest.fixture
def delivered_one(followed):
    """A site that has delivered one file, and its name."""
    followed.site.give(Write(1, 7))
    followed.site.arrives()
    return followed, followed.newest()


def told_of(followed, name, capsys):
    """The one line that somebody gets who asks for a file that is not known."""
    assert cli.main(["status", "--config", str(followed.path), "--file", name]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    (line,) = [line for line in err.splitlines() if not line.startswith("{")]
    assert line.startswith(f"s2s-bridge: --file {name}: ")
    return line


def test_a_file_that_is_not_known(delivered_one, monkeypatch, capsys):
    """One line with the reason, as far as a name tells, and the nearest name; exit 2."""
    followed, name = delivered_one
    monkeypatch.setattr("bridge.cli.status.SystemClock", lambda: followed.site.clock)
    stamp = re.search(r"\d{12}", name)[0]
    later, earlier = (name.replace(stamp, str(int(stamp) + by)) for by in (1, -1))
    assert told_of(followed, later, capsys).endswith(
        f"this name is not given to any file yet; did you mean {name}?"
    )
    assert "nothing was ever uploaded under it" in told_of(followed, earlier, capsys)
    assert "no file of Agency_Other was ever built here" in told_of(
        followed, name.replace("Partner", "Other"), capsys
    )
    assert f"reads Agency_Partner[_Client]_YYYYMMDDHHMM.log.gz; did you mean {name}?" in told_of(
        followed, f"files/{name}", capsys
    )
    assert "s2s-bridge status lists" in told_of(followed, "x", capsys)
    with pytest.raises(UsageError, match="reads Agency_Partner"):
        followed.way("\udcff.log.gz")  # from a byte that is no UTF-8
    followed.site.clock.move(40 * DAY)
    followed.site.ledger.forget(followed.site.clock.now() - DAY)
    assert "forgotten 30 days after" in told_of(followed, name, capsys)


@pytest.mark.failure(50)
def test_a_file_that_a_crash_left_before_the_ledger_knew_it(followed):
    """It lies in the spool; the line says that it goes, and that what it holds does not."""
    site = followed.site
    site.give(Write(1, 7))
    site.arrives()
    name = str(site.ledger.reserve_name("Agency_Partner", site.clock.now()))
    (site.spool.files_directory / name).write_bytes(b"built")
    with pytest.raises(UsageError, match=r"^[^\n]*the next start removes it[^\n]*another name[^\n]*$"):
        followed.way(name)


def test_without_a_ledger(followed, tmp_path):
    """It is said where none is, and nothing is made."""
    text = followed.path.read_text().replace(str(followed.site.spool.directory), str(tmp_path / "new"))
    followed.path.write_text(text)
    with pytest.raises(BridgeError, match="no bridge has delivered from"):
        followed.way("Agency_Partner_202609210930.log.gz")
    assert not (tmp_path / "new").exists()
