"""A second reading of Avro events, one by one with fastavro: what the decoder has to agree with."""

import copy
import io
import json

import fastavro

FIELDS = {
    "user_id": None,
    "mobile": False,
    "client": None,
    "user_namespace": None,
    "segment_namespace": None,
    "remove_all": False,
    "segments": [],
    "event_time": None,
}
PER_MS = {"timestamp-micros": 1_000, "timestamp-nanos": 1_000_000}


class Text:
    """Schemas by id, as a registry has them."""

    def __init__(self, schemas):
        self.schemas = schemas

    def text(self, schema_id):
        return json.dumps(self.schemas[schema_id])


def encode(schema, record):
    """An Avro body."""
    body = io.BytesIO()
    fastavro.schemaless_writer(body, fastavro.parse_schema(copy.deepcopy(schema)), record)
    return body.getvalue()


def framed(schema, record, schema_id=7):
    """A body in Confluent's framing."""
    return b"\0" + schema_id.to_bytes(4) + encode(schema, record)


def accepted(schema, values, framing=5, names=None):
    """Rows of the values that hold just one event each, by position."""
    event_time = (names or {}).get("event_time", "event_time")
    ticks = 1
    schema = copy.deepcopy(schema)
    for field in schema["fields"]:
        if field["name"] == event_time and isinstance(field["type"], dict):
            ticks = PER_MS.get(field["type"].pop("logicalType", ""), 1)
    parsed = fastavro.parse_schema(schema)
    found = {}
    for position, value in enumerate(values):
        row = _row(parsed, value, framing, names or {}, ticks)
        if row is not None:
            found[position] = row
    return found


def _row(parsed, value, framing, names, ticks):
    body = io.BytesIO(value[framing:])
    try:
        record = fastavro.schemaless_reader(body, parsed, None)
    except (EOFError, IndexError, UnicodeDecodeError, ValueError, OverflowError):
        return None
    if body.read(1):
        return None
    row = {}
    for ours, default in FIELDS.items():
        value_ = record.get(names.get(ours, ours))
        row[ours] = default if value_ is None else value_
    if row["user_id"] is None or row["event_time"] is None:
        return None
    row["event_time"] //= ticks
    row["segments"] = [
        {ours: element[names.get(ours, ours)] for ours in ("segment_id", "timestamp")}
        for element in row["segments"]
    ]
    return row


def rows(decoded):
    """The decoder's events in the same form."""
    return {row.pop("index"): row for row in decoded.events.to_dicts()}
