"""Asking the processing log: a real server, a real ledger, the thread and the command."""

import json
import threading
from contextlib import contextmanager
from dataclasses import replace

import pytest
import structlog
import yaml

from bridge import cli
from bridge.clock import DAY, HOUR, MINUTE, SECOND, SystemClock
from bridge.config import load
from bridge.deliver.file_state import FileState
from bridge.deliver.ledger import Ledger
from bridge.deliver.reconcile_observer import Unobserved
from bridge.deliver.records import FileRecord, Outcome, Progress
from bridge.observe.health import Health
from bridge.observe.metrics import Metrics
from bridge.service.expected import expect
from bridge.service.opening import LEDGER
from bridge.service.reconciling import Reconciliations, processing_logs, reconciler
from bridge.service.watchdog import watched
from tests.parts.answering import Answering, raw, said
from tests.parts.audiences import DISPLAY
from tests.parts.clocks import HandClock
from tests.parts.waiting import free_port, until

NOON = 1_793_534_400_000
OVERDUE = 6 * HOUR


def name(number: int) -> str:
    return f"Agency_Partner_2026110112{number:02}.log.gz"


def entry(number: int, status: str, **more: object) -> dict:
    return {"file": name(number), "status": status} | more


class Site:
    """An account with files at the platform, and its processing log, which answers what `answers` says."""

    def __init__(self, directory, server: Answering) -> None:
        self.directory = directory
        self.server = server
        self.clock = HandClock(NOON)
        self.lines: list[dict] = []
        (directory / "spool").mkdir()
        (directory / "password").write_text("secret")
        self.write()
        self.ledger = Ledger.create(directory / "spool" / LEDGER, "spool-1", NOON)
        self.health = Health(lambda: True)
        self.metrics = Metrics(self.health)
        expect(self.metrics, self.config, self.clock)

    def write(self, **more: object) -> None:
        """The configuration, with these settings of the log."""
        sftp = {
            "host": "h",
            "username": "agency",
            "password_file": "password",
            "host_key": "ssh-ed25519 AAAA",
        }
        log = {"url": self.server.url} | more
        account = {"name": "a", "agency": "Agency", "partner": "Partner", "sftp": sftp}
        stream = {
            "name": "acme",
            "topics": ["t"],
            "format": "json",
            "segment_namespace": "ep",
            "account": "a",
        }
        written = {
            "kafka": {"bootstrap_servers": "k:9092"},
            "spool": {"directory": "spool"},
            "accounts": [account | {"platform": {"processing_log": log}}],
            "streams": [stream],
        }
        self.path = self.directory / "bridge.yaml"
        self.path.write_text(yaml.safe_dump(written))
        self.config = load(self.path, {})

    def upload(self, number: int) -> None:
        """A file gets its final name, now."""
        self.ledger.end_attempt(self.begin(number), self.clock.now(), Outcome.UPLOADED)

    def begin(self, number: int) -> int:
        """A file is on its way; its attempt."""
        progress = Progress(start="", stop=None, run=number, newest_event_time=None, removals_only=False)
        record = FileRecord(
            name=name(number),
            audience=replace(DISPLAY, account="a"),
            state=FileState.BUILT,
            path="",
            bytes=1,
            lines=10,
            memberships=1,
            sha256="",
            created_at=self.clock.now(),
            uploaded_at=None,
            detail="",
            progress=progress,
        )
        self.ledger.add_file(record)
        return self.ledger.begin_attempt(record.name, self.clock.now(), 0, lambda _: True)

    def says(self, *entries: dict) -> None:
        """What the log holds from now on."""
        self.server.answers[:] = [said({"data": list(entries)}), said({"data": []})]

    @contextmanager
    def reconciling(self):
        (log,) = processing_logs(self.config)
        with reconciler(log, self.ledger, self.clock, self.metrics.reconcile) as one:
            yield one

    def states(self) -> list[str]:
        return [str(file.state) for file in reversed(self.ledger.files("a"))]

    def metric(self, wanted: str) -> float:
        return self.metrics.sums()[wanted]

    def logged(self, action: str) -> list[dict]:
        return [line for line in self.lines if line["event"] == action]


@pytest.fixture
def site(tmp_path):
    with Answering(said({"data": []})) as server:
        made = Site(tmp_path, server)
        with structlog.testing.capture_logs() as lines, made.ledger:
            made.lines = lines
            yield made


