"""From values to columns of events: one decoder for each stream, by its format."""

from collections.abc import Sequence
from typing import Protocol

import numpy as np

from bridge.config import Stream
from bridge.errors import UsageError
from bridge.ingest.avro_columns import SchemaReader
from bridge.ingest.avro_events import AvroEvents
from bridge.ingest.avro_framing import (
    CONFLUENT,
    SINGLE_OBJECT,
    Bare,
    Confluent,
    Framing,
    PinnedConfluent,
    SingleObject,
)
from bridge.ingest.avro_schema import EventSchema, pinned_schema
from bridge.ingest.events import Decoded, Reason, Refusal, events_schema, gather
from bridge.ingest.json_events import JsonEvents
from bridge.ingest.registry import Schemas
from bridge.ingest.values import Values


class Decoder(Protocol):
    """Reads the values of a stream."""

    def decode(self, values: Sequence[bytes]) -> Decoded:
        """What became of each value.

        Raises:
            RegistryUnreachable: The writer's schema is not to be had now; the same call may be tried later.
        """
        ...


class Format(Protocol):
    """One way to write events."""

    def read(self, values: Values) -> Decoded:
        """What becomes of values (at least one); raises what Decoder.decode does."""
        ...


class SizedDecoder:
    """Refuses what is too large, and leaves the rest to the format."""

    def __init__(self, format_: Format, *, max_event_bytes: int, hashed: bool) -> None:
        self._format = format_
        self._most = max_event_bytes
        self._hashed = hashed

    def decode(self, values: Sequence[bytes]) -> Decoded:
        """As Decoder has it."""
        every = Values.of(values)
        kept = every.sizes <= self._most
        if kept.all():
            return self._read(every)
        decoded = self._read(every.pick(np.flatnonzero(kept)))
        refused = [
            Refusal(
                index=at,
                reason=Reason.TOO_LARGE,
                detail=f"{every.sizes[at]} bytes; max_event_bytes is {self._most}",
            )
            for at in np.flatnonzero(~kept).tolist()
        ]
        return gather([decoded.events], [*decoded.refused, *refused], hashed=self._hashed)

    def _read(self, values: Values) -> Decoded:
        if not len(values):
            return Decoded(events=events_schema(hashed=self._hashed).to_frame(), refused=())
        return self._format.read(values)


def decoder_for(stream: Stream, registry: Schemas | None) -> Decoder:
    """The decoder of a stream; UsageError, if its pinned schema or its `fields` cannot be used."""
    hashed = stream.hash_segments
    format_: Format
    if stream.format == "json":
        format_ = JsonEvents(stream.fields, hashed=hashed)
    else:
        format_ = AvroEvents(_framing(stream, registry), hashed=hashed)
    return SizedDecoder(format_, max_event_bytes=stream.max_event_bytes, hashed=hashed)


def _framing(stream: Stream, registry: Schemas | None) -> Framing:
    if stream.schema_ is None:
        if stream.format != "avro-confluent" or registry is None:
            raise UsageError(f"stream {stream.name}: no writer schema; name an .avsc file under schema")
        return Confluent(registry, stream.fields, hashed=stream.hash_segments)
    schema: EventSchema = pinned_schema(stream.schema_, stream.fields, hashed=stream.hash_segments)
    match stream.format:
        case "avro-confluent":
            return PinnedConfluent(SchemaReader(schema, CONFLUENT))
        case "avro-single-object":
            return SingleObject(SchemaReader(schema, SINGLE_OBJECT), schema.schema.fingerprint)
        case _:
            return Bare(SchemaReader(schema, 0))
