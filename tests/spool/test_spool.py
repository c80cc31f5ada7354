"""The spool: what is sealed stays, whatever dies, fills up or fails."""

import contextlib
import errno
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bridge.audience.merge import latest
from bridge.errors import BridgeError
from bridge.spool.disk import Disk, SpoolFailed, SpoolFull
from bridge.spool.folder import RunFolder
from bridge.spool.run import RunDamaged
from tests.parts.audiences import DISPLAY, HASHED
from tests.parts.spools import FailingDisk, new_spool, one, position, seal, windows


def numbers(spool):
    return [run.number for run in spool.runs()]


def contents(spool, audience):
    """The winning rows of all runs."""
    return latest(audience, pl.concat([run.read(audience) for run in spool.runs()]))


def in_the_making(spool):
    return list(spool.temporary_directory.iterdir())


def test_a_spool_keeps_its_identity(tmp_path):
    """Opened again it has the same id; a spool made elsewhere has another; both are for their user alone."""
    spool = new_spool(tmp_path / "a")
    assert new_spool(tmp_path / "a").id == spool.id != new_spool(tmp_path / "b").id
    assert (tmp_path / "a").stat().st_mode & 0o077 == 0
    run = seal(spool, one())
    assert run.path.stat().st_mode & 0o077 == 0


@pytest.mark.parametrize(
    ("content", "message"), [("{", "bring it back"), ('{"id": "x", "format": 2}', "layout 2 is not 1")]
)
def test_a_spool_of_another_kind_is_refused(tmp_path, content, message):
    """A spool.json that we do not understand stops the start with its path."""
    new_spool(tmp_path)
    (tmp_path / "spool.json").write_text(content)
    with pytest.raises(BridgeError, match=rf"spool\.json.*{message}"):
        new_spool(tmp_path)


def test_runs_are_seen_by_every_process(tmp_path):
    """What one spool object seals, merges or retires, another one on the same folder lists at once."""
    ours, theirs = new_spool(tmp_path), new_spool(tmp_path)
    first = seal(ours, one(1))
    second = seal(theirs, one(2))
    assert numbers(ours) == numbers(theirs) == [1, 2]
    ours.merge([first, second])
    assert [(run.low, run.number) for run in theirs.runs()] == [(1, 2)]
    assert theirs.runs()[0].read(DISPLAY)["run"].to_list() == [1, 2]
    theirs.retire(theirs.runs()[0])
    assert numbers(ours) == []


def test_a_listing_keeps_runs_open(tmp_path):
    """Listing again gives the same open runs: it costs a listing, not an open for each."""
    spool = new_spool(tmp_path)
    run = seal(spool, one())
    assert spool.runs()[0] is run
    assert spool.runs()[0] is spool.runs()[0]


def test_other_files_in_the_folder_are_no_runs(tmp_path):
    """What an operator or an editor leaves in the folder is not taken for a run."""
    spool = new_spool(tmp_path)
    seal(spool, one())
    (tmp_path / "runs" / "000000000001.run.bak").write_text("x")
    (tmp_path / "runs" / "lost+found").mkdir()
    assert numbers(spool) == [1]


def test_numbers_are_never_used_twice(tmp_path):
    """A number is above all before it, though every run was removed, and above the ledger's mark."""
    spool = new_spool(tmp_path)
    spool.retire(seal(spool, one()))
    assert seal(spool, one()).number == 2
    shutil.rmtree(tmp_path / "runs")
    spool = new_spool(tmp_path)
    assert seal(spool, one()).number == 3
    spool.keep_above(10)
    spool.keep_above(5)
    assert seal(spool, one()).number == 11
    (tmp_path / "numbers.json").unlink()
    assert seal(new_spool(tmp_path), one()).number == 12


def test_an_unreadable_high_mark_is_an_error(tmp_path):
    """Numbers are not guessed where their mark is damaged; nothing is left behind."""
    spool = new_spool(tmp_path)
    (tmp_path / "numbers.json").write_text("{")
    with pytest.raises(BridgeError, match=r"numbers\.json"):
        seal(spool, one())
    assert in_the_making(spool) == []


def test_a_window_of_refused_events_is_sealed(tmp_path):
    """Positions and dead letters alone make a run; an audience without rows is not in it."""
    published = []
    spool = new_spool(tmp_path)
    run = seal(spool, {DISPLAY: []}, positions=[position(0, 9)], publish_dead_letters=published.append)
    assert (dict(run.audiences), published, run.read(DISPLAY).height) == ({}, [1], 0)
    assert spool.positions()[position(0, 9).key].next_offset == 9


