"""Times and counts in words."""

import pytest

from bridge.clock import DAY, HOUR, MINUTE, SECOND
from bridge.service.page.words import count, duration, moment, relative
from bridge.units import plural

NOW = 1_793_534_400_000
"""2026-11-01T12:00:00Z."""


@pytest.mark.parametrize(
    ("length", "words"),
    [
        (0, "0 s"),
        (-5, "0 s"),
        (999, "0 s"),
        (12 * SECOND, "12 s"),
        (MINUTE + 59 * SECOND, "1 min"),
        (2 * HOUR, "2 h"),
        (9 * HOUR + 54 * MINUTE + 7 * SECOND, "9 h 54 min"),
        (3 * DAY + 4 * HOUR + 5 * MINUTE, "3 d 4 h"),
        (3 * DAY + 5 * MINUTE, "3 d"),
    ],
)
def test_a_duration_has_at_most_two_units(length, words):
    """As many as a reader needs, and none that is zero."""
    assert duration(length) == words


def test_the_past_has_one_unit_and_the_future_two():
    """Beside an ago the time itself stands; of what comes, the minutes count."""
    assert relative(NOW - HOUR - 10 * MINUTE, NOW) == "1 h ago"
    assert relative(NOW + HOUR + 10 * MINUTE, NOW) == "in 1 h 10 min"
    assert relative(NOW + 999, NOW) == relative(NOW - 999, NOW) == "now"


def test_a_moment_has_its_date_where_it_may_be_mistaken():
    """Within a day on either side the hour tells which day it is."""
    assert moment(NOW + 12 * HOUR, NOW).text == "00:00"
    assert moment(NOW + DAY, NOW).text == "2026-11-02 12:00"
    assert moment(NOW, NOW).iso == "2026-11-01T12:00:00Z"
    assert moment(NOW, NOW).full == "2026-11-01 12:00"


def test_counts():
    """Digits in groups, a point only where it tells something, and the right number of the noun."""
    assert (count(12_345.6), count(3), count(0.42), count(0)) == ("12,346", "3", "0.4", "0")
    assert (plural(1, "file"), plural(1_204, "file"), plural(0, "file")) == (
        "1 file",
        "1,204 files",
        "0 files",
    )
