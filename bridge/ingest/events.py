"""What decoding makes of values: columns of events, and refusals.

Every decoder produces these columns:

| column | dtype | meaning |
|---|---|---|
| index | UInt32 | position of the event's value in the list that was given to the decoder |
| user_id | String | as it was written |
| mobile | Boolean | device id or cookie |
| client, user_namespace, segment_namespace | String, may be null | null: the stream's default |
| remove_all | Boolean | the user first leaves every segment |
| segments | List(Struct) | segment_id (Int64, String if hashed) and timestamp (Int64), in the event's order |
| event_time | Int64 | epoch milliseconds |
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
import polars as pl
from numpy.typing import NDArray

Positions = NDArray[np.uint32]
"""Positions in the list of values."""

REQUIRED = ("user_id", "event_time")
"""Fields without which there is no event; all others may be missing (contract.md, Events)."""

ELEMENT = ("segment_id", "timestamp")
"""The fields of an element of `segments`."""

_DEFAULTS = {"mobile": False, "remove_all": False}


class Reason(StrEnum):
    """Why an event is refused (contract.md, the table of reasons)."""

    BAD_FRAMING = "bad_framing"
    UNKNOWN_SCHEMA = "unknown_schema"
    UNDECODABLE = "undecodable"
    TOO_LARGE = "too_large"
    INVALID_USER_ID = "invalid_user_id"
    ZERO_DEVICE_ID = "zero_device_id"
    UNKNOWN_CLIENT = "unknown_client"
    UNKNOWN_NAMESPACE = "unknown_namespace"
    NO_SEGMENTS = "no_segments"
    INVALID_SEGMENT_ID = "invalid_segment_id"
    INVALID_TIMESTAMP = "invalid_timestamp"
    INVALID_EVENT_TIME = "invalid_event_time"
    UNKNOWN_SEGMENT = "unknown_segment"


@dataclass(frozen=True, kw_only=True, slots=True)
class Refusal:
    """An event that is not accepted."""

    index: int
    """Position of its value."""
    reason: Reason
    """The contract's word for it."""
    detail: str
    """What exactly, for a person; no user id, and nothing of the value that may be one."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Decoded:
    """What became of a list of values: every position stands in exactly one of both."""

    events: pl.DataFrame
    """Of `events_schema`, by ascending index."""
    refused: tuple[Refusal, ...]
    """By ascending index."""


def events_schema(*, hashed: bool) -> pl.Schema:
    """Columns and dtypes of events; `hashed`: segment ids are texts."""
    return pl.Schema(
        {
            "index": pl.UInt32(),
            "user_id": pl.String(),
            "mobile": pl.Boolean(),
            "client": pl.String(),
            "user_namespace": pl.String(),
            "segment_namespace": pl.String(),
            "remove_all": pl.Boolean(),
            "segments": pl.List(
                pl.Struct({"segment_id": pl.String() if hashed else pl.Int64(), "timestamp": pl.Int64()})
            ),
            "event_time": pl.Int64(),
        }
    )


FIELDS = tuple(name for name in events_schema(hashed=False) if name != "index")
"""Our names of an event's fields."""


def names_in_topic(fields: Mapping[str, str]) -> dict[str, str]:
    """Each of FIELDS and ELEMENT that the topic can have, to the topic's name (contract.md, `fields`).

    A name that `fields` gives to one of ours is no longer the name of another.
    """
    found: dict[str, str] = {}
    for group in (FIELDS, ELEMENT):
        taken = {fields[ours] for ours in group if ours in fields}
        found |= {ours: fields.get(ours, ours) for ours in group if ours in fields or ours not in taken}
    return found


def complete(columns: pl.DataFrame, *, hashed: bool) -> pl.DataFrame:
    """The events of columns of which optional ones, or some of their values, may be missing."""
    schema = events_schema(hashed=hashed)
    expressions: list[pl.Expr] = []
    for name, dtype in schema.items():
        default = pl.lit([] if name == "segments" else _DEFAULTS.get(name), dtype=dtype)
        if name not in columns.columns:
            expressions.append(default.alias(name))
        elif (name in _DEFAULTS or name == "segments") and columns[name].null_count():
            expressions.append(pl.col(name).fill_null(default))
        else:
            expressions.append(pl.col(name))
    return columns.select(expressions)


def nest(
    counts: Sequence[int], segment_ids: Sequence[object], timestamps: Sequence[int], *, hashed: bool
) -> pl.Series:
    """The column `segments` of events that have so many elements each."""
    dtype = events_schema(hashed=hashed)["segments"]
    owners = pl.Series(np.repeat(np.arange(len(counts), dtype=np.uint32), counts)).set_sorted()
    segment_dtype = pl.String if hashed else pl.Int64
    grouped = (
        pl.DataFrame(
            {
                "event": owners,
                "segment_id": pl.Series(segment_ids, dtype=segment_dtype),
                "timestamp": pl.Series(timestamps, dtype=pl.Int64),
            }
        )
        .group_by("event", maintain_order=True)
        .agg(segments=pl.struct(ELEMENT))
    )
    if len(grouped) < len(counts):
        every = pl.DataFrame({"event": np.arange(len(counts), dtype=np.uint32)})
        grouped = every.join(grouped, on="event", how="left", maintain_order="left")
        grouped = grouped.with_columns(pl.col("segments").fill_null(pl.lit([], dtype=dtype)))
    return grouped["segments"]


def gather(frames: Sequence[pl.DataFrame], refused: Sequence[Refusal], *, hashed: bool) -> Decoded:
    """What several parts of a list of values became, put together in order."""
    match frames:
        case []:
            events = events_schema(hashed=hashed).to_frame()
        case [only]:
            events = only
        case _:
            events = pl.concat(frames).sort("index")
    return Decoded(events=events, refused=tuple(sorted(refused, key=lambda refusal: refusal.index)))
