"""A window is sealed while the next is read: on a real spool, whose disk is held where a test needs it."""

import errno
import queue
import threading
from functools import partial

import polars as pl
import pytest
from confluent_kafka import Message

from bridge.audience.roster import WHOSE, Roster
from bridge.backoff import LONGEST
from bridge.calls import ThreadedCalls
from bridge.clock import HOUR, SECOND
from bridge.errors import BridgeError
from bridge.ingest.collector import Collector, CollectorParts
from bridge.ingest.decode import decoder_for
from bridge.ingest.partition import Partition, Span
from bridge.ingest.positions import Identity
from bridge.ingest.sealing import SLOW, Sealing
from bridge.ingest.topics import Topics
from bridge.ingest.window import Window
from bridge.spool.disk import Disk, SpoolFailed
from bridge.spool.spool import Spool
from tests.parts.audiences import DISPLAY, frame
from tests.parts.clocks import HandClock
from tests.parts.collecting import NOW, Notes, stream, value
from tests.parts.spools import FailingDisk
from tests.parts.waiting import until

STEPS = {"write": 1, "fsync": 2, "rename": 2, "fsync_folder": 2}
"""What the disk does for a durable run, and which one of its kind: the first are for the run's number."""

ROW = 60
"""Bytes of a row in the window."""


class HeldDisk(Disk):
    """Told to hold, waits at the n-th step of one kind that comes, until it is released."""

    def __init__(self):
        self._step = None
        self._left = 0
        self._reached = threading.Event()
        self._released = threading.Event()

    def hold(self, step="write", number=1):
        self._reached.clear()
        self._released.clear()
        self._step, self._left = step, number

    def until_held(self):
        assert self._reached.wait(30)

    def release(self):
        self._step = None
        self._released.set()

    def release_soon(self):
        """While the caller waits for the disk; if it does not wait, it is through before."""
        threading.Timer(0.1, self.release).start()

    def write(self, descriptor, data):
        self._pass("write")
        return super().write(descriptor, data)

    def fsync(self, descriptor):
        self._pass("fsync")
        super().fsync(descriptor)

    def rename(self, source, target):
        self._pass("rename")
        super().rename(source, target)

    def fsync_folder(self, folder):
        self._pass("fsync_folder")
        super().fsync_folder(folder)

    def _pass(self, step):
        if step != self._step:
            return
        self._left -= 1
        if self._left == 0:
            self._reached.set()
            assert self._released.wait(30)


class Letters:
    """Takes dead letters, but not for the first times."""

    def __init__(self, refusals=0):
        self.refusals = refusals

    def write(self, _number, _letters):
        if self.refusals:
            self.refusals -= 1
            raise BridgeError("dead_letters.topic: nobody answers: start the broker")


class Topic:
    """A source with one topic of JSON events, of users of their own, in four partitions in turn."""

    def __init__(self, spool):
        self.identity = Identity(cluster_id="cluster", group="bridge")
        self.identity.topic_ids["acme"] = "id"
        self.assigned = frozenset(Partition("acme", number) for number in range(4))
        self.commits = []
        """Offsets and run of each commit, in order."""
        self.polls = 0
        self.left = 0
        """How many messages are there to read."""
        self.paused = frozenset()
        """Streams that are not to be read."""
        self.told = queue.SimpleQueue()
        """What is to be called in the next poll."""
        self._next = 0
        self._spool = spool

    def open(self):
        return {}

    def poll(self, most, _timeout):
        self.polls += 1
        while not self.told.empty():
            self.told.get()()
        size = 0 if self.paused else min(most, self.left)
        if not size:
            threading.Event().wait(0.005)
            return []
        self.left -= size
        self._next += size
        return [message(number) for number in range(self._next - size, self._next)]

    def pause(self, streams):
        self.paused = streams

    def commit(self, offsets, run):
        assert run in {each.number for each in self._spool.runs()}
        self.commits.append((offsets, run))

    def settle(self):
        pass

    def lag(self):
        return {}

    def close(self):
        pass


