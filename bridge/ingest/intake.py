"""From messages to rows: columns all the way, no Python call for an accepted event but C's own."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import compress
from typing import TYPE_CHECKING, Self, cast

import numpy as np
import polars as pl
from numpy.typing import NDArray

from bridge.audience.roster import Roster
from bridge.ingest.dead_letters import DeadLetter
from bridge.ingest.partition import Partition, Span
from bridge.ingest.validate import Validator
from bridge.segments.codes import Sighting
from bridge.segments.watch import Watching

if TYPE_CHECKING:
    from bridge.config import Stream
    from bridge.ingest.decode import Decoder
    from bridge.ingest.events import Refusal
    from bridge.ingest.message import Message

_EACH = 16
"""One value in so many is looked at to tell how large they are."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Piece:
    """One topic's messages of a batch."""

    topic: str
    """Name of the topic."""
    messages: "Sequence[Message]"
    """In the order they came, tombstones among them."""
    values: Sequence[bytes | None]
    """Their values."""
    partitions: NDArray[np.int32]
    """Their partitions."""
    offsets: NDArray[np.int64]
    """Their offsets."""
    read_at: int
    """When they were read, epoch ms."""

    @classmethod
    def of(cls, topic: str, messages: "Sequence[Message]", read_at: int) -> Self:
        """The columns of some messages (at least one) of one topic.

        A method asked of the class is a C function of the message: half the cost of a call by name.
        """
        kind, size = type(messages[0]), len(messages)
        partitions = np.fromiter(map(kind.partition, messages), np.int32, size)
        return cls(
            topic=topic,
            messages=messages,
            values=list(map(kind.value, messages)),
            partitions=partitions,
            offsets=_offsets(messages, partitions),
            read_at=read_at,
        )

    @property
    def spans(self) -> dict[Partition, Span]:
        """For each partition what was read of it; its offsets ascend."""
        found = {}
        for number, own in _by_partition(self.partitions):
            first, last = self.offsets[own[[0, -1]]].tolist()
            found[Partition(self.topic, number)] = Span(first, last + 1)
        return found

    @property
    def size(self) -> int:
        """About how many bytes all values are."""
        return sum(map(len, filter(None, self.values[::_EACH]))) * _EACH

    def portions(self, most: int) -> list[Self]:
        """The messages in order, apart: so many bytes of values in each, or a single message."""
        present = self.values if None not in self.values else [value or b"" for value in self.values]
        # the list is one without None, as said above
        ends = np.cumsum(np.fromiter(map(len, present), np.int64, len(present)))  # type: ignore[arg-type]
        if ends[-1] <= most:
            return [self]
        found, start = [], 0
        while start < len(ends):
            before = ends[start - 1] if start else 0
            stop = max(start + 1, int(np.searchsorted(ends, before + most, side="right")))
            found.append(self._part(slice(start, stop)))
            start = stop
        return found

    def without(self, partitions: frozenset[Partition]) -> Self:
        """The messages of other partitions."""
        gone = [at.number for at in partitions if at.topic == self.topic]
        return self._where(~np.isin(self.partitions, gone))

    def with_values(self) -> Self:
        """The messages that are no tombstones."""
        if None not in self.values:
            return self
        return self._where(np.fromiter((value is not None for value in self.values), np.bool_))

    def _part(self, part: slice) -> Self:
        return type(self)(
            topic=self.topic,
            messages=self.messages[part],
            values=self.values[part],
            partitions=self.partitions[part],
            offsets=self.offsets[part],
            read_at=self.read_at,
        )

    def _where(self, kept: NDArray[np.bool_]) -> Self:
        return type(self)(
            topic=self.topic,
            messages=list(compress(self.messages, kept)),
            values=list(compress(self.values, kept)),
            partitions=self.partitions[kept],
            offsets=self.offsets[kept],
            read_at=self.read_at,
        )


def _by_partition(partitions: NDArray[np.int32]) -> Iterator[tuple[int, NDArray[np.intp]]]:
    """Each partition that occurs, and where."""
    for number in np.flatnonzero(np.bincount(partitions)).tolist():
        yield number, np.flatnonzero(partitions == number)


