"""From the bytes of an audience file to its lines, with bounded memory."""

import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from bridge.errors import BridgeError

PIECE = 1 << 16
"""Text that is unpacked at a time, so that no file swells in memory."""

KEPT = 1 << 16
"""Of a longer line only this many bytes are kept; it is a fault anyway."""

BEHIND = "something stands behind the first gzip member; write one member"

_GZIP = 31  # window bits: 15, and 16 for gzip's frame


class BadGzip(BridgeError):  # noqa: N818  # named after the file's fault
    """The file is not one whole gzip member."""


@dataclass(frozen=True, slots=True)
class Line:
    """A line without its end."""

    number: int
    """From 1."""
    text: bytes
    """At most KEPT bytes of it, without LF."""
    length: int
    """In bytes, with its LF where it has one."""
    ended: bool
    """It has an LF: all but the last one of a file that lacks it."""


def unpack(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """The text of one gzip member, in pieces of at most PIECE bytes.

    Raises:
        BadGzip: It is not gzip, damaged, cut short, or goes on behind its first member; the text up to there
            was given.
    """
    member = zlib.decompressobj(_GZIP)
    begun = False
    for chunk in chunks:
        begun = begun or bool(chunk)
        if member.eof and chunk:
            raise BadGzip(BEHIND)
        yield from _pieces(member, chunk)
        if member.unused_data:
            raise BadGzip(BEHIND)
    if not begun:
        raise BadGzip("the file is empty; it must be compressed with gzip")
    if not member.eof:
        raise BadGzip("the gzip file is cut short; transfer it again")


def split(pieces: Iterable[bytes]) -> Iterator[Line]:
    """Lines at LF; a line of any length takes at most KEPT and a piece of memory."""
    number = 1
    kept = b""
    length = 0
    for piece in pieces:
        *complete, rest = piece.split(b"\n")
        for part in complete:
            yield Line(number, (kept + part)[:KEPT], length + len(part) + 1, ended=True)
            number, kept, length = number + 1, b"", 0
        kept = (kept + rest)[:KEPT]
        length += len(rest)
    if length:
        yield Line(number, kept, length, ended=False)


def _pieces(member: "zlib._Decompress", chunk: bytes) -> Iterator[bytes]:
    left = chunk
    while left and not member.eof:
        try:
            piece = member.decompress(left, PIECE)
        except zlib.error as error:
            raise BadGzip(f"not gzip, or damaged ({error}); compress it with gzip") from error
        left = member.unconsumed_tail
        if piece:
            yield piece
