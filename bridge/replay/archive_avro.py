"""Avro container files: a header with the writer schema, then blocks, each with the file's mark behind it."""

import bz2
import io
import lzma
import zlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import BinaryIO, TypeAlias

import fastavro
import msgspec

from bridge.ingest.avro_schema import EventSchema, event_schema
from bridge.ingest.events import ELEMENT, FIELDS
from bridge.replay.archive_fields import Fields
from bridge.replay.archives import Damaged, Unreadable

_Record: TypeAlias = dict[str, object]

_SYNC_SIZE = 16
_HEADER = fastavro.parse_schema(
    {
        "type": "record",
        "name": "Header",
        "fields": [
            {"name": "magic", "type": {"type": "fixed", "name": "Magic", "size": 4}},
            {"name": "meta", "type": {"type": "map", "values": "bytes"}},
            {"name": "sync", "type": {"type": "fixed", "name": "Sync", "size": _SYNC_SIZE}},
        ],
    }
)

_CODECS: dict[str, Callable[[bytes], bytes]] = {
    "null": bytes,
    "deflate": partial(zlib.decompress, wbits=-zlib.MAX_WBITS),
    "bzip2": bz2.decompress,
    "xz": lzma.decompress,
}

_BAD_BLOCK = (zlib.error, lzma.LZMAError, OSError, EOFError, ValueError)
"""What the codecs raise."""

_BAD_RECORD = (EOFError, IndexError, ValueError, OverflowError, MemoryError, TypeError, KeyError)
"""What fastavro raises for bytes that are no such record; a text that is no UTF-8 is a ValueError."""

_LONG_BITS = 64
_CUT = "truncated: it ends inside of a block"
_BROKEN = "damaged: a block is not what was written"


@dataclass(frozen=True, kw_only=True, slots=True)
class _Header:
    """What stands before the blocks."""

    schema: EventSchema
    """How the events are written."""
    unpack: Callable[[bytes], bytes]
    """Undoes the codec of a block."""
    sync: bytes
    """The mark behind each block."""


def events(file: BinaryIO, fields: Fields) -> Iterator[bytes]:
    """The events as JSON; memory holds a block.

    A file that was cut between two blocks cannot be told from a whole one.

    Raises:
        UnusableSchema: It holds no such events; the text says why.
        Unreadable: Its codec is not read here.
        Damaged: It is not what was written.
    """
    header = _header(file, fields)
    conversion = _Conversion.of(header.schema, fields.names)
    for count, body in _blocks(file, header):
        yield from map(conversion.json, _records(header.schema, count, body))


def _header(file: BinaryIO, fields: Fields) -> _Header:
    try:
        header = fastavro.schemaless_reader(file, _HEADER, None)
    except _BAD_RECORD as error:
        raise Damaged("truncated or damaged: its header is not whole") from error
    assert isinstance(header, dict)
    meta = header["meta"]
    codec = meta.get("avro.codec", b"null").decode(errors="replace")
    if codec not in _CODECS:
        raise Unreadable(
            f"its blocks are packed with {codec!r}, which is not read here: write it with deflate"
        )
    read = partial(event_schema, meta.get("avro.schema", b""), hashed=fields.hashed)
    return _Header(schema=fields.first_found(read), unpack=_CODECS[codec], sync=header["sync"])


def _blocks(file: BinaryIO, header: _Header) -> Iterator[tuple[int, bytes]]:
    """Each block's number of records, and their bytes."""
    while first := file.read(1):
        count, size = _number(file, first), _number(file)
        packed = _exactly(file, size)
        if _exactly(file, _SYNC_SIZE) != header.sync:
            raise Damaged(_BROKEN)
        try:
            body = header.unpack(packed)
        except _BAD_BLOCK as error:
            raise Damaged(_BROKEN) from error
        yield count, body


def _records(schema: EventSchema, count: int, body: bytes) -> Iterator[_Record]:
    """The records of a block, which must be all that is in it."""
    file = io.BytesIO(body)
    plain = schema.schema.plain
    for _ in range(count):
        try:
            record = fastavro.schemaless_reader(file, plain, None)
        except _BAD_RECORD as error:
            raise Damaged(_BROKEN) from error
        assert isinstance(record, dict)
        yield record
    if file.tell() != len(body):
        raise Damaged(_BROKEN)


def _number(file: BinaryIO, first: bytes = b"") -> int:
    """A long, as Avro writes it, whose first byte may be read already."""
    value = 0
    for shift in range(0, _LONG_BITS, 7):
        (byte,) = first or _exactly(file, 1)
        first = b""
        value |= (byte & 0x7F) << shift
        if byte < 0x80:  # noqa: PLR2004  # the topmost bit says that another one follows
            return value >> 1 ^ -(value & 1)
    raise Damaged(_BROKEN)


def _exactly(file: BinaryIO, size: int) -> bytes:
    try:
        data = file.read(max(0, size))
    except (OverflowError, MemoryError) as error:
        raise Damaged(_BROKEN) from error
    if len(data) != size:
        raise Damaged(_CUT if size >= 0 else _BROKEN)
    return data


@dataclass(frozen=True, kw_only=True, slots=True)
class _Conversion:
    """How the events of a schema become JSON of another's names; what no event needs is left out."""

    fields: tuple[tuple[str, str], ...]
    """Names there and here of all but segments."""
    event_time: str
    """Name of the event time here."""
    ticks: int
    """How many units of an event time there are a millisecond."""
    segments: tuple[tuple[str, str], ...]
    """Names there and here of the segments, where it has them."""
    elements: tuple[tuple[str, str], ...]
    """Names there and here of an element's fields."""

    @classmethod
    def of(cls, schema: EventSchema, names: Mapping[str, str]) -> "_Conversion":
        """To the names in `names`."""
        pairs = {ours: (schema.names[ours], names[ours]) for ours in names if ours in schema.names}
        return cls(
            fields=tuple(pairs[ours] for ours in FIELDS if ours in pairs and ours != "segments"),
            event_time=names["event_time"],
            ticks=schema.ticks,
            segments=tuple(pairs[ours] for ours in ("segments",) if ours in pairs),
            elements=tuple(pairs[ours] for ours in ELEMENT if ours in pairs),
        )

    def json(self, record: _Record) -> bytes:
        """The event; what is null stays null, and is the decoder's to judge."""
        event = {here: record[there] for there, here in self.fields}
        event_time = event[self.event_time]
        if isinstance(event_time, int):
            event[self.event_time] = event_time // self.ticks
        for there, here in self.segments:
            elements = record[there]
            if isinstance(elements, list):
                event[here] = [element and self._element(element) for element in elements]
        return msgspec.json.encode(event)

    def _element(self, element: _Record) -> _Record:
        return {here: element[there] for there, here in self.elements}