def _offsets(messages: "Sequence[Message]", partitions: NDArray[np.int32]) -> NDArray[np.int64]:
    """Each message's offset; where none is missing between, only a partition's first and last are asked."""
    offsets = np.empty(len(messages), dtype=np.int64)
    for _, own in _by_partition(partitions):
        first, last = (messages[at].offset() or 0 for at in own[[0, -1]].tolist())
        if last - first + 1 == len(own):
            offsets[own] = np.arange(first, last + 1)
        else:  # compacted, or with the marks of transactions
            offsets[own] = [messages[at].offset() or 0 for at in own.tolist()]
    return offsets


def pieces(batch: "Sequence[Message]", read_at: int) -> list[Piece]:
    """A batch (at least one message, none an error) apart by topic."""
    topic_of = cast("Callable[[Message], str]", type(batch[0]).topic)  # only an error's is None
    topics = sorted(set(map(topic_of, batch)))
    if len(topics) == 1:
        return [Piece.of(topics[0], batch, read_at)]
    names = list(map(topic_of, batch))
    return [Piece.of(topic, list(compress(batch, map(topic.__eq__, names))), read_at) for topic in topics]


@dataclass(frozen=True, kw_only=True, slots=True)
class Yield:
    """What became of a piece."""

    frames: tuple[pl.DataFrame, ...]
    """Rows of audiences with the same columns: those of `rows.schema` and `audience` (of the roster)."""
    refused: list[DeadLetter]
    """The events that were refused."""
    tombstones: int
    """How many messages had no value."""
    sighting: Sighting | None = None
    """What the events show of the stream's taxonomy; None: none is known."""


class Intake:
    """What a stream makes of its messages."""

    def __init__(
        self,
        stream: "Stream",
        decoder: "Decoder",
        roster: Roster,
        watch: Watching | None = None,
    ) -> None:
        """`watch`: by which segments are judged; None: the stream names no taxonomy."""
        self.stream = stream
        """Whose messages."""
        self._decoder = decoder
        self._validator = Validator(stream, roster, watch)

    def read(self, piece: Piece, source: int) -> Yield:
        """Decode and judge each event; `source` is the topic's rank in the order of writes.

        Raises:
            RegistryUnreachable: The writer's schema is not to be had now; the same call may be tried later.
        """
        present = piece.with_values()
        tombstones = len(piece.values) - len(present.values)
        if not present.values:
            return Yield(frames=(), refused=[], tombstones=tombstones)
        # with_values has left no None; a copy to say so to mypy would cost 50,000 steps a batch
        decoded = self._decoder.decode(present.values)  # type: ignore[arg-type]  # as said above
        judged = self._validator.sort_out(decoded.events, piece.read_at)
        frames = tuple(_placed(frame, present, source) for frame in judged.frames)
        refused = [self._dead_letter(present, refusal) for refusal in (*decoded.refused, *judged.refused)]
        return Yield(frames=frames, refused=refused, tombstones=tombstones, sighting=judged.sighting)

    def _dead_letter(self, piece: Piece, refusal: "Refusal") -> DeadLetter:
        message = piece.messages[refusal.index]
        return DeadLetter(
            reason=refusal.reason,
            detail=refusal.detail,
            stream=self.stream.name,
            topic=piece.topic,
            partition=int(piece.partitions[refusal.index]),
            offset=int(piece.offsets[refusal.index]),
            timestamp=message.timestamp()[1],
            key=message.key(),
            value=message.value(),
            read_at=piece.read_at,
        )


def _placed(frame: pl.DataFrame, piece: Piece, source: int) -> pl.DataFrame:
    """The rows with their events' places in Kafka instead of their index."""
    index = frame["index"].to_numpy()
    return frame.drop("index").with_columns(
        pl.lit(source, dtype=pl.UInt64).alias("source"),
        pl.Series("partition", piece.partitions[index]),
        pl.Series("offset", piece.offsets[index]),
    )
