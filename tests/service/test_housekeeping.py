"""A spool that fills up: history goes first, then the fullest account's streams wait; nothing is lost."""

import gc
import json
import os
import shutil
import subprocess
import sys
import weakref
from dataclasses import replace
from pathlib import Path
from threading import Event, Thread

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.clock import DAY, HOUR, MINUTE
from bridge.config import Config, Stream
from bridge.deliver.file_state import FileState
from bridge.deliver.ledger import Ledger
from bridge.deliver.records import FileRecord, Progress, RunRange
from bridge.service.housekeeping import COLLECT, NICENESS, TELLING, Housekeeping
from bridge.service.pressure import CROWDED, RELIEVED, excess, file_room, paused_streams
from bridge.service.upkeep_observer import SilentUpkeep
from bridge.spool.merging import user_ranges
from bridge.spool.spool import Spool
from tests.parts.audiences import DISPLAY
from tests.parts.clocks import HandClock
from tests.parts.delivering import START
from tests.parts.meanwhile import ChangingLedger
from tests.parts.spools import SMALL, position, seal

OTHER = replace(DISPLAY, account="b")
DEVICES = replace(DISPLAY, account="c", mobile=True)


def stream(name, account):
    return Stream(name=name, topics=[name], account=account, format="json", segment_namespace="ep")


STREAMS = (
    stream("first", "a"),
    stream("second", "b"),
    stream("both", {"display": "b", "mobile": "c"}),
)


@pytest.mark.parametrize(
    ("held", "usage", "paused"),
    [
        ({"a": 80, "b": 9}, 89, set()),
        ({"a": 80, "b": 10}, 90, {"first"}),
        ({"a": 10, "b": 80}, 90, {"second", "both"}),
        ({"a": 10, "c": 80}, 99, {"both"}),
        ({"a": 80, "b": 20}, 100, {"first", "second", "both"}),
        ({}, 95, {"first", "second", "both"}),
    ],
)
def test_who_waits(held, usage, paused):
    """From nine tenths on those who feed the fullest account; at the bound, or where nobody holds, all."""
    assert paused_streams(STREAMS, held, usage, 100) == paused


def test_how_much_history_goes():
    """None below nine tenths; from there on as much as brings the spool down to eight."""
    assert (CROWDED, RELIEVED) == (0.9, 0.8)
    assert [excess(usage, 1000) for usage in (0, 899, 900, 1300)] == [0, 0, 100, 500]


class Notes(SilentUpkeep):
    """What housekeeping tells, as it is told."""

    def __init__(self):
        self.usages = []
        self.free_bytes = None
        self.waits = None
        self.counts = None

    def used(self, size):
        self.usages.append(size)

    def free(self, size):
        self.free_bytes = size

    def paused(self, streams):
        self.waits = streams

    def files(self, counts):
        self.counts = counts


class House:
    """A spool that holds runs of two accounts, its ledger and its housekeeping."""

    def __init__(self, directory, max_bytes, ledger=Ledger):
        self.clock = HandClock(START)
        self.spool = Spool.open(directory / "spool", clock=self.clock)
        self.ledger = ledger.create(directory / "spool" / "ledger.sqlite", self.spool.id, START)
        account = {"agency": "A", "partner": "P", "sftp": {"host": "h", "username": "u"}}
        self.notes = Notes()
        self.usages = self.notes.usages
        self.beats = []
        self.housekeeping = Housekeeping(
            config=Config(
                kafka={"bootstrap_servers": "localhost:9092"},
                spool={"directory": directory / "spool", "max_bytes": max_bytes},
                accounts=[account | {"name": name} for name in "abc"],
                streams=STREAMS,
                dead_letters={},
            ),
            spool=self.spool,
            ledger=self.ledger,
            clock=self.clock,
            observer=self.notes,
            beat=self.beats.append,
        )

    def seal(self, audience, rows=200, event_time=5, **more):
        window = {audience: [(user, 1, 0, event_time, 0, 0, user) for user in range(1, rows)]}
        return seal(self.spool, window, now=self.clock.now(), **more)

    def deliver(self, audience):
        """All there is of the audience is delivered."""
        newest = max(run.number for run in self.spool.runs())
        progress = Progress(start="", stop=None, run=newest, newest_event_time=5, removals_only=False)
        self.ledger.skip(audience, progress)

    def numbers(self):
        return [run.number for run in self.spool.runs()]


