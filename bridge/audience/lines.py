"""Memberships as the lines of an audience file, as columns.

The rules are those of the seed s2s_data_import, Audience File, and of contract.md, Audience files.
"""

from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from bridge.audience.audience import Audience
from bridge.audience.merge import first_of
from bridge.audience.rows import REMOVE, everything, user_columns, user_key
from bridge.audience.uuids import format as format_uuids

LINE_LIMIT = 8_000
"""Each line must be fewer than this many characters, its end included (seed: Line length)."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Lines:
    """Rendered rows of whole users, ready to be written or cut at a user's end."""

    audience: Audience
    rows: pl.DataFrame
    """The rows that have a token, sorted; their columns and `token`: each row's part of the text."""

    @property
    def text(self) -> bytes:
        """The lines, each with its LF."""
        return _joined(self.rows)

    @property
    def memberships(self) -> int:
        """How many `segment:timestamp` stand in the text, without placeholders."""
        return len(self.rows) - int((self.rows["segment"] == everything(self.audience)).sum())

    def fitting(self, size: int) -> "Lines":
        """The longest run of whole users from the start whose text is at most `size` bytes; perhaps none."""
        ends = self.rows.select(
            end=pl.col("token").str.len_bytes().cum_sum(),
            last=first_of(user_columns(self.audience)).shift(-1, fill_value=True),
        )
        fits = (ends["last"] & (ends["end"] <= size)).arg_true()
        return Lines(audience=self.audience, rows=self.rows.head(0 if fits.is_empty() else fits[-1] + 1))

    def after(self, other: "Lines") -> "Lines":
        """What is left behind `other`, which was cut from the start of these."""
        return Lines(audience=self.audience, rows=self.rows.slice(len(other.rows)))

    @property
    def first_user(self) -> str:
        """Key of the first user; there must be one."""
        return user_key(self.audience, self.rows.row(0, named=True))


def render(audience: Audience, rows: pl.DataFrame, placeholder: str) -> Lines:
    """Lines of the users of `rows`.

    Behind a leading -1 removals are left out; where no add is left then, `placeholder:0` stands (seed: you
    must use a non-existent segment). A user beyond the line limit goes on in a further line, after the id.

    Args:
        audience: Whose rows these are.
        rows: Winners of `merge.latest`, sorted by user and segment.
        placeholder: The segment that does not exist.
    """
    user = user_columns(audience)
    removes_all = pl.col("segment") == everything(audience)
    if (rows["segment"] == everything(audience)).any():
        first = first_of(user)
        wiped = pl.when(first).then(removes_all).forward_fill()
        rows = rows.filter(removes_all | (pl.col("timestamp") != REMOVE) | ~wiped)
    alone = removes_all & first_of(user).shift(-1, fill_value=True)
    token = (
        pl.when(alone)
        .then(pl.lit(f" -1 {placeholder}:0"))
        .when(removes_all)
        .then(pl.lit(" -1"))
        .otherwise(pl.concat_str(pl.lit(" "), "segment", pl.lit(":"), "timestamp"))
    )
    rows = rows.with_columns(first_of(user).alias("starts"), token.alias("token"))
    rows = _split_long_users(rows, _identifiers(audience, rows))
    return Lines(audience=audience, rows=rows)


def _joined(rows: pl.DataFrame) -> bytes:
    return b"" if rows.is_empty() else str(rows["token"].str.join("")[0]).encode("ascii")


def _identifiers(audience: Audience, rows: pl.DataFrame) -> pl.Series:
    """Each row's user id as text; formatted once a user."""
    if not audience.uuids:
        return rows["user"]
    users = rows.filter(pl.col("starts"))
    return format_uuids(users["hi"], users["lo"]).gather(rows["starts"].cum_sum() - 1)


def _split_long_users(rows: pl.DataFrame, identifiers: pl.Series) -> pl.DataFrame:
    """Put the id before the first and LF behind the last token of each line; drop the column `starts`."""
    starts = rows["starts"].to_numpy()
    if rows.is_empty():
        return rows.drop("starts")
    opens = starts.copy()
    opens[_breaks(starts, rows["token"].str.len_bytes(), identifiers.str.len_bytes())] = True
    closes = np.append(opens[1:], True)
    flags = pl.Series("opens", opens), pl.Series("closes", closes)
    return rows.with_columns(identifiers.alias("id"), *flags).select(
        *(name for name in rows.columns if name not in {"starts", "token"}),
        token=pl.concat_str(
            pl.when("opens").then("id").otherwise(pl.lit("")),
            "token",
            pl.when("closes").then(pl.lit("\n")).otherwise(pl.lit("")),
        ),
    )


def _breaks(starts: NDArray[np.bool_], tokens: pl.Series, identifiers: pl.Series) -> list[int]:
    """Positions of the rows where a user who is too long for one line goes on in a further one.

    Each line takes as much as fits; users who fit, nearly all, cost no step of their own.

    Args:
        starts: Whether a row is the first of its user.
        tokens: Lengths of the rows' tokens.
        identifiers: Lengths of the rows' user ids.
    """
    ends = np.cumsum(tokens.to_numpy(), dtype=np.int64)
    first = np.flatnonzero(starts)
    last = np.append(first[1:], len(starts))
    before = np.where(first > 0, ends[first - 1], 0)
    room = LINE_LIMIT - len("\n") - 1 - identifiers.to_numpy()[first].astype(np.int64)
    breaks: list[int] = []
    for user in np.flatnonzero(ends[last - 1] - before > room).tolist():
        at, done = int(first[user]), int(before[user])
        while True:
            at += int(np.searchsorted(ends[at : last[user]], done + room[user], side="right"))
            if at == last[user]:
                break
            breaks.append(at)
            done = int(ends[at - 1])
    return breaks
