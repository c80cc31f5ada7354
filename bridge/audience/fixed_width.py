"""Columns as the bytes of their texts: a matrix of UInt8, a row each, NUL where a shorter text has nothing.

Matrices side by side, their NULs left out, are the texts of all rows behind each other: what would be a call,
or a string, for each row is a few steps over all of them.
"""

import numpy as np
import polars as pl
from numpy.typing import NDArray

Matrix = NDArray[np.uint8]

_GROUP = 4
_BASE = 10**_GROUP


def _table(text: str) -> NDArray[np.uint32]:
    """Four bytes for each of 10,000 numbers, as `text` (a format) has them."""
    texts = [text.format(number).replace(" ", "\0") for number in range(_BASE)]
    return np.frombuffer("".join(texts).encode("ascii"), np.uint32)


_PADDED = _table("{:04}")
_LAST = _table("{:4}")
_LEADING = np.where(np.arange(_BASE) > 0, _LAST, np.uint32(0))  # none, in front of all that there is


def numbers(values: NDArray[np.integer]) -> Matrix:
    """Decimal digits of numbers from 0 to 4,294,967,295."""
    rest = values.astype(np.uint32)
    groups: list[NDArray[np.uint32]] = []
    while not groups or rest.any():
        rest, low = np.divmod(rest, np.uint32(_BASE))
        leading = _LEADING if groups else _LAST
        groups.append(np.where(rest > 0, _PADDED[low], leading[low]))
    return np.column_stack(groups[::-1]).view(np.uint8)


def texts(values: pl.Series) -> Matrix:
    """ASCII texts (String, without nulls) without NULs."""
    width = int(values.str.len_bytes().max() or 0)  # type: ignore[arg-type]  # a column of UInt32
    if not width:
        return np.empty((len(values), 0), dtype=np.uint8)
    padded = values.str.pad_end(width, "\0").cast(pl.Binary)
    return padded.bin.reinterpret(dtype=pl.Array(pl.UInt8, width), endianness="little").to_numpy()


def everywhere(text: str, rows: int) -> Matrix:
    """The same ASCII text in each row."""
    return np.broadcast_to(np.frombuffer(text.encode("ascii"), np.uint8), (rows, len(text)))


def where(flags: NDArray[np.bool_], text: str) -> Matrix:
    """The ASCII text in the rows of the flags, nothing in the others."""
    matrix = np.zeros((len(flags), len(text)), dtype=np.uint8)
    matrix[flags] = np.frombuffer(text.encode("ascii"), np.uint8)
    return matrix


def joined(*columns: Matrix) -> bytes:
    """The texts of all rows behind each other, without their NULs."""
    matrix: Matrix = np.hstack(columns)
    return bytes(matrix[matrix != 0])


def lengths(*columns: Matrix) -> NDArray[np.int64]:
    """Bytes of each row's texts together."""
    total = np.zeros(len(columns[0]), dtype=np.int64)
    for column in columns:
        total += np.count_nonzero(column, axis=1)
    return total
