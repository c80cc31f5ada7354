"""The page looks seldom, waits for nobody, and is there whatever the disk holds."""

import os
import sqlite3
import threading
from contextlib import closing
from pathlib import Path

import pytest

from bridge.clock import SECOND
from bridge.config import load
from bridge.deliver import database
from bridge.deliver.records import Outcome
from bridge.observe.health import Health
from bridge.observe.metrics import Metrics
from bridge.service.opening import LEDGER
from bridge.service.page import front
from bridge.service.page.front import FRESH, FrontPage
from tests.page.lively import CONFIGURATION, NOW, Lively
from tests.page.markup import parsed
from tests.parts.clocks import HandClock
from tests.parts.spools import new_spool, one, seal
from tests.parts.waiting import until


@pytest.fixture
def lively(tmp_path):
    """A scene of one's own, to change."""
    with Lively(tmp_path) as scene:
        yield scene


class Empty:
    """A bridge that has just begun: no spool, no ledger, no locks."""

    def __init__(self, directory: Path) -> None:
        (directory / "bridge.yaml").write_text(CONFIGURATION)
        self.config = load(directory / "bridge.yaml", {})
        self.directory = self.config.spool.directory
        self.clock = HandClock(NOW)
        health = Health(lambda: True)
        self.front = FrontPage(self.config, health, Metrics(health), self.clock)


@pytest.fixture
def empty(tmp_path):
    return Empty(tmp_path)


def words(page, part="main"):
    """The words of a part of the page, which is always there."""
    status, kind, body = page()
    assert (status, kind) == (200, "text/html; charset=utf-8")
    return parsed(body.decode()).all(part)[0].text()


def test_without_a_spool(empty):
    """It says that there is none, and makes none."""
    said = words(empty.front)
    assert f"{empty.directory}: no spool yet" in said
    assert "This bridge does not work yet" in said
    assert "0 of 20" in said
    assert not empty.directory.exists()


def test_without_a_ledger(empty):
    """Runs without a ledger: all waits, the quotas count as spent, and the remedy is told."""
    seal(new_spool(empty.directory), one(), now=NOW)
    said = words(empty.front)
    assert "or start with --adopt" in said
    assert "20 of 20 100 %" in said
    assert "1 audience" in said


def test_a_damaged_ledger(empty):
    """Garbage in its place: the page is there, with what is wrong first."""
    new_spool(empty.directory)
    (empty.directory / LEDGER).write_bytes(b"garbage")
    said = words(empty.front)
    assert said.startswith("What to look at ✖ Fault: ")
    assert f"{LEDGER}: this is no ledger" in said or "damaged" in said


def test_a_damaged_run(empty):
    """A run that is no run is told with its file; the page does not fail."""
    spool = new_spool(empty.directory)
    run = seal(spool, one(), now=NOW)
    run.path.write_bytes(b"garbage")
    assert "is damaged" in words(empty.front)


