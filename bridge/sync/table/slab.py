"""A slab: a sorted file of the identity table that never changes.

    block │ block │ ... │ index

A block is a Parquet file of rows of one namespace; the index, one too, says where each block is, which ids it
holds, and its checksum. How long the index is, and its checksum, stands in the contents: what is not named
there is no part of the table. A container of our own for the reasons that `spool.run` gives.
"""

import os
import weakref
from collections.abc import Callable, Sequence
from itertools import groupby
from pathlib import Path
from typing import NamedTuple

import polars as pl
from zlib_ng.zlib_ng import crc32

from bridge.errors import BridgeError
from bridge.sync.table.contents import SlabRecord

SUFFIX = ".slab"


class TableDamaged(BridgeError):  # noqa: N818  # it names a state, as people say it
    """A file of the table is not what was written: the table is made anew from its topic."""


class Block(NamedTuple):
    """Consecutive sorted rows of one namespace. The fields are the columns of the index."""

    namespace: str
    """Whose ids."""
    first: str
    """The first row's id."""
    last: str
    """The last row's id."""
    rows: int
    """How many."""
    newest: int
    """The newest `known_at` of them, epoch ms."""
    offset: int
    """Where its bytes begin in the file."""
    length: int
    """How many bytes."""
    crc32: int
    """Checksum of these bytes."""


def file_name(number: int) -> str:
    """The name of a slab's file."""
    return f"{number:012}{SUFFIX}"


class Slab:
    """An open slab. It may be read by several threads at once, and after its file was removed."""

    def __init__(self, path: Path, record: SlabRecord, tell_damaged: Callable[[], None]) -> None:
        """Opens the file and reads its index; `tell_damaged` is called before each TableDamaged.

        Raises:
            TableDamaged: It is not what was written, or not there.
        """
        self._path = path
        self._tell_damaged = tell_damaged
        try:
            self._descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        except OSError as error:
            raise self._damaged(f"it cannot be opened ({error.strerror})") from error
        weakref.finalize(self, os.close, self._descriptor)
        self.blocks = self._read_index(record)
        """By namespace, ascending by id."""

    def rows(self, blocks: Sequence[Block], columns: Sequence[str]) -> pl.DataFrame:
        """The rows of blocks (at least one), checked, with these columns of `rows.SCHEMA`.

        Raises:
            TableDamaged: They do not match their checksum.
        """
        data = [self._checked(block.offset, block.length, block.crc32) for block in blocks]
        return self._parquet(data, columns)

    def _read_index(self, record: SlabRecord) -> dict[str, list[Block]]:
        if os.fstat(self._descriptor).st_size != record.bytes:
            raise self._damaged("its size differs")
        at = record.bytes - record.index_bytes
        index = self._parquet([self._checked(at, record.index_bytes, record.index_crc32)])
        blocks = map(Block._make, index.iter_rows())
        return {namespace: list(own) for namespace, own in groupby(blocks, lambda block: block.namespace)}

    def _checked(self, offset: int, length: int, checksum: int) -> bytes:
        try:
            data = os.pread(self._descriptor, length, offset)
        except OSError as error:
            raise self._damaged(f"it cannot be read ({error.strerror})") from error
        if len(data) != length or crc32(data) != checksum:
            raise self._damaged(f"the checksum of what is at byte {offset} differs")
        return data

    def _parquet(self, data: list[bytes], columns: Sequence[str] | None = None) -> pl.DataFrame:
        try:
            return pl.read_parquet(data, columns=None if columns is None else list(columns))
        except (pl.exceptions.PolarsError, pl.exceptions.PanicException) as error:
            raise self._damaged("a block cannot be decoded") from error

    def _damaged(self, what: str) -> TableDamaged:
        self._tell_damaged()
        return TableDamaged(f"{self._path}: {what}: the identity table is made anew from its topic")
