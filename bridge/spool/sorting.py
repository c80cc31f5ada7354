"""Sorting a window: large audiences by ranges of users, as sorting takes memory; small ones together."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise

import numpy as np
import polars as pl

from bridge.audience.audience import Audience
from bridge.audience.merge import latest
from bridge.audience.roster import WHOSE
from bridge.audience.rows import from_user, user_columns, user_key

SAMPLE = 2_048
"""Rows that are looked at to find where to cut."""


def sorted_shards(
    shards: Mapping[Audience, pl.DataFrame], size: int
) -> Iterator[tuple[Audience, pl.DataFrame]]:
    """`merge.latest` of each shard, in pieces as of `sorted_pieces`; audiences ascend.

    Small neighbours are sorted together: 500 sorts of a few rows would cost more than one of all.
    """
    for group in _groups(shards, size):
        if len(group) == 1:
            for piece in sorted_pieces(group[0], shards[group[0]], size):
                yield group[0], piece
        else:
            yield from _sorted_together(group, [shards[audience] for audience in group])


def _groups(shards: Mapping[Audience, pl.DataFrame], size: int) -> Iterator[list[Audience]]:
    """The audiences in order; neighbours with the same columns together, as long as they have `size` rows."""
    group: list[Audience] = []
    rows = 0
    for audience in sorted(shards):
        height = shards[audience].height
        alike = group and (group[0].uuids, group[0].hashed) == (audience.uuids, audience.hashed)
        if group and not (alike and rows + height <= size):
            yield group
            group, rows = [], 0
        group.append(audience)
        rows += height
    if group:
        yield group


def _sorted_together(
    group: Sequence[Audience], frames: Sequence[pl.DataFrame]
) -> Iterator[tuple[Audience, pl.DataFrame]]:
    numbered = [frame.with_columns(pl.lit(at).alias(WHOSE)) for at, frame in enumerate(frames)]
    merged = latest(group[0], pl.concat(numbered))
    starts = merged[WHOSE].search_sorted(np.arange(len(group) + 1)).to_list()
    merged = merged.drop(WHOSE)
    for audience, (start, stop) in zip(group, pairwise(starts), strict=True):
        yield audience, merged[start:stop]


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
