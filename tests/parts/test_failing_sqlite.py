"""The failing SQLite itself: it fails where it is told, and a power cut takes what was not synced."""

import sqlite3

import pytest

from tests.parts.failing_sqlite import FULL, failing_sqlite, need, untouched


@pytest.fixture(autouse=True)
def _able():
    need()


def connected(path, synchronous="FULL"):
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("PRAGMA journal_mode = TRUNCATE")
    connection.execute(f"PRAGMA synchronous = {synchronous}")
    return connection


def rows(path):
    look = untouched(path)
    try:
        return [row for (row,) in look.execute("SELECT * FROM t ORDER BY 1")]
    finally:
        look.close()


def test_a_call_fails_once_or_from_then_on(tmp_path):
    """By its number, with the error asked for; connections opened later, or looking past it, never fail."""
    path = tmp_path / "t.sqlite"
    with failing_sqlite() as disk:
        writer = connected(path)
        writer.execute("CREATE TABLE t (t)")
        disk.fail(3, code=FULL)
        with pytest.raises(sqlite3.OperationalError):
            writer.execute("INSERT INTO t VALUES (1)")
        assert len(disk.failed) == 1
        writer.execute("INSERT INTO t VALUES (2)")
        disk.fail(1, once=False)
        for _ in range(3):
            with pytest.raises(sqlite3.OperationalError, match="disk I/O error"):
                writer.execute("INSERT INTO t VALUES (3)")
        assert rows(path) == [2]
        writer.close()
    writer = connected(path)
    writer.execute("INSERT INTO t VALUES (4)")
    writer.close()
    assert rows(path) == [2, 4]


@pytest.mark.parametrize(("synchronous", "left"), [("FULL", [1, 2]), ("OFF", [])])
def test_a_power_cut_takes_what_was_not_synced(tmp_path, synchronous, left):
    """What was committed with synchronous=FULL is there; what was committed without is gone."""
    path = tmp_path / "t.sqlite"
    with failing_sqlite() as disk:
        writer = connected(path)
        writer.execute("CREATE TABLE t (t)")
        writer.execute(f"PRAGMA synchronous = {synchronous}")
        writer.execute("INSERT INTO t VALUES (1)")
        writer.execute("INSERT INTO t VALUES (2)")
        disk.cut(4)
        with pytest.raises(sqlite3.OperationalError):
            writer.execute("INSERT INTO t VALUES (3)")
        writer.close()
        disk.power_on()
    assert rows(path) == left
