"""The drawing of the day's bytes."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from bridge.clock import DAY, HOUR
from bridge.service.page.chart import HEIGHT, WIDTH, chart
from bridge.service.telling.forecast import Outlook, Point

START = 1_793_491_200_000
"""2026-11-01T00:00:00Z."""


def outlook(sizes, now, expected, limit=1_000_000, exhausted_at=None):
    """A day in which these bytes were used, each at its time; as the forecast tells it."""
    total, sent = 0, [Point(at=START, bytes=0)]
    for at, size in sorted(sizes):
        total += size
        sent.append(Point(at=min(START + at, now), bytes=total))
    sent.append(Point(at=now, bytes=total))
    ahead = (sent[-1], Point(at=START + DAY, bytes=total + expected))
    return Outlook(
        account="a",
        sent=tuple(sent),
        ahead=ahead,
        limit=limit,
        general=limit,
        resets_at=START + DAY,
        rate=0,
        basis=HOUR,
        expected=total + expected,
        exhausted_at=exhausted_at,
    )


def points(text):
    return [tuple(float(one) for one in pair.split(",")) for pair in text.split()]


@given(
    st.lists(st.tuples(st.integers(0, DAY - 1), st.integers(0, 2_000_000))),
    st.integers(0, DAY - 1),
    st.integers(0, 10**9),
)
def test_nothing_is_drawn_outside(sizes, now, expected):
    """Whatever was used and is expected, the lines stay within the drawing, and only go right and up."""
    drawn = chart(outlook(sizes, START + now, expected))
    line, ahead = points(drawn.used), points(drawn.ahead)
    for x, y in (*line, *ahead, *points(drawn.area)):
        assert 0 <= x <= WIDTH
        assert 0 <= y <= HEIGHT
    for (x, y), (right, up) in pairwise(line):
        assert x <= right
        assert y >= up
    assert line[-1] == ahead[0]
    assert 0 <= drawn.level <= 1
    assert 0 < drawn.half < drawn.limit <= 1


@given(st.lists(st.tuples(st.integers(0, DAY - 1), st.integers(1, 2_000_000))))
def test_the_hours_add_up(sizes):
    """The table beside the drawing tells the same bytes, each in its hour."""
    drawn = chart(outlook(sizes, START + DAY - 1, 0))
    assert sum(hour.bytes for hour in drawn.hours) == sum(size for _, size in sizes)
    assert {hour.start for hour in drawn.hours} == {f"{at // HOUR:02}:00" for at, _ in sizes}
    totals = [hour.total for hour in drawn.hours]
    assert totals == sorted(totals)


def test_half_a_day_is_half_the_width():
    """Noon is in the middle; the limit is drawn where its share of the height is."""
    drawn = chart(outlook([(HOUR, 500_000)], START + DAY // 2, 250_000, exhausted_at=START + 3 * DAY // 4))
    assert drawn.now == 0.5
    assert drawn.exhausted == 0.75
    assert drawn.level == drawn.half
    assert points(drawn.ahead)[-1][0] == WIDTH
