"""When there is a turn of the translation, and how far the runs say that it came."""

from dataclasses import replace

import pytest

from bridge.clock import HOUR, MINUTE
from bridge.config import RollSettings
from bridge.translation.due import Waits, due_at, is_due
from bridge.translation.progress import TRANSLATION, Progress
from tests.parts.audiences import DISPLAY
from tests.parts.spools import new_spool, one, position, seal

NOW = 1_793_534_400_000
ROLL = RollSettings(max_age="15m", max_bytes="1MB")
SOURCE = replace(DISPLAY, user_namespace="acme", unresolved=True)

NOTHING = Waits(oldest_read_at=None, bytes=0, changed=False)
WAITING = replace(NOTHING, oldest_read_at=NOW, bytes=999_999)
CHANGED = replace(NOTHING, changed=True)


def due(waits, *, now=NOW, last=NOW, drain=False):
    return is_due(waits, ROLL, now=now, last=last, drain=drain)


def source(user=1):
    return {SOURCE: [(user, 1, 0, 5, 0, 0, 0)]}


def test_rows_are_due_as_an_audience_of_their_age_is():
    """At `roll.max_age` after the oldest was read, and not before."""
    assert due_at(WAITING, ROLL) == NOW + 15 * MINUTE
    assert not due(WAITING, now=NOW + 15 * MINUTE - 1)
    assert due(WAITING, now=NOW + 15 * MINUTE)


def test_rows_of_a_files_size_are_due_at_once():
    """At `roll.max_bytes`."""
    large = replace(WAITING, bytes=1_000_000)
    assert due_at(large, ROLL) == NOW
    assert due(large)
    assert not due(WAITING)


def test_where_nothing_waits_nothing_is_due():
    """Also where nothing more will come."""
    assert due_at(NOTHING, ROLL) is None
    assert not due(NOTHING, now=NOW + HOUR)
    assert not due(NOTHING, drain=True)


def test_a_table_that_knows_more_is_joined_once_in_a_roll():
    """So what is parked is asked for no more often than files go."""
    assert not due(CHANGED, now=NOW + 15 * MINUTE - 1)
    assert due(CHANGED, now=NOW + 15 * MINUTE)


@pytest.mark.parametrize("waits", [WAITING, CHANGED])
def test_where_nothing_more_comes_all_is_due(waits):
    """As audiences are with --until-end."""
    assert due(waits, drain=True)


def test_what_waits_is_what_came_after_the_last_turn(tmp_path):
    """Rows of unresolved audiences alone, in runs above those that are translated."""
    spool = new_spool(tmp_path)
    seal(spool, source(), now=NOW)
    seal(spool, source() | one(), now=NOW + 1)
    seal(spool, one(), now=NOW + 2)
    runs = spool.runs()
    rows = [run.audiences[SOURCE].bytes for run in runs[:2]]
    waits = Waits.of(runs, Progress(), 0)
    assert waits == Waits(oldest_read_at=NOW, bytes=sum(rows), changed=False)
    waits = Waits.of(runs, Progress(run=1, known_at=7), 8)
    assert waits == Waits(oldest_read_at=NOW + 1, bytes=rows[1], changed=True)
    assert Waits.of(runs, Progress(run=2, known_at=7), 7) == NOTHING


def test_progress_is_what_the_newest_turn_has_sealed(tmp_path):
    """It is read from the live runs; before the first turn nothing is done."""
    spool = new_spool(tmp_path)
    assert Progress.of(spool.runs()) == Progress(run=0, known_at=0)
    seal(spool, one(), positions=[position(0, 99), position(1, 98)])  # of a topic
    assert Progress.of(spool.runs()) == Progress()
    for done in (Progress(run=1, known_at=NOW), Progress(run=5, known_at=NOW + 1)):
        seal(spool, {}, positions=done.positions())
        assert Progress.of(spool.runs()) == done


def test_progress_goes_with_its_run(tmp_path):
    """Where a turn's run is lost, its rows are translated again; a merge keeps the newest."""
    spool = new_spool(tmp_path)
    older, newer = Progress(run=1, known_at=NOW), Progress(run=2, known_at=NOW + 1)
    seal(spool, source(), positions=older.positions())
    seal(spool, source(2), positions=newer.positions())
    assert Progress.of(spool.runs()[:1]) == older
    spool.merge(spool.runs())
    assert Progress.of(spool.runs()) == newer


def test_progress_is_a_position_of_no_topic(tmp_path):
    """No cluster's id is its own, and nothing of it can be read again."""
    seal(new_spool(tmp_path), {}, positions=Progress(run=1, known_at=2).positions())
    (run,) = new_spool(tmp_path).runs()
    assert {(one.cluster_id, one.group, one.first_offset) for one in run.footer.positions} == {
        (TRANSLATION, "", None)
    }
