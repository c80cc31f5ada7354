"""TC strings, version 2, of IAB Europe's Transparency and Consent Framework: what `gdpr_consent` holds.

Only the core segment is read, and of it what decides: purposes, one vendor, and what the publisher forbids
that vendor. Whatever is not whole is unreadable. Each step takes bits: the text's length bounds the work.
"""

import re
from base64 import urlsafe_b64decode
from dataclasses import dataclass

VERSION = 2

_CORE = re.compile(r"[A-Za-z0-9_-]+")
_BEFORE_PURPOSES = 36 + 36 + 12 + 12 + 6 + 12 + 12 + 6 + 1 + 1 + 12
"""Bits between version and purposes: times, CMP, screen, language, versions, flags, special features."""
_PURPOSES = 24
_BEFORE_VENDORS = 24 + 1 + 12
"""Bits between the purposes' consent and the vendors': legitimate interests, purpose one, country."""
_FORBIDDING = frozenset({0, 2})
"""Restrictions: not at all, and by legitimate interest alone."""


class Unreadable(Exception):  # noqa: N818  # it is an answer
    """It is no TC string of version 2."""


@dataclass(frozen=True, kw_only=True, slots=True)
class TcString:
    """What a user allows."""

    purposes: frozenset[int]
    """Numbers of the purposes that the user consents to."""
    vendor: bool
    """Whether the user consents to the vendor that was asked for."""
    forbidden: frozenset[int]
    """Purposes for which the publisher lets that vendor have no consent."""


def read(text: str, vendor: int) -> TcString:
    """What a text says of a vendor (its id in the Global Vendor List; 0: of none).

    Raises:
        Unreadable: It is no such string.
    """
    bits = _Bits(text.partition(".")[0])
    if bits.take(6) != VERSION:
        raise Unreadable
    bits.skip(_BEFORE_PURPOSES)
    allowed = bits.take(_PURPOSES)
    bits.skip(_BEFORE_VENDORS)
    consented = _lists(bits, vendor)
    _lists(bits, vendor)  # legitimate interests
    return TcString(
        purposes=frozenset(
            number for number in range(1, _PURPOSES + 1) if allowed >> (_PURPOSES - number) & 1
        ),
        vendor=consented,
        forbidden=_forbidden(bits, vendor),
    )


class _Bits:
    """The bits of a segment, taken from its beginning."""

    def __init__(self, segment: str) -> None:
        if _CORE.fullmatch(segment) is None or len(segment) % 4 == 1:
            raise Unreadable
        content = urlsafe_b64decode(segment + "=" * (-len(segment) % 4))
        self._bits = f"{int.from_bytes(content):0{8 * len(content)}b}"
        self._at = 0

    def skip(self, count: int) -> None:
        """Leave so many out."""
        self._at += count
        if self._at > len(self._bits):
            raise Unreadable

    def take(self, count: int) -> int:
        """The number that the next ones are."""
        begin = self._at
        self.skip(count)
        return int(self._bits[begin : self._at], 2)


def _lists(bits: _Bits, vendor: int) -> bool:
    """Whether a list of vendors has this one; it is taken as a whole."""
    largest = bits.take(16)
    if bits.take(1):
        return _in_ranges(bits, vendor)
    if not 0 < vendor <= largest:
        bits.skip(largest)
        return False
    bits.skip(vendor - 1)
    found = bits.take(1) == 1
    bits.skip(largest - vendor)
    return found


def _in_ranges(bits: _Bits, vendor: int) -> bool:
    found = False
    for _ in range(bits.take(12)):
        is_range, first = bits.take(1), bits.take(16)
        last = bits.take(16) if is_range else first
        found = found or first <= vendor <= last
    return found


def _forbidden(bits: _Bits, vendor: int) -> frozenset[int]:
    purposes = set[int]()
    for _ in range(bits.take(12)):
        purpose, kind = bits.take(6), bits.take(2)
        if _in_ranges(bits, vendor) and kind in _FORBIDDING:
            purposes.add(purpose)
    return frozenset(purposes)