def test_dead_letters_are_there_before_their_run(tmp_path):
    """Whoever sees a run finds its dead letters; and where they fail, there is no run."""
    spool = new_spool(tmp_path)
    seen = []
    seal(spool, one(), publish_dead_letters=lambda _: seen.append(numbers(new_spool(tmp_path))))
    assert seen == [[]]

    def refuse(_):
        raise BridgeError("no broker")

    with pytest.raises(BridgeError, match="no broker"):
        seal(spool, one(), publish_dead_letters=refuse)
    assert (numbers(spool), in_the_making(spool)) == ([1], [])


def test_a_position_is_that_of_the_newest_run(tmp_path):
    """The larger run wins, though its offset is lower: an operator may have set the group back."""
    spool = new_spool(tmp_path)
    seal(spool, one(), positions=[position(0, 90, first_offset=70), position(1, 4)])
    seal(spool, one(), positions=[position(0, 30, first_offset=20)])
    for _ in range(2):
        held = spool.positions()
        assert held[position(0).key].next_offset == 30
        assert held[position(0).key].run == 2
        assert held[position(1).key].next_offset == 4
        assert held[position(1).key].first_offset is None
        if len(spool.runs()) == 2:
            spool.merge(spool.runs())
    assert held[position(0).key].first_offset == 20


def test_a_topic_made_anew_is_another(tmp_path):
    """Positions of one name under two topic ids, or two groups, do not mix."""
    spool = new_spool(tmp_path)
    others = [
        position(0, 5),
        position(0, 6, topic_id="u"),
        position(0, 7, group="h"),
        position(0, 8, cluster_id="d"),
    ]
    seal(spool, one(), positions=others)
    assert sorted(entry.next_offset for entry in spool.positions().values()) == [5, 6, 7, 8]


@settings(max_examples=40)
@given(st.lists(windows, min_size=2, max_size=6), st.data())
def test_merging_changes_no_winner(many, data):
    """Merged in any grouping of neighbours, the runs hold the rows that win over all, each with its run."""
    with tempfile.TemporaryDirectory() as folder:
        spool = new_spool(Path(folder))
        for at, window in enumerate(many):
            seal(spool, window, now=at, positions=[position(at % 2, at)])
        expected = {audience: contents(spool, audience).to_dicts() for audience in (DISPLAY, HASHED)}
        held = {key: (entry.next_offset, entry.run) for key, entry in spool.positions().items()}
        while len(spool.runs()) > 1:
            first = data.draw(st.integers(0, len(spool.runs()) - 2))
            merged = spool.merge(spool.runs()[first : data.draw(st.integers(first + 2, len(spool.runs())))])
            assert (merged.footer.oldest_sealed_at, merged.footer.sealed_at) == (
                merged.low - 1,
                merged.number - 1,
            )
            for audience, rows in expected.items():
                assert contents(spool, audience).to_dicts() == rows
        for audience, rows in expected.items():
            assert spool.runs()[0].read(audience).to_dicts() == rows
        assert {key: (entry.next_offset, entry.run) for key, entry in spool.positions().items()} == held


def test_only_neighbours_are_merged(tmp_path):
    """Runs with a live one between them, a single one, and one that was replaced meanwhile are refused."""
    spool = new_spool(tmp_path)
    first, second, third = (seal(spool, one(user)) for user in (1, 2, 3))
    for runs in ([first, third], [first]):
        with pytest.raises(ValueError, match="no neighbours"):
            spool.merge(runs)
    spool.merge([second, third])
    for late in (spool.retire, lambda run: spool.rewrite(run, {DISPLAY})):
        with pytest.raises(ValueError, match="replaced"):
            late(third)
    assert [(run.low, run.number) for run in spool.runs()] == [(1, 1), (2, 3)]


