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

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import StrEnum, auto

from bridge.ingest.avro_schema import EventSchema, without_null
from bridge.ingest.avro_types import Array, AvroType, Enum, Fixed, Map, Primitive, Record, Union
from bridge.ingest.events import ELEMENT, FIELDS

_JsonType = str | list["_JsonType"] | dict[str, object]

_WIDTHS = {"float": 4, "double": 8}
_LONGS = frozenset({"int", "long"})
_TEXTS = frozenset({"string", "bytes"})
_VARYING = _LONGS | _TEXTS


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
    """The columns from the event's first byte on, up to the last one that is checked from there."""
    backward: tuple[Column, ...]
    """The columns from the event's last byte back, up to the last one that is checked from there."""
    enums: tuple[Column, ...]
    """The columns whose numbers are bounded."""
    largest_fixed: int
    """Upper bound of the bytes that a record takes without a number or length among them."""


def layout(schema: EventSchema) -> Layout:
    """The layout of a schema; NotColumnar."""
    plan = _Plan({theirs: ours for ours, theirs in schema.names.items() if ours in FIELDS}, schema.names)
    leaves = list(plan.flatten(schema.schema.record))
    columns = [column for column, _ in leaves]
    first_wide = next((at for at, column in enumerate(columns) if column.kind is Kind.WIDE), len(columns))
    last_checked = max((at for at, column in enumerate(columns) if column.checked), default=-1)
    forward = columns[: min(first_wide, last_checked) + 1]
    rest = columns[len(forward) :]
    first_checked = next((at for at, column in enumerate(rest) if column.checked), len(rest))
    backward = rest[first_checked:][::-1]
    if any(column.kind is Kind.WIDE for column in backward):
        raise NotColumnar
    return Layout(
        event=tuple({"name": column.name, "type": type_} for column, type_ in leaves),
        forward=tuple(forward),
        backward=tuple(backward),
        enums=tuple(column for column in columns if column.symbols is not None),
        largest_fixed=len(json.dumps([type_ for _, type_ in leaves])) + plan.fixed_bytes,
    )


@dataclass(slots=True)
class _Plan:
    """Numbers columns and named types as it goes through a schema."""

    ours: dict[str, str]
    """Field names of the event's own record to ours."""
    names: dict[str, str]
    """Our names to the schema's, for those of elements."""
    fixed_bytes: int = 0
    """Of all fixed types."""
    numbers: Iterator[int] = field(default_factory=lambda: iter(range(1 << 30)))

    def flatten(self, record: Record, *, top: bool = True) -> Iterator[tuple[Column, _JsonType]]:
        """The leaves of a record in order, nested records' in their places."""
        for part in record.fields:
            ours = self.ours.get(part.name) if top else None
            if isinstance(part.type, Record):
                yield from self.flatten(part.type, top=False)
            else:
                yield self._leaf(ours, part.type)

    def _leaf(self, ours: str | None, type_: AvroType) -> tuple[Column, _JsonType]:
        name = ours or f"x{next(self.numbers)}"
        inner = without_null(type_)
        if inner is None or (isinstance(type_, Union) and len(type_.branches) != 2):  # noqa: PLR2004  # null, a type
            raise NotColumnar
        nullable = isinstance(type_, Union)
        kind, width = _kind(inner)
        column = Column(
            name=name,
            kind=kind,
            width=width,
            nullable=nullable,
            symbols=inner.symbols if isinstance(inner, Enum) else None,
            checked=nullable or (ours is not None and kind is Kind.FLAG),
        )
        written = self._element_array(inner) if ours == "segments" else self._written(inner)
        if isinstance(type_, Union):
            null_first = type_.branches[0] is not inner
            return column, ["null", written] if null_first else [written, "null"]
        return column, written

    def _element_array(self, segments: AvroType) -> _JsonType:
        """The segments, with our names of their fields."""
        if not isinstance(segments, Array) or not isinstance(segments.items, Record):
            raise NotColumnar
        theirs = {self.names[ours]: ours for ours in ELEMENT}
        return {"type": "array", "items": self._record(segments.items, theirs)}

    def _written(self, type_: AvroType) -> _JsonType:
        """The type as polars is to read it; of what is no leaf too."""
        match type_:
            case Primitive("null") | Union() | Enum():
                if isinstance(type_, Enum):
                    return "long"
                raise NotColumnar
            case Primitive(kind):
                self.fixed_bytes += _WIDTHS.get(kind, 1)
                return "long" if kind in _LONGS else kind
            case Fixed(size):
                if not size:
                    raise NotColumnar
                self.fixed_bytes += size
                return {"type": "fixed", "name": f"N{next(self.numbers)}", "size": size}
            case Array(items):
                return {"type": "array", "items": self._item(items)}
            case Map(values):
                pair = [{"name": "key", "type": "string"}, {"name": "value", "type": self._item(values, True)}]
                record = {"type": "record", "name": f"N{next(self.numbers)}", "fields": pair}
                return {"type": "array", "items": record}
            case Record():
                return self._record(type_, {})

    def _item(self, type_: AvroType, in_pair: bool = False) -> _JsonType:
        ...

    def _record(self, record: Record, theirs: dict[str, str]) -> _JsonType:
        ...
