"""The values of messages on their way through a decoder."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from bridge.ingest.events import Positions


@dataclass(frozen=True, slots=True)
class Values:
    """Some of the values that a decoder was given; their sizes are asked for once, at a call for each."""

    raw: Sequence[bytes]
    """The values."""
    index: Positions
    """Where each stands in the list that the decoder was given."""
    sizes: NDArray[np.int64]
    """Bytes of each."""

    @classmethod
    def of(cls, raw: Sequence[bytes]) -> Self:
        """All values of a list."""
        sizes = np.fromiter(map(len, raw), np.int64, len(raw))
        return cls(raw, np.arange(len(raw), dtype=np.uint32), sizes)

    def __len__(self) -> int:
        return len(self.raw)

    def pieces(self, size: int) -> "list[Values]":
        """These values in order, so many in each piece."""
        starts = range(0, len(self), size)
        return [self._part(slice(start, start + size)) for start in starts]

    def pick(self, members: NDArray[np.integer]) -> Self:
        """The values at these places among these."""
        raw = [self.raw[at] for at in members.tolist()]
        return type(self)(raw, self.index[members], self.sizes[members])

    def _part(self, part: slice) -> Self:
        return type(self)(self.raw[part], self.index[part], self.sizes[part])