def test_a_merge_that_died_before_removing_is_harmless(tmp_path):
    """Runs within a merged run's numbers are not listed, are removed at the start, and never live again."""
    spool = new_spool(tmp_path)
    for user in (1, 2, 3):
        seal(spool, one(user))
    copies = tmp_path / "copies"
    shutil.copytree(tmp_path / "runs", copies)
    spool.merge(spool.runs())

    def bring_back():
        for number in (1, 2):
            shutil.copy(copies / f"{number:012}.run", tmp_path / "runs")

    bring_back()
    assert numbers(spool) == numbers(new_spool(tmp_path)) == [3]
    assert contents(spool, DISPLAY)["lo"].to_list() == [1, 2, 3]
    spool.clean_up()
    assert [path.name for path in (tmp_path / "runs").iterdir()] == ["000000000003.run"]
    bring_back()
    spool.retire(spool.runs()[0])
    assert list((tmp_path / "runs").iterdir()) == []


def test_rewriting_drops_audiences_and_touches_nothing_else(tmp_path):
    """The other audiences' blocks, the positions and the number stay; all may go."""
    spool = new_spool(tmp_path)
    rows = [(user, 1, 0, 5, 0, 0, 0) for user in range(20)]
    run = seal(spool, {DISPLAY: rows, HASHED: rows}, positions=[position(0, 9)])
    rewritten = spool.rewrite(run, {DISPLAY})
    assert spool.runs() == (rewritten,)
    assert rewritten.read(HASHED).equals(run.read(HASHED))
    assert (rewritten.read(DISPLAY).height, rewritten.number, rewritten.low) == (0, run.number, run.low)
    assert rewritten.footer.positions == run.footer.positions
    assert rewritten.audiences == {HASHED: run.audiences[HASHED]}
    emptied = spool.rewrite(rewritten, {HASHED})
    assert (dict(emptied.audiences), len(spool.positions())) == ({}, 1)
    assert run.read(DISPLAY).height == 20


@pytest.mark.failure(12)
def test_a_damaged_run_is_not_copied(tmp_path):
    """Damage stops rewriting and merging, changes nothing, and is named by listing as well."""
    spool = new_spool(tmp_path)
    run, other = seal(spool, {DISPLAY: one()[DISPLAY], HASHED: one()[DISPLAY]}), seal(spool, one())
    content = bytearray(run.path.read_bytes())
    content[run.blocks(HASHED)[0].offset + 9] ^= 4
    run.path.write_bytes(content)
    run, other = new_spool(tmp_path).runs()
    with pytest.raises(RunDamaged):
        spool.rewrite(run, {DISPLAY})
    with pytest.raises(RunDamaged):
        spool.merge([run, other])
    assert (in_the_making(spool), numbers(spool)) == ([], [1, 2])
    os.truncate(run.path, 99)
    with pytest.raises(RunDamaged, match="000000000001"):
        spool.runs()


def test_usage_counts_all_that_the_spool_holds(tmp_path):
    """Runs, built files, dead letters and what is in the making, at any depth."""
    spool = new_spool(tmp_path)
    run = seal(spool, one())
    for name in ("files/a.gz", "dead-letters/1.gz", "tmp/x"):
        (tmp_path / name).write_bytes(bytes(100))
    (tmp_path / "files" / "a").mkdir()
    (tmp_path / "files" / "a" / "b.gz").write_bytes(bytes(50))
    assert spool.usage() == run.size + 350


def test_cleaning_up_leaves_living_writers_alone(tmp_path):
    """A leftover in tmp/ goes; a file that another process is writing stays and is published."""
    spool, other = new_spool(tmp_path), new_spool(tmp_path)
    leftover = spool.temporary_directory / "leftover.tmp"
    leftover.write_text("x")
    with other._new_run() as writer:
        spool.clean_up()
        assert not leftover.exists()
        writer.finish(number=1, low=1, sealed_at=1, oldest_sealed_at=1, positions=[], oldest_read_at={})
        writer.publish(tmp_path / "runs" / "000000000001.run")
    assert numbers(spool) == [1]


ACTIONS = {
    "seal": lambda spool: seal(spool, one(3)),
    "merge": lambda spool: spool.merge(spool.runs()),
    "rewrite": lambda spool: spool.rewrite(spool.runs()[0], {HASHED}),
    "retire": lambda spool: spool.retire(spool.runs()[0]),
}