def test_it_tells_who_waits_and_what_there_is(tmp_path, size):
    """Each stream, whether it waits; files by account and state, none among them; the disk's free room."""
    house = House(tmp_path, 10 * size)
    for _ in range(8):
        house.seal(DISPLAY)
    house.housekeeping.step()
    assert house.notes.waits == {"first": False, "second": False, "both": False}
    states = {"built", "uploading", "uploaded", "confirmed", "rejected", "failed"}
    assert house.notes.counts == {(account, state): 0 for account in "abc" for state in states}
    free = shutil.disk_usage(house.spool.directory).free
    assert abs(house.notes.free_bytes - free) < 10**9
    house.seal(DISPLAY)
    house.ledger.add_file(built("Agency_Partner_202611010000.log.gz"))
    house.ledger.give_up("Agency_Partner_202611010000.log.gz", "its bytes are lost")
    house.ledger.add_file(built("Agency_Partner_202611010001.log.gz"))
    house.clock.move(TELLING)
    house.housekeeping.step()
    assert house.notes.waits == {"first": True, "second": False, "both": False}
    told = {key: count for key, count in house.notes.counts.items() if count}
    assert told == {(DISPLAY.account, "failed"): 1, (DISPLAY.account, "built"): 1}


@pytest.mark.failure(54)
def test_it_tells_on_though_the_clock_is_set_back(tmp_path):
    """Free room is what an alert looks at: it must not stand still until the clock is where it was."""
    house = House(tmp_path, 10**9)
    house.housekeeping.step()
    house.clock.set_by(-HOUR)
    house.clock.move(TELLING)
    house.notes.free_bytes = None
    house.housekeeping.step()
    assert house.notes.free_bytes is not None


def built(name):
    """A file as the ledger has it."""
    progress = Progress(start="", stop=None, run=1, newest_event_time=5, removals_only=False)
    return FileRecord(
        name=name,
        audience=DISPLAY,
        state=FileState.BUILT,
        path="nowhere",
        bytes=1,
        lines=1,
        memberships=1,
        sha256="",
        created_at=START,
        uploaded_at=None,
        detail="",
        progress=progress,
    )


@pytest.fixture
def size(tmp_path):
    """Bytes of a run of `House.seal`."""
    return House(tmp_path / "measured", 1_000_000).seal(DISPLAY).size


def test_history_goes_before_anybody_waits(tmp_path, size):
    """Delivered runs go, oldest first, no more than needed; their horizon is noted; nobody is paused."""
    house = House(tmp_path, 10 * size)
    for event_time in range(1, 11):
        house.seal(DISPLAY, event_time=event_time)
    house.deliver(DISPLAY)
    house.housekeeping.step()
    gone = 10 - len(house.numbers())
    assert house.numbers() == list(range(gone + 1, 11))
    assert house.ledger.audience(DISPLAY).horizon == gone
    assert house.housekeeping.full_streams == frozenset()
    assert house.usages[-1] == house.spool.usage()
    assert house.spool.usage() <= 8 * size < house.spool.usage() + 1.1 * size


def test_what_became_due_again_since_it_looked_stays(tmp_path, size):
    """A file is sent again between its look and its decision: nothing goes until that is delivered anew."""
    house = House(tmp_path, 10 * size, ledger=ChangingLedger)
    for event_time in range(1, 11):
        house.seal(DISPLAY, event_time=event_time)
    name = "Agency_Partner_202611010000.log.gz"
    house.ledger.add_file(replace(built(name), runs=(RunRange(low=1, number=10),)))
    house.ledger.found_uploaded(name, START)
    house.deliver(DISPLAY)
    house.ledger.ask_resend(name, START)
    house.ledger.meanwhile = lambda: house.ledger.resend(name, START, lambda *_: None)
    house.housekeeping.step()
    house.housekeeping.step()
    assert house.numbers() == list(range(1, 11))
    assert house.ledger.audience(DISPLAY).horizon is None
    house.deliver(DISPLAY)
    house.housekeeping.step()
    assert len(house.numbers()) < 10


def test_what_is_not_delivered_never_goes(tmp_path, size):
    """A full spool of undelivered runs keeps them all; those who fill it wait, at the bound everybody."""
    house = House(tmp_path, 10 * size)
    for _ in range(2):
        house.seal(OTHER)
    for _ in range(7):
        house.seal(DISPLAY)
    house.housekeeping.step()
    assert house.housekeeping.full_streams == {"first"}
    house.seal(OTHER)
    house.housekeeping.step()
    assert house.housekeeping.full_streams == {"first", "second", "both"}
    assert house.numbers() == list(range(1, 11))
    assert house.ledger.audience(DISPLAY).horizon is None


