"""The .avsc files that pin a stream's writer schema, looked at before they are trusted."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path

from fastavro.schema import SchemaParseException, parse_schema

REQUIRED_FIELDS = ("user_id", "segments", "event_time")
"""Fields of contract.md's Events without a default."""

_UNREADABLE = (SchemaParseException, ValueError, KeyError, TypeError, AttributeError, RecursionError)
"""What fastavro's parser raises for texts that are no schema."""


def schema_faults(path: Path, names: Mapping[str, str]) -> Iterator[str]:
    """What keeps the file from being the schema of our events; `names`: our field's name to the topic's."""
    try:
        schema: str | list[object] | dict[str, object] = json.loads(path.read_bytes())
    except OSError as error:
        yield f"cannot read {path}: {error.strerror}; name an .avsc file"
        return
    except (ValueError, RecursionError):
        yield f"{path} is no JSON; name an .avsc file"
        return
    try:
        parsed: object = parse_schema(schema)
        recursive = _recursive(parsed, frozenset())
    except _UNREADABLE:
        yield f"{path} is no Avro schema; correct it"
        return
    if not isinstance(parsed, dict) or parsed.get("type") != "record":
        yield f"{path} is no Avro record; the schema of an event is one"
    elif recursive:
        yield f"{path} is recursive, which no event is; write the schema of the topic's events"
    else:
        yield from _missing_fields(path, {str(field["name"]) for field in parsed["fields"]}, names)


def _missing_fields(path: Path, present: set[str], names: Mapping[str, str]) -> Iterator[str]:
    for ours in REQUIRED_FIELDS:
        theirs = names.get(ours, ours)
        if theirs not in present:
            yield f"{path} has no field {theirs}; name the topic's field under fields.{ours}"


def _recursive(schema: object, around: frozenset[str]) -> bool:
    """Whether a parsed schema (full names) refers to a record around it: fastavro crashes on reading it."""
    match schema:
        case str(name):
            return name in around
        case list(branches):
            return any(_recursive(branch, around) for branch in branches)
        case {"type": "record" | "error", "name": str(name), "fields": list(fields)}:
            return any(_recursive(field["type"], around | {name}) for field in fields)
        case {"type": kind, **rest}:
            return any(_recursive(part, around) for part in (kind, rest.get("items"), rest.get("values")))
        case _:
            return False
