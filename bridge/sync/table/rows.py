"""The columns of the identity table: a row is what became known of one key of the topic.

| column | dtype | meaning |
|---|---|---|
| id | String | the partner's id |
| hi, lo | UInt64 | the halves of the MM UUID; both 0: the row is of the id's opt-out, not of a mapping |
| forgotten | Boolean | a tombstone: what its key said up to `synced_at` is not known any more |
| synced_at | Int64 | epoch ms: when it was synced, opted out of, or forgotten |
| data_centre | String | the platform's, empty where there is none |
| known_at | Int64 | since when the table knows it, epoch ms; it grows with each batch of the topic |

The namespace of the ids stands outside of these columns where rows of one alone are together. A window, which
holds rows of several, has it as its first column.
"""

import polars as pl

SCHEMA = pl.Schema(
    {
        "id": pl.String(),
        "hi": pl.UInt64(),
        "lo": pl.UInt64(),
        "forgotten": pl.Boolean(),
        "synced_at": pl.Int64(),
        "data_centre": pl.String(),
        "known_at": pl.Int64(),
    }
)
"""Rows of one namespace."""

WINDOW = pl.Schema(
    {"namespace": pl.String(), **{name: dtype for name, dtype in SCHEMA.items() if name != "known_at"}}
)
"""Rows of any namespace that are not yet in the table."""

KEY = ("id", "hi", "lo")
"""What one mapping, or one opt-out, is of."""

NEVER = 0
"""Stands for an instant that there is none of: before all."""

IS_OPT_OUT = (pl.col("hi") == 0) & (pl.col("lo") == 0)
"""True for rows of opt-outs; no MM UUID is all zeros."""
