"""Instants and durations as commands show them to people."""

from datetime import UTC, datetime

from bridge.clock import MINUTE, SECOND
from bridge.units import format_duration


def time(instant: int) -> str:
    """`2026-11-01 12:00:00Z`, of epoch ms."""
    return datetime.fromtimestamp(instant // SECOND, UTC).strftime("%Y-%m-%d %H:%M:%SZ")


def time_or_none(instant: int | None) -> str:
    """The same, where there may be none."""
    return "none" if instant is None else time(instant)


def time_to(instant: int, now: int) -> str:
    """Whole seconds below a minute, else without them."""
    left = seconds(instant - now)
    return format_duration(left if left < MINUTE else left - left % MINUTE)


def seconds(duration: int) -> int:
    """The duration without its milliseconds; 0 reads `0ms`, and a second is not worth more words."""
    return max(SECOND, duration - duration % SECOND)
