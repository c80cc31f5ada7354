"""Writing a slab: rows as they come, then the index."""

import io
from pathlib import Path
from types import TracebackType
from typing import Self

import polars as pl
from zlib_ng.zlib_ng import crc32

from bridge.spool.disk import DurableFile
from bridge.sync.table.contents import FIRST, SlabRecord
from bridge.sync.table.rows import SCHEMA
from bridge.sync.table.slab import Block

BLOCK_ROWS = 16_384
"""Rows of a block: some 3 MB in memory, of which a merge holds one of each layer."""


class SlabWriter:
    """A slab in the making; as a context manager, what was not published is removed at the end."""

    def __init__(self, file: DurableFile, block_rows: int = BLOCK_ROWS) -> None:
        """`file`: a new one."""
        self._file = file
        self._block_rows = block_rows
        self._blocks: list[Block] = []
        self.rows = 0
        """How many were added."""

    def __enter__(self) -> Self:
        self._file.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.__exit__(kind, error, trace)

    def add(self, namespace: str, rows: pl.DataFrame) -> None:
        """Rows (`rows.SCHEMA`) of ids behind those given before, sorted; an id is given at once.

        Raises:
            SpoolFull: There is no room.
            SpoolFailed: The disk failed.
        """
        for part in rows.select(*SCHEMA).iter_slices(self._block_rows):
            data = io.BytesIO()
            part.write_parquet(data, compression="zstd", compression_level=1, statistics=False)
            self._append(namespace, part, data.getvalue())
        self.rows += rows.height

    def finish(self, number: int) -> SlabRecord:
        """The index is written, and the file synced; it is to be published under that number.

        Raises:
            SpoolFull: There is no room.
            SpoolFailed: The disk failed.
        """
        index = io.BytesIO()
        pl.DataFrame(self._blocks, schema=list(Block._fields), orient="row").write_parquet(index)
        data = index.getvalue()
        self._file.write(data)
        self._file.sync()
        return SlabRecord(
            number=number,
            rows=self.rows,
            bytes=self._file.size,
            index_bytes=len(data),
            index_crc32=crc32(data),
            last=(self._blocks[-1].namespace, self._blocks[-1].last) if self._blocks else FIRST,
        )

    def publish(self, target: Path) -> None:
        """The finished slab appears as `target`, durably.

        Raises:
            SpoolFull: The folder has no room for the name.
            SpoolFailed: The folder could not be synced.
        """
        self._file.publish(target)

    def _append(self, namespace: str, part: pl.DataFrame, data: bytes) -> None:
        ids = part["id"]
        newest = int(part["known_at"].max())  # type: ignore[arg-type]  # not empty, a column of Int64
        place = (self._file.size, len(data), crc32(data))
        self._file.write(data)
        self._blocks.append(Block(namespace, ids[0], ids[-1], part.height, newest, *place))
