"""Sorting a window that is large: users in ranges, so that what sorting needs beside the rows is small."""

from collections.abc import Iterator

import polars as pl

from bridge.audience.audience import Audience
from bridge.audience.merge import latest
from bridge.audience.rows import from_user, user_columns, user_key

SAMPLE = 2_048
"""Rows that are looked at to find where to cut."""


def sorted_pieces(audience: Audience, rows: pl.DataFrame, size: int) -> Iterator[pl.DataFrame]:
    """`merge.latest` of the rows, in pieces of about `size` rows before merging, ascending by user.

    A user stands in one piece, however many rows it has.
    """
    cuts = _cuts(audience, rows, -(-rows.height // size)) if rows.height > size else []
    for start, stop in zip(["", *cuts], [*cuts, None], strict=True):
        inside = from_user(audience, start) if start else pl.lit(value=True)
        if stop is not None:
            inside &= ~from_user(audience, stop)
        yield latest(audience, rows.filter(inside) if cuts else rows)


def _cuts(audience: Audience, rows: pl.DataFrame, pieces: int) -> list[str]:
    """Up to `pieces` - 1 users that part the rows into about equal pieces."""
    sample = rows.select(user_columns(audience)).gather_every(max(1, rows.height // SAMPLE))
    sample = sample.sort(user_columns(audience))
    users = {
        user_key(audience, sample.row(piece * sample.height // pieces, named=True))
        for piece in range(1, pieces)
    }
    return sorted(users - {""})
