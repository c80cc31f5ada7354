"""Events read by the letter of Avro's and JSON's specifications, in the plainest way.

What is right and what is wrong they say; what is odd a tolerant reader may take or leave.
"""

import json
import math
import struct

from tests.ingest.judge import FIELDS, PER_MS

ODD = "odd"
"""Not as the specification has it, but it can be read: taken or refused, it must not touch its neighbours."""

BROKEN = "broken"
"""It is no event, and has to be refused."""

INT, LONG = 2**31, 2**63


class BrokenEvent(Exception):  # noqa: N818  # it is an answer
    """It is no event."""


class _Body:
    """Reads a value after the other."""

    def __init__(self, body):
        self.body = body
        self.at = 0
        self.odd = False

    def take(self, size):
        if not 0 <= size <= len(self.body) - self.at:
            raise BrokenEvent
        self.at += size
        return self.body[self.at - size : self.at]

    def number(self):
        value = shift = 0
        while True:
            (byte,) = self.take(1)
            value |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                break
        self.odd |= shift > 7 and (byte == 0 or value >= 2**64)
        value &= 2**64 - 1
        return value >> 1 ^ -(value & 1)

    def byte(self):
        (byte,) = self.take(1)
        self.odd |= byte > 1
        return byte != 0

    def blocks(self, item):
        """The items of an array or map."""
        found = []
        while count := self.number():
            if count < 0:
                self.odd |= count == -LONG  # in 64 bits this is its own opposite: none, for many a reader
                count, size = -count, self.number()
                start = self.at
            else:
                size = None
            if count > len(self.body):  # none is of no bytes
                raise BrokenEvent
            found += [item() for _ in range(count)]
            self.odd |= size is not None and self.at - start != size
        return found


def avro(schema, body):
    """The row of an Avro body, in the form of `judge.rows`; else ODD or BROKEN."""
    reader, named = _Body(body), {}
    try:
        record = _value(reader, schema, named)
    except BrokenEvent:
        return ODD if reader.odd else BROKEN
    if reader.at != len(body):
        return ODD if reader.odd else BROKEN
    ticks = {
        field["name"]: PER_MS.get(field["type"].get("logicalType", ""), 1)
        for field in schema["fields"]
        if isinstance(field["type"], dict)
    }.get("event_time", 1)
    if record["user_id"] is None or record["event_time"] is None:
        return ODD if reader.odd else BROKEN
    if reader.odd:
        return ODD
    row = {ours: default if record.get(ours) is None else record[ours] for ours, default in FIELDS.items()}
    row["segments"] = [
        {ours: element[ours] for ours in ("segment_id", "timestamp")} for element in row["segments"]
    ]
    return row | {"event_time": row["event_time"] // ticks}


def _value(reader, schema, named):  # noqa: C901, PLR0911  # a case for each kind of type
    """One value; `named`: the types that have a name."""
    if isinstance(schema, list):
        branch = reader.number()
        if not 0 <= branch < len(schema):
            reader.odd |= -len(schema) <= branch < 0  # as Python counts
            raise BrokenEvent
        return _value(reader, schema[branch], named)
    if isinstance(schema, str):
        return _value(reader, named[schema], named) if schema in named else _primitive(reader, schema)
    if "name" in schema:
        named[schema["name"]] = schema
    match schema["type"]:
        case "record":
            return {part["name"]: _value(reader, part["type"], named) for part in schema["fields"]}
        case "array":
            return reader.blocks(lambda: _value(reader, schema["items"], named))
        case "map":
            return reader.blocks(
                lambda: (_primitive(reader, "string"), _value(reader, schema["values"], named))
            )
        case "fixed":
            return reader.take(schema["size"])
        case "enum":
            symbol = reader.number()
            reader.odd |= -len(schema["symbols"]) <= symbol < 0  # as Python counts
            if not 0 <= symbol < len(schema["symbols"]):
                raise BrokenEvent
            return symbol
        case other:
            return _value(reader, other, named)


def _primitive(reader, kind):
    match kind:
        case "null":
            return None
        case "boolean":
            return reader.byte()
        case "int" | "long":
            value = reader.number()
            reader.odd |= kind == "int" and not -INT <= value < INT
            return value
        case "float" | "double":
            return struct.unpack("<f" if kind == "float" else "<d", reader.take(4 if kind == "float" else 8))
        case "bytes" | "string":
            content = reader.take(reader.number())
            if kind == "bytes":
                return content
            try:
                return content.decode()
            except UnicodeDecodeError:
                raise BrokenEvent from None
    raise AssertionError(kind)


def json_text(text):
    """The row of a JSON text; else ODD or BROKEN."""
    try:
        plain = json.loads(text.decode(), parse_constant=_no_number)
    except RecursionError:
        return ODD
    except ValueError:
        return BROKEN
    if not isinstance(plain, dict):
        return BROKEN
    row = {ours: default if plain.get(ours) is None else plain[ours] for ours, default in FIELDS.items()}
    elements = row["segments"]
    if not (_right(row) and all(map(_right_element, elements))):
        return BROKEN
    row["segments"] = [{name: one[name] for name in ("segment_id", "timestamp")} for one in elements]
    if "\\u" in text.decode().lower() or _infinite(plain):
        return ODD  # halves of characters, and numbers that no double holds
    return row


def _no_number(_name):
    raise ValueError


def _right(row):
    return (
        all(isinstance(row[name], bool) for name in ("mobile", "remove_all"))
        and all(
            isinstance(row[name], str | None) for name in ("client", "user_namespace", "segment_namespace")
        )
        and isinstance(row["user_id"], str)
        and isinstance(row["segments"], list)
        and _whole(row["event_time"])
    )


def _right_element(element):
    return isinstance(element, dict) and all(
        _whole(element.get(name)) for name in ("segment_id", "timestamp")
    )


def _whole(value):
    return isinstance(value, int) and not isinstance(value, bool) and -LONG <= value < LONG


def _infinite(value):
    match value:
        case dict():
            return any(map(_infinite, value.values()))
        case list():
            return any(map(_infinite, value))
        case float():
            return math.isinf(value)
    return False