@pytest.mark.failure(51)
def test_a_locked_ledger_leaves_the_last_figures(lively, monkeypatch):
    """Where SQLite gives up, what was seen before stays on the page, with its age and why."""
    monkeypatch.setattr(database, "PATIENCE", SECOND // 10)
    before = words(lively.front, "article")
    with closing(sqlite3.connect(lively.config.spool.directory / LEDGER, isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        lively.clock.move(61 * SECOND)
        said = words(lively.front)
        assert "cannot be opened (database is locked)" in said or "database is locked" in said
        assert "as they were 1 min ago" in said
        assert words(lively.front, "article")[:40] == before[:40]
        other.execute("ROLLBACK")
    lively.clock.move(FRESH)
    assert "locked" not in words(lively.front)


def test_who_asks_soon_again_is_shown_the_same(lively):
    """Within `FRESH` nobody reads the disk again; after it what has changed is there."""
    before = words(lively.front)
    name = lively.upload(lively.of("display")[0], NOW, 1_000_000, Outcome.UPLOADED)
    lively.clock.move(FRESH - 1)
    assert name not in words(lively.front)
    lively.clock.move(1)
    assert name not in before
    assert name in words(lively.front)


class Tardy(HandClock):
    """Whoever looks at the disk takes `takes` ms: between two questions for the elapsed time it passes."""

    takes = 0

    def elapsed(self):
        if threading.current_thread().name == "page":
            self.move(self.takes)
        return super().elapsed()


def test_a_look_that_takes_long_is_followed_by_a_long_rest(tmp_path):
    """However much there is to read, the page costs a tenth of a processor at most."""
    empty = Empty(tmp_path)
    clock = Tardy(NOW)
    page = FrontPage(empty.config, Health(lambda: True), Metrics(Health(lambda: True)), clock)
    clock.takes = 3 * SECOND
    words(page)
    clock.takes = 0
    new_spool(empty.directory)
    clock.move(9 * 3 * SECOND - 3 * SECOND - 1)
    assert "no spool yet" in words(page)
    clock.move(3 * SECOND + 1)
    assert "no spool yet" not in words(page)


@pytest.fixture
def hung(empty, monkeypatch):
    """A disk that does not answer: the spool's identity is a pipe that nobody writes."""
    monkeypatch.setattr(front, "PATIENCE", 0.2)
    new_spool(empty.directory)
    identity = empty.directory / "spool.json"
    kept = identity.read_bytes()
    identity.unlink()
    os.mkfifo(identity)
    yield empty
    if looking():
        with identity.open("wb") as pipe:
            pipe.write(kept)
    until(lambda: not looking(), "the end of the look")


def looking():
    """The threads that look."""
    return [thread for thread in threading.enumerate() if thread.name == "page"]


def test_a_disk_that_hangs_keeps_nobody(hung):
    """The page answers, and says that it knows nothing yet; however often it is asked, one thread looks."""
    for _ in range(3):
        hung.clock.move(60 * SECOND)
        assert "are being read" in words(hung.front)
        assert len(looking()) == 1
    assert all(thread.daemon for thread in looking())


def test_a_spool_that_hangs_while_it_is_probed_keeps_nobody(empty, monkeypatch):
    """Whether it can be written is asked in the look, not by who asks for the page."""
    monkeypatch.setattr(front, "PATIENCE", 0.2)
    answers = threading.Event()
    health = Health(answers.wait)
    page = FrontPage(empty.config, health, Metrics(health), empty.clock)
    assert "are being read" in words(page)
    answers.set()
    until(lambda: "no spool yet" in words(page), "the end of the look")


def test_many_who_ask_at_once_have_one_look(lively):
    """Each is answered, and the disk is read once for all."""
    starts, looked = [], []
    begin = threading.Barrier(8)
    lively.health._spool_writable = lambda: looked.append(threading.current_thread().name) or True

    def ask():
        begin.wait()
        starts.append(words(lively.front, "h1"))

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert starts == ["s2s-bridge"] * 8
    assert looked.count("page") == 1


def test_a_fault_of_ours_is_no_blank_page(lively, monkeypatch, capsys):
    """A bug in a look leaves the last figures, says so, and tells the log its kind and no more."""
    words(lively.front)

    def broken(*_):
        raise ValueError("5f1a6f43 is a user")

    monkeypatch.setattr(front, "gather", broken)
    lively.clock.move(FRESH)
    said = words(lively.front)
    assert "this is a bug" in said
    assert "Agency_EP" in said
    out, err = capsys.readouterr()
    assert "page_failed" in out + err
    assert "5f1a6f43" not in said + out + err


def test_where_no_thread_can_be_had_the_next_one_looks(empty, monkeypatch):
    """A request fails; it does not keep all later ones from what there is to see."""

    def none(_thread):
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", none)
        with pytest.raises(RuntimeError):
            empty.front()
    assert "no spool yet" in words(empty.front)
