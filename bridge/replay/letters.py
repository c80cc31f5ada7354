"""Files of dead letters: read back, and written anew without those that have passed since.

A file is read a line at a time, so memory is bounded by the largest letter, and that by LONGEST_LINE: a few
bytes of gzip can unpack to a line of gigabytes.
"""

import contextlib
import gzip
import zlib
from collections.abc import Container, Iterator
from datetime import datetime
from pathlib import Path
from typing import Annotated

import msgspec
from zlib_ng import zlib_ng

from bridge.clock import SECOND
from bridge.errors import BridgeError
from bridge.ingest.dead_letters import DeadLetter
from bridge.replay.archives import gzip_fault
from bridge.spool.disk import Disk, DurableFile, fatal, refusals

_SUFFIX = ".jsonl.gz"
_LEVEL = 1
_GZIP = 31
"""zlib's wbits for a gzip header, and the largest window."""

LONGEST_LINE = 1 << 28
"""Bytes of a line, at most: base64 of twice what a Kafka client receives at once, if it is told no other."""

_LATEST = 253_402_300_799_999
"""The last millisecond that can be written as a time: people read it."""


class LettersDamaged(BridgeError):  # noqa: N818  # it names a state, as people say it
    """A file of dead letters is not what was written, or cannot be read: `FILE:LINE: reason: remedy`."""


class _Stored(msgspec.Struct):
    """A line of the contract's fields; base64 becomes bytes."""

    reason: str
    detail: str
    stream: str
    topic: Annotated[str, msgspec.Meta(min_length=1)]
    partition: Annotated[int, msgspec.Meta(ge=0, le=2**31 - 1)]
    offset: Annotated[int, msgspec.Meta(ge=0, le=2**63 - 1)]
    timestamp: Annotated[int, msgspec.Meta(ge=-(2**63), le=2**63 - 1)]
    key: bytes | None
    value: bytes | None
    read_at: Annotated[datetime, msgspec.Meta(tz=True)]

    def letter(self) -> DeadLetter:
        """What it says; ValidationError where it was read at no time that there is."""
        read_at = round(self.read_at.timestamp() * SECOND)
        if not 0 <= read_at <= _LATEST:
            raise msgspec.ValidationError("Expected a time of the years 1970 to 9999 - at `$.read_at`")
        return DeadLetter(
            reason=self.reason,
            detail=self.detail,
            stream=self.stream,
            topic=self.topic,
            partition=self.partition,
            offset=self.offset,
            timestamp=self.timestamp,
            key=self.key,
            value=self.value,
            read_at=read_at,
        )


_DECODER = msgspec.json.Decoder(_Stored)


def letter_files(directory: Path) -> list[Path]:
    """The files of dead letters, the oldest first; none where there is no folder.

    Raises:
        BridgeError: The folder cannot be read.
    """
    try:
        return sorted(path for path in directory.iterdir() if path.name.endswith(_SUFFIX))
    except FileNotFoundError:
        return []
    except OSError as error:
        raise BridgeError(
            f"dead_letters.directory {directory}: cannot be read ({error.strerror}): name the folder "
            f"that the bridge writes, and be its user"
        ) from error


def read_letters(path: Path) -> Iterator[tuple[int, DeadLetter]]:
    """The letters of a file with their lines, from 1; none of a file that went meanwhile.

    Raises:
        LettersDamaged: From this line on it is not what was written.
    """
    for number, line in _lines(path):
        try:
            letter = _DECODER.decode(line).letter()
        except (ValueError, RecursionError) as error:  # msgspec's own errors are ValueErrors
            raise _damaged(path, number, f"no dead letter ({_why(error)})") from error
        yield number, letter


def drop_letters(path: Path, lines: Container[int], temporary: Path, disk: Disk) -> None:
    """Write a file anew without these lines; the others stay byte for byte, and without any the file is gone.

    Nobody else writes under its name meanwhile: a run's number is used once (design.md, invariant 10).

    Args:
        path: The file.
        lines: Their numbers, as `read_letters` gives them.
        temporary: Where it is made before it is renamed, on the same file system.
        disk: The disk port.

    Raises:
        LettersDamaged: It is not what was written; nothing has changed.
        SpoolFull: There is no room; nothing has changed.
        SpoolFailed: The disk failed.
    """
    kept = (line for number, line in _lines(path) if number not in lines)
    first = next(kept, None)
    if first is None:
        with refusals(path), contextlib.suppress(FileNotFoundError):
            disk.unlink(path)
        with fatal(path.parent):
            disk.fsync_folder(path.parent)
        return
    packer = zlib_ng.compressobj(_LEVEL, zlib_ng.DEFLATED, _GZIP)
    with DurableFile(disk, temporary) as file:
        file.write(packer.compress(first))
        for line in kept:
            file.write(packer.compress(line))
        file.write(packer.flush())
        file.sync()
        file.publish(path)


def _lines(path: Path) -> Iterator[tuple[int, bytes]]:
    """The lines of a file with their numbers; none of one that went: a bridge that starts removes orphans."""
    number = 0
    try:
        # the standard library's, as zlib-ng's keeps back the lines just before a break
        with gzip.open(path) as file:
            lines = iter(lambda: file.readline(LONGEST_LINE), b"")
            for number, line in enumerate(lines, start=1):  # the last one is where it broke
                if len(line) == LONGEST_LINE:
                    raise _damaged(path, number, f"no dead letter (a line of {LONGEST_LINE} bytes and more)")
                yield number, line
    except FileNotFoundError:
        return
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise _damaged(path, number + 1, gzip_fault(error)) from error
    except OSError as error:
        raise _damaged(path, number + 1, f"cannot be read ({error.strerror})") from error
    if not number:
        raise _damaged(path, 1, "truncated: there is nothing in it")


def _damaged(path: Path, line: int, what: str) -> LettersDamaged:
    return LettersDamaged(f"{path}:{line}: {what}: mend the file, or move it away")


def _why(error: Exception) -> str:
    """What is wrong with a line. msgspec names kinds and places, never values."""
    return str(error) if isinstance(error, msgspec.DecodeError) else "no such JSON"
