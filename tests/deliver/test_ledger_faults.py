"""The ledger's disk fails at any call, once, from then on, or by a power cut: what is uploaded stays right.

A delivery makes some thousand calls. Each kind of call (the ledger's writing method, SQLite's operation)
fails in one of the three ways; with S2S_EVERY_CALL=1 each call fails in each way, with 5 each fifth
(and `--timeout 0`, as it takes long).
"""

import os
import shutil
import sqlite3
import sys
import tempfile
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest
import structlog

from bridge.clock import DAY, HOUR
from bridge.deliver.database import LedgerDamaged, LedgerFailed
from bridge.deliver.deliverer import LOOK
from bridge.deliver.file_state import FileState
from bridge.deliver.ledger import Ledger
from bridge.deliver.ledger_schema import MIGRATIONS, VERSION
from bridge.deliver.records import Outcome
from bridge.deliver.remote import UploadStage, unheard
from tests.parts.audiences import DISPLAY
from tests.parts.delivering import START, Fault, Killed, Site, WeakRemote, Write
from tests.parts.failing_sqlite import FULL, IOERR, failing_sqlite, need, untouched

ACME = replace(DISPLAY, client="Acme")
EVERY = int(os.environ.get("S2S_EVERY_CALL", "0"))
WAYS = ("once", "from then on", "power cut")

FILES_PER_HOUR = 2
BYTES_PER_DAY = 500
"""Three of the files below: less than the configuration allows, so that files can be small."""


@pytest.fixture(autouse=True)
def _able():
    need()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger("critical"))


class Witness(WeakRemote):
    """A remote that looks, whenever an upload begins, whether the ledger on the disk knows of it."""

    def __init__(self, site, disk):
        shutil.rmtree(site.directory / "arrived")
        super().__init__(site.directory / "remote", site.clock)
        self.site, self.disk = site, disk
        self.ledger = site.directory / "spool" / "ledger.sqlite"
        self.unwritten = []
        """Uploads that the ledger would not know of after a power cut now."""
        self.opened = []
        """When a remote file was opened, and the bytes that were to be sent."""

    def upload(self, local, name, progress, measured=unheard):
        survivor = self.site.directory / "survivor.sqlite"
        survivor.write_bytes(self.disk.synced[self.ledger])
        with untouched(survivor) as look:
            (known,) = look.execute(
                "SELECT COUNT(*) FROM attempts JOIN files USING (file) WHERE name = ? AND ended_at IS NULL",
                (name,),
            ).fetchone()
        look.close()
        if known != 1:
            self.unwritten.append(name)

        def told(stage):
            if stage is UploadStage.OPENED:
                self.opened.append((self.clock.now(), local.stat().st_size))
            progress(stage)

        return super().upload(local, name, told, measured)


