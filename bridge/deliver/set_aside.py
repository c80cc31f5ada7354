"""Adds beyond the horizon: kept for the operator, not sent (design.md, invariant 1)."""

import hashlib
import io

import polars as pl

from bridge.audience.audience import Audience
from bridge.spool.spool import Spool

FOLDER = "beyond-horizon"


class SetAside:
    """Parquet files in SPOOL/beyond-horizon: `AUDIENCE-RUN-CONTENT.parquet`, rows as in the runs.

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
        rows.with_columns(audience=pl.lit(audience.key)).write_parquet(data)
        name = f"{_digest(audience.key.encode())}-{run:012}-{_digest(data.getvalue())}.parquet"
        self._spool.write_file(f"{FOLDER}/{name}", data.getvalue())


def _digest(data: bytes) -> str:
    return hashlib.blake2b(data, digest_size=6).hexdigest()
