"""Where in a writer schema the fields of an event stand: what is needed, and what may be missing or null."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from bridge.errors import UsageError
from bridge.ingest import avro_types
from bridge.ingest.avro_types import Array, AvroType, Primitive, Record, Schema, Union, UnusableSchema
from bridge.ingest.events import ELEMENT, FIELDS, REQUIRED, names_in_topic

_TEXT = frozenset({"string"})
_WHOLE = frozenset({"long", "int"})
_KINDS = {
    "user_id": _TEXT,
    "mobile": frozenset({"boolean"}),
    "client": _TEXT,
    "user_namespace": _TEXT,
    "segment_namespace": _TEXT,
    "remove_all": frozenset({"boolean"}),
    "timestamp": _WHOLE,
    "event_time": _WHOLE,
}
_TICKS = {"micros": 1_000, "nanos": 1_000_000}


@dataclass(frozen=True, kw_only=True, slots=True)
class EventSchema:
    """A writer schema that events can be read with."""

    schema: Schema
    """The whole of it."""
    names: dict[str, str]
    """Our names of the fields that it has to its own; of an element's too, where it has segments."""
    ticks: int
    """How many units of its event time are a millisecond."""
    hashed: bool
    """Segment ids are texts."""


def event_schema(text: str | bytes, fields: Mapping[str, str], *, hashed: bool) -> EventSchema:
    """The schema of a JSON text; `fields` as in the configuration.

    Raises:
        UnusableSchema: It has no such event; the text says why, in words that follow "schema".
    """
    schema = avro_types.read(text)
    names = names_in_topic(fields)
    present = _found(schema.record, {ours: names[ours] for ours in FIELDS if ours in names})
    for ours in REQUIRED:
        if ours not in present:
            raise UnusableSchema(f"it has no field {names.get(ours, ours)}")
    kinds = _KINDS | {"segment_id": _TEXT if hashed else _WHOLE}
    elements: dict[str, AvroType] = {}
    if "segments" in present:
        wanted = {ours: names[ours] for ours in ELEMENT if ours in names}
        elements = _elements(present.pop("segments"), wanted)
        names_present = {*present, "segments", *elements}
    else:
        names_present = set(present)
    for ours, type_ in (present | elements).items():
        _check(names[ours], type_, kinds[ours])
    event_time = without_null(present["event_time"])
    logical = event_time.logical if isinstance(event_time, Primitive) else ""
    return EventSchema(
        schema=schema,
        names={ours: names[ours] for ours in names if ours in names_present},
        ticks=_TICKS.get(logical.rpartition("timestamp-")[2], 1),
        hashed=hashed,
    )


def pinned_schema(path: Path, fields: Mapping[str, str], *, hashed: bool) -> EventSchema:
    """The schema of a file that the configuration names; UsageError if it cannot be one."""
    try:
        return event_schema(path.read_bytes(), fields, hashed=hashed)
    except OSError as error:
        raise UsageError(f"cannot read {path}: {error.strerror}; name an .avsc file under schema") from None
    except UnusableSchema as error:
        raise UsageError(f"{path}: not the schema of an event: {error}; correct it, or fields") from None


def without_null(type_: AvroType) -> AvroType | None:
    """A type, or the only one beside null in a union; None where there is no such one."""
    if not isinstance(type_, Union):
        return type_
    rest = [branch for branch in type_.branches if not _is_null(branch)]
    return rest[0] if len(rest) == 1 else None


def _is_null(type_: AvroType) -> bool:
    return isinstance(type_, Primitive) and type_.kind == "null"


def _found(record: Record, names: Mapping[str, str]) -> dict[str, AvroType]:
    """Our names of the fields that a record has, to their types."""
    theirs = {field.name: field.type for field in record.fields}
    return {ours: theirs[name] for ours, name in names.items() if name in theirs}


def _elements(segments: AvroType, names: Mapping[str, str]) -> dict[str, AvroType]:
    array = without_null(segments)
    items = without_null(array.items) if isinstance(array, Array) else None
    if not isinstance(items, Record):
        raise UnusableSchema("its segments are no array of records")
    found = _found(items, names)
    for ours in ELEMENT:
        if ours not in found:
            raise UnusableSchema(f"its segments have no field {names.get(ours, ours)}")
    return found


def _check(name: str, type_: AvroType, kinds: frozenset[str]) -> None:
    inner = without_null(type_)
    if not isinstance(inner, Primitive) or inner.kind not in kinds:
        raise UnusableSchema(f"its field {name} is no {' or '.join(sorted(kinds, reverse=True))}")
