"""Instants, durations and counts as the page says them: UTC, with words that relate them to now."""

from dataclasses import dataclass
from datetime import UTC, datetime

from bridge.clock import DAY, HOUR, MINUTE, SECOND
from bridge.units import iso

_UNITS = ((DAY, "d"), (HOUR, "h"), (MINUTE, "min"), (SECOND, "s"))


@dataclass(frozen=True, kw_only=True, slots=True)
class Moment:
    """An instant for people."""

    iso: str
    """For machines: `2026-11-01T14:05:00Z`."""
    text: str
    """`14:05`, with its date where it is a day or more away; UTC."""
    full: str
    """`2026-11-01 14:05`, for where no word relates it to now."""
    relative: str
    """`in 54 min`, `4 min ago`, `now`."""


def moment(instant: int, now: int) -> Moment:
    """An instant (epoch ms) as it is told at `now`."""
    at = datetime.fromtimestamp(instant // SECOND, UTC)
    full = at.strftime("%Y-%m-%d %H:%M")
    return Moment(
        iso=iso(instant),
        text=full if abs(instant - now) >= DAY else at.strftime("%H:%M"),
        full=full,
        relative=relative(instant, now),
    )


def relative(instant: int, now: int) -> str:
    """`in 1 h 54 min`, `4 min ago`, of the past one unit; less than a second away is `now`."""
    if abs(instant - now) < SECOND:
        return "now"
    return f"in {duration(instant - now)}" if instant > now else f"{duration(now - instant, units=1)} ago"


def duration(length: int, units: int = 2) -> str:
    """Milliseconds as `12 s`, `54 min`, `9 h 54 min`, `3 d 4 h`; seconds only below a minute."""
    left = max(0, length) // SECOND * SECOND
    if left >= MINUTE:
        left -= left % MINUTE
    parts: list[str] = []
    for unit, name in _UNITS:
        count, left = divmod(left, unit)
        if count:
            parts.append(f"{count} {name}")
        elif parts:
            break
    return " ".join(parts[:units]) or "0 s"


def count(number: float) -> str:
    """`1,204`, and where a point is worth it `0.4`."""
    return f"{number:,.0f}" if number >= 10 or number == int(number) else f"{number:.1f}"  # noqa: PLR2004  # two digits are enough
