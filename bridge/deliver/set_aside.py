"""Adds beyond the horizon: kept for the operator, not sent (design.md, invariant 1).

They are kept as archived events (contract.md, Events), so that a replay can read them again.
"""

import hashlib
import io

import polars as pl

from bridge.audience import uuids
from bridge.audience.audience import Audience
from bridge.spool.spool import Spool

FOLDER = "beyond-horizon"


class SetAside:
    """Parquet files in SPOOL/beyond-horizon: `AUDIENCE-RUN-CONTENT.parquet`, a row an event of one segment.

    The column `audience` names the audience, whose account no event tells.

    The content is in the name: parts of one delivery reach up to the same run, and set aside different rows.
    """

    def __init__(self, spool: Spool) -> None:
        self._spool = spool

    def keep(self, audience: Audience, run: int, rows: pl.DataFrame) -> None:
        """The rows are durable when this returns; the same delivery done again writes the same file.

        Raises:
            SpoolFull: There is no room.
            SpoolFailed: The disk failed.
        """
        data = io.BytesIO()
        _events(audience, rows).write_parquet(data)
        name = f"{_digest(audience.key.encode())}-{run:012}-{_digest(data.getvalue())}.parquet"
        self._spool.write_file(f"{FOLDER}/{name}", data.getvalue())


def _events(audience: Audience, rows: pl.DataFrame) -> pl.DataFrame:
    """Adds (columns of `rows.schema`, at least one) as events, under our names of their fields."""
    segment = pl.col("segment")
    element = pl.struct(
        segment_id=segment if audience.hashed else segment.cast(pl.Int64), timestamp=pl.col("timestamp")
    )
    return rows.select(
        user_id=_user_ids(audience, rows),
        mobile=pl.lit(audience.mobile),
        client=pl.lit(audience.client or None, pl.String),
        user_namespace=pl.lit(audience.user_namespace),
        segment_namespace=pl.lit(audience.segment_namespace),
        remove_all=pl.lit(value=False),
        segments=pl.concat_list(element),
        event_time=pl.col("event_time"),
        audience=pl.lit(audience.key),
    )


def _user_ids(audience: Audience, rows: pl.DataFrame) -> pl.Series:
    if not audience.uuids:
        return rows["user"]
    texts = uuids.digits(rows["hi"], rows["lo"])
    return pl.Series(texts.view(f"S{uuids.LENGTH}").ravel()).cast(pl.String)


def _digest(data: bytes) -> str:
    return hashlib.blake2b(data, digest_size=6).hexdigest()
