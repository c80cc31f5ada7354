"""What the table consists of: the one file that says which slabs count, and up to where the topic is in them.

It is replaced in one step: so rows and offsets become durable together (design.md, invariant 2), and so does
each step of a merge.

    crc32 of the JSON, as 8 hex digits │ newline │ JSON
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Self, TypeAlias

import msgspec
from zlib_ng.zlib_ng import crc32

from bridge.spool.disk import refusals

Key: TypeAlias = tuple[str, str]
"""Namespace and id: what the rows of a layer are sorted by."""

FIRST: Key = ("", "")
"""Not above any key."""

FILE_NAME = "contents"
"""Of the file, in the table's folder."""

_DIGITS = 8


@dataclass(frozen=True, kw_only=True, slots=True)
class SlabRecord:
    """A slab, as the contents have it."""

    number: int
    """Number of its file."""
    rows: int
    """How many it holds."""
    bytes: int
    """Size of its file."""
    index_bytes: int
    """Size of the index at its end."""
    index_crc32: int
    """Checksum of the index."""
    last: Key
    """Its largest key."""
    start: Key = FIRST
    """Rows below this do not count any more: they are in a merged layer."""


LayerRecord: TypeAlias = tuple[SlabRecord, ...]
"""Slabs of keys that ascend from one to the next."""


@dataclass(frozen=True, kw_only=True, slots=True)
class TopicIdentity:
    """Which topic a table is of; one made anew under the old name is another (design.md, invariant 3)."""

    cluster_id: str
    """Id of the Kafka cluster."""
    topic_id: str
    """Id of the topic."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Contents:
    """What is in the table."""

    topic: TopicIdentity | None = None
    """The topic that it is of; None: nothing was read yet."""
    positions: Mapping[int, int] = field(default_factory=dict)
    """Of each partition the offset after the last one taken."""
    known_at: int = 0
    """When the newest batch was taken, epoch ms; above that of the batch before."""
    next_number: int = 1
    """Above that of every slab there ever was."""
    purged_at: int = 0
    """When all layers were last merged, and what is long forgotten went, epoch ms."""
    layers: tuple[LayerRecord, ...] = ()
    """The oldest first: batches taken later are in later layers."""
    complete: bool = False
    """It has held all of its topic once, since it was made (anew)."""

    @property
    def sizes(self) -> tuple[int, ...]:
        """The rows of each layer."""
        return tuple(sum(slab.rows for slab in layer) for layer in self.layers)

    def encode(self) -> bytes:
        """The file's bytes."""
        text = msgspec.json.encode(self)
        return f"{crc32(text):08x}\n".encode() + text

    @classmethod
    def decode(cls, data: bytes) -> Self:
        """Inverse of `encode`.

        Raises:
            ValueError: They are not what was written.
        """
        checksum, text = data[:_DIGITS], data[_DIGITS + 1 :]
        if checksum != f"{crc32(text):08x}".encode():
            raise ValueError("the checksum of the contents differs")
        return msgspec.json.decode(text, type=cls)

    def with_batch(self, slab: SlabRecord | None, positions: Mapping[int, int], known_at: int) -> Self:
        """A batch was taken, up to these positions; without a slab it held nothing for the table."""
        return replace(
            self,
            positions={**self.positions, **positions},
            known_at=known_at,
            next_number=self._number_after(slab),
            layers=(*self.layers, (slab,)) if slab else self.layers,
        )

    def with_room(self, first: int) -> Self:
        """A layer to be filled by a merge, before that at the place `first`."""
        return replace(self, layers=(*self.layers[:first], (), *self.layers[first:]))

    def tidied(self) -> Self:
        """Without layers that hold nothing, as a merge that ended early leaves them."""
        return replace(self, layers=tuple(layer for layer in self.layers if layer))

    def with_step(self, first: int, count: int, written: SlabRecord | None, upto: Key | None) -> Self:
        """A merge came a step further.

        Args:
            first: The place of the merged layer; behind it are those that are merged.
            count: How many these are.
            written: What was added to the merged layer.
            upto: Keys below this one are in it now; None: all are, and it replaces the others.
        """
        merged = (*self.layers[first], *([written] if written else []))
        rest = self.layers[first + 1 : first + 1 + count]
        behind = self.layers[first + 1 + count :]
        left = () if upto is None else tuple(_from(layer, upto) for layer in rest)
        own = (merged,) if merged or left else ()
        return replace(
            self,
            next_number=self._number_after(written),
            layers=(*self.layers[:first], *own, *left, *behind),
        )

    def _number_after(self, slab: SlabRecord | None) -> int:
        return self.next_number if slab is None else max(self.next_number, slab.number + 1)


def read(directory: Path) -> Contents | None:
    """What is in the table of this folder, without layers that hold nothing; None: there is none.

    Raises:
        ValueError: The file is not what was written.
        SpoolFailed: It cannot be read.
    """
    path = directory / FILE_NAME
    with refusals(path):
        try:
            return Contents.decode(path.read_bytes()).tidied()
        except FileNotFoundError:
            return None


def _from(layer: LayerRecord, start: Key) -> LayerRecord:
    """The layer without the keys below `start`."""
    return tuple(replace(slab, start=max(slab.start, start)) for slab in layer if slab.last >= start)
