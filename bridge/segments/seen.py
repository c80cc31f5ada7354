"""What is known of a stream's segments, as a value that each batch makes anew."""

from dataclasses import dataclass, replace
from typing import Self

import numpy as np
import polars as pl
from numpy.typing import NDArray

from bridge.clock import DAY
from bridge.segments import unknown
from bridge.segments.codes import ABSENT, Codes, Sighting

NEVER = 0
"""The day of what never was."""

REMEMBERED = 30
"""Days after which an unknown segment that came no more is forgotten."""


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Seen:
    """Of one stream."""

    since: int
    """The day on which watching began."""
    until: int
    """The last day on which somebody watched."""
    taxonomy: str
    """The one that the stream names: its file or id."""
    codes: Codes
    """Of that taxonomy."""
    known_since: NDArray[np.int32]
    """Since which day each code is watched."""
    last_days: NDArray[np.int32]
    """The day on which an event last used each code, or NEVER."""
    unknown: pl.DataFrame
    """Segments that the taxonomy does not hold for sale: of `unknown.SCHEMA`, the most frequent first."""

    @classmethod
    def nothing(cls, day: int, *, hashed: bool, taxonomy: str = "") -> Self:
        """Before the taxonomy was read."""
        none = np.empty(0, dtype=np.int32)
        return cls(
            since=day,
            until=day,
            taxonomy=taxonomy,
            codes=Codes((), hashed=hashed),
            known_since=none,
            last_days=none,
            unknown=unknown.none(),
        )

    def after(self, sighting: Sighting, day: int) -> "Seen":
        """With what a batch showed on a day; this one itself where that is nothing new."""
        used = sighting.used
        if sighting.codes is not self.codes:  # the taxonomy has changed while the batch was judged
            used = self.codes.positions(sighting.codes.values.gather(used))
            used = used[used != ABSENT]
        seen = self
        if (self.last_days[used] < day).any():
            last_days = self.last_days.copy()
            last_days[used] = np.maximum(last_days[used], day)
            seen = replace(seen, last_days=last_days)
        if len(sighting.unknown):
            days = pl.lit(day, dtype=pl.Int32)
            more = sighting.unknown.select(
                pl.col("segment").cast(pl.String).alias("code"),
                "memberships",
                days.alias("first_day"),
                days.alias("last_day"),
            )
            seen = replace(seen, unknown=unknown.counted(self.unknown, more))
        return seen

    def knowing(self, codes: Codes, day: int) -> "Seen":
        """Once the taxonomy (whose codes are of the same kind) was read on a day.

        What is in it is not unknown any more, and what has left it is forgotten.
        """
        kept = self.codes.positions(codes.values)
        was = kept != ABSENT
        known_since, last_days = np.full((2, len(codes)), NEVER, dtype=np.int32)
        known_since[:] = day
        known_since[was] = self.known_since[kept[was]]
        last_days[was] = self.last_days[kept[was]]
        still = codes.positions(codes.cast(self.unknown["code"])) == ABSENT
        return replace(
            self,
            codes=codes,
            known_since=known_since,
            last_days=last_days,
            unknown=self.unknown.filter(pl.Series(still)),
        )

    def of(self, taxonomy: str, *, hashed: bool) -> bool:
        """Whether it is what a stream needs that names this taxonomy, and whose codes are of this kind."""
        return (self.taxonomy, self.codes.hashed) == (taxonomy, hashed)

    def on(self, day: int) -> "Seen":
        """As it is kept on a day: unknown segments that came no more are forgotten."""
        recent = self.unknown.filter(pl.col("last_day") > day - REMEMBERED)
        if day == self.until and len(recent) == len(self.unknown):
            return self
        return replace(self, until=day, unknown=recent)


def day_of(instant: int) -> int:
    """The day of an instant (epoch ms)."""
    return instant // DAY
