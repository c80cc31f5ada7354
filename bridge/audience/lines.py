"""Memberships as the lines of an audience file.

The rules are those of the seed s2s_data_import, Audience File, and of contract.md, Audience files.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Self, TypeAlias

import numpy as np
import polars as pl
from numpy.typing import NDArray

from bridge.audience import fixed_width, uuids
from bridge.audience.audience import Audience
from bridge.audience.line_limit import LINE_LIMIT, Places, further_lines
from bridge.audience.merge import first_of
from bridge.audience.rows import REMOVE, everything, user_columns

_STEP = 65_536
"""Rows that are made into text at once: their bytes stay in the processor's cache."""

_ID_LIMIT = 300
"""More bytes than a user id has, the mark of a remove_all, a space and LF."""

_TIME_SIZE = len(" :") + 10
"""Bytes of a token besides its segment, at most: the timestamp has up to 10 digits."""

Flags: TypeAlias = NDArray[np.bool_]


@dataclass(frozen=True, kw_only=True, slots=True)
class Lines:
    """The lines of whole users, ready to be written or cut at a user's end."""

    audience: Audience
    """Whose memberships they are."""
    placeholder: str
    """The segment that does not exist."""
    text: bytes
    """The lines, each with its LF."""

    @property
    def memberships(self) -> int:
        """How many `segment:timestamp` stand in the text, without placeholders.

        Every token follows a space; " -1 " is that of a remove_all, as any other has a colon.
        """
        removes_all = self.text.count(b" -1 ")
        placeholders = self.text.count(f" -1 {self.placeholder}:0\n".encode("ascii"))
        return self.text.count(b" ") - removes_all - placeholders

    @property
    def first_user(self) -> str:
        """Key (`rows.user_key`) of the first user; there must be one."""
        user = self._user_at(0).decode("ascii")
        return user.replace("-", "") if self.audience.uuids else user

    def cut(self, size: int) -> tuple[Self, Self]:
        """As many whole users as fit into `size` bytes, perhaps none, and the rest."""
        end = len(self.text) if len(self.text) <= size else self._last_end(size)
        return replace(self, text=self.text[:end]), replace(self, text=self.text[end:])

    def _last_end(self, size: int) -> int:
        """Where the last user ends that fits into `size` bytes, which are not all; 0: none does."""
        end = self.text.rfind(b"\n", 0, size) + 1
        while end:
            start = self.text.rfind(b"\n", 0, end - 1) + 1
            if self._user_at(start) != self._user_at(end):
                break
            end = start
        return end

    def _user_at(self, start: int) -> bytes:
        """The user id of the line that starts there."""
        return self.text[start : self.text.index(b" ", start)]


def render(audience: Audience, rows: pl.DataFrame, placeholder: str) -> Lines:
    """Lines of the users of `rows`.

    Behind a leading -1 removals are left out; where no add is left then, `placeholder:0` stands (seed: you
    must use a non-existent segment). A user beyond the line limit goes on in a further line, after the id.

    Args:
        audience: Whose rows these are.
        rows: Winners of `merge.latest`, sorted by user and segment.
        placeholder: The segment that does not exist.
    """
    rows = _flagged(audience, rows)
    if rows.is_empty():
        return Lines(audience=audience, placeholder=placeholder, text=b"")
    opens = _opens(audience, rows)
    closes = np.append(opens[1:], True)
    text = b"".join(
        fixed_width.joined(
            _identifiers(audience, piece, opens[at : at + _STEP]),
            *_tokens(piece, closes[at : at + _STEP], placeholder),
            fixed_width.where(closes[at : at + _STEP], "\n"),
        )
        for at, piece in _pieces(rows)
    )
    return Lines(audience=audience, placeholder=placeholder, text=text)


def _flagged(audience: Audience, rows: pl.DataFrame) -> pl.DataFrame:
    """The rows that are told, and of each whether it `starts` a user and whether it `removes_all`."""
    user = user_columns(audience)
    removes_all = pl.col("segment") == everything(audience)
    if (rows["segment"] == everything(audience)).any():
        wiped = pl.when(first_of(user)).then(removes_all).forward_fill()
        rows = rows.filter(removes_all | (pl.col("timestamp") != REMOVE) | ~wiped)
    return rows.select(*user, "segment", "timestamp", starts=first_of(user), removes_all=removes_all)


def _pieces(rows: pl.DataFrame) -> Iterator[tuple[int, pl.DataFrame]]:
    """The rows in pieces, each with its place."""
    return zip(range(0, len(rows), _STEP), rows.iter_slices(_STEP), strict=True)


def _identifiers(audience: Audience, rows: pl.DataFrame, opens: Flags) -> fixed_width.Matrix:
    """The user ids of the rows that open a line."""
    users = rows.filter(pl.Series(opens))
    ids = uuids.digits(users["hi"], users["lo"]) if audience.uuids else fixed_width.texts(users["user"])
    matrix = np.zeros((len(rows), ids.shape[1]), dtype=np.uint8)
    matrix[opens] = ids
    return matrix


def _tokens(rows: pl.DataFrame, closes: Flags, placeholder: str) -> list[fixed_width.Matrix]:
    """What each row says of its user; a remove_all that `closes` its line has no add behind it."""
    segments, timestamps = rows["segment"], rows["timestamp"].to_numpy()
    named = segments.dtype == pl.String
    token = [
        fixed_width.everywhere(" ", len(rows)),
        fixed_width.texts(segments) if named else fixed_width.numbers(segments.to_numpy()),
        fixed_width.everywhere(":", len(rows)),
        fixed_width.where(timestamps < 0, "-"),
        fixed_width.numbers(np.abs(timestamps)),
    ]
    removes_all = rows["removes_all"].to_numpy()
    if not removes_all.any():
        return token
    others = np.hstack(token)
    others[removes_all] = 0
    alone = fixed_width.where(removes_all & closes, f" {placeholder}:0")
    return [others, fixed_width.where(removes_all, " -1"), alone]


def _opens(audience: Audience, rows: pl.DataFrame) -> Flags:
    """Whether a row opens a line: the first of a user, and where one who is too long for a line goes on."""
    opens = rows["starts"].to_numpy().copy()
    first = np.flatnonzero(opens)
    most = int(np.diff(first, append=len(opens)).max())
    if most * (_longest(rows["segment"]) + _TIME_SIZE) <= LINE_LIMIT - _ID_LIMIT:
        return opens
    none = np.zeros(_STEP, dtype=np.bool_)
    sizes = [fixed_width.lengths(*_tokens(piece, none[: len(piece)], "")) for _, piece in _pieces(rows)]
    opens[further_lines(first, np.concatenate(sizes), _id_sizes(audience, rows, first))] = True
    return opens


def _longest(segments: pl.Series) -> int:
    """Bytes that none of these segments (at least one) passes."""
    if segments.dtype == pl.String:
        return int(segments.str.len_bytes().max())  # type: ignore[arg-type]  # a column of UInt32
    return len(str(2**32))


def _id_sizes(audience: Audience, rows: pl.DataFrame, first: Places) -> Places:
    """Bytes of the user ids in the rows at these places."""
    if audience.uuids:
        return np.full(len(first), uuids.LENGTH)
    return rows["user"][first].str.len_bytes().to_numpy().astype(np.int64)