def test_a_window_that_fills_the_spool_is_seen_at_once(tmp_path, size):
    """The ingest thread asks at each turn: after a seal it need not wait for housekeeping's next look."""
    house = House(tmp_path, 10 * size)
    assert house.housekeeping.pressed() == frozenset()
    for _ in range(9):
        house.seal(DISPLAY)
    house.seal(OTHER, rows=2)
    assert house.housekeeping.pressed() == {"first"}
    house.deliver(DISPLAY)
    house.housekeeping.step()
    assert house.housekeeping.pressed() == frozenset()


def test_history_that_may_go_presses_nobody(tmp_path, size):
    """Below the bound, delivered runs that housekeeping has not yet removed pause no stream."""
    house = House(tmp_path, 10 * size)
    for _ in range(9):
        house.seal(DISPLAY)
    house.deliver(DISPLAY)
    house.seal(OTHER, rows=2)
    assert CROWDED * 10 * size < house.spool.usage() < 10 * size
    assert house.housekeeping.pressed() == frozenset()


def test_a_merge_that_would_not_fit_is_left(tmp_path, size):
    """For a while the merged rows are there twice; where that is above the bound nothing is merged."""
    house = House(tmp_path, 12 * size)
    for _ in range(8):
        house.seal(DISPLAY)
    house.clock.move(HOUR)
    house.housekeeping.step()
    assert len(house.numbers()) == 8


def test_what_is_partly_delivered_never_goes(tmp_path, size):
    """A run of which some users still wait for their part is no history."""
    house = House(tmp_path, size)
    run = house.seal(DISPLAY)
    part = Progress(
        start="", stop=f"{40:016x}{80:016x}", run=run.number, newest_event_time=5, removals_only=False
    )
    house.ledger.skip(DISPLAY, part)
    house.housekeeping.step()
    assert house.numbers() == [1]
    assert house.housekeeping.full_streams


def test_once_delivered_everybody_goes_on(tmp_path, size):
    """What was pressed out by delivery makes room at the next look."""
    house = House(tmp_path, 10 * size)
    for _ in range(10):
        house.seal(DISPLAY)
    house.housekeeping.step()
    assert house.housekeeping.full_streams
    house.deliver(DISPLAY)
    house.housekeeping.step()
    assert house.housekeeping.full_streams == frozenset()
    assert house.spool.usage() <= 8 * size


def test_history_older_than_the_retention_goes_without_pressure(tmp_path, size):
    """After seven days; the newest run of a partition keeps its positions."""
    house = House(tmp_path, 1000 * size)
    house.seal(DISPLAY, event_time=1)
    house.seal(DISPLAY, event_time=2, positions=[position(next_offset=9)])
    house.deliver(DISPLAY)
    house.clock.move(7 * DAY)
    house.housekeeping.step()
    assert house.numbers() == [1, 2]
    house.clock.move(MINUTE)
    house.housekeeping.step()
    assert house.numbers() == [2]
    assert house.spool.runs()[0].audiences == {}
    assert [at.next_offset for at in house.spool.positions().values()] == [9]
    assert house.ledger.audience(DISPLAY).horizon == 2


def test_an_hours_wait_is_a_few_runs(tmp_path, size):
    """Undelivered neighbours are merged once they have settled; not one row is lost."""
    house = House(tmp_path, 1000 * size)
    for _ in range(60):
        house.seal(DISPLAY, rows=20)
        house.clock.move(MINUTE)
        house.housekeeping.step()
    house.clock.move(HOUR)
    for _ in range(20):
        house.housekeeping.step()
    assert len(house.numbers()) < 16
    assert sum(len(run.read(DISPLAY)) for run in house.spool.runs()) >= 19
    assert {user for run in house.spool.runs() for user in run.read(DISPLAY)["lo"]} == set(range(1, 20))


def test_a_merge_is_left_when_somebody_wants_to_stop(tmp_path):
    """At the next users, without a trace: the runs are as before, and the next look merges them."""
    house = House(tmp_path, 10**9)
    house.spool._tools.sizes = SMALL
    before = [house.seal(DISPLAY).identity for _ in range(8)]
    house.clock.move(HOUR)
    stop = Event()
    house.housekeeping._beat = lambda now: house.beats.append(now) or (len(house.beats) > 3 and stop.set())
    house.housekeeping.step(stop)
    assert len(house.beats) == 4
    assert [run.identity for run in house.spool.runs()] == before
    assert list(house.spool.temporary_directory.iterdir()) == []
    house.housekeeping.step()
    assert house.numbers() == [8]


