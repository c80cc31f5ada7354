"""Values of the topic decoded all at once, by polars, and proof that each was read whole.

The key says the same as the value, and Kafka keeps them apart. Where all values, decoded as one Avro block,
begin as they should, agree with their keys and would take just as many bytes as they have, each began and
ended where it should: no bad one has shifted its neighbours.
"""

import io
import json
from collections.abc import Sequence

import numpy as np
import polars as pl
from fastavro.schema import to_parsing_canonical_form
from numpy.typing import NDArray

from bridge import published
from bridge.sync.mapping import PREFIX, Consent

_UNREADABLE = (pl.exceptions.PolarsError, pl.exceptions.PanicException, OSError, ValueError)
_SYNC = bytes(16)
_LONGER = 2 ** (7 * np.arange(1, 10, dtype=np.uint64))
"""From each of these on, a number takes one byte more."""
_KEY = r"^[\x21-\x7E]+ [\x21-\x7E]+(?: [0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12})?$"
_LONGEST = 256
_ZEROS = "00000000-0000-0000-0000-000000000000"


class NotClean(Exception):  # noqa: N818  # it is an answer
    """Some value is not just what the endpoint writes."""


def read(keys: Sequence[bytes], values: Sequence[bytes]) -> pl.DataFrame:
    """Columns namespace, id, mm_uuid, forgotten (false), synced_at, data_centre of values (at least one).

    Raises:
        NotClean: Not all of them could be read, and are what `mapping.decode` takes.
    """
    body = b"".join(values)
    block = b"".join([_HEAD, _number(len(values)), _number(len(body)), body, _SYNC])
    try:
        rows = pl.read_avro(io.BytesIO(block))
        told = pl.Series("key", keys, dtype=pl.Binary).cast(pl.String)
    except _UNREADABLE as error:
        raise NotClean from error
    if rows.height != len(values) or not (_size(rows) == np.fromiter(map(len, values), np.int64)).all():
        raise NotClean
    if not rows.with_columns(told).select(_is_as_written().all()).item():
        raise NotClean
    forgotten = pl.lit(value=False)
    return rows.drop("framing", "consent").rename({"partner_id": "id"}).with_columns(forgotten=forgotten)


def _is_as_written() -> pl.Expr:
    """The value begins as it should, says what its key does, and keeps the rules of a mapping."""
    names = ("namespace", "partner_id")
    key = pl.concat_str(*names, "mm_uuid", separator=" ", ignore_nulls=True)
    opted_out = pl.col("consent").cast(pl.String) == Consent.WITHDRAWN
    return (
        (pl.col("framing") == PREFIX)
        & (key == pl.col("key"))
        & pl.col("key").str.contains(_KEY)
        & pl.all_horizontal(pl.col(name).str.len_bytes() <= _LONGEST for name in names)
        & (opted_out == pl.col("mm_uuid").is_null())
        & pl.col("mm_uuid").ne_missing(_ZEROS)
    )


def _size(rows: pl.DataFrame) -> NDArray[np.int64]:
    """How many bytes each value takes in its shortest form."""
    texts = ("namespace", "partner_id", "data_centre", "mm_uuid")
    lengths = rows.select(pl.col(name).str.len_bytes().cast(pl.Int64) for name in texts)
    branch = consent = 1
    size = np.full(rows.height, len(PREFIX) + branch + consent, dtype=np.int64)
    for name in texts:
        length = lengths[name].fill_null(0).to_numpy()
        size += np.where(rows[name].is_null(), 0, length + _number_size(length))
    return size + _number_size(rows["synced_at"].to_numpy())


def _number_size(numbers: NDArray[np.int64]) -> NDArray[np.int64]:
    zigzag = (numbers.astype(np.uint64) << np.uint64(1)) ^ (numbers >> 63).astype(np.uint64)
    return 1 + np.searchsorted(_LONGER, zigzag, side="right").astype(np.int64)


def _head() -> bytes:
    """The header of an Avro container file whose records begin with the framing."""
    schema = json.loads(to_parsing_canonical_form(json.loads(published.schema_text("user_sync.avsc"))))
    framing = {"name": "framing", "type": {"type": "fixed", "name": "Framing", "size": len(PREFIX)}}
    text = json.dumps({**schema, "fields": [framing, *schema["fields"]]}).encode()
    pairs = ((b"avro.schema", text), (b"avro.codec", b"null"))
    body = b"".join(_number(len(part)) + part for pair in pairs for part in pair)
    return b"Obj\x01" + _number(len(pairs)) + body + _number(0) + _SYNC


def _number(value: int) -> bytes:
    """A number that is not negative, as Avro writes a long."""
    rest, out = value << 1, bytearray()
    while rest >= 1 << 7:
        out.append(rest & 0x7F | 0x80)
        rest >>= 7
    return bytes([*out, rest])


_HEAD = _head()
