"""What an account tells of its quota, its server's clock and its last file."""

from dataclasses import replace

import pytest

from bridge.clock import DAY, HOUR, MINUTE
from bridge.deliver.deliverer import Deliverer
from bridge.deliver.observer import SilentObserver
from bridge.deliver.records import Outcome
from tests.parts.audiences import DISPLAY
from tests.parts.delivering import START, Site, Write


class Notes(SilentObserver):
    """The last of each."""

    def __init__(self):
        self.told = {}

    def served(self, account, instant):
        self.told["served", account] = instant

    def resets(self, account, files, size):
        self.told["resets", account] = files, size

    def replayed(self, account, size):
        self.told["replayed", account] = size

    def skew(self, account, skew):
        self.told["skew", account] = skew


@pytest.fixture
def watched(tmp_path):
    """A site, and what its account tells."""
    site, notes = Site(tmp_path, max_age=MINUTE), Notes()
    site.deliverer = Deliverer(replace(site.deliverer._parts, observer=notes))
    return site, notes.told


def test_when_the_windows_end(watched):
    """The hour's end and the day's, as they are at each look."""
    site, told = watched
    site.deliverer.step()
    assert told["resets", "a"] == (START // HOUR * HOUR + HOUR, START // DAY * DAY + DAY)
    site.clock.move(HOUR)
    site.deliverer.step()
    assert told["resets", "a"] == (START // HOUR * HOUR + 2 * HOUR, START // DAY * DAY + DAY)


def test_when_a_file_last_arrived(watched):
    """Nothing before the first one; then its moment, from the ledger, so that a restart tells it too."""
    site, told = watched
    site.deliverer.step()
    assert ("served", "a") not in told
    site.give(Write(1, 1))
    site.arrives()
    site.give(Write(2, 1, audience=replace(DISPLAY, mobile=True)))
    site.arrives()
    site.step()
    arrived = told["served", "a"]
    first, second = sorted(file.uploaded_at for file in site.ledger.files())
    assert START + MINUTE <= first < second == arrived
    notes = Notes()
    site.deliverer = Deliverer(replace(site.deliverer._parts, observer=notes))
    site.clock.move(HOUR)
    site.deliverer.step()
    assert notes.told["served", "a"] == arrived


def test_what_of_the_day_went_to_replays(watched):
    """The bytes of their attempts, and not those of live data."""
    site, told = watched
    site.give(Write(1, 1))
    site.arrives()
    site.deliverer.step()
    assert told["replayed", "a"] == 0
    site.give(Write(2, 1))
    site.clock.move(MINUTE)
    site.until(lambda: len(site.remote.arrived) == 2)
    with site.ledger._database.transaction() as connection:  # as if the second had been a replay's
        connection.execute(
            "UPDATE attempts SET replay = 1, outcome = ? WHERE attempt = 2", (Outcome.UPLOADED,)
        )
    site.deliverer.step()
    assert told["replayed", "a"] == len(site.remote.arrived[1].read_bytes())


def test_how_far_the_servers_clock_is_off(watched):
    """Server less ours, ms, as it was last measured; 0 before."""
    site, told = watched
    site.deliverer.step()
    assert told["skew", "a"] == 0
    site.ledger.set_skew("a", -45_000)
    site.deliverer.step()
    assert told["skew", "a"] == -45_000
