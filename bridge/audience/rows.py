"""The columns of memberships: one row is one user's one segment at one event's place in the order.

| column | dtype | meaning |
|---|---|---|
| hi, lo | UInt64 | the halves of a UUID (audiences with `uuids`) |
| user | String | any other id (the other audiences) |
| segment | UInt32, String if hashed | 0 or "" is the row of a remove_all: the user leaves every segment |
| timestamp | Int64 | 0 now, -1 remove, else epoch seconds; -1 on a remove_all row |
| event_time | Int64 | epoch milliseconds: decides which of two writes wins |
| source | UInt64 | rank of the topic or archive among equal event times |
| partition | Int32 | |
| offset | Int64 | |

Rows that came out of the spool have one more: `run` (UInt32), the number of the run they were sealed in.
The order of writes is (event_time, source, partition, offset); design.md, invariant 1.
"""

import hashlib

import numpy as np
import polars as pl

from bridge.audience.audience import Audience

ORDER = ("event_time", "source", "partition", "offset")
"""The columns that say which of two writes is the later one."""

REMOVE = -1
"""Timestamp of a removal (seed: Value -1, remove user from specified segment)."""

NOW = 0
"""Timestamp of "at the point of processing"."""

_TOPIC = 1 << 63
"""The topmost bit of a rank: set for topics, so that archives rank below them (design.md, invariant 1)."""


def user_columns(audience: Audience) -> list[str]:
    """The columns that hold the user's id, most significant first."""
    return ["hi", "lo"] if audience.uuids else ["user"]


def schema(audience: Audience) -> pl.Schema:
    """Columns and dtypes of an audience's rows, without `run`."""
    user: dict[str, pl.DataType] = (
        {"hi": pl.UInt64(), "lo": pl.UInt64()} if audience.uuids else {"user": pl.String()}
    )
    return pl.Schema(
        user
        | {
            "segment": pl.String() if audience.hashed else pl.UInt32(),
            "timestamp": pl.Int64(),
            "event_time": pl.Int64(),
            "source": pl.UInt64(),
            "partition": pl.Int32(),
            "offset": pl.Int64(),
        }
    )


def sealed_schema(audience: Audience) -> pl.Schema:
    """Columns and dtypes of an audience's rows that came out of the spool."""
    return pl.Schema({**schema(audience), "run": pl.UInt32()})


def historical(where: pl.Expr) -> pl.Expr:
    """The column `timestamp`, in which a 0 is the time of its event in seconds where `where` is true."""
    now = where & (pl.col("timestamp") == NOW)
    return pl.when(now).then(pl.col("event_time") // 1_000).otherwise("timestamp").alias("timestamp")


def everything(audience: Audience) -> int | str:
    """The segment value of a remove_all row; it sorts before every real segment."""
    return "" if audience.hashed else 0


def source_rank(cluster_id: str, topic_id: str) -> int:
    """Rank of a topic in the order of writes: any fixed order will do, above all archives."""
    return _rank(f"{cluster_id}/{topic_id}") | _TOPIC


def archive_rank(content: str) -> int:
    """Rank of an archived file, below all topics; `content` is a digest of it, whatever it is called."""
    return _rank(content) & ~_TOPIC


def _rank(text: str) -> int:
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest())


def user_key(audience: Audience, row: dict[str, object]) -> str:
    """A user's id as a text that compares as the sorted columns do: 32 hex digits, or the id itself."""
    if audience.uuids:
        return f"{row['hi']:016x}{row['lo']:016x}"
    return str(row["user"])


def first_at(audience: Audience, rows: pl.DataFrame, key: str) -> int:
    """Where users at or above `key` (of `user_key`; empty: all) begin in rows sorted by user."""
    if not key:
        return 0
    if not audience.uuids:
        return int(rows["user"].search_sorted(key, side="left"))
    hi, lo = (np.uint64(int(half, 16)) for half in (key[:16], key[16:]))
    low, high = (int(np.searchsorted(rows["hi"].to_numpy(), hi, side=side)) for side in ("left", "right"))
    return low + int(np.searchsorted(rows["lo"].to_numpy()[low:high], lo))


def from_user(audience: Audience, key: str) -> pl.Expr:
    """True for rows of users at or above `key` (of `user_key`; empty: all)."""
    if not key:
        return pl.lit(value=True)
    if not audience.uuids:
        return pl.col("user") >= key
    hi, lo = (pl.lit(int(half, 16), dtype=pl.UInt64) for half in (key[:16], key[16:]))
    return (pl.col("hi") > hi) | ((pl.col("hi") == hi) & (pl.col("lo") >= lo))
