"""How a writer schema is handed to polars, and which bytes of each event have to be looked at again.

What polars reads is written anew from the tree: logical types, defaults and names are gone (polars refuses a
boolean that has a default, and a type that is referred to by name), nested records are laid flat, an int is a
long, an enum its number, a map an array of pairs: all are the same bytes.

polars takes any byte but 1 for false, and any branch of a union that is not the null for the other one, where
fastavro finds another value or a fault. So these bytes are looked at where they stand: their place follows
from the lengths of the fields before them, or of all from them on. A schema for which it does not is not
columnar: its events are read one by one. (An overlong number in front may hide such a byte. Nothing but the
event itself is concerned then.)
"""

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum, auto

from bridge.ingest.avro_schema import EventSchema, without_null
from bridge.ingest.avro_types import Array, AvroType, Enum, Field, Fixed, Map, Primitive, Record, Union
from bridge.ingest.events import ELEMENT, FIELDS

_JsonType = str | list["_JsonType"] | dict[str, object]

_WIDTHS = {"float": 4, "double": 8}
_LONGS = frozenset({"int", "long"})
_TEXTS = frozenset({"string", "bytes"})
_NULL_AND_ONE = 2

MOST_FIXED = 512
"""Bytes of an event's fixed fields altogether. polars takes a fixed's bytes for each event where it is null
too, and ends the process where it gets no memory: a null of a gigabyte takes one byte in the event."""


class NotColumnar(Exception):  # noqa: N818  # it is an answer, not an error
    """polars cannot read the schema, or not in a way that can be checked."""


class Kind(StrEnum):
    """How many bytes a column's values take."""

    NUMBER = auto()
    """As many as the number needs."""
    TEXT = auto()
    """Those of the text and of its length."""
    FLAG = auto()
    """One, 0 or 1."""
    FIXED = auto()
    """Always as many."""
    WIDE = auto()
    """It cannot be told from the column in a step."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Column:
    """A leaf of the record that is laid flat."""

    name: str
    """The polars column: our field's name, or x and a number."""
    kind: Kind
    """What its values are."""
    width: int = 0
    """Bytes of a FIXED value."""
    nullable: bool = False
    """A byte in front says whether there is a value."""
    symbols: int | None = None
    """Of an enum."""
    checked: bool = False
    """Whether some bytes of it have to be looked at."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Layout:
    """How to read events as columns."""

    event: tuple[dict[str, object], ...]
    """The fields of the record that polars reads, between framing and nonce."""
    forward: tuple[Column, ...]
    """The columns from an event's first byte on, as far as bytes are looked up from there."""
    backward: tuple[Column, ...]
    """The columns from an event's last byte back, as far as bytes are looked up from there."""
    enums: tuple[Column, ...]
    """The columns whose numbers are bounded."""


def layout(schema: EventSchema) -> Layout:
    """The layout of a schema; NotColumnar."""
    plan = _Plan(schema.names)
    leaves = list(plan.flatten(schema.schema.record, plan.ours))
    if plan.fixed_bytes > MOST_FIXED:
        raise NotColumnar
    columns = [column for column, _ in leaves]
    wide = next((at for at, column in enumerate(columns) if column.kind is Kind.WIDE), len(columns))
    forward = columns[: wide + 1]  # where a wide one begins is known still
    while forward and not forward[-1].checked:
        forward.pop()
    backward = columns[: len(forward) - 1 if forward else None : -1]
    while backward and not backward[-1].checked:
        backward.pop()
    if any(column.kind is Kind.WIDE for column in backward):
        raise NotColumnar
    return Layout(
        event=tuple({"name": column.name, "type": type_} for column, type_ in leaves),
        forward=tuple(forward),
        backward=tuple(backward),
        enums=tuple(column for column in columns if column.symbols is not None),
    )


_KINDS = {
    "boolean": Kind.FLAG,
    "int": Kind.NUMBER,
    "long": Kind.NUMBER,
    "float": Kind.FIXED,
    "double": Kind.FIXED,
    "string": Kind.TEXT,
    "bytes": Kind.TEXT,
}


class _Plan:
    """Numbers columns and named types as it goes through a schema."""

    def __init__(self, names: dict[str, str]) -> None:
        self.ours = {names[ours]: ours for ours in FIELDS if ours in names}
        self._of_element = {names[ours]: ours for ours in ELEMENT if ours in names}
        self._numbers = itertools.count()
        self.fixed_bytes = 0

    def flatten(self, record: Record, ours: dict[str, str]) -> Iterator[tuple[Column, _JsonType]]:
        """A record's leaves in order, a nested record's in its place; `ours`: its names to our fields'."""
        for part in record.fields:
            if isinstance(part.type, Record):
                yield from self.flatten(part.type, {})
            else:
                yield self._leaf(ours.get(part.name), part.type)

    def _leaf(self, ours: str | None, type_: AvroType) -> tuple[Column, _JsonType]:
        inner = without_null(type_)
        nullable = isinstance(type_, Union)
        if inner is None or (isinstance(type_, Union) and len(type_.branches) != _NULL_AND_ONE):
            raise NotColumnar
        kind, width = _kind(inner)
        column = Column(
            name=ours or self._name("x"),
            kind=kind,
            width=width,
            nullable=nullable,
            symbols=inner.symbols if isinstance(inner, Enum) else None,
            checked=nullable or (ours is not None and kind is Kind.FLAG),
        )
        if isinstance(inner, Enum):
            written: _JsonType = "long"
        elif ours == "segments" and isinstance(inner, Array) and isinstance(inner.items, Record):
            written = {"type": "array", "items": self._record(inner.items, self._of_element)}
        else:
            written = self._written(inner)
        if isinstance(type_, Union):
            return column, [written, "null"] if type_.branches[0] is inner else ["null", written]
        return column, written

    def _written(self, type_: AvroType) -> _JsonType:
        """A type as polars is to read it. Bytes inside of arrays are not looked at: no unions there."""
        match type_:
            case Primitive(kind) if kind != "null":
                return "long" if kind in _LONGS else kind
            case Fixed(size) if size:
                self.fixed_bytes += size
                return {"type": "fixed", "name": self._name("N"), "size": size}
            case Array(items):
                return {"type": "array", "items": self._written(items)}
            case Map(values):
                pair = Record((Field("key", Primitive("string")), Field("value", values)), 0, empty=False)
                return {"type": "array", "items": self._record(pair, {})}
            case Record():
                return self._record(type_, {})
            case _:
                raise NotColumnar

    def _record(self, record: Record, ours: dict[str, str]) -> _JsonType:
        if not record.fields:
            raise NotColumnar
        fields = [
            {"name": ours.get(part.name) or self._name("x"), "type": self._written(part.type)}
            for part in record.fields
        ]
        return {"type": "record", "name": self._name("N"), "fields": fields}

    def _name(self, letter: str) -> str:
        return f"{letter}{next(self._numbers)}"


def _kind(type_: AvroType) -> tuple[Kind, int]:
    """A leaf's kind and, if FIXED, its bytes."""
    match type_:
        case Primitive(kind):
            return _KINDS.get(kind, Kind.WIDE), _WIDTHS.get(kind, 1)
        case Enum():
            return Kind.NUMBER, 0
        case Fixed(size):
            return Kind.FIXED, size
        case _:
            return Kind.WIDE, 0