@pytest.mark.parametrize("action", ACTIONS)
@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EIO, errno.EROFS], ids=errno.errorcode.get)
def test_whatever_disk_operation_fails_the_spool_stays_whole(tmp_path, action, number):
    """Each operation fails in turn: rows are as before or as after; a full disk alone can be tried again."""
    for at in range(1, 100):
        directory = tmp_path / str(at)
        for user in (1, 2):
            seal(new_spool(directory), {DISPLAY: one(user)[DISPLAY], HASHED: one(user)[DISPLAY]})
        disk = FailingDisk(at, number)
        spool = new_spool(directory, disk)
        before = [run.read(DISPLAY) for run in spool.runs()]
        error = None
        try:
            ACTIONS[action](spool)
        except (SpoolFull, SpoolFailed) as raised:
            error = raised
        if disk.failed_in is None:
            break
        fatal = number != errno.ENOSPC or disk.failed_in in ("fsync", "fsync_folder")
        assert isinstance(error, SpoolFailed if fatal else SpoolFull), disk.failed_in
        assert str(directory) in str(error)
        after = [run.read(DISPLAY) for run in new_spool(directory).runs()]
        if action in ("seal", "rewrite"):
            assert all(old.equals(new) for old, new in zip(before, after, strict=False))
        if action == "merge":
            assert pl.concat(after).equals(pl.concat(before))
        if fatal:
            with pytest.raises(SpoolFailed):
                seal(spool, one(4))
        else:
            assert in_the_making(spool) == []
            assert seal(spool, one(4)).number >= 3
    else:
        pytest.fail("the action never succeeded")
    assert at > 1


class RecordingDisk(Disk):
    """Notes the operations that decide what is durable when."""

    def __init__(self):
        self.done = []

    def fsync(self, descriptor):
        self.done.append("fsync")
        super().fsync(descriptor)

    def rename(self, source, target):
        self.done.append(f"rename {target.name}")
        super().rename(source, target)

    def fsync_folder(self, folder):
        self.done.append(f"fsync {folder.name}")
        super().fsync_folder(folder)

    def unlink(self, path):
        self.done.append(f"unlink {path.name}")
        super().unlink(path)


def test_what_is_durable_when(tmp_path):
    """A seal: mark, run, dead letters, name, folder. A merge: its own name is durable before others go."""
    disk = RecordingDisk()
    new_spool(tmp_path / "spool")
    spool = new_spool(tmp_path / "spool", disk)
    seal(spool, one(1), publish_dead_letters=lambda number: disk.done.append(f"dead letters {number}"))
    mark = ["fsync", "rename numbers.json", "fsync spool"]
    first, second = "000000000001.run", "000000000002.run"
    assert disk.done == [*mark, "fsync", "dead letters 1", f"rename {first}", "fsync runs"]
    seal(spool, one(2))
    disk.done.clear()
    merged = spool.merge(spool.runs())
    assert disk.done == ["fsync", f"rename {second}", "fsync runs", f"unlink {first}", "fsync runs"]
    disk.done.clear()
    spool.retire(merged)
    assert disk.done[-2:] == [f"unlink {second}", "fsync runs"]


def test_a_failed_fsync_is_never_tried_again(tmp_path):
    """After a failed fsync the next may succeed though data is lost (facts.md): none is even tried."""
    synced = []

    class Recording(FailingDisk):
        def fsync(self, descriptor):
            synced.append(descriptor)
            super().fsync(descriptor)

    new_spool(tmp_path)
    spool = new_spool(tmp_path, Recording(2, errno.EIO, only="fsync"))
    for _ in range(2):
        with pytest.raises(SpoolFailed, match="the disk failed"):
            seal(spool, one())
    assert len(synced) == 2, "the number's mark and the run, no more"
    assert numbers(new_spool(tmp_path)) == []


def test_a_full_disk_leaves_nothing_and_can_be_tried_again(tmp_path):
    """On a full file system a seal says SpoolFull, leaves no half run, and succeeds once there is room."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", disk], check=False, capture_output=True
    )
    if mounted.returncode:
        pytest.skip("mounting a tmpfs is not allowed here")
    try:
        spool = new_spool(disk)
        seal(spool, one())
        free = os.statvfs(disk)
        (disk / "ballast").write_bytes(bytes(free.f_bavail * free.f_bsize - 12_288))
        large = {DISPLAY: [(user, 1, 0, 5, 0, 0, user) for user in range(200)]}
        with pytest.raises(SpoolFull, match="free space"):
            seal(spool, large)
        assert (in_the_making(spool), numbers(spool)) == ([], [1])
        (disk / "ballast").unlink()
        assert seal(spool, large).number > 1
        assert spool.runs()[1].read(DISPLAY).height == 200
        del spool
    finally:
        subprocess.run(["umount", "-l", disk], check=True)


SEALER = """
import os, resource, signal, sys
from pathlib import Path
from bridge.spool.disk import Disk
from tests.parts.spools import new_spool, one, seal
point = sys.argv[2]
class Dying(Disk):
    def die(self, when):
        if when == point:
            os.kill(os.getpid(), signal.SIGKILL)
    def fsync(self, descriptor):
        self.die("before fsync")
        super().fsync(descriptor)
    def rename(self, source, target):
        run = target.suffix == ".run"
        if run: self.die("after fsync")
        super().rename(source, target)
        if run: self.die("after rename")