@pytest.mark.failure(62)
def test_files_become_what_the_log_says(site):
    """Confirmed and rejected with time, counts and reason; pending and foreign ones stay as they are."""
    for number in range(1, 5):
        site.upload(number)
    site.says(
        entry(1, "loaded", processed_at="2026-11-01T12:05:00Z", lines_accepted=9, lines_refused=1),
        entry(99, "loaded"),
        {"broken": True},
        entry(2, "rejected", lines_accepted=0, lines_refused=10, reason="not\ngzip"),
        entry(3, "received"),
        entry(4, "odd"),
    )
    with site.reconciling() as one:
        one.step()
    assert site.states() == ["confirmed", "rejected", "uploaded", "uploaded"]
    first, second = site.ledger.file(name(1)), site.ledger.file(name(2))
    assert (first.processed_at, first.lines_accepted, first.lines_refused) == (NOON + 5 * MINUTE, 9, 1)
    assert (second.detail, second.lines_refused) == ("not gzip", 10)
    counted = {
        "files_confirmed": 1,
        "files_rejected": 1,
        "lines_accepted": 9,
        "lines_refused": 11,
        "files_unconfirmed": 2,
        "files_overdue": 0,
        "files_not_resent": 1,
        "processing_log_entries_skipped": 1,
        "processing_log_reachable": 1,
        "processing_log_last_look_timestamp_seconds": NOON / SECOND,
    }
    assert {key: site.metric(key) for key in counted} == counted
    (rejected,) = site.logged("file_rejected")
    assert (rejected["reason"], rejected["file"]) == ("not gzip", name(2))
    assert f"files resend {name(2)}" in rejected["remedy"]
    assert [line["file"] for line in site.logged("file_confirmed")] == [name(1)]
    assert [line["status"] for line in site.logged("unknown_status")] == ["odd"]
    assert [line["entries"] for line in site.logged("log_entries_skipped")] == [1]


def test_nothing_to_ask_is_no_call(site):
    """Neither before the first upload nor once every file's end is known."""
    with site.reconciling() as one:
        one.step()
        assert site.server.asked == []
        site.upload(1)
        site.says(entry(1, "loaded"))
        one.step()
        calls = len(site.server.asked)
        for _ in range(100):
            site.clock.move(HOUR)
            one.step()
    assert len(site.server.asked) == calls
    assert site.metric("processing_log_last_look_timestamp_seconds") == site.clock.now() / SECOND


