"""The events of archives, whatever they are written in, and one line for what is wrong with one.

What comes out is what a JSON topic of the stream holds: the fields stand under the stream's names for them,
so that the decoder of such a topic reads all archives.
"""

import contextlib
from collections.abc import Iterator
from pathlib import Path

from bridge.errors import BridgeError, UsageError
from bridge.ingest.avro_types import UnusableSchema
from bridge.replay import archive_avro, archive_json
from bridge.replay.archive_fields import Fields
from bridge.replay.archive_process import ParquetProcess
from bridge.replay.archives import BAD_GZIP, Archive, Damaged, Kind, Unreadable, gzip_fault
from bridge.spool.disk import Disk, DurableFile

_PIECE = 1 << 20
"""Bytes that are unpacked at once."""


class ArchiveReader:
    """Reads archives of one stream, one at a time."""

    def __init__(self, fields: Fields, temporary_directory: Path) -> None:
        """`fields`: what the stream calls them; Parquet that is in gzip is unpacked to the directory."""
        self._fields = fields
        self._temporary_directory = temporary_directory
        self._parquet = ParquetProcess()

    def events(self, archive: Archive) -> Iterator[bytes]:
        """The events of an archive, each as JSON; memory does not grow with the file.

        Raises:
            Damaged: It is not what was written, or not all of it; what was given up to there is no whole.
            UsageError: It holds no events of the stream, or its codec is not read here.
            BridgeError: It cannot be read, or there is no room to unpack it.
        """
        count = 0
        try:
            for event in self._events(archive):
                yield event
                count += 1
        except UnusableSchema as unusable:
            raise UsageError(
                f"{archive.label}: holds no events of the stream: {unusable}; "
                "name another file, or the field under streams[].fields"
            ) from None
        except Unreadable as unreadable:
            raise UsageError(f"{archive.label}: {unreadable}") from None
        except BAD_GZIP as error:
            raise _damaged(archive, gzip_fault(error), count) from error
        except Damaged as damage:
            raise _damaged(archive, str(damage), count) from damage
        except OSError as error:
            raise BridgeError(
                f"cannot read {archive.label}: {error.strerror or error}; see to its disk"
            ) from error

    def close(self) -> None:
        """End the process that reads Parquet."""
        self._parquet.close()

    def _events(self, archive: Archive) -> Iterator[bytes]:
        match archive.kind:
            case Kind.PARQUET:
                with self._at_rest(archive) as path:
                    yield from self._parquet.events(path, self._fields)
            case Kind.AVRO:
                with archive.opened() as file:
                    yield from archive_avro.events(file, self._fields)
            case Kind.JSON_LINES:
                with archive.opened() as file:
                    yield from archive_json.events(file)

    @contextlib.contextmanager
    def _at_rest(self, archive: Archive) -> Iterator[Path]:
        """A file that can be read at any place: the archive, or what is in its gzip, removed at the end."""
        if not archive.packed:
            yield archive.path
            return
        with archive.opened() as file, DurableFile(Disk(), self._temporary_directory) as copy:
            while piece := file.read(_PIECE):
                copy.write(piece)
            yield copy.path


def _damaged(archive: Archive, what: str, count: int) -> Damaged:
    return Damaged(f"{archive.label}: {what}, behind record {count}")
