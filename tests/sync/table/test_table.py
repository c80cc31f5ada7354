"""The identity table: what it answers is what its topic says, whatever happens to it on the way."""

import errno
import os
import shutil
import tempfile
from contextlib import suppress
from functools import partial
from pathlib import Path

import polars as pl
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from structlog.testing import capture_logs

from bridge.clock import DAY
from bridge.spool.disk import SpoolFull
from bridge.spool.locks import LockHeld
from bridge.sync.table.merging import Sizes
from bridge.sync.table.slab import TableDamaged
from bridge.sync.table.table import Table
from tests.parts.clocks import HandClock
from tests.parts.identity import SMALL, TOPIC, Model, Told, joined, opened, window
from tests.parts.spools import FailingDisk

IDS = [f"u{number:02}" for number in range(12)]
NAMESPACES = ["acme", "other"]
MESSAGES = st.builds(
    Told,
    id=st.sampled_from(IDS),
    browser=st.integers(0, 3),
    at=st.integers(1, 40),
    forgotten=st.sampled_from([False, False, False, True]),
    namespace=st.sampled_from([*NAMESPACES[:1] * 4, "other"]),
)
BATCHES = st.lists(MESSAGES, max_size=30)


class TableMachine(RuleBasedStateMachine):
    """Batches in any order, again and again; merges, deaths and restarts between them."""

    def __init__(self) -> None:
        super().__init__()
        self.directory = Path(tempfile.mkdtemp(prefix="identity-"))
        self.disk = FailingDisk(0, errno.ENOSPC)
        self.table = opened(self.directory, disk=self.disk)
        self.model = Model()
        self.offset = 0
        self.seen = 0
        self.live_then: set = set()
        self.told_since: list[Told] = []

    def teardown(self) -> None:
        self.table.__exit__(None, None, None)
        shutil.rmtree(self.directory)

    @rule(batch=BATCHES)
    def batch(self, batch) -> None:
        self.offset += len(batch)
        self.table.append(window(batch), {0: self.offset}, now=self.offset)
        self.model.told |= set(batch)
        self.told_since += batch

    @precondition(lambda self: self.model.told)
    @rule(data=st.data())
    def again(self, data) -> None:
        self.batch(data.draw(st.lists(st.sampled_from(sorted(self.model.told)), max_size=10)))

    @rule(steps=st.integers(1, 4), now=st.integers(0, 100))
    def merge(self, steps, now) -> None:
        for _ in range(steps):
            self.table.merge_step(now)

    @rule()
    def restart(self) -> None:
        self.table.__exit__(None, None, None)
        self.table = opened(self.directory, disk=self.disk)

    @rule(at=st.integers(1, 6), only=st.sampled_from(["open", "write", "rename"]))
    def full(self, at, only) -> None:
        """There is no room at the n-th step of a kind on the way to the disk; then there is again."""
        self.disk.left, self.disk.only = at, only
        with suppress(SpoolFull):
            while self.table.merge_step(0):
                pass
        self.disk.left = 0

    @rule()
    def look_for_changes(self) -> None:
        """What is true now and was not is told; where nothing was taken back, nothing else is."""
        changes = self.table.snapshot().changes("acme", SMALL.range_rows)
        changed = {(row[0], row[2]) for frame in changes.since(self.seen) for row in frame.rows()}
        live = set(self.model.live("acme"))
        assert live - self.live_then <= changed <= live
        if all(one.browser and not one.forgotten for one in self.model.told):
            assert changed == live - self.live_then
        told = changes.opted_out_since(self.seen)
        assert {(row[0], row[2], row[3]) for frame in told for row in frame.rows()} >= {
            (id_, browser, ended)
            for id_, browser in self.live_then - live
            if (ended := self.model.opted_out_at("acme", id_))
            and self.model.newest("acme", id_, browser) is not None
        }
        self.seen, self.live_then = self.table.snapshot().known_at, live

    @invariant()
    def answers_as_the_model(self) -> None:
        for namespace in NAMESPACES:
            expected = self.model.live(namespace)
            assert joined(self.table, IDS, namespace) == expected
            some = IDS[1::3]
            assert joined(self.table, some, namespace) == {
                key: value for key, value in expected.items() if key[0] in some
            }
        assert self.table.positions == ({0: self.offset} if self.table.snapshot().known_at else {})


