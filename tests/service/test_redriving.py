"""Dead letters judged by today's rules, and taken into a spool; no broker is asked who its topics are."""

import contextlib
import errno
import itertools
import json
import threading
import uuid

import polars as pl
import pytest

from bridge.audience.merge import latest
from bridge.audience.rows import source_rank
from bridge.clock import HOUR, SystemClock
from bridge.config import Config
from bridge.errors import BridgeError, UsageError
from bridge.ingest.dead_letters import DeadLetter, FolderDeadLetters
from bridge.ingest.events import Reason
from bridge.replay import letter_judge
from bridge.replay.letter_judge import LetterJudge
from bridge.replay.letter_portions import MOST_LETTERS
from bridge.replay.letters import letter_files, read_letters
from bridge.service.outside import Outside
from bridge.service.replays.redriving import redriving
from bridge.spool.disk import SpoolFailed, SpoolFull
from bridge.spool.locks import LockHeld
from bridge.spool.replays import ReplayState
from bridge.spool.spool import Spool
from tests.parts.collecting import NamedIds
from tests.parts.spools import FailingDisk

NOW = 1_790_000_000_000
SFTP = {"host": "h", "username": "u", "password_file": "/p", "host_key": "ssh-ed25519 AAAA"}


def config(directory, *streams, **more):
    account = {"name": "default", "agency": "A", "partner": "P", "sftp": SFTP}
    streams = streams or (stream(),)
    fields = {"kafka": {"bootstrap_servers": "127.0.0.1:1"}, "dead_letters": {}, "accounts": [account]}
    return Config.model_validate(
        fields | {"spool": {"directory": str(directory / "spool")} | more, "streams": list(streams)},
        context={"folder": directory},
    )


def stream(**more):
    return {"name": "acme", "topics": ["acme"], "format": "json", "segment_namespace": "ep"} | more


def event(number, segment=7, timestamp=0, **more):
    return {
        "user_id": str(uuid.UUID(int=number + 1)),
        "segments": [{"segment_id": segment, "timestamp": timestamp}],
        "event_time": NOW,
    } | more


def letter(offset, value, reason=Reason.UNKNOWN_CLIENT, **more):
    places = {
        "stream": "acme",
        "topic": "acme",
        "partition": 0,
        "offset": offset,
        "timestamp": -1,
        "key": None,
    }
    value = json.dumps(value).encode() if isinstance(value, dict) else value
    return DeadLetter(**places | {"reason": reason, "detail": "was", "value": value, "read_at": NOW} | more)


