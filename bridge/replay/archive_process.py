"""Reads Parquet in a process of its own, as polars ends its process on some damaged files.

    parent: path and fields ─▶ child: events, a line each; then an empty line, or # and what is wrong with it

On others polars panics, and writes a backtrace. The child writes to nobody's stderr; that it is gone says
enough: the file is not what was written.
"""

import os
import sys
from collections.abc import Iterator
from pathlib import Path
from subprocess import DEVNULL, PIPE, Popen
from typing import BinaryIO

import msgspec

from bridge.ingest.avro_types import UnusableSchema
from bridge.replay import archive_parquet
from bridge.replay.archive_fields import Fields
from bridge.replay.archives import PARQUET, Damaged

_WHOLE = b"\n"
_UNUSABLE = b"#"


class _Request(msgspec.Struct, frozen=True, kw_only=True):
    """What the child is told to read."""

    path: bytes
    """As the file system has it."""
    mapped: dict[str, str]
    """As in Fields."""
    hashed: bool
    """As in Fields."""


class ParquetProcess:
    """Reads one file after the other; the child is started for the first one."""

    def __init__(self) -> None:
        self._child: Popen[bytes] | None = None

    def events(self, path: Path, fields: Fields) -> Iterator[bytes]:
        """The events as JSON.

        Raises:
            UnusableSchema: The file holds no such events; the text says why.
            Damaged: It is not what was written.
            OSError: It cannot be read.
        """
        with path.open("rb") as file:
            file.seek(-len(PARQUET), os.SEEK_END)
            if file.read() != PARQUET:
                raise Damaged("truncated: it has no footer")
        request = _Request(path=os.fsencode(path), mapped=dict(fields.mapped), hashed=fields.hashed)
        yield from self._answer(msgspec.json.encode(request))

    def close(self) -> None:
        """End the child, whatever it is at."""
        child, self._child = self._child, None
        if child is not None:
            child.kill()
            child.communicate()

    def _answer(self, request: bytes) -> Iterator[bytes]:
        child = self._child or self._start()
        assert child.stdin is not None
        assert child.stdout is not None
        child.stdin.write(request + b"\n")
        child.stdin.flush()
        for line in child.stdout:
            if line == _WHOLE:
                return
            if line.startswith(_UNUSABLE):
                raise UnusableSchema(line.removeprefix(_UNUSABLE).decode().strip())
            yield line.rstrip()
        self.close()
        raise Damaged("damaged: its footer or rows are not what was written")

    def _start(self) -> Popen[bytes]:
        """A session of its own: an interrupt of the terminal is for us, and is not the file's fault."""
        command = [sys.executable, "-m", __spec__.name]
        self._child = Popen(  # noqa: S603  # it is this module
            command, stdin=PIPE, stdout=PIPE, stderr=DEVNULL, start_new_session=True
        )
        return self._child


def _serve(requests: BinaryIO, answers: BinaryIO) -> None:
    """What the child does, until there is nobody who asks."""
    for line in requests:
        request = msgspec.json.decode(line, type=_Request)
        path, fields = Path(os.fsdecode(request.path)), Fields(mapped=request.mapped, hashed=request.hashed)
        try:
            answers.writelines(archive_parquet.slices(path, fields))
            answers.write(_WHOLE)
        except UnusableSchema as unusable:
            answers.write(_UNUSABLE + f"{unusable}\n".encode())
        answers.flush()


if __name__ == "__main__":
    try:
        _serve(sys.stdin.buffer, sys.stdout.buffer)
    finally:
        os._exit(1)  # the usual way out waits for threads of polars, which may have panicked