TestTable = TableMachine.TestCase
TestTable.settings = settings(max_examples=25, stateful_step_count=20)


def slabs(directory: Path) -> list[Path]:
    return sorted(directory.glob("*.slab"))


def filled(directory: Path, batches: int = 3, **more):
    """A table of so many batches of ten ids each."""
    table = opened(directory, **more)
    for number in range(batches):
        batch = [Told(f"u{number}{at}", 1, 1 + at) for at in range(10)]
        table.append(window(batch), {0: number + 1}, number + 1)
    return table


def merge_all(table, now: int) -> int:
    """Merges until there is nothing to merge; how many steps it took."""
    steps = 0
    while table.merge_step(now):
        steps += 1
    return steps


def test_a_snapshot_stays_as_it_was(tmp_path):
    """Who joins is not disturbed by batches, merges and removed files: what is read is of one instant."""
    with filled(tmp_path, 4) as table:
        snapshot, before = table.snapshot(), slabs(tmp_path)
        reader = snapshot.reader("acme", 6)
        ids = pl.Series(sorted(f"u{number}{at}" for number in range(5) for at in range(10)))
        first = reader.join(ids[:15])
        table.append(window([Told("u00", 0, 99)]), {0: 9}, 9)
        assert merge_all(table, 9) > 1
        assert not set(before) & set(slabs(tmp_path))
        assert pl.concat([first, reader.join(ids[15:])])["id"].to_list() == ids[:40].to_list()
        assert "u00" not in joined_ids(table, ids)


def joined_ids(table, ids: pl.Series) -> list[str]:
    return table.snapshot().reader("acme").join(ids)["id"].to_list()


def test_a_merge_needs_room_for_a_slab(tmp_path):
    """All of a table is merged with a part of it on the disk twice: slabs go as soon as they are merged."""
    sizes = Sizes(slab_rows=2_000, range_rows=1_000, block_rows=500)
    with Table.open(tmp_path, clock=HandClock(0), sizes=sizes) as table:
        table.restart(TOPIC, 0)
        for number in range(8):
            batch = [Told(f"u{at * 8 + number:06}", 1 + at, 1 + at) for at in range(5_000)]
            table.append(window(batch), {0: number}, number)
        merge_all(table, 0)
        assert len(table.snapshot().layers) == 1
        assert len(slabs(tmp_path)) >= 10
        for first in range(0, 40_000, 4_000):
            batch = [Told(f"u{at:06}", 5, 9) for at in range(first, first + 4_000, 2)]
            table.append(window(batch), {0: 9}, 9)
        whole, most = table.usage(), 0
        while table.merge_step(8 * DAY):
            most = max(most, table.usage())
        assert most < 1.4 * whole


def test_what_is_not_true_is_forgotten_after_a_while(tmp_path):
    """Ended mappings and tombstones leave the disk 35 days after they were heard of; the opt-out stays."""
    told = [Told("ann", 1, 5), Told("ann", 0, 6), Told("bob", 2, 5), Told("bob", 2, 6, forgotten=True)]
    with opened(tmp_path) as table:
        table.append(window([*told, Told("cat", 3, 5)]), {0: 1}, 1)
        merge_all(table, 34 * DAY)
        assert stored(table) == {("ann", 0), ("ann", 1), ("bob", 2), ("cat", 3)}
        merge_all(table, 36 * DAY)
        assert stored(table) == {("ann", 0), ("cat", 3)}
        table.append(window([Told("ann", 1, 5)]), {0: 2}, 36 * DAY)
        assert joined(table, ["ann", "bob", "cat"]) == {("cat", 3): (5, 0)}