class TestJudge:
    """Letters as today's streams have them."""

    def judge(self, tmp_path, letters, *streams, now=NOW):
        return LetterJudge(config(tmp_path, *streams), None, NamedIds(), {}).judge(letters, now)

    def test_rows_stand_at_the_letters_places(self, tmp_path):
        """In any order, with gaps that look like a row without, and twice: each keeps its own place."""
        places = [(1, 9), (0, 5), (0, 5), (0, 7), (1, 8)]
        letters = [letter(offset, event(offset), partition=partition) for partition, offset in places]
        verdict = self.judge(tmp_path, letters)
        assert verdict.stays == {}
        rows = pl.concat(verdict.frames)
        assert rows.select("partition", "offset", "lo").rows() == [
            (partition, offset, offset + 1) for partition, offset in places
        ]
        assert set(rows["source"]) == {source_rank("mock-cluster", "id-of-acme")}

    def test_timestamps_are_historical(self, tmp_path):
        """0 becomes the event's second; -1 and a given one stay."""
        letters = [letter(at, event(at, timestamp=stamp)) for at, stamp in enumerate([0, -1, 1_400_000_000])]
        (rows,) = self.judge(tmp_path, letters).frames
        assert rows["timestamp"].to_list() == [NOW // 1000, -1, 1_400_000_000]

    def test_event_times_are_judged_by_the_clock_of_now(self, tmp_path):
        """What was too far ahead when it was read passes as soon as it is not."""
        letters = [letter(1, event(1, event_time=NOW), Reason.INVALID_EVENT_TIME, read_at=NOW - 2 * HOUR)]
        early = self.judge(tmp_path, letters, now=NOW - 2 * HOUR)
        assert [why.reason for why in early.stays.values()] == [Reason.INVALID_EVENT_TIME]
        assert self.judge(tmp_path, letters, now=NOW - HOUR).stays == {}

    def test_why_a_letter_stays_is_todays_reason(self, tmp_path):
        """Not the one that it was refused for; those beside it pass."""
        letters = [
            letter(0, event(0)),
            letter(1, event(1, client="Acme")),
            letter(2, b"{"),
            letter(3, None),
            letter(4, event(4)),
        ]
        verdict = self.judge(tmp_path, letters)
        assert {at: why.reason for at, why in verdict.stays.items()} == {
            1: "unknown_client",
            2: "undecodable",
            3: "no value",
        }
        assert sum(map(len, verdict.frames)) == 2

    @pytest.mark.failure(36)
    def test_large_letters_are_decoded_a_few_at_a_time(self, tmp_path, monkeypatch):
        """What becomes of a letter does not depend on those that are decoded with it."""
        letters = [letter(at, event(at) if at % 3 else b"{") for at in range(30)]
        together = self.judge(tmp_path, letters)
        monkeypatch.setattr(letter_judge, "_AT_ONCE", 300)
        apart = self.judge(tmp_path, letters)
        assert len(apart.frames) > len(together.frames)
        assert apart.stays == together.stays
        assert pl.concat(apart.frames).equals(pl.concat(together.frames))

    def test_two_events_of_one_place_are_told_apart(self, tmp_path):
        """A topic that was made anew gives its offsets again: one event passes, the other stays."""
        letters = [letter(5, event(5)), letter(5, b"{"), letter(5, event(6))]
        verdict = self.judge(tmp_path, letters)
        assert list(verdict.stays) == [1]
        assert sum(map(len, verdict.frames)) == 2

    def test_a_topic_that_no_stream_reads(self, tmp_path):
        """It stays, whatever it holds, and Kafka is not asked; another stream's pattern may read it."""
        letters = [letter(0, event(0), topic="other")]
        verdict = self.judge(tmp_path, letters)
        assert [why.reason for why in verdict.stays.values()] == ["no stream reads its topic"]
        taken = self.judge(tmp_path, letters, stream(), stream(name="rest", topics=["^oth"], client="Rest"))
        assert taken.stays == {}


class Site:
    """A spool with dead letters, and redrives of them."""

    def __init__(self, directory):
        self.directory = directory
        self.config = config(directory)
        self.spool = Spool.open(self.config.spool.directory, clock=SystemClock())
        self.folder = self.config.dead_letters.directory
        self.outside = Outside(clock=SystemClock(), remote=pytest.fail, topic_ids=NamedIds())
        self.write = FolderDeadLetters(self.folder, self.spool.temporary_directory).write

    def redriving(self, reason=None, **more):
        return redriving(config(self.directory, **more), self.outside, reason)

    def take(self, reason=None):
        """Take all there is; what became of it."""
        with self.redriving(reason) as work:
            assert work.take(threading.Event())
            return work.tally

    def offsets(self):
        return [one.offset for path in letter_files(self.folder) for _, one in read_letters(path)]

    def taken(self):
        """Offsets of the rows in replays once they are merged, and in which states these are."""
        replays = self.spool.replays.all()
        found = []
        for replay in replays:
            for audience in {audience for run in replay.runs() for audience in run.audiences}:
                parts = [run.read(audience) for run in replay.runs() if audience in run.audiences]
                found += latest(audience, pl.concat(parts))["offset"].to_list()
        return sorted(found), [replay.record.state for replay in replays]


@pytest.fixture
def site(tmp_path):
    return Site(tmp_path)


def test_what_passes_is_in_the_spool_and_gone_from_its_file(site):
    """The rest stays in its place; a file without any is gone; the tally says what and why."""
    site.write(1, [letter(0, event(0)), letter(1, b"{", "undecodable"), letter(2, event(2), "undecodable")])
    site.write(2, [letter(3, event(3))])
    tally = site.take()
    assert site.taken() == ([0, 2, 3], [ReplayState.READ])
    assert site.offsets() == [1]
    assert len(letter_files(site.folder)) == 1
    assert tally.passed == {"unknown_client": 2, "undecodable": 1}
    assert tally.refused == {"undecodable": 1}
    assert tally.first_refused["undecodable"].startswith("acme partition 0 offset 1: ")
    assert (tally.events, tally.left, tally.memberships) == (4, 0, 3)


def test_where_nothing_passes_nothing_changes(site):
    """No replay is made, and no file is touched."""
    site.write(1, [letter(0, b"{"), letter(1, b"[")])
    before = [(path.name, path.stat().st_ino, path.read_bytes()) for path in letter_files(site.folder)]
    assert site.take().passed == {}
    assert site.taken() == ([], [])
    assert [
        (path.name, path.stat().st_ino, path.read_bytes()) for path in letter_files(site.folder)
    ] == before


def test_only_the_reason_that_is_asked_for(site):
    """Others stay, though they would pass."""
    site.write(1, [letter(0, event(0)), letter(1, event(1), "undecodable")])
    tally = site.take("undecodable")
    assert site.taken() == ([1], [ReplayState.READ])
    assert site.offsets() == [0]
    assert tally.events == 1


class SecondLook(threading.Event):
    """Is set when it is looked at for the second time."""

    def is_set(self):
        before = super().is_set()
        self.set()
        return before


def stopped_after_one_portion(site):
    """A redrive that has sealed one portion, of a file that holds more."""
    count = MOST_LETTERS + 10
    site.write(1, [letter(at, event(at)) for at in range(count)])
    with site.redriving() as work:
        assert not work.take(SecondLook())
    return count


def test_a_stopped_redrive_goes_on_in_the_same_replay(site):
    """What was sealed twice is one; no letter is lost, and none is left."""
    count = stopped_after_one_portion(site)
    assert site.taken() == (list(range(MOST_LETTERS)), [ReplayState.READING])
    assert site.offsets() == list(range(count))
    site.take()
    assert site.taken() == (list(range(count)), [ReplayState.READ])
    assert site.offsets() == []


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EIO])
def test_whatever_the_disk_fails_at_no_letter_is_lost(tmp_path, number):
    """At each of its operations: a letter is in its file or in the spool, and the next call takes all."""
    for at in itertools.count(1):
        (tmp_path / str(at)).mkdir()
        site = Site(tmp_path / str(at))
        site.write(1, [letter(0, event(0)), letter(1, b"{"), letter(2, event(2))])
        site.write(2, [letter(3, event(3))])
        disk = FailingDisk(at, number)
        with site.redriving() as work:
            work.disk, work.spool = disk, Spool.open(site.spool.directory, clock=SystemClock(), disk=disk)
            with contextlib.suppress(SpoolFull, SpoolFailed):
                work.take(threading.Event())
        if disk.failed_in is None:
            break
        assert {*site.offsets(), *site.taken()[0]} == {0, 1, 2, 3}
        site.take()
        assert site.taken() == ([0, 2, 3], [ReplayState.READ])
        assert site.offsets() == [1]
    assert at > 15


