"""One event at a time: the slow way, which says what is wrong with which event."""

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import fastavro
import polars as pl

from bridge.ingest.avro_schema import EventSchema
from bridge.ingest.events import FIELDS, Positions, Reason, Refusal, complete, events_schema, nest

NULL_REQUIRED = "user_id or event_time is null"
"""Detail of a refusal."""

_FAULTS: dict[type[Exception], str] = {
    EOFError: "the body ends inside of the record, or a length in it is wrong",
    IndexError: "a union or enum has no such branch",
    UnicodeDecodeError: "a text is no UTF-8",
}
"""What fastavro raises for bytes that are no such record. Its own words may quote them."""


@dataclass(frozen=True, slots=True)
class _Event:
    """What was read of one value."""

    fields: dict[str, object]
    """Our names to values, but for segments."""
    elements: list[tuple[object, int]]
    """Segment ids and timestamps."""


class _Fault(Exception):  # noqa: N818  # it is an answer
    """The text says what is wrong."""


def read(
    schema: EventSchema, framing: int, values: Sequence[bytes], index: Positions
) -> tuple[pl.DataFrame, list[Refusal]]:
    """Events and refusals of values that begin with so many bytes of framing."""
    events: list[_Event] = []
    places: list[int] = []
    refused: list[Refusal] = []
    for place, value in zip(index.tolist(), values, strict=True):
        try:
            events.append(_event(schema, _record(schema, value, framing)))
            places.append(place)
        except _Fault as fault:
            refused.append(Refusal(index=place, reason=Reason.UNDECODABLE, detail=str(fault)))
    return _table(schema, events, places), refused


def _record(schema: EventSchema, value: bytes, framing: int) -> dict[str, object]:
    """All fields, by their own names."""
    body = io.BytesIO(value)
    body.seek(framing)
    try:
        record = fastavro.schemaless_reader(body, schema.schema.plain, None)
    except tuple(_FAULTS) as error:
        raise _Fault(next(text for kind, text in _FAULTS.items() if isinstance(error, kind))) from None
    except (ValueError, OverflowError, MemoryError, TypeError, KeyError) as error:
        raise _Fault(f"the body is no such record ({type(error).__name__})") from None
    if body.tell() != len(value):
        raise _Fault(f"{len(value) - body.tell()} bytes are left over after the record")
    assert isinstance(record, dict)
    return record


def _event(schema: EventSchema, record: dict[str, object]) -> _Event:
    """Our fields; those that an event needs are there."""
    names = schema.names
    fields = {ours: record[names[ours]] for ours in FIELDS if ours in names and ours != "segments"}
    event_time = fields["event_time"]
    if fields["user_id"] is None or not isinstance(event_time, int):
        raise _Fault(NULL_REQUIRED)
    fields["event_time"] = event_time // schema.ticks
    elements = record[names["segments"]] if "segments" in names else None
    return _Event(
        fields, [_pair(names, element) for element in elements] if isinstance(elements, list) else []
    )


def _pair(names: Mapping[str, str], element: dict[str, object] | None) -> tuple[object, int]:
    """Segment id and timestamp of an element."""
    if element is not None:
        segment_id, timestamp = element[names["segment_id"]], element[names["timestamp"]]
        if segment_id is not None and isinstance(timestamp, int):
            return segment_id, timestamp
    raise _Fault("an element of segments, or a field of one, is null")


def _table(schema: EventSchema, events: list[_Event], places: list[int]) -> pl.DataFrame:
    dtypes = events_schema(hashed=schema.hashed)
    columns = {"index": pl.Series(places, dtype=dtypes["index"])}
    for ours in FIELDS:
        if ours in schema.names and ours != "segments":
            columns[ours] = pl.Series([event.fields[ours] for event in events], dtype=dtypes[ours])
    pairs = [pair for event in events for pair in event.elements]
    columns["segments"] = nest(
        [len(event.elements) for event in events],
        [segment for segment, _ in pairs],
        [timestamp for _, timestamp in pairs],
        hashed=schema.hashed,
    )
    return complete(pl.DataFrame(columns), hashed=schema.hashed)