def test_what_is_forgotten_does_not_come_back_within_a_merge(tmp_path):
    """A tombstone goes while the slab with what it forgot is half merged: it stays so, after a death too."""
    ids, more = [f"u{at:02}" for at in range(30)], [f"u{at:02}x" for at in range(1, 30)]
    gone = sorted([*ids[::2], *more[::2]])
    expected = {(id_, 1): (5, 0) for id_ in {*ids, *more} - {*gone}}
    table = opened(tmp_path)
    table.append(window([Told(id_, 1, 5) for id_ in ids]), {0: 1}, 1)
    table.append(window([Told(id_, 1, 5) for id_ in more]), {0: 2}, 2)
    for number, id_ in enumerate(gone, start=3):
        table.append(window([Told(id_, 1, 6, forgotten=True)]), {0: number}, number)
    steps = 0
    while table.merge_step(8 * DAY):
        steps += 1
        assert joined(table, [*ids, *more]) == expected
        if steps == 2:
            table.__exit__(None, None, None)
            table = opened(tmp_path)
            assert joined(table, [*ids, *more]) == expected
    table.__exit__(None, None, None)
    assert steps > 3


def stored(table) -> set[tuple[str, int]]:
    """The keys that any row on the disk is of."""
    parts = [part for layer in table.snapshot().layers for part in layer]
    rows = [part.slab.rows(blocks, ["id", "lo"]) for part in parts for blocks in part.slab.blocks.values()]
    return {(id_, browser) for id_, browser in pl.concat(rows).select("id", "lo").rows()}


@pytest.mark.failure(67)
@pytest.mark.parametrize("place", ["block", "index", "contents", "cut", "missing"])
def test_damage_is_found_and_all_is_read_anew(tmp_path, place):
    """A flipped bit, a short or a missing file: no wrong answer, a line, and the topic from its start."""
    with filled(tmp_path) as table:
        known_at = table.snapshot().known_at
    slab = slabs(tmp_path)[1]
    damaged = tmp_path / "contents" if place == "contents" else slab
    data = bytearray(damaged.read_bytes())
    match place:
        case "missing":
            slab.unlink()
        case "cut":
            slab.write_bytes(data[:-5])
        case _:
            data[{"block": 50, "index": len(data) - 50, "contents": 30}[place]] ^= 4
            damaged.write_bytes(data)
    with capture_logs() as lines, Table.open(tmp_path, clock=HandClock(0), sizes=SMALL) as table:
        if place == "block":
            with pytest.raises(TableDamaged, match=r"000000000002\.slab: the checksum .* made anew"):
                joined(table, ["u00", "u10", "u20"])
        else:
            assert [line["event"] for line in lines] == ["identity_table_damaged"]
            assert (table.topic, dict(table.positions), joined(table, ["u00"])) == (None, {}, {})
        assert table.damaged
        table.restart(TOPIC, 5)
        assert (table.damaged, dict(table.positions), slabs(tmp_path)) == (False, {}, [])
        table.append(window([Told("ann", 1, 5)]), {0: 1}, 1)
        assert joined(table, ["ann", "u00"]) == {("ann", 1): (5, 0)}
        assert place == "contents" or table.snapshot().known_at > known_at


def test_one_process_writes(tmp_path):
    """A second one is refused by name, and the first goes on."""
    with opened(tmp_path) as table:
        with pytest.raises(LockHeld, match=f"process {os.getpid()}"):
            opened(tmp_path)
        table.append(window([Told("ann", 1, 5)]), {0: 1}, 1)


