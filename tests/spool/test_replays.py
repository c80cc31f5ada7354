"""Replays in the spool: all processes see the same ones, whatever dies or fails on the way."""

import contextlib
import errno
import json
import threading

import polars as pl
import pytest

from bridge.audience.merge import latest
from bridge.errors import BridgeError
from bridge.spool.disk import Disk, SpoolFailed, SpoolFull
from bridge.spool.replays import ReplayState
from bridge.spool.upkeep import MOST_RUNS
from tests.parts.audiences import DISPLAY
from tests.parts.spools import FailingDisk, new_spool, one, position, seal


def create(spool, name="outage", now=5, **more):
    plain = {"until": None, "past_horizon": False, "parameters": {"asked": {"from": 1, "to": None}}}
    return spool.replays.create(name=name, now=now, **plain | more)


def told(spool):
    """Id and state of each replay, in their order."""
    return [(replay.id, str(replay.record.state)) for replay in spool.replays.all()]


def folders(spool):
    return sorted(path.name for path in (spool.directory / "replays").iterdir())


def users(replay):
    """Of whom it holds rows, in a run at all."""
    return set(pl.concat([run.read(DISPLAY) for run in replay.runs()])["lo"])


def test_every_process_sees_what_one_has_made(tmp_path):
    """Record, runs and positions, also of one that was opened before; the oldest replay comes first."""
    ours, theirs = new_spool(tmp_path), new_spool(tmp_path)
    assert theirs.replays.all() == ()
    young = create(ours, "a", now=9, until=8, past_horizon=True)
    old = create(ours, "b", now=7)
    assert [replay.record for replay in theirs.replays.all()] == [old.record, young.record]
    seal(young.store, one(3), positions=[position(0, 4)])
    seal(young.store, one(4), positions=[position(0, 6), position(1, 2)])
    seen = theirs.replays.all()[1]
    assert users(seen) == {3, 4}
    assert sorted(at.next_offset for at in seen.positions().values()) == [2, 6]
    assert theirs.runs() == ()
    assert theirs.replays.all()[1] is seen, "open runs are kept"


def test_two_of_one_name_are_two(tmp_path):
    """A name may come again, its replay's id not; nor does one have the other's runs."""
    spool = new_spool(tmp_path)
    first, second = create(spool, now=1), create(spool, now=2)
    assert first.id != second.id
    assert {first.id.rpartition("-")[0], second.id.rpartition("-")[0]} == {"outage"}
    seal(first.store, one(3))
    assert users(first) == {3}
    assert second.runs() == ()


def test_every_process_sees_how_far_it_is(tmp_path):
    """Those too that knew it before; the other facts of its record stay."""
    ours, theirs = new_spool(tmp_path), new_spool(tmp_path)
    replay = create(ours, until=8, parameters={"asked": {"streams": ["x"]}, "plan": None})
    (known,) = theirs.replays.all()
    for state in (ReplayState.READ, ReplayState.CANCELLED):
        ours.replays.move_on(replay, state)
        assert told(theirs) == [(replay.id, state)]
        assert known.record == replay.record
        assert known.record.parameters == {"asked": {"streams": ["x"]}, "plan": None}


def test_what_is_removed_is_gone_for_all(tmp_path):
    """With its folder; another one stays. To discard it once more does nothing, and no number comes again."""
    ours, theirs = new_spool(tmp_path), new_spool(tmp_path)
    gone, kept = create(ours, "gone"), create(ours, "kept")
    last = seal(gone.store, one())
    assert len(theirs.replays.all()) == 2
    ours.replays.remove(gone)
    assert told(theirs) == [(kept.id, "reading")]
    assert folders(ours) == [kept.id]
    ours.replays.discard(gone)
    assert told(ours) == [(kept.id, "reading")]
    assert seal(theirs, one()).number == last.number + 1


