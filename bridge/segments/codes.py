"""The codes of a taxonomy that can be bought, and which of them a batch of events has."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

ABSENT = -1
"""The position of a code that is not there."""

_NO_CODE = np.iinfo(np.int64).min
"""Stands behind the last number, so that every place that a search gives can be looked at."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Sighting:
    """What a batch of events showed."""

    codes: "Codes"
    """By which it was judged."""
    used: NDArray[np.int64]
    """Ascending positions of the codes that occur."""
    unknown: pl.DataFrame
    """The other segments: `segment` (Int64, String if hashed), each once, and `memberships` (Int64)."""

    @property
    def memberships(self) -> int:
        """How many memberships are of unknown segments."""
        return int(self.unknown["memberships"].sum())


class Codes:
    """Immutable; none at all means that the taxonomy is not known yet."""

    def __init__(self, texts: Iterable[str], *, hashed: bool) -> None:
        """Each text is a code; a whole number, unless `hashed`."""
        self.hashed = hashed
        """Codes are texts."""
        distinct = pl.Series("segment", list(texts), dtype=pl.String)
        self.values = (distinct if hashed else distinct.cast(pl.Int64)).unique().sort()
        """Ascending: Int64, String if hashed."""
        self._numbers = np.append([] if hashed else self.values.to_numpy(), _NO_CODE).astype(np.int64)

    def __len__(self) -> int:
        return len(self.values)

    @property
    def texts(self) -> list[str]:
        """As they are written, in the order of their positions."""
        return self.values.cast(pl.String).to_list()

    def cast(self, texts: pl.Series) -> pl.Series:
        """Codes as they are written, in the type of `values`."""
        return texts if self.hashed else texts.cast(pl.Int64)

    def keeps_most_of(self, before: "Codes") -> bool:
        """Whether two thirds of the codes of `before` (of the same kind) are here, too."""
        kept = int(np.count_nonzero(self.positions(before.values) != ABSENT))
        return 3 * kept >= 2 * len(before)

    def positions(self, segments: pl.Series) -> NDArray[np.int64]:
        """Where each segment (of the type of `values`, without nulls) stands in `values`, else ABSENT."""
        if self.hashed:
            places = self.values.to_frame().with_row_index("position")
            found = segments.to_frame("segment").join(places, on="segment", how="left", maintain_order="left")
            return found["position"].cast(pl.Int64).fill_null(ABSENT).to_numpy()
        wanted = segments.to_numpy()
        at = np.searchsorted(self._numbers[:-1], wanted)
        return np.where(self._numbers[at] == wanted, at, ABSENT)

    def sight(self, segments: pl.Series) -> Sighting:
        """What these segments (without nulls), one a membership, show.

        They are counted before they are looked up: a search for each of many is ten times as slow.
        """
        distinct, counts = _counted(segments)
        positions = self.positions(distinct)
        known = positions != ABSENT
        unknown = pl.DataFrame({"segment": distinct, "memberships": counts}).filter(pl.Series(~known))
        return Sighting(codes=self, used=np.sort(positions[known]), unknown=unknown)


def _counted(segments: pl.Series) -> tuple[pl.Series, pl.Series]:
    """Each segment once, and how often it occurs."""
    if segments.dtype == pl.String:
        counted = segments.alias("segment").value_counts(name="memberships")
        return counted["segment"], counted["memberships"].cast(pl.Int64)
    distinct, counts = np.unique(segments.to_numpy(), return_counts=True)
    return pl.Series("segment", distinct), pl.Series("memberships", counts, dtype=pl.Int64)
