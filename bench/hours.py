"""Seeded hours of memberships, and the ideal of what is to be sent of them.

The ideal is computed with nothing of the bridge: the last write of each user's each segment, less what a
newer delivered one has overtaken, sorted, a line a user, by zlib's level 9.
"""

import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count, groupby
from operator import itemgetter
from typing import Protocol

import numpy as np

from bench.produce import counts, removed
from bridge.audience.header import Header
from bridge.clock import DAY, HOUR

SIZES = {"events": (500_000, "events an hour"), "users": (1_000_000, "users that they are of")}
START = 1_790_000_000_000 // DAY * DAY
SEGMENTS = 25  # that a user comes into and leaves
GZIP = 16  # window bits: added to the size, gzip's frame
PIECE = 1 << 20  # bytes of text that a compressor is given at once
HEADER = Header(
    file_identifier="Agency_Partner_202609210105.log.gz",
    date_created=START // 1000,
    user_namespace="mm",
    segment_namespace="ep",
    mobile=False,
    hash_segments=False,
)


class Compressor(Protocol):
    """What zlib and its like give."""

    def compress(self, data: bytes, /) -> bytes: ...

    def flush(self) -> bytes: ...


@dataclass(frozen=True, kw_only=True)
class Hour:
    """An hour's memberships: columns of one length, in the order in which they were read."""

    user: np.ndarray
    """Places in the sorted list of users."""
    segment: np.ndarray
    timestamp: np.ndarray
    event_time: np.ndarray
    """Epoch ms."""
    offset: np.ndarray
    """One a membership."""

    def take(self, places: np.ndarray | slice) -> "Hour":
        return Hour(**{name: column[places] for name, column in vars(self).items()})


def sorted_users(number: int, rng: np.random.Generator) -> np.ndarray:
    """That many UUIDs as halves."""
    halves = rng.integers(0, 1 << 64, (number, 2), dtype=np.uint64)
    return halves[np.lexsort((halves[:, 1], halves[:, 0]))]


def hours(events: int, users: int, seed: int) -> tuple[np.ndarray, Iterator[Hour]]:
    """The users, and hours of so many of their events, one after the other without end."""
    rng = np.random.default_rng(seed)
    return sorted_users(users, rng), (hour(number, events, users, rng) for number in count())


def hour(number: int, events: int, users: int, rng: np.random.Generator) -> Hour:
    """Events of 1.6 memberships in the mean, half of them of a tenth of the users.

    As a user has few segments of its own, much is said again, or taken back. 1 % of the memberships are up
    to three hours late.
    """
    drawn = rng.integers(0, users, events)
    drawn = np.where(rng.random(events) < 0.5, drawn // 10 * 10, drawn)
    user = np.repeat(drawn, counts(events, rng))
    rows = len(user)
    own = rng.integers(0, SEGMENTS, rows)
    late = np.where(rng.random(rows) < 0.01, rng.integers(1, 3 * HOUR, rows), 0)
    return Hour(
        user=user,
        segment=10_000 + (user * 7919 + own * 104_729) % 10_000,
        timestamp=np.where(removed(rows, rng), -1, 0),
        event_time=START + number * HOUR + np.arange(rows) * HOUR // rows - late,
        offset=number * 100_000_000 + np.arange(rows),
    )


class Ideal:
    """Last write wins, in numpy and plain Python."""

    def __init__(self, users: np.ndarray) -> None:
        texts = (f"{high:016x}{low:016x}" for high, low in users.tolist())
        self._ids = ["-".join((t[:8], t[8:12], t[12:16], t[16:20], t[20:])) for t in texts]
        self._sent: list[tuple[np.ndarray, np.ndarray]] = []

    def winners(self, events: Hour) -> Hour:
        """What is to be sent of the hour, sorted; it counts as sent from now on."""
        key = events.user << 32 | events.segment
        rank = events.event_time - START + DAY << 32 | events.offset
        order = np.lexsort((rank, key))
        last = order[np.append(key[order][1:] != key[order][:-1], True)]
        overtaken = np.zeros(len(last), bool)
        for keys, ranks in self._sent:
            at = np.minimum(np.searchsorted(keys, key[last]), len(keys) - 1)
            overtaken |= (keys[at] == key[last]) & (ranks[at] > rank[last])
        kept = last[~overtaken]
        self._sent.append((key[kept], rank[kept]))
        return events.take(kept)

    def text(self, events: Hour) -> bytes:
        """The header, and a line for each run of one user."""
        columns = (column.tolist() for column in (events.user, events.segment, events.timestamp))
        lines = (
            f"{self._ids[user]} {' '.join(f'{segment}:{at}' for _, segment, at in group)}\n"
            for user, group in groupby(zip(*columns, strict=True), itemgetter(0))
        )
        return HEADER.render() + "".join(lines).encode()


def compressed(text: bytes, member: Compressor) -> int:
    """Bytes of one gzip member of the text."""
    pieces = (member.compress(text[at : at + PIECE]) for at in range(0, len(text), PIECE))
    return sum(map(len, pieces)) + len(member.flush())


def level_nine(text: bytes) -> int:
    """Bytes of it by zlib's level 9."""
    return compressed(text, zlib.compressobj(9, zlib.DEFLATED, GZIP + 15))
