"""The day's bytes as a drawing: what was used, and how the rest of the day is expected to go.

Pure: an outlook in, points of a drawing `WIDTH` wide and `HEIGHT` high out, which the page stretches to
whatever room it has. Words beside it are laid out by the page, in shares of width and height: letters must
not be stretched.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise

from bridge.clock import DAY, HOUR
from bridge.service.telling.forecast import Outlook, Point

WIDTH, HEIGHT = 960, 240
"""Of the drawing, in its own units."""

HEADROOM = 1.08
"""The drawing reaches so much above its largest number."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Hour:
    """One UTC hour of the day, told in words for who does not see the drawing."""

    start: str
    """`14:00`."""
    bytes: int
    """Used in it."""
    total: int
    """Used in the day up to its end, or to now."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Chart:
    """What is drawn."""

    used: str
    """Points of the line of what was used, to now."""
    area: str
    """The same, closed along the bottom."""
    ahead: str
    """Points of the dashed line of what is expected, from now on."""
    now: float
    """How far right now is, a share of the width."""
    level: float
    """How high the end of the line of what was used is, a share of the height."""
    limit: float
    """How high the limit is, a share of the height."""
    half: float
    """How high half the limit is."""
    exhausted: float | None
    """How far right the day's bytes are used up; None: they are not."""
    hours: tuple[Hour, ...]
    """Those in which something was used."""


def chart(outlook: Outlook) -> Chart:
    """The drawing of an account's day."""
    start = outlook.resets_at - DAY
    top = HEADROOM * max(outlook.limit, *(point.bytes for point in (*outlook.sent, *outlook.ahead)))
    now = outlook.sent[-1]
    used = _points(_corners(outlook.sent), start, top)
    return Chart(
        used=used,
        area=f"0,{HEIGHT} {used} {WIDTH * _share(now.at, start):.1f},{HEIGHT}",
        ahead=_points(outlook.ahead, start, top),
        now=_share(now.at, start),
        level=now.bytes / top,
        limit=outlook.limit / top,
        half=outlook.limit / 2 / top,
        exhausted=None if outlook.exhausted_at is None else _share(outlook.exhausted_at, start),
        hours=tuple(_hours(outlook.sent, start)),
    )


def _corners(sent: Sequence[Point]) -> Iterator[Point]:
    """The line is level until something is used, then it rises at once."""
    yield sent[0]
    for before, after in pairwise(sent):
        yield Point(at=after.at, bytes=before.bytes)
        yield after


def _hours(sent: Sequence[Point], start: int) -> Iterator[Hour]:
    sizes = [0] * (DAY // HOUR)
    for before, after in pairwise(sent):
        sizes[min((after.at - start) // HOUR, len(sizes) - 1)] += after.bytes - before.bytes
    for number, (size, total) in enumerate(zip(sizes, accumulate(sizes), strict=True)):
        if size:
            yield Hour(start=f"{number:02}:00", bytes=size, total=total)


def _points(points: Sequence[Point] | Iterator[Point], start: int, top: float) -> str:
    places = ((WIDTH * _share(at.at, start), HEIGHT * (1 - at.bytes / top)) for at in points)
    return " ".join(f"{x:.1f},{y:.1f}" for x, y in places)


def _share(at: int, start: int) -> float:
    return (at - start) / DAY
