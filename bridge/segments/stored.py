"""What was seen as bytes: one small file a stream, that nobody needs to go on."""

from pathlib import Path
from typing import TypeVar

import msgspec
import numpy as np
import polars as pl

from bridge.errors import BridgeError
from bridge.segments import unknown
from bridge.segments.codes import Codes
from bridge.segments.seen import Seen

T = TypeVar("T", bound="UnknownSegments")

FOLDER = "segments"
"""Where the files lie in the spool."""

FORMAT = 1
"""Version of the files."""


class UnknownSegment(msgspec.Struct, array_like=True, frozen=True):
    """A segment that its stream's taxonomy does not hold for sale."""

    code: str
    """As events have it."""
    memberships: int
    """How many came, removals among them (`unknown`)."""
    first_day: int
    """The day on which it was first seen."""
    last_day: int
    """The day on which it was last seen."""


class UnknownSegments(msgspec.Struct, frozen=True):
    """Those of a stream: a part of the record, read without the rest."""

    format: int
    """Version of the file."""
    since: int
    """The day on which watching began."""
    until: int
    """The last day on which somebody watched."""
    unknown: list[UnknownSegment]
    """The most frequent first."""


class _Code(msgspec.Struct, array_like=True):
    code: str
    known_since: int
    last_day: int


class _Stored(UnknownSegments, frozen=True):
    hashed: bool
    codes: list[_Code]
    taxonomy: str = ""


def path_of(spool: Path, stream: str) -> Path:
    """The file of a stream in the spool's directory."""
    return spool / FOLDER / f"{stream}.json"


def encoded(seen: Seen) -> bytes:
    """The record's bytes."""
    columns = zip(seen.codes.texts, seen.known_since.tolist(), seen.last_days.tolist(), strict=True)
    return msgspec.json.encode(
        _Stored(
            format=FORMAT,
            hashed=seen.codes.hashed,
            since=seen.since,
            until=seen.until,
            codes=[_Code(*fields) for fields in columns],
            unknown=[UnknownSegment(*fields) for fields in seen.unknown.rows()],
            taxonomy=seen.taxonomy,
        )
    )


def load(path: Path) -> Seen | None:
    """The record in a file; None: there is none yet.

    Raises:
        BridgeError: It cannot be read, or is none of ours.
    """
    stored = _read(path, _Stored)
    if stored is None:
        return None
    try:
        return _record(stored)
    except (ValueError, OverflowError, pl.exceptions.PolarsError):
        raise _damaged(path) from None


def load_unknown(path: Path) -> UnknownSegments | None:
    """The unknown segments of the record in a file; None: there is none yet.

    Raises:
        BridgeError: As `load`.
    """
    return _read(path, UnknownSegments)


def _read(path: Path, kind: type[T]) -> T | None:
    try:
        stored = msgspec.json.decode(path.read_bytes(), type=kind)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise BridgeError(f"cannot read {path}: {error.strerror}; see to its owner and mode") from None
    except ValueError:  # msgspec's are
        raise _damaged(path) from None
    if stored.format != FORMAT:
        raise _damaged(path)
    return stored


def _damaged(path: Path) -> BridgeError:
    return BridgeError(f"{path} is not what was written; remove it: segments are then watched anew")


def _record(stored: _Stored) -> Seen:
    """ValueError, or polars' own: the parts do not fit each other."""
    codes = Codes((one.code for one in stored.codes), hashed=stored.hashed)
    if codes.texts != [one.code for one in stored.codes]:
        raise ValueError(FORMAT)
    unknown_segments = pl.DataFrame(
        [(one.code, one.memberships, one.first_day, one.last_day) for one in stored.unknown],
        schema=unknown.SCHEMA,
        orient="row",
    )
    codes.cast(unknown_segments["code"])  # raises where one is none
    return Seen(
        since=stored.since,
        until=stored.until,
        taxonomy=stored.taxonomy,
        codes=codes,
        known_since=np.array([one.known_since for one in stored.codes], dtype=np.int32),
        last_days=np.array([one.last_day for one in stored.codes], dtype=np.int32),
        unknown=unknown_segments,
    )