def test_one_that_is_removed_while_somebody_looks_holds_nothing(tmp_path):
    """A dry run ends, history goes: who has just listed the replay does not take that for a failed disk."""
    ours, theirs = new_spool(tmp_path), new_spool(tmp_path)
    seal(create(ours).store, one(), positions=[position()])
    (known,) = theirs.replays.all()
    ours.replays.remove(*ours.replays.all())
    assert known.runs() == ()
    assert known.positions() == {}


def test_numbers_are_of_one_series(tmp_path):
    """Live runs and those of all replays: what judges what is told by the number; the highest counts."""
    spool = new_spool(tmp_path)
    assert spool.replays.highest() == 0
    first, second = create(spool, "a"), create(spool, "b")
    numbers = [seal(store, one()).number for store in (first.store, spool, second.store, first.store, spool)]
    assert numbers == [1, 2, 3, 4, 5]
    assert spool.replays.highest() == 4
    (spool.directory / "numbers.json").unlink()
    last = seal(second.store, one()).number
    (spool.directory / "numbers.json").unlink()
    assert seal(new_spool(tmp_path), one()).number == last + 1


def test_what_is_no_replay_is_passed_over(tmp_path):
    """A stray file, and a folder that has no record, as a creation that died leaves it."""
    spool = new_spool(tmp_path)
    replay = create(spool)
    (tmp_path / "replays" / "notes.txt").write_text("mine")
    (tmp_path / "replays" / "half-made").mkdir()
    assert told(spool) == [(replay.id, "reading")]
    assert spool.replays.highest() == 0


@pytest.mark.parametrize(
    "garbage",
    [b"", b"{", b"[]", b'{"id": "x"}', b"\xff\xfe", b"null"],
    ids=["empty", "cut", "a list", "fields are missing", "bytes", "null"],
)
def test_a_record_that_is_garbage_is_named(tmp_path, garbage):
    """What it holds is not known: one line with its path and the way out, whatever else is well."""
    spool = new_spool(tmp_path)
    create(spool, "well")
    path = create(spool, "ill").directory / "replay.json"
    path.write_bytes(garbage)
    with pytest.raises(BridgeError) as caught:
        spool.replays.all()
    assert str(caught.value).startswith(f"{path} cannot be read: ")
    assert "remove its folder" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_record_of_an_unknown_state_is_garbage(tmp_path):
    """What a later version may do with it is not guessed at."""
    spool = new_spool(tmp_path)
    path = create(spool).directory / "replay.json"
    path.write_text(json.dumps(json.loads(path.read_bytes()) | {"state": "paused"}))
    with pytest.raises(BridgeError, match=r"replay\.json cannot be read"):
        spool.replays.all()


def test_a_start_removes_what_a_death_has_left(tmp_path):
    """Folders without a record, with all that is in them, and runs that a merge has taken up; no more."""
    spool = new_spool(tmp_path)
    replay, dead = create(spool, "alive"), create(spool, "dead")
    seal(dead.store, one())
    (dead.directory / "replay.json").unlink()
    runs = [seal(replay.store, one(user)) for user in (1, 2)]
    older = runs[0].path.read_bytes()
    merged = replay.store.merge(runs)
    runs[0].path.write_bytes(older)
    new_spool(tmp_path).clean_up()
    assert folders(spool) == [replay.id]
    assert sorted(path.name for path in replay.directory.iterdir()) == [merged.path.name, "replay.json"]
    assert users(replay) == {1, 2}


