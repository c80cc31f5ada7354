"""The table as another process writes it: whoever only joins sees one state of it, whole."""

import threading

import polars as pl
import pytest

from bridge.sync.table import looking
from bridge.sync.table.looking import look
from bridge.sync.table.slab import TableDamaged
from tests.parts.identity import SMALL, Told, joined, opened, window

IDS = [f"u{number:02}" for number in range(20)]


def looked(snapshot):
    """(id, browser) of what it holds, and how many batches it has taken."""
    rows = snapshot.reader("acme", SMALL.range_rows).join(pl.Series(IDS, dtype=pl.String))
    return {(row["id"], row["lo"]): row["synced_at"] for row in rows.to_dicts()}


def test_what_is_not_whole_is_not_looked_at(tmp_path):
    """No table, and one that has not read all of its topic, are none; nor is one that is made anew."""
    assert look(tmp_path / "table") is None
    with opened(tmp_path / "table") as table:
        table.append(window([Told("u01", 1, 5)]), {0: 1}, 1)
        assert look(tmp_path / "table") is None
        table.completed(1)
        snapshot = look(tmp_path / "table")
        assert looked(snapshot) == {("u01", 1): 5}
        assert snapshot.known_at == table.snapshot().known_at
        table.restart(table.topic, 2)
        assert look(tmp_path / "table") is None
    assert looked(snapshot) == {("u01", 1): 5}, "it stays readable"


def test_that_it_is_whole_outlives_its_process(tmp_path):
    """And batches and merges after it."""
    with opened(tmp_path) as table:
        table.completed(1)
    with opened(tmp_path) as table:
        table.append(window([Told(id_, 1, 5) for id_ in IDS]), {0: 1}, 1)
        while table.merge_step(1):
            pass
        assert table.complete
    assert looked(look(tmp_path)) == {(id_, 1): 5 for id_ in IDS}


def test_beside_a_writer_that_merges_each_look_is_one_state(tmp_path):
    """Slabs vanish while it is looked: what comes of it is the table after some batch, never a mixture."""
    ended, failures = threading.Event(), []

    def write():
        try:
            with opened(tmp_path) as table:
                for number in range(1, 120):
                    table.append(window([Told(id_, 1, number) for id_ in IDS]), {0: number}, number)
                    table.completed(1)
                    while table.merge_step(number):
                        pass
        except BaseException as failure:  # noqa: BLE001  # told below
            failures.append(failure)
        finally:
            ended.set()

    writer = threading.Thread(target=write)
    writer.start()
    seen = set()
    while not ended.is_set():
        snapshot = look(tmp_path)
        if snapshot is not None:
            at = set(looked(snapshot).values())
            assert len(at) == 1
            seen |= at
    writer.join()
    assert failures == []
    assert len(seen) > 1


def test_a_slab_that_vanishes_between_is_no_damage(tmp_path, monkeypatch):
    """The contents are read again; that it goes on for ever is not waited for."""
    with opened(tmp_path) as table:
        table.append(window([Told("u01", 1, 1)]), {0: 1}, 1)
        table.completed(1)
        read, reads, (first,) = looking.read, [], tmp_path.glob("*.slab")

        def merged_meanwhile(directory):
            contents = read(directory)
            reads.append(contents)
            number = 1
            while first.exists():
                number += 1
                table.append(window([Told("u01", 1, number)]), {0: number}, number)
                while table.merge_step(number):
                    pass
            return contents

        monkeypatch.setattr(looking, "read", merged_meanwhile)
        assert looked(look(tmp_path)) == joined_synced(table)
        assert len(reads) > 1


def joined_synced(table):
    return {key: synced_at for key, (synced_at, _) in joined(table, IDS).items()}


@pytest.mark.parametrize("suffix", ["contents", ".slab"])
def test_damage_is_told_in_one_line(tmp_path, suffix):
    """The contents or a slab are not what was written: no more is looked at, and the remedy is said."""
    with opened(tmp_path) as table:
        table.append(window([Told("u01", 1, 1)]), {0: 1}, 1)
        table.completed(1)
        (path,) = (path for path in tmp_path.iterdir() if path.name.endswith(suffix))
        path.write_bytes(path.read_bytes()[:-3])
        with pytest.raises(TableDamaged, match="the identity table is made anew from its topic"):
            look(tmp_path)
