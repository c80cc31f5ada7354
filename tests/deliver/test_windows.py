"""A whole deliverer at the edges of its windows: clocks that jump, uploads over a reset, the last byte."""

import hashlib
import random
from collections import Counter
from dataclasses import replace

import pytest

from bridge.clock import DAY, HOUR, MINUTE, SECOND
from bridge.deliver.deliverer import LOOK
from bridge.deliver.file_state import FileState
from bridge.deliver.records import FileRecord, Outcome, Progress
from tests.parts.audiences import DISPLAY
from tests.parts.delivering import START, Fault, Site, WeakRemote, Write

OTHER = replace(DISPLAY, client="Other")
MIDNIGHT = START - START % DAY + DAY


class Server(WeakRemote):
    """A server with a clock of its own, whose uploads take their time; what it counted is kept."""

    def __init__(self, site):
        site.remote.kept.rmdir()
        super().__init__(site.directory / "remote", site.clock)
        self.ahead = 0
        """Its clock less ours, ms."""
        self.lasting = lambda: 0
        """How long the next upload takes, ms."""
        self.uploads = []
        """When each remote file was opened and finished, by its clock, and its bytes."""

    def _send(self, source, name, size, progress, measured):
        opened = self.clock.now() + self.ahead
        super()._send(source, name, size, progress, lambda _: measured(self.ahead))
        self.clock.move(self.lasting())
        self.uploads.append((opened, self.clock.now() + self.ahead, size))

    def worst(self, length):
        """Most files and most bytes of any window, each upload counted in all that it touches."""
        files, size = Counter(), Counter()
        for opened, ended, sent in self.uploads:
            for window in range(opened // length, ended // length + 1):
                files[window] += 1
                size[window] += sent
        return max(files.values()), max(size.values())


def served(directory, bytes_per_day=None, **quota):
    """A site whose server is a `Server`; a day of so many bytes, fewer than the configuration allows."""
    site = Site(directory, **quota)
    if bytes_per_day:
        small = site.account.quota.model_copy(update={"bytes_per_day": bytes_per_day})
        site.account = site.account.model_copy(update={"quota": small})
    site.remote = Server(site)
    site.deliverer = site._deliverer()
    return site


def file_of(site, size, content=b"made up"):
    """A file of another audience, of so many bytes as the ledger says, is built."""
    name = str(site.ledger.reserve_name("Agency_Partner_Other", site.clock.now()))
    path = site.spool.files_directory / name
    path.write_bytes(content)
    progress = Progress(start="", stop=None, run=1, newest_event_time=None, removals_only=False)
    record = FileRecord(
        name=name,
        audience=OTHER,
        state=FileState.BUILT,
        path=str(path),
        bytes=size,
        lines=1,
        memberships=1,
        sha256=hashlib.sha256(content).hexdigest(),
        created_at=site.clock.now(),
        uploaded_at=None,
        detail="",
        progress=progress,
    )
    site.ledger.add_file(record)
    return name


def spend(site, size):
    """So many bytes of the day were spent just now."""
    name = file_of(site, size)
    attempt = site.ledger.begin_attempt(name, site.clock.now(), 0, lambda _: True)
    site.ledger.end_attempt(attempt, site.clock.now(), Outcome.SPENT)
    site.ledger.give_up(name, "spent")


def days_tried(site):
    """How many days after the first each upload began."""
    return [(at - START) // DAY + (at % DAY < START % DAY) for at, _ in site.remote.tried]


@pytest.mark.failure(57)
@pytest.mark.parametrize(("left", "day"), [(-1, 1), (0, 0), (1, 0)])
def test_a_begun_file_goes_today_if_the_day_has_its_bytes_left(tmp_path, left, day):
    """To the byte: with as many left as it has it goes; with one fewer it waits for the next day."""
    site = served(tmp_path, removals_reserve=0)
    site.give(Write(1, 7))
    faults = [Fault.CUT]
    site.remote.fault = lambda _: faults.pop() if faults else None
    site.until(lambda: site.remote.tried)
    (begun,) = site.ledger.unfinished("a")
    spend(site, site.account.quota.bytes_per_day - 2 * begun.file.bytes - left)
    site.deliver()
    assert days_tried(site) == [0, day]
    assert site.differences() == []


@pytest.mark.failure(57)
def test_a_day_with_one_byte_left_is_over(tmp_path):
    """Neither adds nor removals are built for it, nor is a slot spent: all goes the next day."""
    site = served(tmp_path)
    spend(site, site.account.quota.bytes_per_day - 1)
    site.give(Write(1, 7), Write(2, 0))
    site.deliver()
    assert days_tried(site) == [1]
    assert [file.created_at // DAY for file in site.ledger.files("a")][:1] == [MIDNIGHT // DAY]
    assert site.differences() == []


@pytest.mark.failure(57)
@pytest.mark.parametrize(("size", "goes"), [(3_999_999_999, 1), (4_000_000_000, 1), (4_000_000_001, 0)])
def test_a_file_above_four_gigabytes_never_begins(tmp_path, size, goes):
    """To the byte, though the day has room for more."""
    site = served(tmp_path)
    name = file_of(site, size)
    for _ in range(50):
        site.step()
    assert len(site.remote.tried) == goes
    assert len(site.counted()) == goes
    assert site.ledger.file(name).state is (FileState.UPLOADED if goes else FileState.BUILT)


@pytest.mark.failure(55)
def test_an_upload_over_the_hour_takes_a_file_of_both(tmp_path):
    """Two files an hour: one from 9:30 to 10:10 and one more fill ten o'clock; the next goes at eleven."""
    site = served(tmp_path, files_per_hour=2)
    lasting = [40 * MINUTE]
    site.remote.lasting = lambda: lasting.pop() if lasting else SECOND
    for user in range(1, 4):
        site.give(Write(user, 7))
        site.deliver()
    assert [at % DAY // HOUR for at, _ in site.remote.tried] == [9, 10, 11]
    assert site.remote.worst(HOUR)[0] == 2
    assert site.differences() == []


@pytest.mark.failure(54, 55)
def test_an_upload_over_the_hour_takes_a_file_of_both_though_our_clock_is_set_meanwhile(tmp_path):
    """By a clock set back it ended at 9:58, and is right again soon: it counts at ten all the same."""
    site = served(tmp_path, files_per_hour=2)
    lasting = [40 * MINUTE]

    def last():
        if not lasting:
            return SECOND
        jumped(site, 12 * MINUTE)
        return lasting.pop()

    site.remote.lasting = last
    site.give(Write(1, 7))
    site.arrives()
    jumped(site, 0)
    for user in (2, 3):
        site.give(Write(user, 7))
        site.deliver()
    assert site.remote.worst(HOUR)[0] == 2
    assert site.differences() == []


@pytest.mark.failure(55)
def test_an_upload_over_midnight_takes_the_bytes_of_both_days(tmp_path):
    """What it spent before midnight is missing after: the day's next file waits for the day after."""
    site = served(tmp_path, bytes_per_day=400, removals_reserve=0)
    site.clock.move_to(MIDNIGHT - 10 * MINUTE)
    lasting = [20 * MINUTE]
    site.remote.lasting = lambda: lasting.pop() if lasting else SECOND
    site.give(Write(1, 7))
    site.deliver()
    site.give(Write(1, 8))
    site.clock.move_to(MIDNIGHT + HOUR + 9 * MINUTE)
    site.draining = True
    for _ in range(200):
        pause = site.deliverer.step()
        if pause is None:
            break
        site.clock.move(HOUR if pause == LOOK else pause)
    assert [at // DAY - MIDNIGHT // DAY for at, _ in site.remote.tried] == [-1, 1]
    assert site.remote.worst(DAY)[1] <= 400
    assert site.differences() == []


def busy(site, seed, offsets, *, files=25):
    """Files of uploads of any length, one after the other, while our clock jumps; how often it did."""
    dice, jumps = random.Random(seed), 0
    site.remote.lasting = lambda: dice.choice([SECOND, MINUTE, 10 * MINUTE, 70 * MINUTE])
    for number in range(files):
        site.give(Write(dice.randrange(1, 5), 7 + number))
        site.arrives()
        ahead = dice.choice(offsets)
        jumps += ahead != site.remote.ahead
        jumped(site, ahead)
    return jumps


def jumped(site, ahead):
    """Our clock jumps, so that the server's, which goes on as it did, is so much ahead of it."""
    site.clock.set_by(site.remote.ahead - ahead)
    site.remote.ahead = ahead


@pytest.mark.failure(54, 55)
def test_within_the_guard_no_jump_of_our_clock_costs_a_file_too_many(tmp_path):
    """By up to 5 minutes either way: by the server's clock no hour and no day holds more than it may."""
    site = served(tmp_path, max_age=0, files_per_hour=2, guard="5m", bytes_per_day=2500, removals_reserve=0)
    assert busy(site, 1, [-5 * MINUTE, 0, 5 * MINUTE]) > 5
    files, size = site.remote.worst(HOUR)[0], site.remote.worst(DAY)[1]
    assert files <= 2
    assert size <= 2500
    site.deliver()
    assert site.differences() == []


def set_forward_after_two(site, meanwhile=lambda: None):
    """Two files go, our clock is set from 9:54 to 9:59, two more go: when each was opened, after 9:30."""
    for user in (1, 2):
        site.give(Write(user, 7))
        site.arrives()
    site.clock.move_to(START + 24 * MINUTE)
    jumped(site, -5 * MINUTE)
    meanwhile()
    for user in (3, 4):
        site.give(Write(user, 7))
        site.arrives()
    return [opened - START for opened, _, _ in site.remote.uploads]


@pytest.mark.failure(54)
def test_beyond_the_guard_a_jump_is_seen_and_widens_it(tmp_path):
    """Two files an hour went by 9:54, when our clock is set to 9:59: the next go once it is ten for sure."""
    site = served(tmp_path, max_age=0, files_per_hour=2)
    truth = set_forward_after_two(site)
    assert min(truth[2:]) == 30 * MINUTE + 30 * SECOND
    assert site.differences() == []


@pytest.mark.failure(54)
def test_a_jump_while_no_process_ran_costs_one_file_and_is_measured_by_it(tmp_path):
    """Nobody can know of it before: that file may be one too many; from then on the guard is wide enough."""
    site = served(tmp_path, max_age=0, files_per_hour=2)
    truth = set_forward_after_two(site, site.restart)
    assert truth[2] == 25 * MINUTE + 30 * SECOND
    assert truth[3] == 30 * MINUTE + 30 * SECOND
    assert site.differences() == []
