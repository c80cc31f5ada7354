"""The translation's thread, look by look: real runs, a real table, a clock that is moved by hand."""

from dataclasses import replace
from threading import Event

import polars as pl
import pytest
import structlog

from bridge.clock import MINUTE
from bridge.service.translating import Translating
from bridge.spool.disk import SpoolFull
from bridge.spool.footer import Position
from bridge.translation.progress import Progress
from bridge.translation.turn import Tally
from tests.parts.audiences import DISPLAY
from tests.parts.delivering import Site
from tests.parts.identity import TOPIC, Told, opened, window
from tests.parts.spools import seal
from tests.service.test_translating import configuration, identified

MAX_AGE = 15 * MINUTE


class Known:
    """The identity table as it is; None until `caught_up`."""

    def __init__(self, table):
        self.table = table
        self.caught_up = True
        self.busy = False
        """Each look finds it changed."""
        self.number = 0

    def sync(self, id_, browser):
        self.number += 1
        told = [Told(id_, browser, self.number)]
        self.table.append(window(told), {0: self.number}, self.number)

    def snapshot(self):
        if self.busy:
            self.sync("nobody", 9)
        return self.table.snapshot() if self.caught_up else None

    def tell(self):
        """Nobody is told."""


class Counts:
    """What metrics are told."""

    def __init__(self):
        self.tallies = {}
        self.rows = {}

    def translated(self, stream, tally):
        self.tallies[stream] = self.tallies.get(stream, Tally()) + tally

    def kept(self, stream, memberships):
        self.rows[stream] = memberships

    def table(self, size, *, complete_at, caught_up, skipped):
        """Nobody asks."""


class Place(Site):
    """A spool whose unresolved rows are translated at each `look`."""

    def __init__(self, directory, *streams):
        super().__init__(directory)
        self.known = Known(opened(directory / "table"))
        self.counts = Counts()
        self.drains = False
        self.stop = Event()
        self.translating = Translating(
            configuration(*(streams or [identified()])),
            spool=self.spool,
            ledger=self.ledger,
            table=self.known,
            clock=self.clock,
            observer=self.counts,
            beat=lambda _: None,
            drain=lambda: self.drains,
        )

    def read(self, *users, client="Acme"):
        """One row of each of these users is collected now, in a run of their own."""
        source = replace(DISPLAY, client=client, user_namespace="acme", unresolved=True)
        rows = [(user, 11, 0, 5 + user, 0, 0, user) for user in users]
        return seal(self.spool, {source: rows}, now=self.clock.now())

    def look(self):
        with structlog.testing.capture_logs() as lines:
            self.translating.step(self.stop)
        return [line["event"] for line in lines if line["event"].startswith("transl")]

    def browsers(self, client="Acme"):
        """Those that anything was translated for."""
        target = replace(DISPLAY, client=client)
        runs = [run for run in self.spool.runs() if target in run.audiences]
        return sorted(set(pl.concat(run.read(target) for run in runs)["lo"])) if runs else []

    def progress(self):
        return Progress.of(self.spool.runs())


@pytest.fixture
def place(tmp_path):
    made = Place(tmp_path)
    with made.known.table:
        yield made


def test_a_turn_comes_when_a_file_would_be_due_and_tells_what_it_came_to(place):
    """Rows are as old in the translated run as in the one they were read into."""
    place.known.sync("u1", 7)
    read_at = place.clock.now()
    place.read(1, 2)
    assert place.look() == []
    place.clock.move(MAX_AGE)
    assert place.look() == ["translated"]
    assert place.browsers() == [7]
    assert place.counts.tallies == {"s0": Tally(matched=1, unmatched=1)}
    assert place.counts.rows == {"s0": 2}
    (statistics,) = place.spool.runs()[-1].footer.audiences
    assert statistics.oldest_read_at == read_at
    assert place.look() == []


@pytest.mark.failure(66)
def test_nothing_is_translated_before_the_table_has_caught_up(place):
    """Users would count as unknown, and wait for the next turn."""
    place.read(1)
    place.clock.move(MAX_AGE)
    place.known.caught_up = False
    assert place.look() == []
    place.drains = True
    assert place.look() == []
    assert not place.translating.drained.is_set()


@pytest.mark.failure(68)
def test_a_full_disk_is_waited_for(place, monkeypatch):
    """Nothing is lost: the turn is tried again by itself, and says the same."""
    place.known.sync("u1", 7)
    place.read(1)
    place.clock.move(MAX_AGE)

    def full(**_):
        raise SpoolFull("no room")

    with monkeypatch.context() as patched:
        patched.setattr(place.spool, "seal", full)
        assert place.look() == ["translation_waits"]
        assert place.look() == []  # not at each look
    assert place.progress() == Progress()
    place.clock.move(MINUTE)
    assert place.look() == ["translated"]
    assert place.browsers() == [7]


@pytest.mark.failure(67)
def test_a_damaged_table_is_waited_for(place):
    """A turn that meets it changes nothing; with the table made anew it says all."""
    place.known.sync("u1", 7)
    place.read(1)
    place.clock.move(MAX_AGE)
    (slab,) = (place.directory / "table").glob("*.slab")
    slab.write_bytes(bytes(8) + slab.read_bytes()[8:])
    assert place.look() == ["translation_waits"]
    assert place.known.table.damaged
    assert place.look() == []  # not at each look
    place.known.table.restart(TOPIC, place.clock.now())
    place.known.sync("u1", 7)
    place.clock.move(MINUTE)
    assert place.look() == ["translated"]
    assert place.browsers() == [7]


def test_a_drain_ends_however_busy_the_topic_is(place):
    """One turn after all was read; what becomes known meanwhile is the next start's."""
    place.known.busy = True
    place.read(1)
    place.drains = True
    assert place.look() == ["translated"]
    assert place.translating.drained.is_set()
    assert place.look() == []


@pytest.mark.failure(69)
def test_a_stop_leaves_the_turn(place):
    """Before its next piece; the next start begins it again."""
    place.read(1)
    place.clock.move(MAX_AGE)
    place.stop.set()
    assert place.look() == []
    assert place.progress() == Progress()


def test_a_run_that_is_lost_takes_its_progress_with_it(place):
    """Moved away, as the runbook asks of a damaged one: its rows are translated again."""
    place.known.sync("u1", 7)
    place.read(1)
    place.clock.move(MAX_AGE)
    place.look()
    place.spool.runs()[-1].path.unlink()
    assert place.progress() == Progress()
    assert place.look() == ["translated"]
    assert place.browsers() == [7]


def test_an_opt_out_reaches_the_audiences_of_every_stream(tmp_path):
    """Those that something was sent to, though nothing of their events is kept any more."""
    place = Place(tmp_path, identified(), identified(client="B"))
    with place.known.table:
        place.known.sync("u1", 7)
        for client in ("Acme", "B"):
            place.read(1, client=client)
        place.clock.move(MAX_AGE)
        place.look()
        place.deliver()
        for run in place.spool.runs():
            place.spool.retire(run)
        witness = Position(cluster_id="c", topic_id="t", topic="t", group="g", partition=0, next_offset=1)
        progress = Progress(run=1, known_at=1).positions()
        seal(place.spool, {}, positions=[witness, *progress], now=place.clock.now())
        place.known.sync("u1", 0)
        place.clock.move(MAX_AGE)
        assert place.look() == ["translated"]
        assert place.browsers("Acme") == place.browsers("B") == [7]
