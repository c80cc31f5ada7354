"""An Avro writer schema as a tree of types, each name replaced by what it stands for.

Texts come from a registry, so anything may stand in them: what is recursive (fastavro crashes on reading it),
what unfolds without end, or holds arrays whose items take no bytes (five bytes then make millions of them) or
hardly any for what they hold is no schema of an event, and refused here once instead of at each event.
"""

import json
from dataclasses import dataclass
from functools import cached_property
from typing import TypeAlias

import fastavro
from fastavro.schema import SchemaParseException

MOST_TYPES = 10_000
"""Types in the unfolded tree: a few names that refer to each other can stand for billions."""

MOST_UNPAID = 16
"""Values that an item of an array or map may hold beyond one for each of its bytes: nulls and records take
none. Without a bound, a byte for each item of 10,000 nulls would make gigabytes of a small event."""

PRIMITIVES = frozenset({"null", "boolean", "int", "long", "float", "double", "bytes", "string"})

_MEANING = ("type", "name", "namespace", "fields", "items", "values", "symbols", "size")
"""The keys that say how bytes are read. Logical types are left out: what they mean is decided here, once."""

_UNREADABLE = (SchemaParseException, ValueError, KeyError, TypeError, AttributeError, RecursionError)
"""What fastavro's parser raises for texts that are no schema."""


class UnusableSchema(ValueError):  # noqa: N818  # it is an answer
    """No event can be read with this schema; the text says why."""


@dataclass(frozen=True, slots=True)
class Primitive:
    """A type without parts."""

    kind: str
    """One of PRIMITIVES."""
    logical: str = ""
    """The logical type."""
    types: int = 1
    """How many types this one unfolds to."""
    empty: bool = False
    """Whether a value may take no bytes."""


@dataclass(frozen=True, slots=True)
class Fixed:
    """So many bytes."""

    size: int
    types: int = 1

    @property
    def empty(self) -> bool:
        """Whether a value may take no bytes."""
        return self.size == 0


@dataclass(frozen=True, slots=True)
class Enum:
    """One of so many symbols."""

    symbols: int
    types: int = 1
    empty: bool = False


@dataclass(frozen=True, slots=True)
class Array:
    """Any number of items."""

    items: "AvroType"
    types: int
    empty: bool = False


@dataclass(frozen=True, slots=True)
class Map:
    """Any number of texts, each with a value."""

    values: "AvroType"
    types: int
    empty: bool = False


@dataclass(frozen=True, slots=True)
class Union:
    """One of several types."""

    branches: tuple["AvroType", ...]
    types: int
    empty: bool = False


@dataclass(frozen=True, slots=True)
class Field:
    """A part of a record."""

    name: str
    type: "AvroType"


@dataclass(frozen=True, slots=True)
class Record:
    """Fields one after the other."""

    fields: tuple[Field, ...]
    types: int
    empty: bool


JsonSchema: TypeAlias = str | list[object] | dict[str, object]
"""A schema as JSON."""

AvroType: TypeAlias = Primitive | Fixed | Enum | Array | Map | Union | Record


@dataclass(frozen=True)
class Schema:
    """A record's schema that can be read with."""

    source: JsonSchema
    """The schema as it was written."""
    record: Record
    """The same as a tree."""

    @cached_property
    def plain(self) -> dict[str, object]:
        """What fastavro reads with: no logical types."""
        meaning = _meaning(self.source)
        assert isinstance(meaning, dict)
        parsed = fastavro.parse_schema(meaning)
        assert isinstance(parsed, dict)
        return parsed

    @cached_property
    def fingerprint(self) -> bytes:
        """CRC-64-AVRO of the canonical form as single-object encoding has it: 8 bytes, the least first."""
        canonical = fastavro.schema.to_parsing_canonical_form(self.source)
        return bytes.fromhex(fastavro.schema.fingerprint(canonical, "CRC-64-AVRO"))


