"""Events of one writer schema: as columns where they are clean, else in pieces until they are, or are few."""

from collections.abc import Sequence

import polars as pl

from bridge.ingest import avro_layout, avro_single
from bridge.ingest.avro_block import BlockReader, NotClean
from bridge.ingest.avro_schema import EventSchema
from bridge.ingest.events import (
    ELEMENT,
    REQUIRED,
    Positions,
    Reason,
    Refusal,
    complete,
    events_schema,
)

FEW = 64
"""So many values and fewer are read one by one."""

PIECES = 16
"""Values that are not clean are cut into so many. A few bad ones cost two readings of all."""

Parts = tuple[list[pl.DataFrame], list[Refusal]]


class SchemaReader:
    """Reads values of one writer schema, whose bodies come after so many bytes of framing."""

    def __init__(self, schema: EventSchema, framing: int) -> None:
        self._schema = schema
        self._framing = framing
        try:
            self._block: BlockReader | None = BlockReader(avro_layout.layout(schema), framing)
        except avro_layout.NotColumnar:
            self._block = None

    @property
    def columnar(self) -> bool:
        """Whether clean values are read as columns."""
        return self._block is not None

    def read(self, values: Sequence[bytes], index: Positions) -> Parts:
        """Frames of events, and refusals."""
        if self._block is None or len(values) <= FEW:
            events, refused = avro_single.read(self._schema, self._framing, values, index)
            return [events], refused
        try:
            return self._as_events(self._block.read(values), index)
        except NotClean:
            size = -(-len(values) // PIECES)
            parts = [
                self.read(values[start : start + size], index[start : start + size])
                for start in range(0, len(values), size)
            ]
            frames = [frame for some, _ in parts for frame in some]
            return frames, [refusal for _, some in parts for refusal in some]

    def _as_events(self, columns: pl.DataFrame, index: Positions) -> Parts:
        """Events of clean columns; those without what they need are refused."""
        dtype = events_schema(hashed=self._schema.hashed)["segments"]
        frame = columns.with_columns(pl.Series("index", index))
        if "segments" in frame.columns and frame.schema["segments"] != dtype:
            element = pl.struct(pl.element().struct.field(name) for name in ELEMENT)
            frame = frame.with_columns(pl.col("segments").list.eval(element))
        if self._schema.ticks != 1:
            frame = frame.with_columns(pl.col("event_time") // self._schema.ticks)
        refused: list[Refusal] = []
        if any(frame[name].null_count() for name in REQUIRED):
            lacking = pl.any_horizontal(pl.col(name).is_null() for name in REQUIRED)
            detail = avro_single.NULL_REQUIRED
            refused = [
                Refusal(index=place, reason=Reason.UNDECODABLE, detail=detail)
                for place in frame.filter(lacking)["index"].to_list()
            ]
            frame = frame.filter(~lacking)
        return [complete(frame, hashed=self._schema.hashed)], refused
