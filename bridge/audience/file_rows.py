"""The rules for a file's rows (seed s2s_data_import, Audience File; contract.md, Events and Audience files).

Only the current user is remembered: as users and segments are sorted, whoever stands twice stands side by
side, or out of order.
"""

import re
from collections.abc import Iterator

from bridge.audience.file_text import Line
from bridge.audience.header import Header
from bridge.audience.line_limit import LINE_LIMIT

LARGEST_CODE = 2**31 - 1
LATEST = 4_133_980_800
"""Epoch seconds of the end of the year 2100: what lies behind is milliseconds by mistake."""

SLACK = 600
"""Where a user is split, a line may be this much below the limit: two of the longest statements."""

_UUID = re.compile(rb"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
_ZEROS = b"00000000-0000-0000-0000-000000000000"
_TEXT = re.compile(rb"[!-~]{1,256}")
_HASHED = re.compile(rb"[!-9;-~]{1,256}")
_CODE = re.compile(rb"[1-9][0-9]{0,9}")
_TIMESTAMP = re.compile(rb"-1|0|[1-9][0-9]{0,18}")

REMOVE_ALL = b"-1"

Key = int | bytes
"""What segments are sorted by."""


class RowChecker:
    """Fed with a file's rows, it tells their faults as pairs of line number and reason."""

    def __init__(self, header: Header) -> None:
        self._uuids = header.uuids
        self._hashed = header.hash_segments
        self._last_line = 0
        self._user: bytes | None = None
        self._wiped = False
        """The user began with -1."""
        self._segment: Key | None = None
        self._lines = 0
        """Lines of this user so far."""
        self._length = 0
        """Of all its statements on one line, with id and LF."""

    def feed(self, line: Line) -> Iterator[tuple[int, str]]:
        """Faults of the next row, and of the user that ended before it."""
        user, *statements = line.text.removesuffix(b"\r").split(b" ")
        if not line.text.strip():
            yield line.number, "an empty row"
        else:
            if user == self._user:
                self._lines += 1
                self._length += line.length - len(user) - 1
            else:
                yield from self._end_user()
                yield from ((line.number, reason) for reason in self._begin_user(user, line.length))
            yield from ((line.number, reason) for reason in self._check(statements))
        self._last_line = line.number

    def finish(self) -> Iterator[tuple[int, str]]:
        """Faults that only the end of the file shows."""
        yield from self._end_user()
        if self._user is None:
            yield max(1, self._last_line), "the file has no rows"

    def _begin_user(self, user: bytes, length: int) -> Iterator[str]:
        if self._user is not None and user < self._user:
            yield "users are not sorted; this one may stand on several lines"
        yield from self._check_user(user)
        self._user, self._segment, self._wiped = user, None, False
        self._lines, self._length = 1, length

    def _end_user(self) -> Iterator[tuple[int, str]]:
        """A user takes no more lines than needed (seed: combine user/segment load statements)."""
        fewer = self._lines - 1
        if fewer > 0 and (self._length < LINE_LIMIT or self._length <= fewer * (LINE_LIMIT - SLACK)):
            yield self._last_line, f"the user stands on {self._lines} lines, but fits on fewer; combine them"

    def _check_user(self, user: bytes) -> Iterator[str]:
        if not self._uuids:
            if _TEXT.fullmatch(user) is None:
                yield "the user id is not 1 to 256 printable characters"
        elif _UUID.fullmatch(user.lower()) is None:
            yield "the user id is not a UUID, as the header's UserNamespace and Mobile want it"
        elif user != user.lower():
            yield "the user id is not in lower case"
        elif user == _ZEROS:
            yield "the user id is all zeros"

    def _check(self, statements: list[bytes]) -> Iterator[str]:
        first = self._lines == 1
        if statements[:1] == [REMOVE_ALL]:
            if not first:
                yield "-1 for remove-all stands only on the user's first line"
            self._wiped = True
            statements = statements[1:]
            if not statements:
                yield "nothing follows -1; a segment that does not exist must stand in"
        elif not statements:
            yield "the user has no segment"
        for number, statement in enumerate(statements, 1):
            yield from (f"statement {number}: {reason}" for reason in self._check_statement(statement))

    def _check_statement(self, statement: bytes) -> Iterator[str]:
        if not statement:
            yield "one space stands between statements, none at the end"
            return
        if statement == REMOVE_ALL:
            yield "-1 for remove-all stands only right behind the user id"
            return
        code, colon, timestamp = statement.rpartition(b":")
        if not colon:
            code = statement
            yield "no timestamp; it reads segment:timestamp"
        else:
            yield from self._check_timestamp(timestamp)
        yield from self._check_code(code)

    def _check_timestamp(self, timestamp: bytes) -> Iterator[str]:
        if _TIMESTAMP.fullmatch(timestamp) is None:
            yield "the timestamp is not 0, -1 or epoch seconds"
        elif int(timestamp) >= LATEST:
            yield "the timestamp is past the year 2100; it counts seconds"
        elif self._wiped and timestamp == REMOVE_ALL:
            yield "a removal behind -1, which removes everything"

    def _check_code(self, code: bytes) -> Iterator[str]:
        key: Key
        if self._hashed:
            if _HASHED.fullmatch(code) is None:
                yield "the segment is not 1 to 256 printable characters without a colon"
                return
            key = code
        else:
            if _CODE.fullmatch(code) is None or int(code) > LARGEST_CODE:
                yield f"the segment is not a number from 1 to {LARGEST_CODE}"
                return
            key = int(code)
        before = self._segment
        if isinstance(before, type(key)):
            if key == before:
                yield "the segment stands twice in this user"
            elif key < before:  # type: ignore[operator]  # both of one type, as just asked
                yield "segments are not sorted; this one may stand twice"
        self._segment = key
