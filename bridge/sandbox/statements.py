"""One row of an audience file as the platform reads it (seed s2s_data_import, Audience File).

More is taken than the bridge writes: users and segments in any order, ids in upper case, a segment twice (the
last one holds), a removal behind -1. What cannot be read refuses its line, and no other.
"""

import re
from typing import NamedTuple

from bridge.audience.audience import Audience
from bridge.audience.file_rows import LARGEST_CODE, LATEST
from bridge.audience.file_text import Line
from bridge.audience.line_limit import LINE_LIMIT

REMOVE_ALL = "-1"
REMOVE = -1

_UUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_NOBODY = "00000000-0000-0000-0000-000000000000"
_TEXT = re.compile(r"[!-~]{1,256}")
_HASHED = re.compile(r"[!-9;-~]{1,256}")
_CODE = re.compile(r"[1-9][0-9]{0,9}")
_TIMESTAMP = re.compile(r"-1|0|[1-9][0-9]{0,18}")


class Refused(ValueError):  # noqa: N818  # it tells what happened to the line
    """The line is not applied; the message says why, without a user id."""


class Statements(NamedTuple):
    """What a row says of its user."""

    user: str
    remove_all: bool
    segments: list[tuple[str, int | None]]
    """Code and timestamp: -1, 0, epoch seconds, or None where there is none."""


def parsed(line: Line, audience: Audience) -> Statements:
    """The statements of a line.

    Raises:
        Refused: It breaks a rule.
    """
    if line.length >= LINE_LIMIT:
        raise Refused(f"{line.length} characters with its end; fewer than {LINE_LIMIT} are allowed")
    if line.text.endswith(b"\r"):
        raise Refused("ends with CR; lines end with LF alone")
    if not line.text.isascii():
        raise Refused("holds bytes that are not ASCII")
    user, *said = line.text.decode("ascii").split(" ")
    user = _user(user, uuids=audience.uuids)
    remove_all = said[:1] == [REMOVE_ALL]
    rest = said[remove_all:]
    if not rest:
        raise Refused(
            "nothing follows -1; a segment that does not exist must stand in"
            if remove_all
            else "the user has no segment"
        )
    segments = [_segment(text, number, hashed=audience.hashed) for number, text in enumerate(rest, 1)]
    return Statements(user, remove_all, segments)


def _user(text: str, *, uuids: bool) -> str:
    if not uuids:
        if _TEXT.fullmatch(text) is None:
            raise Refused("the user id is not 1 to 256 printable characters")
        return text
    user = text.lower()
    if _UUID.fullmatch(user) is None:
        raise Refused("the user id is not a UUID, as the header's UserNamespace and Mobile want it")
    if user == _NOBODY:
        raise Refused("the user id is all zeros")
    return user


def _segment(text: str, number: int, *, hashed: bool) -> tuple[str, int | None]:
    if text == REMOVE_ALL:
        raise Refused(f"statement {number}: -1 for remove-all stands only right behind the user id")
    code, colon, stamp = text.rpartition(":")
    if not colon:
        code, timestamp = text, None
    elif _TIMESTAMP.fullmatch(stamp) is None:
        raise Refused(f"statement {number}: the timestamp is not 0, -1 or epoch seconds")
    else:
        timestamp = int(stamp)
        if timestamp >= LATEST:
            raise Refused(f"statement {number}: the timestamp is past the year 2100; it counts seconds")
    if hashed:
        if _HASHED.fullmatch(code) is None:
            raise Refused(f"statement {number}: the segment is not 1 to 256 printable characters")
    elif _CODE.fullmatch(code) is None or int(code) > LARGEST_CODE:
        raise Refused(f"statement {number}: the segment is not a number from 1 to {LARGEST_CODE}")
    return code, timestamp
