"""The texts of a node's fields (seed: Taxonomy Format, Segment Codes).

Each function gives the value, or raises Wrong.
"""

import re
from decimal import Decimal

from bridge.taxonomy.fault import Wrong, quoted

LARGEST_CODE = 2**31 - 1
"""A code that is a number fits into 32 bits with a sign."""

LONGEST_CODE = 256
"""Bytes of a hashed code."""

LARGEST_NUMBER = 2**63 - 1
"""Of an id or of uniques."""

_CODE = re.compile(r"[\x21-\x39\x3b-\x7e]+")
_DIGITS = re.compile(r"[0-9]{1,19}", re.ASCII)
_THOUSANDS = re.compile(r"[0-9]{1,3}(,[0-9]{3}){1,6}", re.ASCII)
_PRICE = re.compile(r"[0-9]{1,9}(\.[0-9]{1,2})?", re.ASCII)
_FINE_PRICE = re.compile(r"[0-9]{1,9}\.[0-9]{3,30}", re.ASCII)


def code(text: str, *, hashed: bool) -> str:
    """A segment's code: 1 to 2147483647, or hashed 1 to 256 visible ASCII characters without a colon."""
    if hashed:
        if len(text) > LONGEST_CODE or not _CODE.fullmatch(text):
            raise Wrong(
                f"{quoted(text)} is no hashed code",
                f"write 1 to {LONGEST_CODE} visible ASCII characters without a space or colon",
            )
        return text
    if not _DIGITS.fullmatch(text) or not 1 <= int(text) <= LARGEST_CODE:
        raise Wrong(
            f"{quoted(text)} is not a number from 1 to {LARGEST_CODE}",
            "correct it, or say that codes are hashed (use_hash: true, --hashed)",
        )
    if text.startswith("0"):
        raise Wrong(f"{quoted(text)} begins with a zero", "leave it out, as audience files have none")
    return text


def count(text: str) -> int:
    """Users: a whole number, also with commas between thousands, as in the seed's sample."""
    if _THOUSANDS.fullmatch(text):
        text = text.replace(",", "")
    return _number(text, least=0, remedy="write a whole number, as 661664 or 661,664")


def identity(text: str) -> int:
    """An id of the platform."""
    return _number(text, least=1, remedy="write the platform's number")


def price(text: str, *, any_places: bool = False) -> Decimal:
    """US dollars, with two decimals at most."""
    if _PRICE.fullmatch(text) or (any_places and _FINE_PRICE.fullmatch(text)):
        return Decimal(text)
    if _FINE_PRICE.fullmatch(text):
        raise Wrong(f"{quoted(text)} has more than two decimals", "round it to cents")
    raise Wrong(f"{quoted(text)} is no price", "write US dollars with two decimals, as 0.85")


def flag(text: str) -> bool:
    """1 or 0, as a CSV has it."""
    if text not in ("0", "1"):
        raise Wrong(f"{quoted(text)} is neither 1 nor 0", "write 1 for a segment, 0 for a category")
    return text == "1"


def truth(text: str) -> bool:
    """True or false, as a document has it."""
    if text not in ("true", "false"):
        raise Wrong(f"{quoted(text)} is neither true nor false", "write true for a segment, else false")
    return text == "true"


def _number(text: str, *, least: int, remedy: str) -> int:
    if not _DIGITS.fullmatch(text) or not least <= int(text) <= LARGEST_NUMBER:
        raise Wrong(f"{quoted(text)} is no such number", remedy)
    return int(text)
