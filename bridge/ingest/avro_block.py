"""Events joined into one Avro container block, read by polars as columns, and proof that each was read whole.

    framing body nonce framing body nonce ...

The record that polars is told to read is the framing (a fixed), the event's fields and a double. The nonce is
drawn anew for each block, so it stands nowhere else in the bytes: as many records as events, each with the
nonce behind it, means that every body began and ended where it should. Without it a bad body could shift its
neighbours unseen; and were it known before, a crafted one could swallow them.

Some bad bodies make polars panic (a text longer than the rest of the block). That is caught as any error is;
the two lines that Rust then writes on stderr hold numbers only.
"""

import io
import json

import numpy as np
import polars as pl
from numpy.typing import NDArray

from bridge.ingest.avro_layout import Column, Kind, Layout
from bridge.ingest.values import Joined, Offsets, Values

_NONCE = "nonce"
_SYNC = bytes(16)
_UNREADABLE = (pl.exceptions.PolarsError, pl.exceptions.PanicException, OSError, ValueError)
"""What polars raises for bad bodies; OSError, where the bytes end too soon."""
_STEPS = 2 ** (7 * np.arange(1, 10, dtype=np.uint64))
"""From each of these on, a number takes one byte more."""


class NotClean(Exception):  # noqa: N818  # it is an answer: some event is not as it should be
    """Some value cannot be read, or not in the one way that is right."""


class BlockReader:
    """Reads values of one layout; `framing` bytes stand before each body."""

    def __init__(self, layout: Layout, framing: int) -> None:
        self._layout = layout
        self._framing = framing
        before = [_field("framing", {"type": "fixed", "name": "Framing", "size": framing})] if framing else []
        self._columns = [str(part["name"]) for part in layout.event] + [_NONCE]
        record = {
            "type": "record",
            "name": "Block",
            "fields": [*before, *layout.event, _field(_NONCE, "double")],
        }
        self._head = _head(json.dumps(record).encode())

    def read(self, values: Values) -> pl.DataFrame:
        """The layout's columns; NotClean, if they are not all right."""
        joined = values.joined
        sizes = _number(len(values)), _number(len(joined.body))
        block = b"".join([self._head, *sizes, joined.body, _SYNC])
        try:
            frame = pl.read_avro(io.BytesIO(block), columns=self._columns)
        except _UNREADABLE as error:
            raise NotClean from error
        expected = np.frombuffer(joined.nonce, np.int64)
        if len(frame) != len(values) or (frame[_NONCE].to_numpy().view(np.int64) != expected).any():
            raise NotClean
        frame = frame.drop(_NONCE)
        self._look(frame, joined)
        return frame

    def _look(self, frame: pl.DataFrame, joined: Joined) -> None:
        """Look at the bytes that polars reads otherwise than fastavro."""
        for column in self._layout.enums:
            bound = column.symbols or 0
            if (
                not frame[column.name].is_between(-bound, bound - 1).all()
            ):  # as Python counts, so does fastavro
                raise NotClean
        if not self._layout.forward and not self._layout.backward:
            return
        body = np.frombuffer(joined.body, np.uint8)
        at = joined.starts + self._framing
        for column in self._layout.forward:
            if column.checked:
                _check(body, at, column, frame[column.name])
            if column is not self._layout.forward[-1]:
                at = at + _span(column, frame[column.name])
        at = joined.ends
        for column in self._layout.backward:
            at = at - _span(column, frame[column.name])
            if column.checked:
                _check(body, at, column, frame[column.name])


def _check(body: NDArray[np.uint8], at: Offsets, column: Column, values: pl.Series) -> None:
    """Look at the byte of a union's branch, and at that of a boolean; NotClean."""
    if column.nullable:
        if not np.isin(body[at], (0, 2)).all():
            raise NotClean
        if column.kind is Kind.FLAG:
            at = at[values.is_not_null().to_numpy()] + 1
    if column.kind is Kind.FLAG and (body[at] > 1).any():
        raise NotClean


def _span(column: Column, values: pl.Series) -> Offsets | int:
    """How many bytes each value of a column takes, in its shortest form."""
    if column.nullable:
        if values.null_count() == len(values):
            return 1
        return 1 + np.where(values.is_not_null().to_numpy(), _inner_span(column, values), 0)
    return _inner_span(column, values)


def _inner_span(column: Column, values: pl.Series) -> Offsets | int:
    """The same for values that are there; what it says of a null does not matter."""
    match column.kind:
        case Kind.TEXT:
            counted = values.str.len_bytes() if values.dtype == pl.String else values.bin.size()
            sizes = counted.fill_null(0).to_numpy().astype(np.int64)
            return sizes + _number_span(sizes.astype(np.uint64) << np.uint64(1))
        case Kind.NUMBER:
            numbers = values.fill_null(0).to_numpy()
            return _number_span(
                (numbers.astype(np.uint64) << np.uint64(1)) ^ (numbers >> 63).astype(np.uint64)
            )
        case _:
            return column.width


def _number_span(zigzag: NDArray[np.uint64]) -> Offsets:
    return 1 + np.searchsorted(_STEPS, zigzag, side="right").astype(np.int64)


def _field(name: str, type_: object) -> dict[str, object]:
    return {"name": name, "type": type_}


def _head(schema: bytes) -> bytes:
    """The container file's header."""
    pairs = ((b"avro.schema", schema), (b"avro.codec", b"null"))
    text = b"".join(_number(len(part)) + part for pair in pairs for part in pair)
    return b"Obj\x01" + _number(len(pairs)) + text + _number(0) + _SYNC


def _number(value: int) -> bytes:
    """A number that is not negative, as Avro writes a long."""
    rest, out = value << 1, bytearray()
    while rest > 0x7F:  # noqa: PLR2004  # seven bits a byte
        out.append(rest & 0x7F | 0x80)
        rest >>= 7
    out.append(rest)
    return bytes(out)
