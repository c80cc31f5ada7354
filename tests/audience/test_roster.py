"""Audiences by number."""

from dataclasses import replace

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.audience.roster import WHOSE, Roster
from tests.parts.audiences import DISPLAY

audiences = st.integers(0, 5).map(lambda number: replace(DISPLAY, client=f"client {number}"))
places = st.lists(st.tuples(audiences, st.integers()), min_size=1, max_size=30)
frames = st.lists(places, min_size=1, max_size=4)


def frame(roster, rows):
    """Rows of (audience, place) as columns; the place stands for all other columns."""
    numbers = [roster.number(audience) for audience, _ in rows]
    texts = [str(place) for _, place in rows]
    return pl.DataFrame({"place": texts, WHOSE: numbers}, schema_overrides={WHOSE: pl.UInt32})


@given(st.lists(audiences))
def test_an_audience_has_one_number(asked):
    """Numbers ascend from 0 in the order of the first asking, stay, and lead back to their audiences."""
    roster = Roster()
    first_asked = list(dict.fromkeys(asked))
    for audience in asked:
        assert roster.number(replace(audience)) == first_asked.index(audience)
    assert [roster[number] for number in range(len(first_asked))] == first_asked
    with pytest.raises(IndexError):
        roster[len(first_asked)]


@given(places)
def test_those_present(rows):
    """The numbers that occur, each once, ascending; others that the roster gave are not among them."""
    roster = Roster()
    for client in ("elsewhere", "client 3", "nowhere"):
        roster.number(replace(DISPLAY, client=client))
    present = roster.present(frame(roster, rows))
    assert present == sorted({roster.number(audience) for audience, _ in rows})


def test_no_row_is_of_nobody():
    """No audience is present in a frame without rows."""
    assert Roster().present(frame(Roster(), [])) == []


@given(frames)
def test_rows_come_apart_as_by_a_filter_for_each_audience(tables):
    """Each audience present has its rows, in the order of the frames and within them, without that column."""
    roster = Roster()
    roster.number(replace(DISPLAY, client="absent"))
    every = [row for rows in tables for row in rows]
    wanted = {
        audience: [str(place) for of, place in every if of == audience]
        for audience in {audience for audience, _ in every}
    }
    found = roster.split(frame(roster, rows) for rows in tables)
    assert {audience: rows.to_dict(as_series=False) for audience, rows in found.items()} == {
        audience: {"place": texts} for audience, texts in wanted.items()
    }
