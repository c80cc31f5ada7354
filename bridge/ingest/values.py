"""The values of messages on their way through a decoder."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Self

import numpy as np
from numpy.typing import NDArray

from bridge.ingest.events import Positions

Offsets = NDArray[np.int64]
"""Places in bytes."""

_NONCE_BYTES = 8


@dataclass(frozen=True)
class Joined:
    """Values behind each other in one text, each followed by the same nonce."""

    nonce: bytes
    """Random bytes that are a finite double, drawn for these values."""
    body: bytes
    """The values and nonces."""
    starts: Offsets
    """Where each value begins."""
    ends: Offsets
    """Where each value ends, and its nonce begins."""


@dataclass(frozen=True)
class Values:
    """Some of the values that a decoder was given; their sizes are asked for once, at a call for each."""

    raw: Sequence[bytes]
    """The values."""
    index: Positions
    """Where each stands in the list that the decoder was given."""
    sizes: Offsets
    """Bytes of each."""

    @classmethod
    def of(cls, raw: Sequence[bytes]) -> Self:
        """All values of a list."""
        sizes = np.fromiter(map(len, raw), np.int64, len(raw))
        return cls(raw, np.arange(len(raw), dtype=np.uint32), sizes)

    def __len__(self) -> int:
        return len(self.raw)

    @cached_property
    def joined(self) -> Joined:
        """The values in one text, copied once for all who look at it."""
        nonce = os.urandom(_NONCE_BYTES - 1) + b"\x3f"
        ends = np.cumsum(self.sizes + _NONCE_BYTES) - _NONCE_BYTES
        body = nonce.join(self.raw) + nonce
        return Joined(nonce=nonce, body=body, starts=ends - self.sizes, ends=ends)

    def begin_alike(self, size: int) -> bool:
        """Whether all values begin with the same `size` bytes; looked up at once, not a slice for each."""
        if self.sizes.min() < size:
            return False
        body = np.frombuffer(self.joined.body, np.uint8)
        return all((body[self.joined.starts + at] == body[at]).all() for at in range(size))

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
