"""One gzip member that never passes a limit.

Size is not estimated: what was written plus the most that the compressor can make of the rest stays below the
limit (design.md, invariant 7).
"""

import hashlib
from typing import Protocol

from zlib_ng import zlib_ng

STRONGEST = 7
"""From this level on bytes count, and time does not."""

_MOST_MEMORY = 9
_GZIP = 31  # window bits: 15, and 16 for a gzip header, which holds no file name and no time
_TRAILER = 64  # end of the last block, checksum and length, with room to spare


class Target(Protocol):
    """Where the compressed bytes go."""

    def write(self, data: bytes, /) -> object:
        """All of `data` is taken."""
        ...


class CappedGzip:
    """A writer of one gzip member of at most `limit` bytes."""

    def __init__(self, file: Target, *, limit: int, level: int) -> None:
        self._file = file
        self._limit = limit
        self._compressor = _compressor(level)
        self._digest = hashlib.sha256()
        self._unflushed = 0
        self.bytes = 0
        """Compressed bytes written so far."""
        self._flushed = 0

    @property
    def sha256(self) -> str:
        """Of the bytes written; final after `close`."""
        return self._digest.hexdigest()

    def room(self, wanted: int) -> int:
        """How many bytes of text surely fit; asked for more than that, it flushes to know better."""
        if self._surely_free() < wanted and self._unflushed:
            self._put(self._compressor.flush(zlib_ng.Z_SYNC_FLUSH))
            self._flushed, self._unflushed = self.bytes, 0
        return self._surely_free()

    def write(self, text: bytes) -> None:
        """Compress `text`; the caller has seen that it fits."""
        self._unflushed += len(text)
        self._put(self._compressor.compress(text))

    def close(self) -> None:
        """End the member; the file itself stays open."""
        self._put(self._compressor.flush(zlib_ng.Z_FINISH))

    def _surely_free(self) -> int:
        """The most text whose worst compression fits: stored data grow by far less than an eighth."""
        return (self._limit - self._flushed - _TRAILER) * 8 // 9 - self._unflushed

    def _put(self, data: bytes) -> None:
        self._digest.update(data)
        self._file.write(data)
        self.bytes += len(data)


def _compressor(level: int) -> "zlib_ng._Compress":
    """zlib-ng's levels, but those that are none for our lines (bench/levels.py; docs/decisions/0016).

    Level 1 makes files half as large again as level 2. Its 9 is larger than its 6, unless it is told that the
    text is mostly random: then it is the smallest there is for any shape of audience, by 4 to 9 %.
    """
    if level >= STRONGEST:
        return zlib_ng.compressobj(9, zlib_ng.DEFLATED, _GZIP, _MOST_MEMORY, zlib_ng.Z_FILTERED)
    return zlib_ng.compressobj(max(2, level), zlib_ng.DEFLATED, _GZIP)
