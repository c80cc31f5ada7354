"""Durations, sizes, instants and counts as people write them (contract.md, head): `15m`, `5GB`, `2 files`."""

import re
from datetime import UTC, datetime

from bridge.clock import DAY, HOUR, MINUTE, SECOND

_DURATIONS = {"ms": 1, "s": SECOND, "m": MINUTE, "h": HOUR, "d": DAY}
_SIZES = {
    "": 1,
    "B": 1,
    "KB": 1000,
    "MB": 1000**2,
    "GB": 1000**3,
    "TB": 1000**4,
    "KIB": 1024,
    "MIB": 1024**2,
    "GIB": 1024**3,
    "TIB": 1024**4,
}
_WRITTEN = re.compile(r"([0-9]{1,18}) ?([A-Za-z]*)", re.ASCII)

LONGEST = 36_500 * DAY
"""A longer duration is a mistake; up to here, an instant plus a duration fits every integer column."""

LARGEST = 2**63 - 1
"""A larger size fits no integer column."""

_ROUND = 1000


def parse_duration(text: str) -> int:
    """Milliseconds of `500ms`, `60s`, `15m`, `1h`, `7d`; ValueError without the text."""
    written = _WRITTEN.fullmatch(text.strip())
    if written is None or written[2] not in _DURATIONS:
        raise ValueError("is no duration; write a whole number and its unit, as in 500ms, 60s, 15m, 1h or 7d")
    duration = int(written[1]) * _DURATIONS[written[2]]
    if duration > LONGEST:
        raise ValueError("is longer than 100 years; write a shorter duration")
    return duration


def parse_size(text: str) -> int:
    """Bytes of `256MB` (decimal), `256MiB` (binary) or `1048576`; ValueError without the text."""
    written = _WRITTEN.fullmatch(text.strip())
    if written is None or written[2].upper() not in _SIZES:
        raise ValueError("is no size; write a whole number and its unit, as in 256MB, 5GB or 256MiB")
    size = int(written[1]) * _SIZES[written[2].upper()]
    if size > LARGEST:
        raise ValueError("is larger than any disk; write a smaller size")
    return size


def format_duration(duration: int) -> str:
    """Milliseconds for people, cut to a unit and the next: `1h 30m`, `7d`; negative ones as `0ms`."""
    rest, parts = max(0, duration), list[str]()
    for unit, length in reversed(_DURATIONS.items()):
        count, rest = divmod(rest, length)
        if parts:
            return " ".join([*parts, f"{count}{unit}"] if count else parts)
        if count:
            parts.append(f"{count}{unit}")
    return " ".join(parts) or "0ms"


def format_size(size: int) -> str:
    """Bytes for people, decimal, to one digit behind the point: `1.5 GB`, `256 MB`, `12 B`."""
    amount, unit = float(size), "B"
    for larger in ("kB", "MB", "GB", "TB"):
        if round(amount, 1) < _ROUND:
            break
        amount, unit = amount / _ROUND, larger
    return f"{amount:.1f}".removesuffix(".0") + f" {unit}"


def iso(instant: int) -> str:
    """An instant (epoch ms), to the second: `2026-11-01T00:00:00Z`."""
    return datetime.fromtimestamp(instant // SECOND, UTC).isoformat().replace("+00:00", "Z")


def iso_or_none(instant: int | None) -> str | None:
    """The same, where there may be none."""
    return None if instant is None else iso(instant)


def plural(number: int, one: str) -> str:
    """So many of a thing: `1 file`, `2,000 files`."""
    return f"{number:,} {one if number == 1 else one + 's'}"
