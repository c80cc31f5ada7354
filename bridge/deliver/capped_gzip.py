"""One gzip member that never passes a limit.

Size is not estimated: what was written plus the most that the compressor can make of the rest stays below the
limit (design.md, invariant 7).
"""

import hashlib
from typing import BinaryIO

from zlib_ng import zlib_ng

_GZIP = 31  # window bits: 15, and 16 for a gzip header, which holds no file name and no time
_TRAILER = 64  # end of the last block, checksum and length, with room to spare


class CappedGzip:
    """A writer of one gzip member of at most `limit` bytes."""

    def __init__(self, file: BinaryIO, *, limit: int, level: int) -> None:
        self._file = file
        self._limit = limit
        self._compressor = zlib_ng.compressobj(level, zlib_ng.DEFLATED, _GZIP)
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
