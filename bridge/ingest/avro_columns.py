"""Events of one writer schema: as columns where they are clean, else in pieces until they are, or are few."""

from itertools import chain

import numpy as np
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
from bridge.ingest.values import Values

FEW = 64
"""So many values and fewer are read one by one."""

PIECES = 16
"""Values that are not clean are cut into so many. A few bad ones cost two readings of all."""

Parts = tuple[list[pl.DataFrame], list[Refusal]]
_Singles = list[Values]


class SchemaReader:
    """Reads values of one writer schema, whose bodies come after so many bytes of framing."""

    def __init__(self, schema: EventSchema, framing: int) -> None:
        self._schema = schema
        self._framing = framing
        try:
            self._block: BlockReader | None = BlockReader(avro_layout.layout(schema), framing)
        except avro_layout.NotColumnar:
            self._block = None

    def read(self, values: Values) -> Parts:
        """Frames of events, and refusals."""
        frames, refused, singles = self._columns(values)
        if singles:
            rest = list(chain.from_iterable(some.raw for some in singles))
            places = np.concatenate([some.index for some in singles])
            events, more = avro_single.read(self._schema, self._framing, rest, places)
            return [*frames, events], refused + more
        return frames, refused

    def _columns(self, values: Values) -> tuple[*Parts, _Singles]:
        """What can be read as columns, and what is left: all of it together, as each small frame costs."""
        if self._block is None or len(values) <= FEW:
            return [], [], [values]
        try:
            return *self._as_events(self._block.read(values), values.index), []
        except NotClean:
            frames: list[pl.DataFrame] = []
            refused: list[Refusal] = []
            singles: _Singles = []
            for piece in values.pieces(-(-len(values) // PIECES)):
                some_frames, some_refused, some_singles = self._columns(piece)
                frames += some_frames
                refused += some_refused
                singles += some_singles
            return frames, refused, singles

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
