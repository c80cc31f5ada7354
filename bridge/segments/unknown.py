"""How often each unknown segment came, in bounded memory (the summary of Misra and Gries).

Of more than MOST codes the rarest leave, and each that stays is told as rarer by what the first that leaves
has. So a code's count is never above the truth, and below it by less than one in MOST of all that was
counted. With MOST codes or fewer every count is exact.
"""

import polars as pl

MOST = 1_000
"""Codes that are kept of a stream."""

SCHEMA = pl.Schema(
    {"code": pl.String(), "memberships": pl.Int64(), "first_day": pl.Int32(), "last_day": pl.Int32()}
)
"""A code once; the days on which it was first and last seen."""


def none() -> pl.DataFrame:
    """Nothing was counted yet."""
    return SCHEMA.to_frame()


def counted(before: pl.DataFrame, more: pl.DataFrame) -> pl.DataFrame:
    """Both counts (of SCHEMA) as one: the most frequent first, among equals in the order of their texts."""
    together = (
        pl.concat([before, more])
        .group_by("code")
        .agg(pl.col("memberships").sum(), pl.col("first_day").min(), pl.col("last_day").max())
        .sort("memberships", "code", descending=[True, False])
    )
    if len(together) <= MOST:
        return together
    leaving = together["memberships"][MOST]
    return together.with_columns(pl.col("memberships") - leaving).filter(pl.col("memberships") > 0)