class Story:
    """Two audiences, four files, the second upload is cut; two files an hour, three a day."""

    def __init__(self, directory, disk, *, takes_away):
        self.site = Site(directory, max_age=6 * HOUR, files_per_hour=FILES_PER_HOUR)
        quota = self.site.account.quota.model_copy(update={"bytes_per_day": BYTES_PER_DAY})
        self.site.account = self.site.account.model_copy(update={"quota": quota})
        self.remote = self.site.remote = Witness(self.site, disk)
        self.remote.takes_away = takes_away
        faults = [None, Fault.CUT]
        self.remote.fault = lambda _: faults.pop(0) if faults else None
        self.site.deliverer = self.site._deliverer()
        self.site.give(Write(1, 7))
        self.site.give(Write(2, 7, audience=ACME))
        self.more = [Write(1, 8), Write(1, 7, -1), Write(2, 0, audience=ACME)]

    def go_on(self):
        self._deliver()
        if self.more:
            self.site.give(*self.more)
            self.more = []
            self._deliver()

    def _deliver(self):
        """As `Site.deliver`, in longer steps: what does not fit into the day's rest is tried every hour."""
        self.site.draining = True
        while (pause := self.site.deliverer.step()) is not None:
            self.site.clock.move(HOUR if pause == LOOK else pause)

    def wrong(self, crashes):
        """What the oracle finds wrong once all is delivered."""
        site, remote = self.site, self.remote
        hours = Counter(at // HOUR for at, _ in remote.opened)
        days = Counter()
        for at, size in remote.opened:
            days[at // DAY] += size
        arrived = Counter(path.name for path in remote.arrived)
        files = {file.name: file.state for file in site.ledger.files()}
        uploaded = {name for name, state in files.items() if state is FileState.UPLOADED}
        spent = len(site.counted()) - len(remote.opened)
        checks = {
            "I1 lost or wrong": not site.differences(),
            "I3 uploaded and arrived differ": uploaded == set(arrived),
            "I3 attempts differ by more than the unknown ones": 0 <= spent <= unknown(site),
            "I4 files an hour": max(hours.values()) <= FILES_PER_HOUR,
            "I4 bytes a day": max(days.values()) <= BYTES_PER_DAY,
            "I7 one name, two contents": max(map(len, remote.contents.values())) == 1,
            "I9 a file came again": arrived.total() - len(arrived) <= crashes * remote.takes_away,
            "uploaded, not written down": not remote.unwritten,
        }
        return [check for check, right in checks.items() if not right]


def unknown(site):
    with untouched(site.directory / "spool" / "ledger.sqlite") as look:
        (count,) = look.execute("SELECT COUNT(*) FROM attempts WHERE outcome = 'unknown'").fetchone()
    look.close()
    return count


def told(disk, number, way, code=IOERR):
    """The disk is told how to fail at this call."""
    if way == "power cut":
        disk.cut(number)
    else:
        disk.fail(number, code=code, once=way == "once")


def kinds_of_calls(disk, work):
    """For each call of `work`: the ledger's method, if it writes, and the operation."""
    calls = []
    counted = disk.counted

    def noting(operation, name):
        frame = sys._getframe()
        while frame and not frame.f_code.co_filename.endswith("deliver/ledger.py"):
            frame = frame.f_back
        calls.append((frame.f_code.co_name if frame else "", operation))
        return counted(operation, name)

    disk.counted = noting
    work()
    disk.counted = counted
    writing = {method for method, operation in calls if operation == "xWrite"}
    return [(method if method in writing else "", operation) for method, operation in calls]


def chosen(kinds, way):
    """Which calls fail this way, by number: every one, or one of each kind that falls to this way."""
    if EVERY:
        return range(1 + WAYS.index(way), len(kinds) + 1, EVERY)
    numbers = {}
    for number, kind in enumerate(kinds, start=1):
        numbers.setdefault(kind, []).append(number)
    places = list(enumerate(numbers.values()))[WAYS.index(way) :: len(WAYS)]
    return [at[7 * place % len(at)] for place, at in places]


@pytest.fixture
def memory(tmp_path):
    """A folder in memory, where there is one: the product's many syncs are not what is tried here."""
    if not os.access("/dev/shm", os.W_OK):
        yield tmp_path
        return
    with tempfile.TemporaryDirectory(dir="/dev/shm") as folder:
        yield Path(folder)


@pytest.mark.failure(51, 52)
@pytest.mark.parametrize("way", WAYS)
def test_whatever_call_to_the_ledgers_disk_fails_the_delivery_stays_right(memory, way):
    """It stops before it uploads what is not written down; begun anew, all arrives, within the quotas.

    Ledger and server agree, or differ by attempts that count as unknown.
    """
    with failing_sqlite() as disk:
        whole = Story(fresh(memory, "whole"), disk, takes_away=False)
        kinds = kinds_of_calls(disk, whole.go_on)
        assert whole.wrong(0) == []
        stopped = 0
        for number in chosen(kinds, way):
            story = Story(fresh(memory, str(number)), disk, takes_away=bool(number % 2))
            told(disk, number, way, FULL if number % 3 == 0 else IOERR)
            try:
                story.go_on()
            except LedgerFailed:
                stopped += 1
            story.site.ledger.close()
            disk.power_on()
            story.site.restart()
            story.go_on()
            assert story.wrong(1) == [], (number, kinds[number - 1])
            story.site.ledger.close()
            shutil.rmtree(story.site.directory)
        assert stopped > 0


def fresh(folder, name):
    (folder / name).mkdir()
    return folder / name


def fail_in_turn(disk, lay, work, check, ways=WAYS):
    """Every call of `work` fails, in one of the ways, on a path of its own that `lay` has filled.

    With S2S_EVERY_CALL in each of them.
    """
    whole = lay("whole")
    before = len(disk.calls)
    work(whole)
    count = len(disk.calls) - before
    for place, way in enumerate(ways):
        for number in range(1 if EVERY else 1 + place, count + 1, 1 if EVERY else len(ways)):
            path = lay(f"{way} {number}")
            told(disk, number, way)
            try:
                work(path)
            except LedgerFailed as failure:
                error = failure
            else:
                error = None
            disk.power_on()
            check(path, error)


@pytest.mark.failure(14, 51, 52)
def test_a_disk_that_fails_at_the_start_is_no_damage(memory):
    """A start says so and stops: a ledger called damaged would be given up by `--adopt`.

    The next one finds the attempt that a crash left open, and counts it.
    """
    site = Site(fresh(memory, "site"))
    site.give(Write(1, 7))
    site.remote.fault = lambda _: Fault.KILLED
    with pytest.raises(Killed):
        site.deliver()
    site.ledger.close()
    crashed = (site.directory / "spool" / "ledger.sqlite").read_bytes()

    def lay(name):
        path = fresh(memory, name) / "ledger.sqlite"
        path.write_bytes(crashed)
        return path

    def work(path):
        with Ledger.open(path) as ledger:
            ledger.recover("a", START)

    def check(path, error):
        assert not isinstance(error, LedgerDamaged)
        with Ledger.open(path) as ledger:
            assert ledger.recover("a", START) <= (error is not None)
            (counted,) = ledger.attempts("a", 0)
            assert counted.ended_at is not None

    with failing_sqlite() as disk:
        fail_in_turn(disk, lay, work, check)


@pytest.mark.failure(51, 52, 61)
def test_an_older_ledger_on_a_failing_disk_is_brought_up_whole_or_not_at_all(memory):
    """After a fault anywhere in the migration the next start has the ledger, of this program's version."""
    old = sqlite3.connect(memory / "old.sqlite", isolation_level=None)
    for statement in MIGRATIONS[0]:
        old.execute(statement)
    old.execute("INSERT INTO ledger VALUES ('spool-1')")
    old.execute("INSERT INTO accounts VALUES ('a', 7, 99)")
    old.execute("PRAGMA user_version = 1")
    old.close()

    def lay(name):
        return shutil.copy(memory / "old.sqlite", fresh(memory, name) / "ledger.sqlite")

    def work(path):
        Ledger.open(path).close()

    def check(path, error):
        assert not isinstance(error, LedgerDamaged)
        with Ledger.open(path) as ledger:
            assert ledger.spool_id == "spool-1"
            assert (ledger.skew("a"), ledger.closed_until("a")) == (7, 99)
        with untouched(path) as look:
            assert look.execute("PRAGMA user_version").fetchone() == (VERSION,)
        look.close()

    with failing_sqlite() as disk:
        fail_in_turn(disk, lay, work, check)


@pytest.mark.failure(14, 51, 52, 53)
def test_an_adopted_ledger_on_a_failing_disk_is_never_one_whose_windows_are_free(memory):
    """A new ledger is there with its windows spent, or the damaged one, or none; the damaged one is kept."""
    garbage = b"garbage" * 999

    def lay(name):
        path = fresh(memory, name) / "ledger.sqlite"
        path.write_bytes(garbage)
        return path

    def work(path):
        Ledger.create(path, "spool-1", START, {"a": START + DAY}).close()

    def check(path, error):
        if path.exists() and path.read_bytes() != garbage:
            with Ledger.open(path) as ledger:
                assert ledger.closed_until("a") == START + DAY
        else:
            assert error is not None
        kept = [other.read_bytes() for other in path.parent.iterdir() if ".new" not in other.name]
        assert garbage in kept
        with Ledger.create(path, "spool-2", START + 1, {"a": START + DAY}) as ledger:
            assert (ledger.spool_id, ledger.closed_until("a")) == ("spool-2", START + DAY)

    with failing_sqlite() as disk:
        fail_in_turn(disk, lay, work, check)


@pytest.mark.failure(52)
@pytest.mark.parametrize("before", [None, b"garbage" * 999])
def test_a_ledger_that_was_created_outlives_a_power_cut_at_once(memory, before):
    """As does its place: no older one comes back, nor is there none; what lay there is kept beside it."""
    path = memory / "ledger.sqlite"
    with failing_sqlite() as disk:
        if before is not None:
            path.write_bytes(before)
        ledger = Ledger.create(path, "spool-1", START, {"a": START + DAY})
        disk.cut(1)
        with pytest.raises(LedgerFailed):
            ledger.set_skew("a", 7)
        ledger.close()
        disk.power_on()
    with Ledger.open(path) as found:
        assert (found.spool_id, found.closed_until("a"), found.skew("a")) == ("spool-1", START + DAY, 0)
    kept = [one.read_bytes() for one in memory.glob("*.damaged")]
    assert kept == ([] if before is None else [before])


@pytest.mark.failure(52)
def test_a_commit_of_unknown_outcome_is_found_whole_or_undone(memory):
    """The call fails, and yet it may be durable: file, attempt and audience agree in either case."""
    site = Site(fresh(memory, "site"))
    site.give(Write(1, 7))
    site.remote.fault = lambda _: Fault.UNREACHABLE
    site.until(lambda: site.remote.tried)
    site.ledger.close()
    built = (site.directory / "spool" / "ledger.sqlite").read_bytes()
    seen = set()

    def lay(name):
        path = fresh(memory, name) / "ledger.sqlite"
        path.write_bytes(built)
        return path

    def work(path):
        with Ledger.open(path) as ledger:
            (tried,) = ledger.unfinished("a")
            attempt = ledger.begin_attempt(tried.file.name, START, 0, lambda _: True)
            (path.parent / "begun").touch()
            ledger.end_attempt(attempt, START, Outcome.UPLOADED)

    def check(path, error):
        with Ledger.open(path) as ledger:
            (file,) = ledger.files("a")
            open_ones = [one.ended_at is None for one in ledger.attempts("a", 0)]
            delivered = ledger.audience(DISPLAY).frontier.lowest == 1
        known = (file.state, open_ones, delivered)
        assert known in (
            (FileState.BUILT, [], False),
            (FileState.UPLOADING, [True], False),
            (FileState.UPLOADED, [False], True),
        )
        if error:
            seen.add(((path.parent / "begun").exists(), file.state))

    with failing_sqlite() as disk:
        fail_in_turn(disk, lay, work, check, ways=["once"])
    assert seen == {
        (False, FileState.BUILT),
        (False, FileState.UPLOADING),
        (True, FileState.UPLOADING),
        (True, FileState.UPLOADED),
    }