@pytest.mark.failure(68)
@pytest.mark.parametrize("only", ["open", "write", "rename"])
def test_a_full_disk_changes_nothing(tmp_path, only):
    """Wherever there is no room: the table is as before, nothing is left behind, the call may come again."""
    expected = {(f"u{number}{at}", 1): (1 + at, 0) for number in range(4) for at in range(10)}
    ids = [id_ for id_, _ in expected]
    for at in range(1, 6):
        disk = FailingDisk(10**9, errno.ENOSPC, only)
        with filled(tmp_path / f"{at}", disk=disk) as table:
            batch, full = window([Told(f"u3{at}", 1, 1 + at) for at in range(10)]), 0
            for call in (partial(table.append, batch, {0: 4}, 4), partial(merge_all, table, 4)):
                disk.left = at
                try:
                    call()
                except SpoolFull:
                    full += 1
                    assert not [*(tmp_path / f"{at}" / "tmp").iterdir()]
                    assert joined(table, ids).items() <= expected.items()
                    call()
            assert full or at > 2
            assert joined(table, ids) == expected


def test_a_user_of_many_browsers_and_many_users_of_one(tmp_path):
    """Several MM UUIDs of an id are found, and one MM UUID of several ids, over blocks and layers."""
    users = [f"u{at}" for at in range(1, 20)]
    with opened(tmp_path) as table:
        table.append(window([Told("ann", browser, browser) for browser in range(1, 30)]), {0: 1}, 1)
        table.append(window([Told(user, 7, 5) for user in users]), {0: 2}, 2)
        table.append(window([Told("ann", 40, 1)]), {0: 3}, 3)
        for _ in range(2):
            found = joined(table, ["ann", *users])
            assert {browser for id_, browser in found if id_ == "ann"} == {*range(1, 30), 40}
            assert {id_ for id_, browser in found if browser == 7} == {"ann", *users}
            merge_all(table, 8 * DAY)


NEWS = [
    (
        [Told("ann", 1, 1), Told("bob", 1, 1), Told("dan", 4, 1), Told("dan", 0, 2)],
        {"ann1", "bob1"},
        {"dan4"},
    ),
    ([Told("ann", 1, 5), Told("bob", 1, 5)], set(), set()),
    ([Told("ann", 1, 6), Told("ann", 2, 6), Told("cat", 3, 6)], {"ann2", "cat3"}, set()),
    ([Told("bob", 0, 9)], set(), {"bob1"}),
    ([Told("bob", 1, 8), Told("bob", 2, 9)], set(), set()),
    ([Told("bob", 1, 12)], {"bob1"}, set()),
    ([Told("ann", 2, 20, forgotten=True)], set(), set()),
    ([Told("ann", 2, 30)], {"ann2"}, set()),
    ([Told("dan", 0, 40, forgotten=True)], {"dan4"}, set()),
    ([Told("ann", 0, 50), Told("ann", 5, 60)], {"ann5"}, {"ann1", "ann2", "ann5"}),
    ([Told("ann", 0, 70)], set(), {"ann1", "ann2", "ann5"}),
]
"""Batches, the mappings that become true with each, and those to be taken out."""


@pytest.mark.parametrize("merging", [False, True])
def test_what_is_new_is_told_and_nothing_else(tmp_path, merging):
    """A new browser, one that lives again, one that opted out; not who comes again. Merges change nothing."""
    with opened(tmp_path) as table:
        seen = [0]
        for number, (batch, _, _) in enumerate(NEWS, start=1):
            table.append(window(batch), {0: number}, number)
            if merging:
                table.merge_step(number)
            changes = table.snapshot().changes("acme")
            changed = [f"{row[0]}{row[2]}" for frame in changes.since(seen[-1]) for row in frame.rows()]
            ended = [
                f"{row[0]}{row[2]}" for frame in changes.opted_out_since(seen[-1]) for row in frame.rows()
            ]
            assert (sorted(changed), sorted(ended)) == tuple(map(sorted, NEWS[number - 1][1:]))
            seen.append(table.snapshot().known_at)
        assert next(table.snapshot().changes("acme").since(seen[-1])).is_empty()