def read(text: str | bytes) -> Schema:
    """The schema of a JSON text; UnusableSchema."""
    try:
        source: JsonSchema = json.loads(text)
    except (ValueError, RecursionError):
        raise UnusableSchema("it is no JSON") from None
    try:
        tree = _Tree().resolve(fastavro.parse_schema(source))
        schema = Schema(source, tree) if isinstance(tree, Record) else None
        if schema is not None:
            _ = schema.plain
            return schema
    except UnusableSchema:
        raise
    except _UNREADABLE:
        raise UnusableSchema("it is no Avro schema") from None
    raise UnusableSchema("it is no record")


def _meaning(source: object) -> object:
    """The schema without all that does not change how bytes are read."""
    match source:
        case dict():
            return {key: _meaning(value) for key, value in source.items() if key in _MEANING}
        case list():
            return [_meaning(part) for part in source]
        case _:
            return source


def _unpaid(type_: AvroType) -> int:
    """How many values one of this type may hold beyond one for each of its bytes."""
    match type_:
        case Record(fields):
            return 1 + sum(_unpaid(field.type) for field in fields)
        case Union(branches):  # its byte says which, and pays for one
            return max(0, *(_unpaid(branch) - 1 for branch in branches))
        case _:
            return int(type_.empty)


class _Tree:
    """Resolves a schema that fastavro has parsed: there every name is a full one."""

    def __init__(self) -> None:
        self._named: dict[str, AvroType | None] = {}  # None: we are inside of it

    def resolve(self, schema: object) -> AvroType:
        """The tree of a schema; UnusableSchema."""
        found = self._unfolded(schema)
        if found.types > MOST_TYPES:
            raise UnusableSchema(f"it unfolds to more than {MOST_TYPES} types")
        return found

    def _unfolded(self, schema: object) -> AvroType:
        match schema:
            case str(name):
                return Primitive(name, empty=name == "null") if name in PRIMITIVES else self._refer(name)
            case list(parts):
                branches = tuple(self.resolve(part) for part in parts)
                return Union(branches, 1 + sum(branch.types for branch in branches))
            case {"name": str(name), **rest}:
                self._named[name] = None
                self._named[name] = found = self._definition(rest)
                return found
            case {"type": str(name), **rest} if name in PRIMITIVES:
                return Primitive(name, str(rest.get("logicalType", "")), empty=name == "null")
            case _:
                return self._container(schema)

    def _container(self, schema: object) -> AvroType:
        match schema:
            case {"type": "array", "items": part}:
                items = self._repeated(part)
                if items.empty:
                    raise UnusableSchema("it has an array whose items may take no bytes")
                return Array(items, 1 + items.types)
            case {"type": "map", "values": part}:
                values = self._repeated(part)
                return Map(values, 1 + values.types)
            case {"type": dict() | list() as part}:
                return self.resolve(part)
        raise UnusableSchema("it is no Avro schema")

    def _repeated(self, schema: object) -> AvroType:
        """What stands in an array or map any number of times."""
        found = self.resolve(schema)
        if _unpaid(found) > MOST_UNPAID:
            raise UnusableSchema(
                "it has an array or map whose items take hardly any bytes for what they hold"
            )
        return found

    def _definition(self, schema: dict[object, object]) -> AvroType:
        """What a name is to stand for."""
        match schema:
            case {"type": "record" | "error", "fields": list(parts)}:
                return self._record(parts)
            case {"type": "fixed", "size": int(size)} if size >= 0:
                return Fixed(size)
            case {"type": "enum", "symbols": list(symbols)}:
                return Enum(len(symbols))
        raise UnusableSchema("it is no Avro schema")

    def _refer(self, name: str) -> AvroType:
        if name not in self._named:
            raise UnusableSchema("it refers to a schema that is not part of it")
        found = self._named[name]
        if found is None:
            raise UnusableSchema("it is recursive")
        return found

    def _record(self, parts: list[object]) -> Record:
        fields = tuple(self._field(part) for part in parts)
        return Record(
            fields,
            1 + sum(field.type.types for field in fields),
            all(field.type.empty for field in fields),
        )

    def _field(self, part: object) -> Field:
        match part:
            case {"name": str(name), "type": type_}:
                return Field(name, self.resolve(type_))
        raise UnusableSchema("it is no Avro schema")