def test_an_unfinished_redrive_goes_on_only_as_it_was_called(site):
    """Else what it has taken already would be taken again later; the line says how it was."""
    stopped_after_one_portion(site)
    with (
        pytest.raises(UsageError, match=r"redrive-[-\d]+: .* without --reason"),
        site.redriving("undecodable"),
    ):
        pass


def test_a_redrive_that_died_with_nothing_in_it_leaves_nothing(site):
    """Its replay was made, and nothing sealed; the letters are gone meanwhile."""
    site.spool.replays.create(
        name="redrive-1",
        now=NOW,
        until=None,
        past_horizon=False,
        parameters={"asked": {"redrive": {"reason": None}}, "plan": None},
    )
    site.take()
    assert site.taken() == ([], [])


def test_a_replay_of_somebody_else_is_left_alone(site):
    """Whatever it is called, a replay of a topic is no redrive."""
    site.spool.replays.create(
        name="redrive-1", now=NOW, until=None, past_horizon=False, parameters={"asked": {}, "plan": None}
    )
    site.write(1, [letter(0, event(0))])
    site.take()
    assert sorted(site.taken()[1]) == [ReplayState.READ, ReplayState.READING]


def test_two_at_once(site):
    """The second one is told who is at work; so is who cancels the replay of one."""
    site.write(1, [letter(0, event(0))])
    with site.redriving() as work:
        with pytest.raises(LockHeld, match=r"redrive\.lock is held by process"), site.redriving():
            pass
        assert work.take(threading.Event())
        (replay,) = work.undelivered
        with pytest.raises(LockHeld):
            site.spool.lock(f"replay-{replay.record.name}").acquire(0, SystemClock())


def test_a_crowded_spool_takes_no_letters(site):
    """Live data would have to wait for them; one line says so, and every letter stays."""
    site.write(1, [letter(0, event(0))])
    with (
        site.redriving(max_bytes="1B") as work,
        pytest.raises(BridgeError, match=r"no room for them beside live data"),
    ):
        work.take(threading.Event())
    assert site.offsets() == [0]
    assert site.taken() == ([], [])


def test_a_broker_that_does_not_answer_changes_nothing(site):
    """One line with the topic; every letter stays."""
    site.write(1, [letter(0, event(0))])
    site.outside = Outside(clock=SystemClock(), remote=pytest.fail)
    with site.redriving() as work, pytest.raises(BridgeError, match=r"topic acme: no broker answers"):
        work.take(threading.Event())
    assert site.offsets() == [0]
