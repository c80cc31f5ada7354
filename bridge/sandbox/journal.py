"""What was processed, in that order: a line of JSON each. With the files themselves it is all the state."""

import json
import os
from dataclasses import dataclass
from pathlib import Path

from bridge.errors import BridgeError
from bridge.sandbox.verdict import Status, Verdict

WAITING = Verdict(status=Status.RECEIVED)
"""Of a file that was not processed yet."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Record:
    """A file that was received."""

    number: int
    """Of the arrival, from 1."""
    name: str
    """On the server."""
    bytes: int
    """Its size, compressed."""
    received_at: int
    """When it had its final name, epoch ms."""
    processed_at: int | None = None
    """What a timestamp of 0 in it means, epoch ms; None: it waits."""
    verdict: Verdict = WAITING


class Journal:
    """One file of records, to which is only added."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def records(self) -> list[Record]:
        """All of them; a last line that was cut short, as by a crash, is removed: its file waits again.

        Raises:
            BridgeError: Another line is damaged, or the file cannot be read.
        """
        try:
            content = self._path.read_bytes() if self._path.exists() else b""
            whole = content[: content.rfind(b"\n") + 1]
            if whole != content:
                os.truncate(self._path, len(whole))
        except OSError as error:
            raise BridgeError(f"{self._path} cannot be read ({error.strerror}): correct that") from error
        return [self._record(number, line) for number, line in enumerate(whole.splitlines(), 1)]

    def add(self, record: Record) -> None:
        """The record is on the disk when this returns.

        Raises:
            BridgeError: It cannot be written.
        """
        fields = {
            "number": record.number,
            "name": record.name,
            "bytes": record.bytes,
            "received_at": record.received_at,
            "processed_at": record.processed_at,
            "verdict": record.verdict.to_json(),
        }
        try:
            with self._path.open("ab") as file:
                file.write(json.dumps(fields).encode() + b"\n")
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            raise BridgeError(f"{self._path} cannot be written ({error.strerror}): make room") from error

    def _record(self, number: int, line: bytes) -> Record:
        try:
            fields = json.loads(line)
            return Record(**fields | {"verdict": Verdict.from_json(fields["verdict"])})
        except (ValueError, TypeError, KeyError) as error:
            raise BridgeError(
                f"{self._path}:{number} is damaged: begin again in a new --directory"
            ) from error
