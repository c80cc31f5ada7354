"""One contract for every store (bridge/sync/store.py)."""

import sqlite3
import stat

import pytest

from bridge.errors import BridgeError
from bridge.sync.mapping import encode, key_of
from bridge.sync.sqlite_store import SqliteStore
from tests.parts.waiting import until
from tests.sync.stores import HASTE, PATIENCE, InKafka, InSqlite, Loop, Told, sync


@pytest.fixture(params=["sqlite", pytest.param("kafka", marks=pytest.mark.kafka)])
def backend(request, tmp_path):
    if request.param == "sqlite":
        return InSqlite(tmp_path)
    return InKafka(request.getfixturevalue("kafka"))


@pytest.fixture
def loop():
    one = Loop()
    yield one
    one.close()


def test_what_is_kept_is_durable(backend, loop):
    """True means that somebody else reads it, key and value as the topic has them."""
    store = backend.store(told := Told())
    assert loop.run(store.keep(sync(1)), store.keep(sync(2))) == [True, True]
    assert backend.kept() == {key_of(one): encode(one) for one in (sync(1), sync(2))}
    store.close()
    assert told.all == []


def test_a_later_mapping_of_the_key_takes_its_place(backend, loop):
    """In the order in which they were given, also where all wait at once."""
    store = backend.store(Told())
    given = [sync(1, synced_at=at) for at in range(1, 200)]
    assert all(loop.run(*map(store.keep, given)))
    assert backend.kept() == {key_of(given[-1]): encode(given[-1])}
    store.close()


def test_many_at_once_are_each_kept(backend, loop):
    """None is lost between those that wait together, and none is answered for another."""
    store = backend.store(Told())
    given = [sync(number) for number in range(2_000)]
    answers = loop.run(*map(store.keep, given))
    assert backend.kept().keys() >= {key_of(one) for one, kept in zip(given, answers, strict=True) if kept}
    assert all(answers)
    store.close()


def test_an_outage_is_answered_and_ends_by_itself(backend, loop):
    """False instead of an error, told once; then the same store keeps again, told once."""
    store = backend.store(told := Told(), patience=HASTE)
    until(lambda: loop.run(store.keep(sync(0))) == [True], "the first that is kept")
    told.all.clear()
    with backend.outage():
        assert not any(loop.run(*[store.keep(sync(number)) for number in range(1, 50)]))
        assert loop.run(store.keep(sync(50))) == [False]
        assert told.all == ["failed"]
    until(lambda: loop.run(store.keep(sync(51))) == [True], "the outage's end")
    assert told.all == ["failed", "recovered"]
    assert key_of(sync(51)) in backend.kept()
    store.close()


def test_what_waits_is_bounded(backend, loop):
    """A further mapping is not kept, and the ones that wait are not disturbed."""
    store = backend.store(Told(), most=5, patience=HASTE)
    with backend.outage():
        assert not any(loop.run(*[store.keep(sync(number)) for number in range(1_000)]))
        assert store._handed_over <= 5
    until(lambda: loop.run(store.keep(sync(1_000))) == [True], "the outage's end")
    assert len(backend.kept()) <= 6
    store.close()


def test_what_was_handed_over_is_kept_at_the_end(backend, loop):
    """A store that is closed has a few seconds for it."""
    store = backend.store(Told())
    assert all(loop.run(*[store.keep(sync(number)) for number in range(10)]))
    store.close()
    assert len(backend.kept()) == 10


@pytest.mark.kafka
def test_a_topic_that_is_not_known_to_be_fit_is_not_written_to(kafka, loop):
    """Producing could make it anew, and not compacted."""
    backend = InKafka(kafka)
    backend.usable = False
    store = backend.store(told := Told())
    assert loop.run(store.keep(sync(1))) == [False]
    backend.usable = True
    assert loop.run(store.keep(sync(2))) == [True]
    assert backend.kept().keys() == {key_of(sync(2))}
    assert told.all == []
    store.close()


def test_the_file_is_its_owners_alone(tmp_path, loop):
    """It holds ids of users; what SQLite puts beside it has the same mode."""
    backend = InSqlite(tmp_path)
    store = backend.store(Told())
    assert loop.run(store.keep(sync(1))) == [True]
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in tmp_path.iterdir()}
    assert set(modes.values()) == {0o600}
    store.close()


@pytest.mark.parametrize("what", ["no folder", "no database", "a folder"])
def test_a_file_that_cannot_be_one_is_one_clear_line(tmp_path, what):
    """It names the setting, the file and the remedy."""
    path = tmp_path / "sync.sqlite"
    if what == "no folder":
        path = tmp_path / "gone" / "sync.sqlite"
    elif what == "a folder":
        path.mkdir()
    else:
        path.write_text("this is no database, but a text of some length" * 100)
    with pytest.raises(BridgeError, match=r"^user_sync\.sqlite_file: .* cannot be used \(.*\); name a file"):
        SqliteStore(path, patience=PATIENCE, most=1, observer=Told())


def test_a_file_goes_on_where_it_was(tmp_path, loop):
    """A second process after the first finds what that has kept."""
    backend = InSqlite(tmp_path)
    for number in (1, 2):
        store = backend.store(Told())
        assert loop.run(store.keep(sync(number))) == [True]
        store.close()
    assert len(backend.kept()) == 2
    with sqlite3.connect(backend.path) as connection:
        assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    connection.close()
