"""What stands before an Avro body, and the writer schema that it names."""

from collections.abc import Mapping
from typing import Protocol

from bridge.ingest.avro_columns import SchemaReader
from bridge.ingest.avro_schema import event_schema
from bridge.ingest.avro_types import UnusableSchema
from bridge.ingest.events import Reason
from bridge.ingest.registry import Schemas, UnknownSchema

CONFLUENT = 5
"""Byte 0, and the schema's id in four bytes, the most significant first."""

SINGLE_OBJECT = 10
"""C3 01, and the schema's fingerprint in eight bytes, the least significant first."""


class BadValue(Exception):  # noqa: N818  # it is an answer
    """Every value with such a beginning is refused."""

    def __init__(self, reason: Reason, detail: str) -> None:
        super().__init__(reason, detail)
        self.reason = reason
        self.detail = detail


class Framing(Protocol):
    """One way to say what schema a body is written with."""

    size: int
    """Bytes before the body."""

    def reader(self, beginning: bytes) -> SchemaReader:
        """What reads values that begin so (`size` bytes; fewer, where a value has no more).

        Raises:
            BadValue: Nothing does.
            RegistryUnreachable: It is not known now.
        """
        ...


class Bare:
    """The body alone, of a pinned schema."""

    size = 0

    def __init__(self, reader: SchemaReader) -> None:
        self._reader = reader

    def reader(self, beginning: bytes) -> SchemaReader:  # noqa: ARG002  # there is none
        """As Framing has it."""
        return self._reader


class SingleObject:
    """Avro's single-object encoding of a pinned schema."""

    size = SINGLE_OBJECT

    def __init__(self, reader: SchemaReader, fingerprint: bytes) -> None:
        self._reader = reader
        self._fingerprint = fingerprint

    def reader(self, beginning: bytes) -> SchemaReader:
        """As Framing has it."""
        if len(beginning) < self.size or beginning[:2] != b"\xc3\x01":
            raise BadValue(Reason.BAD_FRAMING, "the value does not begin with C3 01 and a fingerprint")
        if beginning[2:] != self._fingerprint:
            raise BadValue(
                Reason.UNKNOWN_SCHEMA, f"fingerprint {beginning[2:].hex()} is not that of the pinned schema"
            )
        return self._reader


class PinnedConfluent:
    """Confluent's framing around bodies of a pinned schema: any id is taken."""

    size = CONFLUENT

    def __init__(self, reader: SchemaReader) -> None:
        self._reader = reader

    def reader(self, beginning: bytes) -> SchemaReader:
        """As Framing has it."""
        _schema_id(beginning)
        return self._reader


class Confluent:
    """Confluent's framing, whose ids a registry knows. What an id means is worked out once."""

    size = CONFLUENT

    def __init__(self, schemas: Schemas, fields: Mapping[str, str], *, hashed: bool) -> None:
        self._schemas = schemas
        self._fields = fields
        self._hashed = hashed
        self._readers: dict[int, SchemaReader | UnusableSchema] = {}

    def reader(self, beginning: bytes) -> SchemaReader:
        """As Framing has it."""
        schema_id = _schema_id(beginning)
        found = self._readers.get(schema_id)
        if found is None:
            found = self._readers[schema_id] = self._find(schema_id)
        if isinstance(found, UnusableSchema):
            raise BadValue(Reason.UNKNOWN_SCHEMA, f"schema id {schema_id}: {found}")
        return found

    def _find(self, schema_id: int) -> SchemaReader | UnusableSchema:
        try:
            text = self._schemas.text(schema_id)
        except UnknownSchema as miss:  # not kept here: the registry may learn of it
            raise BadValue(Reason.UNKNOWN_SCHEMA, f"schema id {schema_id}: {miss}") from None
        try:
            return SchemaReader(event_schema(text, self._fields, hashed=self._hashed), self.size)
        except UnusableSchema as unusable:
            return unusable


def _schema_id(beginning: bytes) -> int:
    if len(beginning) < CONFLUENT or beginning[0] != 0:
        raise BadValue(Reason.BAD_FRAMING, "the value does not begin with byte 0 and a schema id")
    return int.from_bytes(beginning[1:])
