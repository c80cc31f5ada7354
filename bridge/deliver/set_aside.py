"""Adds beyond the horizon: kept for the operator, not sent (design.md, invariant 1)."""

import hashlib
import io

import polars as pl

from bridge.audience.audience import Audience
from bridge.spool.spool import Spool

FOLDER = "beyond-horizon"


class SetAside:
    """Parquet files in SPOOL/beyond-horizon: `AUDIENCE-RUN.parquet`, rows as in the runs."""

    def __init__(self, spool: Spool) -> None:
        self._spool = spool

    def keep(self, audience: Audience, run: int, rows: pl.DataFrame) -> None:
        """The rows are durable when this returns; the same delivery done again writes the same file.

        Raises:
            SpoolFull: There is no room.
            SpoolFailed: The disk failed.
        """
        digest = hashlib.blake2b(audience.key.encode(), digest_size=6).hexdigest()
        data = io.BytesIO()
        rows.with_columns(audience=pl.lit(audience.key)).write_parquet(data)
        self._spool.write_file(f"{FOLDER}/{digest}-{run:012}.parquet", data.getvalue())
