"""A replay is translated once: what is sent of it, what is parked, and what is left out of both."""

import pytest

from bridge.translation.progress import Progress
from bridge.translation.replayed import translate
from bridge.translation.shelf import unresolved
from tests.parts.audiences import DISPLAY, frame
from tests.parts.identity import Told, opened, window
from tests.parts.spools import new_spool
from tests.translation.test_converges import SOURCE

NOW = 10_000


class Site:
    """A spool with a replay, and the identity table."""

    def __init__(self, directory, told, until=None):
        self.spool = new_spool(directory / "spool")
        self.until = until
        self.replay = self.spool.replays.create(
            name="r", now=NOW, until=until, past_horizon=False, parameters={}
        )
        with opened(directory / "table") as table:
            table.append(window(told), {0: 1}, 1)
            self.snapshot = table.snapshot()

    def read(self, *rows):
        """Rows (user, segment, timestamp, event time) become a run of the replay."""
        placed = [(*row, 1 << 63, 0, offset) for offset, row in enumerate(rows)]
        shards = {SOURCE: frame(SOURCE, placed)}
        self.replay.store.seal(shards=shards, oldest_read_at={SOURCE: NOW}, positions=(), now=NOW)

    def translate(self, *, parking=True, watch=lambda: None):
        return translate(
            self.replay.store,
            self.snapshot,
            parking=self.spool if parking else None,
            until=self.until,
            now=lambda: NOW,
            watch=watch,
        )

    def sent(self):
        """Browser, segment and event time of what is in the replay, resolved."""
        return _rows(DISPLAY, self.replay.runs(), "lo")

    def parked(self):
        return _rows(SOURCE, self.spool.runs(), "user")


def _rows(audience, runs, user):
    frames = (run.read(audience) for run in runs if audience in run.audiences)
    return sorted(row for one in frames for row in one.select(user, "segment", "event_time").rows())


def test_known_users_are_sent_and_unknown_ones_parked(tmp_path):
    """Each browser of a user gets the row; the run of what is parked says nothing of any topic."""
    site = Site(tmp_path, [Told("u1", 7, 1), Told("u1", 8, 1)])
    site.read((1, 5, 0, 10), (2, 6, 0, 11))
    tally = site.translate()
    assert (tally.matched, tally.unmatched) == (1, 1)
    assert site.sent() == [(7, 5, 10), (8, 5, 10)]
    assert site.parked() == [("u2", 6, 11)]
    assert [run.footer.positions for run in site.spool.runs()] == [()]
    assert unresolved(site.replay.runs()) == []
    assert site.spool.runs()[0].audiences[SOURCE].oldest_read_at == NOW


def test_what_only_decides_is_not_parked_and_decides_about_it(tmp_path):
    """A removal after the end of an unknown user's add: neither is parked, as neither would be sent.

    Of a known user both stay in the replay: there the removal decides.
    """
    site = Site(tmp_path, [Told("u1", 7, 1)], until=20)
    site.read((1, 5, 0, 10), (2, 5, 0, 10), (2, 6, 0, 10))
    site.read((1, 6, -1, 30), (2, 5, -1, 30))
    tally = site.translate()
    assert (tally.matched, tally.unmatched) == (1, 1)
    assert site.parked() == [("u2", 6, 10)]
    assert site.sent() == [(7, 5, 10), (7, 6, 30)]


def test_what_happened_up_to_an_opt_out_is_gone(tmp_path):
    """It is not sent, though the browser came again since; what was later is."""
    site = Site(tmp_path, [Told("u1", 7, 1), Told("u1", 0, 15), Told("u1", 7, 16)])
    site.read((1, 5, 0, 10), (1, 6, 0, 15), (1, 7, 0, 17))
    site.translate()
    assert site.sent() == [(7, 7, 17)]
    assert site.parked() == []


def test_a_dry_run_parks_nothing_and_counts_the_same(tmp_path):
    """Nothing of it is among the live runs."""
    site = Site(tmp_path, [Told("u1", 7, 1)])
    site.read((1, 5, 0, 10), (2, 6, 0, 11))
    tally = site.translate(parking=False)
    assert (tally.matched, tally.unmatched) == (1, 1)
    assert site.sent() == [(7, 5, 10)]
    assert site.spool.runs() == ()


@pytest.mark.parametrize("dies_at", range(8))
def test_killed_while_runs_are_rewritten_nothing_is_parked_that_was_overtaken(tmp_path, dies_at):
    """A removal after the end may have left the replay's runs before the add that it decides about."""
    site = Site(tmp_path, [Told("u1", 7, 1)], until=20)
    site.read((1, 5, 0, 10), (2, 5, -1, 30))
    site.read((2, 5, 0, 10))
    left = dies_at

    def watch():
        nonlocal left
        left -= 1
        if left < 0:
            raise InterruptedError

    try:
        site.translate(watch=watch)
    except InterruptedError:
        site.translate()
    assert site.parked() == []
    assert site.sent() == [(7, 5, 10)]
    assert Progress.of(site.replay.runs()).run == 2
    assert unresolved(site.replay.runs()) == []


def test_what_is_taken_after_it_was_translated_is_translated_too(tmp_path):
    """A redrive that was stopped goes on with more letters."""
    site = Site(tmp_path, [Told("u1", 7, 1)])
    site.read((1, 5, 0, 10))
    site.translate()
    site.read((1, 6, 0, 11), (2, 6, 0, 11))
    tally = site.translate()
    assert (tally.matched, tally.unmatched) == (1, 1)
    assert site.sent() == [(7, 5, 10), (7, 6, 11)]
    assert site.parked() == [("u2", 6, 11)]