if point == "file too large":
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
spool = new_spool(Path(sys.argv[1]), Dying())
seal(spool, one(2))
"""


def run_sealer(directory, point):
    return subprocess.run(
        [sys.executable, "-c", SEALER, str(directory), point],
        cwd=Path(__file__).parents[2],
        capture_output=True,
        check=False,
    )


@pytest.mark.parametrize(("point", "sealed"), [("before fsync", 1), ("after fsync", 1), ("after rename", 2)])
def test_a_killed_seal_is_whole_or_not_there(tmp_path, point, sealed):
    """SIGKILL in a seal: the run is there whole or not at all, and its number is not used again."""
    spool = new_spool(tmp_path)
    seal(spool, one())
    assert run_sealer(tmp_path, point).returncode == -signal.SIGKILL
    assert len(spool.runs()) == sealed
    spool.clean_up()
    assert in_the_making(spool) == []
    used = 2 if point == "before fsync" else 3
    assert seal(spool, one()).number == used, "the mark is not yet written before the first fsync"


def test_a_file_size_limit_is_named(tmp_path):
    """A short write and then EFBIG (RLIMIT_FSIZE): the disk failed, by name, and no half run is left."""
    spool = new_spool(tmp_path)
    done = run_sealer(tmp_path, "file too large")
    assert b"SpoolFailed" in done.stderr
    assert b"File too large" in done.stderr
    assert (in_the_making(spool), numbers(spool)) == ([], [])


def test_listing_beside_merging_never_misses_a_row(tmp_path):
    """Readers in other threads see every sealed row at any moment, while runs are sealed and merged."""
    spool = new_spool(tmp_path)
    sealed, done, faults = [0], threading.Event(), []

    def read():
        reader = new_spool(tmp_path)
        while not done.is_set():
            promised = sealed[0]
            seen = {user for run in reader.runs() for user in run.read(DISPLAY)["lo"]}
            if not set(range(1, promised + 1)) <= seen:
                faults.append((promised, seen))

    readers = [threading.Thread(target=read) for _ in range(2)]
    for reader in readers:
        reader.start()
    with contextlib.ExitStack() as stack:
        for reader in readers:
            stack.callback(reader.join)
        stack.callback(done.set)
        for user in range(1, 61):
            seal(spool, one(user))
            sealed[0] = user
            if user % 3 == 0:
                spool.merge(spool.runs()[-3:])
    assert faults == []


def test_a_torn_listing_is_taken_again(tmp_path):
    """A merge between the reading of two names hides a run from a listing: it must not be believed."""
    spool = new_spool(tmp_path)
    torn = []

    class Torn(RunFolder):
        def _scan(self):
            seen = super()._scan()
            if torn:
                torn.pop()
                spool.merge(spool.runs())
                del seen[1]
            return seen

    folder = Torn(tmp_path / "runs")
    for user in (1, 2):
        seal(spool, one(user))
    assert len(folder.live()) == 2
    torn.append(True)
    assert [run.read(DISPLAY)["lo"].to_list() for run in folder.live()] == [[1, 2]]


def test_numbers_are_published_in_their_order(tmp_path):
    """Two writers at once: when a run appears, every smaller number is there already or never will be.

    Delivery goes on from the largest run that it saw; a smaller one that appeared later would be lost.
    """
    faults = []

    class Checking(Disk):
        def rename(self, source, target):
            if (
                target.suffix == ".run"
                and max([path.name for path in target.parent.iterdir()], default="") > target.name
            ):
                faults.append(target.name)
            super().rename(source, target)

    def write():
        spool = new_spool(tmp_path, Checking())
        for _ in range(10):
            seal(spool, one())

    writers = [threading.Thread(target=write) for _ in range(3)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    assert (faults, numbers(new_spool(tmp_path))) == ([], list(range(1, 31)))