@pytest.mark.failure(63)
def test_an_overdue_file_is_told_once(site):
    """And confirmed all the same, when the log says so at last."""
    site.upload(1)
    site.says(entry(1, "received"))
    with site.reconciling() as one:
        one.step()
        site.clock.move_to(NOON + OVERDUE)
        for _ in range(5):
            one.step()
            site.clock.move(HOUR)
        assert (site.metric("files_unconfirmed"), site.metric("files_overdue")) == (1, 1)
        site.says(entry(1, "loaded"))
        one.step()
    (line,) = site.logged("file_overdue")
    assert (line["file"], line["seconds"]) == (name(1), OVERDUE // SECOND)
    assert site.states() == ["confirmed"]
    assert (site.metric("files_unconfirmed"), site.metric("files_overdue")) == (0, 0)


@pytest.mark.failure(64)
@pytest.mark.parametrize(
    "answer", [said({}, 500), said({}, 401), said(b"<html>"), said({"data": 7}), raw(b"")]
)
def test_a_log_that_is_away_for_days_is_one_warning(site, answer):
    """Files stay as they are, no call is made more often than `poll`, and its return is told."""
    site.upload(1)
    site.server.answers[:] = [answer]
    with site.reconciling() as one:
        for _ in range(3 * 24):
            one.step()
            site.clock.move(HOUR)
        assert site.metric("processing_log_reachable") == 0
        assert site.states() == ["uploaded"]
        site.says(entry(1, "loaded"))
        one.step()
    (line,) = site.logged("processing_log_unreachable")
    assert "secret" not in line["reason"]
    assert len(site.logged("processing_log_reachable")) == 1
    assert site.states() == ["confirmed"]
    assert len(site.server.asked) <= 2 * 3 * 24 + 2


@pytest.mark.failure(64)
def test_what_was_read_before_a_failure_counts(site):
    """The first page confirms its files, though the second one cannot be had."""
    site.upload(1)
    site.server.answers[:] = [said({"data": [entry(1, "loaded")]}), said({}, 403)]
    with site.reconciling() as one:
        one.step()
    assert site.states() == ["confirmed"]
    assert len(site.logged("processing_log_unreachable")) == 1


@pytest.mark.parametrize("status", [404, 416])
def test_a_log_without_a_page_behind_its_end_is_read_to_its_end(site, status):
    """That is no failure, and what comes later is found; one that was cut is read from its beginning."""
    site.upload(1)
    page = said({"data": [entry(9, "loaded"), entry(1, "loaded")]})
    site.server.answers[:] = [page, said({}, status)]
    with site.reconciling() as one:
        one.step()
        site.upload(2)
        site.clock.move(HOUR)
        site.server.answers[:] = [said({"data": [entry(1, "loaded"), entry(2, "loaded")]}), said({}, status)]
        one.step()
        assert site.states() == ["confirmed", "confirmed"]
        assert site.logged("processing_log_unreachable") == []
        site.upload(3)
        for answers in ([said({}, status)], [said({"data": [entry(3, "loaded")]}), said({}, status)]):
            site.clock.move(HOUR)
            site.server.answers[:] = answers
            one.step()
    assert site.states() == ["confirmed"] * 3
    offsets = [one.target.partition("?")[2] for one in site.server.asked]
    assert offsets == [f"offset={one}" for one in (0, 2, 1, 3, 2, 0, 1)]


@pytest.mark.failure(64)
def test_what_the_platform_asks_for_is_obeyed(site):
    """A Retry-After that is longer than a call waits keeps the next look away as long."""
    site.upload(1)
    site.server.answers[:] = [said({}, 429, Retry_After="7200")]
    with site.reconciling() as one:
        one.step()
        site.clock.move_to(NOON + 7199 * SECOND)
        one.step()
        assert len(site.server.asked) == 1
        site.clock.move_to(NOON + 7200 * SECOND)
        one.step()
    assert len(site.server.asked) == 2


@pytest.mark.failure(64)
@pytest.mark.parametrize("asked", ["999999999", "Fri, 31 Dec 9999 23:59:59 GMT"])
def test_a_log_is_not_left_alone_for_ever(site, asked):
    """Whatever it asks for, a day later it is asked again."""
    site.upload(1)
    site.server.answers[:] = [said({}, 503, Retry_After=asked), said({"data": [entry(1, "loaded")]})]
    with site.reconciling() as one:
        one.step()
        site.clock.move(DAY)
        one.step()
    assert site.states() == ["confirmed"]


def test_what_is_settled_is_not_read_again(site):
    """The next look begins at the first entry that may change."""
    site.upload(1)
    site.upload(2)
    site.says(entry(99, "loaded"), entry(1, "loaded"), entry(2, "received"))
    with site.reconciling() as one:
        one.step()
        site.clock.move(HOUR)
        site.says(entry(2, "loaded"))
        one.step()
    assert site.states() == ["confirmed", "confirmed"]
    assert [one.target.partition("?")[2] for one in site.server.asked] == [
        "offset=0",
        "offset=3",
        "offset=2",
        "offset=3",
    ]


def test_a_file_that_is_processed_before_its_upload_is_noted_is_confirmed_at_the_next_look(site):
    """The platform may be faster than the server's last answer: its entry is not left behind."""
    site.upload(1)
    attempt = site.begin(2)
    site.says(entry(1, "loaded"), entry(2, "loaded"))
    with site.reconciling() as one:
        one.step()
        assert site.states() == ["confirmed", "uploading"]
        site.ledger.end_attempt(attempt, site.clock.now(), Outcome.UPLOADED)
        site.clock.move(HOUR)
        site.says(entry(2, "loaded"))
        one.step()
    assert site.states() == ["confirmed", "confirmed"]
    assert [one.target.partition("?")[2] for one in site.server.asked][2:] == ["offset=1", "offset=2"]


@pytest.mark.failure(62)
def test_a_rejected_file_that_is_processed_after_all_is_confirmed(site):
    """The log's newest word counts; while nothing is open it is not asked for that alone."""
    site.upload(1)
    site.says(entry(1, "rejected"))
    with site.reconciling() as one:
        one.step()
        site.clock.move(HOUR)
        site.upload(2)
        site.says(entry(1, "loaded"), entry(2, "loaded"))
        site.clock.move(HOUR)
        one.step()
    assert site.states() == ["confirmed", "confirmed"]
    assert site.metric("files_not_resent") == 0


@pytest.mark.failure(62)
def test_a_confirmed_file_that_is_rejected_after_all_is_told(site):
    """As any rejected one, once the log is asked for another file's sake, or by hand."""
    site.upload(1)
    site.says(entry(1, "loaded", processed_at=NOON))
    with site.reconciling() as one:
        one.step()
        site.clock.move(HOUR)
        one.step()
        assert len(site.server.asked) == 2
        site.upload(2)
        site.says(entry(1, "rejected", processed_at=NOON + HOUR, reason="taken back"), entry(2, "loaded"))
        site.clock.move(HOUR)
        one.step()
    assert site.states() == ["rejected", "confirmed"]
    assert site.metric("files_not_resent") == 1
    assert [line["reason"] for line in site.logged("file_rejected")] == ["taken back"]


def test_a_file_that_is_forgotten_while_the_log_is_read_is_no_fault(site):
    """The log may be read for minutes, and housekeeping goes on beside; the other files are noted."""
    site.upload(1)
    site.clock.move(MINUTE)
    site.upload(2)
    answer = said({"data": [entry(1, "loaded"), entry(2, "loaded")]})

    def meanwhile(connection) -> None:
        site.ledger.forget(NOON + SECOND)
        answer(connection)

    site.server.answers[:] = [meanwhile, said({"data": []})]
    with site.reconciling() as one:
        one.step()
    assert site.states() == ["confirmed"]
    assert [line["file"] for line in site.logged("file_confirmed")] == [name(2)]


@pytest.mark.failure(64)
def test_the_threads_look_by_themselves_and_stop_within_a_call(site):
    """An upload is found confirmed soon; a log that never answers holds no stop up; the threads beat."""
    site.write(poll="100ms")
    clock, threads = SystemClock(), watched(site.health, SystemClock())
    site.says(entry(1, "loaded"))
    reconciliations = Reconciliations(site.config, site.ledger, clock, site.metrics.reconcile)
    site.upload(1)
    reconciliations.start(threads)
    until(lambda: site.states() == ["confirmed"], "the file to be confirmed")
    site.server.answers[:] = [site.server.never]
    before = len(site.server.asked)
    site.upload(2)
    until(lambda: len(site.server.asked) > before, "a question that is not answered")
    assert "reconcile a" in site.health.beats
    reconciliations.stop()
    assert [thread.is_alive() for thread in reconciliations.threads] == [False]
    assert threads.failures == []
    assert site.logged("processing_log_unreachable") == []
    assert "reconcile a" not in site.health.beats


def test_the_command_tells_what_changed_and_what_is_open(site, capsys):
    """A line a file, then the account; again, it asks about what is left."""
    site.upload(1)
    site.upload(2)
    site.upload(3)
    site.says(
        entry(1, "loaded", lines_accepted=9, lines_refused=1),
        entry(2, "rejected", reason="bad header"),
    )
    assert cli.main(["reconcile", "--config", str(site.path)]) == 0
    out, err = capsys.readouterr()
    assert err == ""
    assert out.splitlines() == [
        f"{name(1)}: confirmed, lines: 9 accepted, 1 refused",
        f"{name(2)}: rejected: bad header",
        f"{name(3)}: open, overdue, uploaded 2026-11-01T12:00:00Z",
        "account a: 1 file open",
    ]
    assert site.states() == ["confirmed", "rejected", "uploaded"]
    site.says(entry(3, "loaded"))
    assert cli.main(["reconcile", "--config", str(site.path), "--account", "a", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {
        "accounts": [
            {
                "name": "a",
                "asked": True,
                "failure": None,
                "unknown_statuses": [],
                "entries_skipped": 0,
                "confirmed": [name(3)],
                "rejected": [],
                "open": [],
                "overdue": [],
            }
        ]
    }


def test_the_command_without_anything_to_ask(site, capsys):
    """No call, exit 0; the same before a ledger is there."""
    assert cli.main(["reconcile", "--config", str(site.path)]) == 0
    assert capsys.readouterr().out == "account a: nothing to ask\n"
    (site.directory / "spool" / LEDGER).rename(site.directory / "elsewhere")
    assert cli.main(["reconcile", "--config", str(site.path)]) == 0
    assert "no ledger yet" in capsys.readouterr().out
    assert cli.main(["reconcile", "--config", str(site.path), "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {"accounts": []}
    assert site.server.asked == []


@pytest.mark.failure(64)
def test_the_command_where_the_log_cannot_be_asked(site, capsys):
    """Exit 1 and one line on stderr; what is open is told."""
    site.upload(1)
    site.write(url=f"http://127.0.0.1:{free_port()}")
    assert cli.main(["reconcile", "--config", str(site.path)]) == 1
    out, err = capsys.readouterr()
    assert err.count("\n") == 1
    assert "is not reachable" in err
    assert out == f"{name(1)}: open, overdue, uploaded 2026-11-01T12:00:00Z\n"


def test_the_command_has_nothing_to_tell_of_a_log_that_cannot_be_asked(site, capsys):
    """Where no file is open stdout stays empty: no line without words."""
    site.upload(1)
    site.says(entry(1, "loaded"))
    assert cli.main(["reconcile", "--config", str(site.path)]) == 0
    capsys.readouterr()
    site.write(url=f"http://127.0.0.1:{free_port()}")
    assert cli.main(["reconcile", "--config", str(site.path)]) == 1
    assert capsys.readouterr().out == ""


def test_the_command_says_what_of_the_log_is_not_understood(site, capsys):
    """On stderr, with the settings to see; else an open file would look as if the platform were slow."""
    site.upload(1)
    site.says(entry(1, "done"), {"name": name(1)})
    assert cli.main(["reconcile", "--config", str(site.path)]) == 0
    out, err = capsys.readouterr()
    assert f"{name(1)}: open" in out
    unknown, skipped = err.splitlines()
    assert unknown.startswith("account a: the log has statuses that no setting names (done): name them in ")
    assert skipped.startswith("account a: 1 of the log's entries lack a file or a status: see platform.")
    site.says(entry(1, "done"), {"name": name(1)})
    assert cli.main(["reconcile", "--config", str(site.path), "--json"]) == 0
    (told,) = json.loads(capsys.readouterr().out)["accounts"]
    assert (told["unknown_statuses"], told["entries_skipped"]) == (["done"], 1)


def test_the_command_leaves_an_older_bridges_ledger_alone(site, capsys):
    """It may be running: its tables are not changed beside it."""
    site.upload(1)
    with site.ledger._database.transaction() as connection:
        connection.execute("PRAGMA user_version = 3")
    assert cli.main(["reconcile", "--config", str(site.path)]) == 1
    assert "an older s2s-bridge wrote this ledger" in capsys.readouterr().err
    assert site.server.asked == []


def test_the_command_where_no_log_is_configured(site, capsys):
    """Wrong usage, exit 2: an account that is not there, and none with a log."""
    assert cli.main(["reconcile", "--config", str(site.path), "--account", "b"]) == 2
    assert "there is no such account" in capsys.readouterr().err
    text = yaml.safe_load(site.path.read_text())
    del text["accounts"][0]["platform"]
    site.path.write_text(yaml.safe_dump(text))
    assert cli.main(["reconcile", "--config", str(site.path)]) == 2
    assert "no account has platform.processing_log" in capsys.readouterr().err


def test_the_command_beside_a_running_bridge(site, capsys):
    """Both write down what the log says; neither stumbles over the other, and nothing is counted twice."""
    for number in range(1, 30):
        site.upload(number)
    site.says(*(entry(number, "loaded") for number in range(1, 30)))
    site.server.answers[:] = [said({"data": [entry(number, "loaded") for number in range(1, 30)]})]
    failures = []

    def work() -> None:
        try:
            with site.reconciling() as one:
                one.look()
        except BaseException as failure:  # noqa: BLE001  # told below
            failures.append(failure)

    thread = threading.Thread(target=work)
    thread.start()
    code = cli.main(["reconcile", "--config", str(site.path)])
    thread.join()
    assert (code, failures) == (0, [])
    assert set(site.states()) == {"confirmed"}
    capsys.readouterr()


def test_nobody_needs_to_be_told():
    """The command counts nothing."""
    silent = Unobserved()
    silent.confirmed("a", 1, 2)
    silent.reachable("a", value=True)