def test_the_runs_of_a_long_replay_are_few(tmp_path):
    """However many are sealed, no more than MOST_RUNS stay; neither a row nor a position is lost."""
    spool = new_spool(tmp_path)
    replay = create(spool)
    seals = MOST_RUNS + 20
    for number in range(1, seals + 1):
        places = [position(number % 2, number, topic_id=f"t{number % 3}")]
        seal(replay.store, one(number, offset=number), positions=places, now=number)
        assert len(replay.runs()) <= MOST_RUNS
    (seen,) = new_spool(tmp_path).replays.all()
    rows = latest(DISPLAY, pl.concat([run.read(DISPLAY) for run in seen.runs()]))
    assert rows["offset"].sort().to_list() == list(range(1, seals + 1))
    assert sorted(at.next_offset for at in seen.positions().values()) == list(range(seals - 5, seals + 1))
    assert len(list(replay.directory.glob("*.run"))) == len(seen.runs())


ACTIONS = {
    "create": lambda spool: create(spool, "second", now=9),
    "move on": lambda spool: spool.replays.move_on(spool.replays.all()[0], ReplayState.READ),
    "remove": lambda spool: spool.replays.remove(spool.replays.all()[0]),
    "seal": lambda spool: seal(spool.replays.all()[0].store, one(2)),
}


@pytest.mark.parametrize("action", ACTIONS)
@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EIO], ids=errno.errorcode.get)
def test_whatever_disk_operation_fails_a_replay_is_there_or_not(tmp_path, action, number):
    """Each operation fails in turn: others are untouched, and a start leaves nothing half made or removed."""
    for at in range(1, 100):
        directory = tmp_path / str(at)
        first = create(new_spool(directory), "first")
        seal(first.store, one(1))
        disk = FailingDisk(at, number)
        spool = new_spool(directory, disk)
        with contextlib.suppress(SpoolFull, SpoolFailed):
            ACTIONS[action](spool)
        after = new_spool(directory)
        after.clean_up()
        found = after.replays.all()
        assert folders(after) == sorted(replay.id for replay in found)
        assert [one_more.record.name for one_more in found] in {
            "create": (["first"], ["first", "second"]),
            "move on": (["first"],),
            "remove": (["first"], []),
            "seal": (["first"],),
        }[action]
        if found:
            assert users(found[0]) in ({1}, {1, 2})
        if disk.failed_in is None:
            break
    else:
        pytest.fail("the action never succeeded")
    assert at > 1


def test_a_new_replay_outlives_a_power_cut(tmp_path):
    """Its folder's name is synced too: what is delivered of it judges later on."""
    synced = []

    class Recording(Disk):
        def fsync_folder(self, folder):
            synced.append(folder.name)
            super().fsync_folder(folder)

    replay = create(new_spool(tmp_path, Recording()))
    assert {"replays", replay.id} <= set(synced)


def test_a_removal_that_dies_leaves_no_part_of_a_replay(tmp_path):
    """Its record goes first: without it the runs, of which some may be gone, are no replay's."""
    seen = []

    class Recording(Disk):
        def unlink(self, path):
            super().unlink(path)
            seen.append((path.name, len(list(path.parent.glob("*.run")))))

    spool = new_spool(tmp_path, Recording())
    replay = create(spool)
    for user in (1, 2):
        seal(replay.store, one(user))
    spool.replays.remove(replay)
    assert seen == [("replay.json", 2)]


def test_looking_while_others_come_and_go(tmp_path):
    """Another process makes, fills and removes replays: each look sees whole ones."""
    spool, other = new_spool(tmp_path), new_spool(tmp_path)
    lasting = create(spool, "lasting")
    seal(lasting.store, one(7))
    over = threading.Event()

    def come_and_go():
        try:
            for _ in range(25):
                passing = create(other, "passing")
                seal(passing.store, one(8))
                other.replays.move_on(passing, ReplayState.READ)
                other.replays.remove(passing)
        finally:
            over.set()

    thread = threading.Thread(target=come_and_go)
    thread.start()
    while not over.is_set():
        found = {replay.record.name: replay for replay in spool.replays.all()}
        assert found.keys() <= {"lasting", "passing"}
        assert users(found["lasting"]) == {7}
        assert spool.replays.usage() > 0
    thread.join()
    assert told(spool) == [(lasting.id, "reading")]
