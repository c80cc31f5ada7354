"""Archived files: what they are, told by their first bytes and not by their names."""

import contextlib
import hashlib
import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum, auto
from functools import partial
from pathlib import Path
from typing import BinaryIO, cast

import msgspec
from zlib_ng import gzip_ng, zlib_ng

from bridge.errors import BridgeError, UsageError

LONGEST_LINE = 1 << 26
"""Bytes of a line of JSON Lines, at most: no event is longer, and memory stays bounded."""

BAD_GZIP: tuple[type[Exception], ...] = (EOFError, gzip_ng.BadGzipFile, zlib_ng.error)  # type: ignore[assignment]  # its stub is wrong
"""What reading raises where gzip ends too soon, or is not what was written."""

PARQUET = b"PAR1"
"""What a Parquet file begins and ends with."""

_GZIP = b"\x1f\x8b"
_AVRO = b"Obj\x01"
_DIGEST_SIZE = 16
_REMEDY = "name Avro container files, Parquet or JSON Lines, as they are or packed with gzip"


class Damaged(Exception):  # noqa: N818  # it is an answer; what reads the archive makes a line of it
    """The archive is not what was written, or not all of it; the text says what is wrong."""


class Unreadable(Exception):  # noqa: N818  # as above
    """The archive may be whole, but is not written in a way that is read here; the text says what to do."""


class Kind(StrEnum):
    """How an archive's events are written."""

    AVRO = auto()
    """A container file."""
    PARQUET = auto()
    """A row an event."""
    JSON_LINES = auto()
    """A line an event."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Archive:
    """A file that was recognised."""

    path: Path
    """As the user named it."""
    kind: Kind
    """What is in it."""
    packed: bool
    """It is in gzip."""
    digest: str
    """Of its bytes as they lie there: who it is, whatever it is called."""
    size: int
    """Bytes of the file."""

    @property
    def label(self) -> str:
        """Its path; stands for the topic. What is no UTF-8 in it is escaped."""
        return os.fsencode(self.path).decode("utf-8", "backslashreplace")

    @contextlib.contextmanager
    def opened(self) -> Iterator[BinaryIO]:
        """Its content from the beginning, looked at through gzip.

        Raises:
            OSError: It cannot be opened; reading raises it too, or one of BAD_GZIP.
        """
        with _opened(self.path, packed=self.packed) as file:
            yield file


def recognise(path: Path) -> Archive:
    """Find out what a file is; reads all of it, for its digest.

    Raises:
        UsageError: It is no archive, or cannot be read.
        BridgeError: It is in gzip that is damaged at its beginning.
    """
    try:
        # a pipe cannot be read twice, and opening one may wait for ever
        if not stat.S_ISREG(path.stat().st_mode):
            raise _no_archive(path, "it is no regular file")
        with path.open("rb") as file:
            packed = file.read(len(_GZIP)) == _GZIP
            file.seek(0)
            digest = hashlib.file_digest(file, partial(hashlib.blake2b, digest_size=_DIGEST_SIZE))
            size = file.tell()
        with _opened(path, packed=packed) as file:
            kind = _kind(path, file)
    except BAD_GZIP as error:
        raise BridgeError(f"{path}: {gzip_fault(error)}; nothing was sent: fetch the file again") from error
    except OSError as error:
        raise UsageError(f"cannot read {path}: {error.strerror}; {_REMEDY}") from None
    return Archive(path=path, kind=kind, packed=packed, digest=digest.hexdigest(), size=size)


@contextlib.contextmanager
def _opened(path: Path, *, packed: bool) -> Iterator[BinaryIO]:
    with path.open("rb") as file:
        yield cast("BinaryIO", gzip_ng.open(file)) if packed else file  # type: ignore[no-untyped-call]  # it has none


def _kind(path: Path, file: BinaryIO) -> Kind:
    """What the content is by its first line that is not blank; bytes that are no lines are one."""
    lines = iter(partial(file.readline, LONGEST_LINE), b"")
    first = next((line for line in lines if line.strip()), b"")
    if not first:
        raise _no_archive(path, "it is empty")
    if first.startswith(_AVRO):
        return Kind.AVRO
    if first.startswith(PARQUET):
        return Kind.PARQUET
    # the only line may be cut short; reading it says so
    if first.lstrip().startswith(b"{") and (not first.endswith(b"\n") or is_object(first)):
        return Kind.JSON_LINES
    raise _no_archive(path, "it begins with neither of their marks, nor with a line that is a JSON object")


def is_object(line: bytes) -> bool:
    """Whether a line is a whole JSON object."""
    try:
        msgspec.json.decode(line, type=dict[str, object])
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return False
    return True


def gzip_fault(error: Exception) -> str:
    """What is wrong with gzip that raised one of BAD_GZIP."""
    if isinstance(error, EOFError):
        return "truncated: its gzip ends too soon"
    return "damaged: its gzip is not what was written"


def _no_archive(path: Path, why: str) -> UsageError:
    return UsageError(f"{path}: is no archive: {why}; {_REMEDY}")
