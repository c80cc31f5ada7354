"""What a run says of itself: the JSON at its end.

A table stands as columns (`{"rows": [1, 2], "bytes": [9, 9]}`): names once, so that 500 audiences stay small,
and a later version may add a column that an older one ignores.

    magic │ block │ block │ ... │ footer JSON │ crc32 and length of the footer, magic
"""

import struct
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from operator import attrgetter
from typing import Self

import msgspec
from zlib_ng.zlib_ng import crc32

from bridge.audience.audience import Audience

MAGIC = b"S2SRUN1\n"
"""First and last 8 bytes of a run; the number is the format's."""

KIND = MAGIC[:6]
"""What a run of any format begins with."""

TRAILER = struct.Struct("<IQ8s")
"""crc32 of the footer, its length, MAGIC."""

PositionKey = tuple[str, str, str, str, int]
"""What a position is of: cluster id, topic id, topic, group, partition."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Position:
    """How far a partition was taken when a run was sealed (design.md, invariant 3)."""

    cluster_id: str
    """Id of the Kafka cluster."""
    topic_id: str
    """Id of the topic: one made anew under the old name has another."""
    topic: str
    """Name of the topic, for people."""
    group: str
    """Consumer group."""
    partition: int
    """Number of the partition."""
    next_offset: int
    """The offset after the last one taken."""
    first_offset: int | None = None
    """Where to read again should the run be lost: the first offset that it took (None: it is not known)."""
    run: int = 0
    """Number of the run that took it; set by the seal, kept by merges."""

    @property
    def key(self) -> PositionKey:
        """What the position is of."""
        return (self.cluster_id, self.topic_id, self.topic, self.group, self.partition)


@dataclass(frozen=True, kw_only=True, slots=True)
class AudienceStatistics:
    """What a run holds of an audience."""

    audience: Audience
    """The audience."""
    rows: int
    """Its rows, those of remove_alls among them."""
    removals: int
    """How many of them remove, from one segment or from all."""
    bytes: int
    """Bytes of its blocks in the run."""
    oldest_read_at: int
    """When the first of its events was read, epoch ms."""
    min_event_time: int
    """Oldest event time of its rows, epoch ms."""
    max_event_time: int
    """Newest event time of its rows, epoch ms."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Block:
    """Consecutive sorted rows of one audience: a Parquet file within the run."""

    audience: int
    """Place of its audience in the footer's list."""
    first_user: str
    """`rows.user_key` of the first row."""
    last_user: str
    """`rows.user_key` of the last row."""
    rows: int
    """How many rows."""
    removals: int
    """How many of them remove."""
    min_event_time: int
    """Oldest event time, epoch ms."""
    max_event_time: int
    """Newest event time, epoch ms."""
    offset: int
    """Where its bytes begin in the run."""
    length: int
    """How many bytes."""
    crc32: int
    """Checksum of these bytes."""


def _names(
    record: type[Position] | type[AudienceStatistics] | type[Block] | type[Audience],
) -> dict[str, str]:
    """A column for each field."""
    return {field.name: field.name for field in fields(record)}


_STATISTICS = {name: f"audience.{name}" for name in _names(Audience)} | {
    name: name for name in _names(AudienceStatistics) if name != "audience"
}
"""Columns of the table of audiences: those of the audience itself, then its statistics."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Footer:
    """A run's own description."""

    number: int
    """The run's number; the largest of those merged into it."""
    low: int
    """Smallest run number merged into it; `number` for a fresh run."""
    sealed_at: int
    """When it was sealed, epoch ms; the newest of those merged into it."""
    oldest_sealed_at: int
    """When the oldest of those merged into it was sealed, epoch ms."""
    positions: tuple[Position, ...]
    """How far each partition was taken, in the order of their keys."""
    audiences: tuple[AudienceStatistics, ...]
    """What it holds, an entry an audience."""
    blocks: tuple[Block, ...]
    """By audience and user, in the order of their bytes; without gaps."""

    @property
    def merged(self) -> bool:
        """Its rows come from several runs, and carry their `run`."""
        return self.low < self.number

    @property
    def end(self) -> int:
        """Where the last block ends, and the footer begins."""
        return self.blocks[-1].offset + self.blocks[-1].length if self.blocks else len(MAGIC)

    @property
    def consistent(self) -> bool:
        """Each block begins where the one before it ends, and is of an audience that there is."""
        at, audiences = len(MAGIC), range(len(self.audiences))
        for block in self.blocks:
            if block.offset != at or block.length < 0 or block.audience not in audiences:
                return False
            at += block.length
        return True

    def encode(self) -> bytes:
        """The bytes behind the last block."""
        plain = {
            "number": self.number,
            "low": self.low,
            "sealed_at": self.sealed_at,
            "oldest_sealed_at": self.oldest_sealed_at,
            "positions": _columns(self.positions, _names(Position)),
            "audiences": _columns(self.audiences, _STATISTICS),
            "blocks": _columns(self.blocks, _names(Block)),
        }
        text = msgspec.json.encode(plain)
        return text + TRAILER.pack(crc32(text), len(text), MAGIC)

    @classmethod
    def decode(cls, text: bytes) -> Self:
        """Inverse of `encode`, without the trailer.

        Raises:
            ValueError: It is no footer.
        """
        stored = msgspec.json.decode(text, type=_Stored)
        audiences = [record | {"audience": record} for record in _records(stored.audiences)]
        footer = {
            "number": stored.number,
            "low": stored.low,
            "sealed_at": stored.sealed_at,
            "oldest_sealed_at": stored.oldest_sealed_at,
            "positions": _records(stored.positions),
            "audiences": audiences,
            "blocks": _records(stored.blocks),
        }
        return msgspec.convert(footer, cls)


class _Stored(msgspec.Struct):
    """The footer as it stands in the file."""

    number: int
    low: int
    sealed_at: int
    oldest_sealed_at: int
    positions: dict[str, list[object]]
    audiences: dict[str, list[object]]
    blocks: dict[str, list[object]]


def newest(positions: Iterable[Position]) -> dict[PositionKey, Position]:
    """Of each partition the position of the largest run."""
    found: dict[PositionKey, Position] = {}
    for position in positions:
        other = found.get(position.key)
        if other is None or other.run < position.run:
            found[position.key] = position
    return found


def _columns(records: Sequence[object], names: Mapping[str, str]) -> dict[str, list[object]]:
    """By column, the records' attributes of these names; no columns where there are no records."""
    return {name: list(map(attrgetter(path), records)) for name, path in names.items() if records}


def _records(columns: Mapping[str, Sequence[object]]) -> list[dict[str, object]]:
    return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]
