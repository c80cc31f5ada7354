"""Parquet: a row an event, read a slice at a time."""

import io
from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path

import polars as pl

from bridge.ingest.avro_types import UnusableSchema
from bridge.ingest.events import ELEMENT, FIELDS, REQUIRED, names_in_topic
from bridge.replay.archive_fields import Fields

SLICE = 16_384
"""Rows that are read at once: some MB, even of users with many segments."""

UNREADABLE = (pl.exceptions.PolarsError, pl.exceptions.PanicException, OSError)
"""What polars raises for a file that is not what was written; on some such files it ends the process."""

_TEXT, _FLAG, _WHOLE, _TIME = "text", "boolean", "whole number", "whole number or timestamp"
_KINDS = {
    "user_id": _TEXT,
    "mobile": _FLAG,
    "client": _TEXT,
    "user_namespace": _TEXT,
    "segment_namespace": _TEXT,
    "remove_all": _FLAG,
    "event_time": _TIME,
    "timestamp": _WHOLE,
}


def slices(path: Path, fields: Fields) -> Iterator[bytes]:
    """The events as lines of JSON, a slice of the file at a time.

    Raises:
        UnusableSchema: It holds no such events; the text says why. Else one of UNREADABLE.
    """
    scan = pl.scan_parquet(path, glob=False, hive_partitioning=False)
    columns = fields.first_found(partial(_columns, scan.collect_schema(), fields))
    rows = scan.select(pl.len()).collect().item()
    for start in range(0, rows, SLICE):
        lines = io.BytesIO()
        scan.slice(start, SLICE).select(columns).collect().write_ndjson(lines)
        yield lines.getvalue()


def _columns(schema: pl.Schema, fields: Fields, mapped: Mapping[str, str]) -> list[pl.Expr]:
    """The fields that are there under the names of `mapped`, as the stream calls them; UnusableSchema."""
    there, here = names_in_topic(mapped), fields.names
    present = _present(schema, {ours: there[ours] for ours in FIELDS if ours in there})
    for ours in REQUIRED:
        if ours not in present:
            raise UnusableSchema(f"it has no field {there.get(ours, ours)}")
    columns = []
    for ours, dtype in present.items():
        column = pl.col(there[ours])
        if ours == "segments":
            column = _elements(column, dtype, there, fields)
        else:
            column = _values(column, dtype, there[ours], _KINDS[ours])
        if ours in here:
            columns.append(column.alias(here[ours]))
    return columns


def _elements(column: pl.Expr, dtype: pl.DataType, there: Mapping[str, str], fields: Fields) -> pl.Expr:
    if not isinstance(dtype, pl.List) or not isinstance(dtype.inner, pl.Struct):
        raise UnusableSchema("its segments are no list of structs")
    present = _present(
        pl.Schema(dtype.inner.to_schema()), {ours: there[ours] for ours in ELEMENT if ours in there}
    )
    kinds = _KINDS | {"segment_id": _TEXT if fields.hashed else _WHOLE}
    parts = []
    for ours in ELEMENT:
        if ours not in present:
            raise UnusableSchema(f"its segments have no field {there.get(ours, ours)}")
        part = pl.element().struct.field(there[ours])
        parts.append(_values(part, present[ours], there[ours], kinds[ours]).alias(fields.names[ours]))
    return column.list.eval(pl.struct(parts))


def _present(schema: Mapping[str, pl.DataType], names: Mapping[str, str]) -> dict[str, pl.DataType]:
    """Our names of the columns that are there; one of nulls alone is as good as missing."""
    return {
        ours: schema[name]
        for ours, name in names.items()
        if name in schema and not isinstance(schema[name], pl.Null)
    }


def _values(column: pl.Expr, dtype: pl.DataType, name: str, kind: str) -> pl.Expr:
    """What JSON has of a column; UnusableSchema."""
    if kind == _TEXT and isinstance(dtype, pl.String | pl.Categorical | pl.Enum):
        return column.cast(pl.String)
    if kind == _FLAG and isinstance(dtype, pl.Boolean):
        return column
    if kind in (_WHOLE, _TIME) and dtype.is_integer():
        return column
    if kind == _TIME and isinstance(dtype, pl.Datetime):
        return column.dt.epoch("ms")
    raise UnusableSchema(f"its field {name} is no {kind}")
