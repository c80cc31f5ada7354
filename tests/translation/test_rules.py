"""What rows become by mappings, and what an opt-out takes back, on small tables."""

from dataclasses import replace

import polars as pl

from bridge.audience.rows import schema
from bridge.sync.table.rows import NEVER
from bridge.translation.rules import LAST, MOST_BROWSERS, bounded, mapped, taken_back
from tests.parts.audiences import DISPLAY, frame

SOURCE = replace(DISPLAY, user_namespace="acme", unresolved=True)
PAIRS = {"id": pl.String(), "hi": pl.UInt64(), "lo": pl.UInt64(), "opted_out_at": pl.Int64()}


def mappings(*known):
    """(id, browser, opted out at) as the identity table answers."""
    return pl.DataFrame([(id_, 0, browser, at) for id_, browser, at in known], schema=PAIRS, orient="row")


def rows(*said):
    """(user, segment, event time)."""
    return frame(SOURCE, [(user, segment, 0, at, 1, 0, at) for user, segment, at in said])


def told(found):
    """(browser, segment, event time) of each row, sorted."""
    assert found.schema == schema(DISPLAY)
    return sorted(found.select("lo", "segment", "event_time").rows())


def test_a_resolved_audience_is_the_platforms_own():
    """Its users are MM UUIDs, without a table; all else stays."""
    assert SOURCE.resolved == DISPLAY
    assert SOURCE.label == "(global)/acme/ep/display/unresolved"
    assert not SOURCE.uuids


def test_a_row_goes_to_each_browser_of_its_user_and_to_none_of_others():
    """One id may have two browsers, and two ids one; who is not known is counted, and left out."""
    given = rows((1, 11, 5), (1, 12, 6), (2, 13, 7), (3, 14, 8))
    found = mapped(DISPLAY, given, mappings(("u1", 1, NEVER), ("u1", 2, NEVER), ("u2", 1, NEVER)))
    assert told(found.rows) == [(1, 11, 5), (1, 12, 6), (1, 13, 7), (2, 11, 5), (2, 12, 6)]
    assert found.matched == 3


def test_rows_of_one_user_may_come_in_several_places():
    """As runs do that are read one after the other."""
    given = pl.concat([rows((1, 11, 5), (2, 12, 6)), rows((1, 13, 7), (2, 14, 8))])
    found = mapped(DISPLAY, given, mappings(("u1", 1, NEVER)))
    assert (told(found.rows), found.matched) == ([(1, 11, 5), (1, 13, 7)], 2)


def test_what_happened_up_to_an_opt_out_does_not_pass():
    """Not even at its instant; the user is known all the same."""
    found = mapped(DISPLAY, rows((1, 11, 5), (1, 12, 6), (1, 13, 7)), mappings(("u1", 1, 6)))
    assert (told(found.rows), found.matched) == ([(1, 13, 7)], 3)


def test_nothing_becomes_nothing():
    """Of no rows, and by no mappings."""
    assert told(mapped(DISPLAY, rows(), mappings(("u1", 1, NEVER))).rows) == []
    assert mapped(DISPLAY, rows((1, 11, 5)), mappings()).matched == 0


def newest(*said):
    return pl.DataFrame(said, schema={"user": pl.String(), "event_time": pl.Int64()}, orient="row")


def test_an_opt_out_empties_each_browser_of_its_user():
    """After all of its own instant; later where something newer was said before it was known."""
    ended = mappings(("u1", 1, 100), ("u1", 2, 100), ("u2", 3, 100))
    found = taken_back(DISPLAY, ended, mappings(), newest(("u2", 150)))
    assert told(found) == [(1, 0, 100), (2, 0, 100), (3, 0, 150)]
    assert set(found["source"]) == {LAST}
    assert set(found["timestamp"]) == {-1}


def test_a_browser_that_was_synced_again_keeps_what_came_since():
    """The opt-out takes no more than what is older than itself."""
    ended = mappings(("u1", 1, 100), ("u1", 2, 100))
    found = taken_back(DISPLAY, ended, mappings(("u1", 1, 100)), newest(("u1", 150)))
    assert told(found) == [(1, 0, 100), (2, 0, 150)]


def test_a_browser_of_two_users_is_emptied_once():
    """By the later of their opt-outs."""
    ended = mappings(("u1", 1, 100), ("u2", 1, 120))
    assert told(taken_back(DISPLAY, ended, mappings(), newest())) == [(1, 0, 120)]


def test_a_user_with_too_many_browsers_gets_the_newest():
    """Whoever brings browsers to one id fills neither memory nor files; others are not touched."""
    many = [("u1", 0, browser, browser) for browser in range(1, MOST_BROWSERS + 3)]
    schema_ = {"id": pl.String(), "hi": pl.UInt64(), "lo": pl.UInt64(), "synced_at": pl.Int64()}
    known = pl.DataFrame([("u0", 0, 1, 1), *many, ("u2", 0, 1, 1)], schema=schema_, orient="row")
    found = bounded(known)
    assert found["lo"].to_list() == [1, *range(3, MOST_BROWSERS + 3), 1]
    fewer = known.filter(pl.col("lo") < MOST_BROWSERS)
    assert bounded(fewer).equals(fewer)