def message(number):
    return Message("acme", number % 4, number // 4, key=b"k", value=value(number))


def window_of(*partitions, offset=0):
    """A window with an event of each of these partitions."""
    roster = Roster()
    rows = frame(DISPLAY, [(number, 1, 0, 5, 0, number, offset) for number in partitions])
    window = Window(roster)
    window.add(rows.with_columns(pl.lit(roster.number(DISPLAY), pl.UInt32).alias(WHOSE)), read_at=NOW)
    for number in partitions:
        window.add_position("acme", number, Span(offset, offset + 1), read_at=NOW)
    return window


def at(*partitions, offset=1):
    """These partitions with their next offsets, as they are committed."""
    return {Partition("acme", number): offset for number in partitions}


def places(spool):
    """Partition and offset of all rows of all runs."""
    return sorted(
        place
        for run in spool.runs()
        for audience in run.audiences
        for place in run.read(audience).select("partition", "offset").rows()
    )


class Sealer:
    """A sealing with its neighbours."""

    def __init__(self, directory, disk=None, letters=None):
        self.clock = HandClock(NOW)
        self.disk = disk or HeldDisk()
        self.spool = Spool.open(directory, clock=self.clock, disk=self.disk)
        self.topic = Topic(self.spool)
        self.sealing = Sealing(
            spool=self.spool,
            dead_letters=letters or Letters(),
            source=self.topic,
            clock=self.clock,
            calls=ThreadedCalls(),
            observer=Notes(),
        )

    def advance(self):
        """What the collector does each time round, once the seal under way is over."""
        self.sealing.wait(30 * SECOND)
        self.sealing.advance()


@pytest.fixture
def sealer(tmp_path):
    return Sealer(tmp_path / "spool")


@pytest.mark.parametrize("step", STEPS)
def test_nothing_is_committed_before_the_run_is_durable(sealer, step):
    """Held at any step, a window is not committed, nor one behind it begun; then they are, in order."""
    sealer.disk.hold(step, STEPS[step])
    sealer.sealing.begin(window_of(0, 1))
    sealer.disk.until_held()
    sealer.sealing.begin(window_of(1, 2, offset=1))
    sealer.sealing.advance()
    assert bool(sealer.spool.runs()) == (step == "fsync_folder")  # there, but not durably
    assert sealer.topic.commits == []
    assert sealer.sealing.bytes == 4 * ROW
    sealer.disk.release()
    sealer.advance()
    assert sealer.topic.commits == [(at(0, 1), 1)]
    sealer.advance()
    assert sealer.topic.commits == [(at(0, 1), 1), (at(1, 2, offset=2), 2)]
    assert places(sealer.spool) == [(0, 0), (1, 0), (1, 1), (2, 1)]
    assert sealer.sealing.idle


def test_the_end_waits_for_the_seal_under_way(sealer):
    """Finished while a window is sealed, that one and the last are on disk and committed, in order."""
    sealer.disk.hold()
    sealer.sealing.begin(window_of(0))
    sealer.disk.until_held()
    sealer.disk.release_soon()
    sealer.sealing.finish(window_of(0, offset=1))
    assert sealer.topic.commits == [(at(0), 1), (at(0, offset=2), 2)]
    assert sealer.sealing.idle


def test_close_waits_for_the_seal_under_way(sealer):
    """After it nothing is written any more; what was sealed is not committed."""
    sealer.disk.hold()
    sealer.sealing.begin(window_of(0))
    sealer.disk.until_held()
    sealer.disk.release_soon()
    sealer.sealing.close()
    assert places(sealer.spool) == [(0, 0)]
    assert sealer.topic.commits == []


@pytest.mark.failure(23)
def test_partitions_lost_under_way_are_sealed_and_not_committed(sealer):
    """Their events are in the runs, the others' offsets are committed; a partition that returns is too."""
    sealer.disk.hold()
    sealer.sealing.begin(window_of(0, 1))
    sealer.disk.until_held()
    sealer.disk.release_soon()
    sealer.sealing.finish_without(window_of(0, 2, offset=1), frozenset(at(0)))
    assert places(sealer.spool) == [(0, 0), (0, 1), (1, 0), (2, 1)]
    assert sealer.topic.commits == [(at(1), 1), (at(2, offset=2), 2)]
    sealer.sealing.finish(window_of(0, offset=5))
    assert sealer.topic.commits[2:] == [(at(0, offset=6), 3)]


def test_what_could_not_be_sealed_of_barred_partitions_is_not_committed_later(tmp_path):
    """A window kept by a full disk when its partition goes: sealed later, and not committed by us."""
    sealer = Sealer(tmp_path, FailingDisk(at=10**9, number=errno.ENOSPC, only="write"))
    sealer.disk.left = 1
    sealer.sealing.finish(window_of(0, 1))
    assert not sealer.sealing.idle
    sealer.sealing.bar(frozenset(at(0)))
    sealer.sealing.finish(window_of())
    assert sealer.topic.commits == [(at(1), 1)]
    assert places(sealer.spool) == [(0, 0), (1, 0)]


def test_a_seal_is_slow_after_a_minute(sealer):
    """From then on nothing more may be read, until it is done after all."""
    sealer.disk.hold()
    sealer.sealing.begin(window_of(0))
    sealer.disk.until_held()
    sealer.clock.move(SLOW - 1)
    assert not sealer.sealing.slow
    assert not sealer.sealing.blocked
    sealer.clock.move(1)
    assert sealer.sealing.slow
    assert sealer.sealing.blocked
    sealer.disk.release()
    sealer.advance()
    assert not sealer.sealing.slow
    assert not sealer.sealing.blocked


@pytest.mark.failure(9)
@pytest.mark.parametrize("refuser", ["disk", "dead letters"])
def test_a_window_that_is_refused_keeps_its_place(tmp_path, refuser):
    """Nothing overtakes it; it is tried again when the pause is over, and until then nothing more is read."""
    if refuser == "disk":
        sealer = Sealer(tmp_path, FailingDisk(at=10**9, number=errno.ENOSPC, only="write"))
        sealer.disk.left = 1
    else:
        sealer = Sealer(tmp_path, letters=Letters(refusals=1))
    sealer.sealing.begin(window_of(0))
    sealer.sealing.begin(window_of(0, offset=1))
    for _ in range(3):
        sealer.advance()
    assert sealer.sealing.blocked
    assert sealer.sealing.bytes == 2 * ROW
    assert (sealer.topic.commits, sealer.spool.runs()) == ([], ())
    sealer.clock.move(LONGEST)
    for _ in range(3):
        sealer.advance()
    assert [offsets for offsets, _ in sealer.topic.commits] == [at(0), at(0, offset=2)]
    assert places(sealer.spool) == [(0, 0), (0, 1)]
    assert sealer.sealing.idle
    assert not sealer.sealing.blocked


@pytest.mark.failure(9, 58)
def test_the_end_does_not_wait_for_room(tmp_path):
    """On a full disk the end comes at once; what is left is not committed."""
    sealer = Sealer(tmp_path, FailingDisk(at=10**9, number=errno.ENOSPC, only="write"))
    sealer.disk.left = 1
    sealer.sealing.begin(window_of(0))
    sealer.sealing.finish(window_of(0, offset=1))
    assert not sealer.sealing.idle
    assert sealer.sealing.bytes == 2 * ROW
    assert sealer.topic.commits == []


@pytest.mark.failure(8)
@pytest.mark.parametrize("way", ["advance", "finish"])
def test_a_failed_disk_is_raised(tmp_path, way):
    """In the caller's thread; nothing is committed."""
    sealer = Sealer(tmp_path, FailingDisk(at=10**9, number=errno.EIO, only="fsync"))
    sealer.disk.left = 1
    sealer.sealing.begin(window_of(0))
    go_on = {"advance": sealer.advance, "finish": partial(sealer.sealing.finish, window_of(1))}
    with pytest.raises(SpoolFailed):
        go_on[way]()
    assert sealer.topic.commits == []


class Reading:
    """A collector in a thread of its own, which reads `Topic` on a disk that can be held."""

    def __init__(self, directory, *, max_bytes):
        self.clock, self.disk, self.notes = HandClock(NOW), HeldDisk(), Notes()
        self.spool = Spool.open(directory, clock=self.clock, disk=self.disk)
        self.topic, acme = Topic(self.spool), stream()
        self._stop = threading.Event()
        self.collector = Collector(
            CollectorParts(
                connect=lambda _: self.topic,
                topics=Topics((acme,)),
                decoders={acme.name: decoder_for(acme, None)},
                spool=self.spool,
                dead_letters=Letters(),
                clock=self.clock,
                observer=self.notes,
                max_age=HOUR,
                max_bytes=max_bytes,
                full_streams=frozenset,
                until_end=False,
            )
        )
        self._thread = threading.Thread(target=self.collector.run, args=(self._stop,))

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._stop.set()
        self.disk.release()
        self._thread.join(60)
        assert not self._thread.is_alive()

    @property
    def consumed(self):
        return self.notes.consumed_events.get("acme", 0)

    def give(self, events):
        """So many more events, all read when this returns."""
        self.topic.left += events
        until(lambda: not self.topic.left, "the events to be read")

    def turns(self, number):
        """The collector comes round so many times at least."""
        seen = self.notes.beats
        until(lambda: self.notes.beats > seen + number, "the next turns")

    def hold_a_window(self, events):
        """So many events fill half the memory: their window is under way, and stays so."""
        self.disk.hold()
        self.topic.left += events
        self.disk.until_held()


def next_offsets(commits):
    """How far all commits together went."""
    return {partition.number: offset for offsets, _ in commits for partition, offset in offsets.items()}


def test_reading_goes_on_while_a_window_is_sealed(tmp_path):
    """Events come in and nothing is committed; then all is sealed once, and committed in order."""
    with Reading(tmp_path, max_bytes=400 * ROW) as reading:
        reading.hold_a_window(200)
        reading.give(100)
        reading.turns(5)
        assert reading.consumed == 300
        assert reading.topic.commits == []
        reading.disk.release()
        until(lambda: reading.topic.commits, "the commit")
        reading.give(100)
    runs = [run for _, run in reading.topic.commits]
    assert runs == sorted(runs)
    assert len(runs) > 1
    assert places(reading.spool) == [(number, offset) for number in range(4) for offset in range(100)]
    assert next_offsets(reading.topic.commits) == dict.fromkeys(range(4), 100)


def test_memory_ends_the_reading(tmp_path):
    """Not sealed, windows fill the memory, and a batch of a quarter; the collector lives, and goes on."""
    most = 4_000 * ROW
    with Reading(tmp_path, max_bytes=most) as reading:
        reading.hold_a_window(20_000)
        until(lambda: reading.notes.largest_window >= most, "a full memory")
        seen = reading.consumed
        reading.turns(2)
        assert reading.consumed == seen
        assert seen * ROW <= most + most // 4
        assert reading.topic.commits == []
        reading.disk.release()
        until(lambda: not reading.topic.left, "the rest")
        assert reading.notes.largest_window <= most + most // 4
    assert len(places(reading.spool)) == 20_000
    assert next_offsets(reading.topic.commits) == dict.fromkeys(range(4), 5_000)


def test_a_slow_disk_keeps_the_group_and_loses_the_health(tmp_path):
    """Polling goes on, memory full and all paused, as the group wants it; no beat until the disk is back."""
    with Reading(tmp_path, max_bytes=400 * ROW) as reading:
        reading.hold_a_window(800)
        until(lambda: reading.notes.largest_window >= 400 * ROW, "a full memory")
        reading.clock.move(SLOW)
        until(lambda: reading.topic.paused, "the pause")
        beats, polls = reading.notes.beats, reading.topic.polls
        until(lambda: reading.topic.polls > polls + 5, "further polls")
        assert reading.notes.beats == beats
        assert reading.topic.paused == {"acme"}
        reading.disk.release()
        until(lambda: not reading.topic.left, "the rest")
        reading.turns(2)
        assert not reading.topic.paused
    assert next_offsets(reading.topic.commits) == dict.fromkeys(range(4), 200)


@pytest.mark.failure(58)
def test_stopped_while_a_window_is_sealed(tmp_path):
    """That window and the one begun since are sealed and committed."""
    with Reading(tmp_path, max_bytes=400 * ROW) as reading:
        reading.hold_a_window(200)
        reading.give(40)
    assert len(places(reading.spool)) == 240
    assert [run for _, run in reading.topic.commits] == [1, 2]
    assert next_offsets(reading.topic.commits) == dict.fromkeys(range(4), 60)


@pytest.mark.failure(20, 23)
@pytest.mark.parametrize(("way", "first"), [("lost", 1), ("revoked", 0)])
def test_a_partition_goes_while_its_window_is_sealed(tmp_path, way, first):
    """Before it is gone all that was read is sealed; it is committed if it was surely ours up to then."""
    with Reading(tmp_path, max_bytes=400 * ROW) as reading:
        reading.hold_a_window(200)
        reading.give(40)
        left = queue.SimpleQueue()

        def go():
            reading.disk.release()
            getattr(reading.collector, way)(frozenset(at(0)))
            left.put((len(places(reading.spool)), list(reading.topic.commits)))

        reading.topic.told.put(go)
        commits = [(at(*range(first, 4), offset=50), 1), (at(*range(first, 4), offset=60), 2)]
        assert left.get(timeout=30) == (240, commits)
    assert reading.topic.commits == commits
