"""Which codes of a taxonomy no event used, and since when that is watched. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from bridge.segments.codes import ABSENT
from bridge.segments.seen import NEVER, Seen


@dataclass(frozen=True, kw_only=True, slots=True)
class UnusedCode:
    """A code that no event used."""

    code: str
    """As the taxonomy writes it."""
    last_day: int | None
    """When an event last used it; None: never since it is watched."""
    known_since: int
    """Since which day it is watched."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Unused:
    """Those of one taxonomy."""

    since: int
    """The day on which watching began."""
    until: int
    """The last day on which somebody watched."""
    days: int
    """For so many days up to then no event used them: as many as asked for, or as were watched."""
    segments: int
    """How many codes the taxonomy has for sale."""
    codes: tuple[UnusedCode, ...]
    """Those that never were used first, then those that were not for the longest."""

    @property
    def watched(self) -> int:
        """Days, the first and the last among them."""
        return self.until - self.since + 1


def unused(streams: Sequence[Seen], days: int) -> Unused:
    """Codes that no event of any of these streams (at least one, all of one taxonomy) used for so many days.

    A code that is watched for less than that is not told, as nobody knows.
    """
    newest = max(streams, key=lambda seen: (seen.until, len(seen.codes)))
    since, until = max(seen.since for seen in streams), newest.until
    days = max(1, min(days, until - since + 1))
    last_days, known_since = newest.last_days.copy(), newest.known_since.copy()
    for seen in streams:
        at = seen.codes.positions(newest.codes.values)
        there = at != ABSENT
        last_days[there] = np.maximum(last_days[there], seen.last_days[at[there]])
        known_since[there] = np.maximum(known_since[there], seen.known_since[at[there]])
    found = np.flatnonzero((last_days <= until - days) & (known_since <= until - days + 1))
    texts = newest.codes.texts
    codes = [
        UnusedCode(
            code=texts[at],
            last_day=None if last_days[at] == NEVER else int(last_days[at]),
            known_since=int(known_since[at]),
        )
        for at in found.tolist()
    ]
    codes.sort(key=lambda one: one.last_day or NEVER)
    return Unused(since=since, until=until, days=days, segments=len(newest.codes), codes=tuple(codes))