def test_a_rewrite_is_left_when_somebody_wants_to_stop(tmp_path):
    """The horizon is noted by then; the rows that leave are still there, and go at the next look."""
    house = House(tmp_path, 10**9)
    window = {whose: [(1, 1, 0, 5, 0, 0, 0)] for whose in (DISPLAY, OTHER)}
    seal(house.spool, window, now=house.clock.now())
    house.deliver(DISPLAY)
    house.clock.move(8 * DAY)
    stop = Event()
    stop.set()
    house.housekeeping.step(stop)
    assert set(house.spool.runs()[0].audiences) == {DISPLAY, OTHER}
    assert house.ledger.audience(DISPLAY).horizon == 5
    house.housekeeping.step()
    assert set(house.spool.runs()[0].audiences) == {OTHER}


def test_it_beats_while_it_merges(tmp_path):
    """With each range of users: however long a merge takes, nobody takes the thread for dead."""
    house = House(tmp_path, 10**9)
    house.spool._tools.sizes = SMALL
    runs = [house.seal(DISPLAY) for _ in range(8)]
    house.clock.move(HOUR)
    house.housekeeping.step()
    assert len(house.beats) == len(list(user_ranges(runs, DISPLAY, SMALL.range_rows)))


def test_a_run_that_a_failure_still_holds_is_let_go(tmp_path):
    """A failed log-in leaves what it had at hand in a cycle: its runs keep their descriptors for a minute."""
    house = House(tmp_path, 10**9)
    held = [house.seal(DISPLAY)]
    house.deliver(DISPLAY)
    held.append(held)
    run = weakref.ref(held[0])
    house.clock.move(8 * DAY)
    stop = Event()
    house.housekeeping._beat = lambda now: now > START + 8 * DAY + COLLECT and stop.set()
    gc.disable()  # as good as in `run`: it would come after a million objects
    try:
        del held
        thread = Thread(target=house.housekeeping.run, args=(stop,))
        thread.start()
        thread.join()
        assert run() is None
    finally:
        gc.enable()


def merge_and_tell(directory):
    """In a process of its own: prints how far its housekeeping stood back, and each other thread after it."""
    house = House(Path(directory), 10**9)
    house.clock.move(HOUR)
    stop = Event()
    told = []

    def end(_usage):
        told.append(os.getpriority(os.PRIO_PROCESS, 0))
        stop.set()

    house.notes.used = end
    thread = Thread(target=house.housekeeping.run, args=(stop,))
    thread.start()
    thread.join()
    tasks = {int(task.name) for task in Path("/proc/self/task").iterdir()} - {thread.native_id}
    others = {os.getpriority(os.PRIO_PROCESS, task) for task in tasks}
    print(json.dumps({"own": told, "others": sorted(others), "runs": house.numbers()}))  # to the test


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere a thread has no priority of its own")
def test_it_stands_back_alone(tmp_path):
    """It yields to the others; polars' threads, on which all work, do not, though it needs them first."""
    house = House(tmp_path, 10**9)
    for _ in range(8):
        house.seal(DISPLAY)
    own = os.getpriority(os.PRIO_PROCESS, 0)
    code = f"from tests.service.test_housekeeping import merge_and_tell; merge_and_tell({str(tmp_path)!r})"
    root = Path(__file__).parents[2]
    done = subprocess.run([sys.executable, "-c", code], cwd=root, check=True, stdout=subprocess.PIPE)
    told = json.loads(done.stdout.splitlines()[-1])
    assert told == {"own": [own + NICENESS], "others": [own], "runs": [8]}


@pytest.mark.failure(12)
def test_a_damaged_run_stops_the_merging_alone(tmp_path, size):
    """Retiring and the pressure go on; whoever delivers the run tells of the damage."""
    house = House(tmp_path, 20 * size)
    runs = [house.seal(DISPLAY) for _ in range(17)]
    content = bytearray(runs[0].path.read_bytes())
    content[20] ^= 1
    runs[0].path.write_bytes(content)
    house.clock.move(HOUR)
    house.housekeeping.step()
    house.seal(OTHER)
    house.seal(OTHER)
    house.housekeeping.step()
    assert house.housekeeping.full_streams == {"first"}
    assert len(house.numbers()) == 19


@given(st.integers(0, 30_000), st.integers(1_000, 20_000))
def test_a_file_leaves_room_in_the_spool_and_is_never_nothing(usage, max_bytes):
    """At most half of what is left, or a small part of the whole where less than that is left."""
    room = file_room(usage, max_bytes)
    assert room >= max_bytes // 40 > 0
    assert room == max_bytes // 40 or usage + 2 * room <= max_bytes
