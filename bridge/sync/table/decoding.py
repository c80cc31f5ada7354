"""From messages of the topic to rows: as columns where they are clean, else in pieces until they are."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

import polars as pl

from bridge.audience.uuids import parse
from bridge.clock import HOUR
from bridge.sync.mapping import NotAMapping, UserSync, decode, key_of, read_key
from bridge.sync.table import columns
from bridge.sync.table.rows import IS_OPT_OUT, WINDOW

FUTURE = HOUR
"""How far ahead of our clock `synced_at` may be, ms; further ahead, no opt-out would end the mapping.

An opt-out is taken all the same, as of then: whose clock is wrong must not keep somebody in.
"""

FEW = 64
"""So many messages and fewer are read one by one."""

PIECES = 16
"""Messages that are not clean are cut into so many."""

_NO_TIMESTAMP = 0
"""confluent_kafka.TIMESTAMP_NOT_AVAILABLE."""


class Skipped(StrEnum):
    """Why a message is not taken."""

    NOT_A_MAPPING = "not_a_mapping"
    """Its key or its value is not what the endpoint writes."""
    OTHER_KEY = "other_key"
    """Its key is not that of its value."""
    TIME = "time"
    """Its time is not positive, ahead of our clock, or, of a tombstone, not there."""


class Message(Protocol):
    """The methods of confluent_kafka.Message that are used."""

    def key(self) -> bytes | None:
        """The message's key."""
        ...

    def value(self) -> bytes | None:
        """The record's bytes; None: a tombstone."""
        ...

    def timestamp(self) -> tuple[int, int]:
        """Type of the timestamp, and epoch ms."""
        ...


@dataclass(frozen=True, kw_only=True, slots=True)
class Taken:
    """What became of messages."""

    rows: pl.DataFrame
    """Columns of `rows.WINDOW`, in no order."""
    skipped: Mapping[Skipped, int]
    """How many were not taken, by the reason."""


class _Skip(Exception):  # noqa: N818  # it is an answer
    """A message is not taken."""

    def __init__(self, why: Skipped) -> None:
        super().__init__(why)
        self.why = why


@dataclass(frozen=True, slots=True)
class _Mappings:
    """Messages with a value."""

    keys: list[bytes]
    values: list[bytes]

    def __len__(self) -> int:
        return len(self.keys)

    def pieces(self) -> list["_Mappings"]:
        size = -(-len(self) // PIECES)
        return [
            _Mappings(self.keys[at : at + size], self.values[at : at + size])
            for at in range(0, len(self), size)
        ]


def take(messages: Sequence[Message], now: int) -> Taken:
    """Messages as rows; `now`: epoch ms."""
    keys = [message.key() or b"" for message in messages]
    values = [message.value() for message in messages]
    valued = [(key, value) for key, value in zip(keys, values, strict=True) if value is not None]
    frames, skipped = _mappings(_Mappings([key for key, _ in valued], [value for _, value in valued]))
    gone = [
        (key, message) for key, value, message in zip(keys, values, messages, strict=True) if value is None
    ]
    frames.append(_tombstones(gone, skipped))
    latest = pl.when(IS_OPT_OUT & ~pl.col("forgotten")).then(pl.min_horizontal("synced_at", now + FUTURE))
    rows = pl.concat(frames).with_columns(synced_at=latest.otherwise("synced_at"))
    timely = rows.filter(pl.col("synced_at").is_between(1, now + FUTURE))
    skipped[Skipped.TIME] += len(rows) - len(timely)
    return Taken(rows=timely, skipped=+skipped)


def _mappings(given: _Mappings) -> tuple[list[pl.DataFrame], Counter[Skipped]]:
    if len(given) <= FEW:
        return _one_by_one(given)
    try:
        return [_with_halves(columns.read(given.keys, given.values))], Counter()
    except columns.NotClean:
        frames: list[pl.DataFrame] = []
        skipped: Counter[Skipped] = Counter()
        for piece in given.pieces():
            some, more = _mappings(piece)
            frames += some
            skipped += more
        return frames, skipped


def _one_by_one(given: _Mappings) -> tuple[list[pl.DataFrame], Counter[Skipped]]:
    taken: list[UserSync] = []
    skipped: Counter[Skipped] = Counter()
    for key, value in zip(given.keys, given.values, strict=True):
        try:
            taken.append(_decoded(key, value))
        except _Skip as skip:
            skipped[skip.why] += 1
    rows = [
        (sync.namespace, sync.partner_id, sync.mm_uuid, False, sync.synced_at, sync.data_centre)
        for sync in taken
    ]
    return [_frame(rows)], skipped


def _decoded(key: bytes, value: bytes) -> UserSync:
    try:
        sync = decode(value)
    except NotAMapping:
        raise _Skip(Skipped.NOT_A_MAPPING) from None
    if key_of(sync) != key:
        raise _Skip(Skipped.OTHER_KEY)
    return sync


def _tombstones(gone: Sequence[tuple[bytes, Message]], skipped: Counter[Skipped]) -> pl.DataFrame:
    rows = []
    for key, message in gone:
        kind, at = message.timestamp()
        try:
            rows.append((*read_key(key), True, 0 if kind == _NO_TIMESTAMP else at, ""))
        except NotAMapping:
            skipped[Skipped.NOT_A_MAPPING] += 1
    return _frame(rows)


_RAW = {
    "namespace": pl.String(),
    "id": pl.String(),
    "mm_uuid": pl.String(),
    "forgotten": pl.Boolean(),
    "synced_at": pl.Int64(),
    "data_centre": pl.String(),
}


def _frame(rows: Sequence[tuple[object, ...]]) -> pl.DataFrame:
    return _with_halves(pl.DataFrame(rows, schema=_RAW, orient="row"))


def _with_halves(raw: pl.DataFrame) -> pl.DataFrame:
    """The rows with the MM UUID's halves, 0 where there is none."""
    hi, lo, _ = parse(raw["mm_uuid"])
    return raw.with_columns(hi, lo).select(*WINDOW)
