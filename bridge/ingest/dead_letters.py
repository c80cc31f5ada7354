"""Where refused events go: a folder of gzip JSON Lines, or a Kafka topic."""

import json
import re
from base64 import b64encode
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Protocol

from confluent_kafka import KafkaError, KafkaException, Producer
from confluent_kafka import Message as Report
from zlib_ng import zlib_ng

from bridge.clock import SECOND
from bridge.errors import BridgeError
from bridge.spool.disk import Disk, DurableFile, fatal

TOPIC_PRODUCER: dict[str, str | int | bool] = {
    "acks": "all",
    "enable.idempotence": True,
    "message.max.bytes": 1_000_000_000,
    "delivery.timeout.ms": 6 * SECOND,
}
"""What the producer of `TopicDeadLetters` needs beside the broker's address: durable on acknowledgement, an
event that was refused for its size is not refused here again, and a broker that is down is told before the
8 seconds that ingest has to stop are over."""

_LEVEL = 1
_GZIP = 31
"""zlib's wbits for a gzip header, and the largest window."""

_FILE_NAME = re.compile(r"(\d{12,})\.jsonl\.gz")


@dataclass(frozen=True, kw_only=True, slots=True)
class DeadLetter:
    """A refused event (contract.md, Events)."""

    reason: str
    """Stable name out of the contract's table."""
    detail: str
    """What is wrong with it, without the user's id."""
    stream: str
    """Name of the stream that refused it."""
    topic: str
    """Where it was read."""
    partition: int
    """Where it was read."""
    offset: int
    """Where it was read."""
    timestamp: int
    """Kafka's own timestamp of the message, epoch ms; -1 where it has none."""
    key: bytes | None
    """The message's key."""
    value: bytes | None
    """The message's value: the original bytes."""
    read_at: int
    """When it was read, epoch ms."""

    def to_json(self) -> dict[str, str | int | None]:
        """The contract's fields: key and value in base64, `read_at` as ISO 8601 in UTC with milliseconds."""
        read_at = datetime.fromtimestamp(self.read_at / SECOND, UTC)
        return {
            "reason": str(self.reason),
            "detail": self.detail,
            "stream": self.stream,
            "topic": self.topic,
            "partition": self.partition,
            "offset": self.offset,
            "timestamp": self.timestamp,
            "key": _base64(self.key),
            "value": _base64(self.value),
            "read_at": read_at.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        }


class DeadLetters(Protocol):
    """Keeps refused events.

    Contract: on return of `write` the letters are durable; it is called under the number of the run whose
    offsets cover them, before that run is published. Where the run then fails, they are written again under
    the next number: a letter may be kept twice, but never not at all.
    """

    def write(self, number: int, letters: Sequence[DeadLetter]) -> None:
        """Keep the letters of the run of this number; none: nothing is done."""
        ...


class FolderDeadLetters:
    """A file for each run that has dead letters: `000000000042.jsonl.gz`, a JSON object a line.

    A file appears whole and synced, or not at all.
    """

    def __init__(self, directory: Path, temporary_directory: Path, disk: Disk | None = None) -> None:
        """Make the folder where it is missing.

        Raises:
            BridgeError: The folder cannot be made, or is not on the file system of the temporary one.
        """
        self._directory = directory
        self._temporary_directory = temporary_directory
        self._disk = disk or Disk()
        try:
            directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            apart = directory.stat().st_dev != temporary_directory.stat().st_dev
        except OSError as error:
            raise BridgeError(
                f"dead_letters.directory {directory}: cannot be used ({error.strerror}): "
                "set it to a folder that we may make and write"
            ) from error
        if apart:
            raise BridgeError(
                f"dead_letters.directory {directory}: is not on the file system of {temporary_directory}, "
                "so that files cannot be moved there in one step: choose a folder on the spool's file system"
            )

    def write(self, number: int, letters: Sequence[DeadLetter]) -> None:
        """Publish the file of this run's number; one of an earlier attempt is replaced.

        Raises:
            SpoolFull: There is no room; the same call may be tried later.
            SpoolFailed: The disk failed.
        """
        if not letters:
            return
        # One gzip member; zlib's own header has neither a name nor a time in it.
        packer = zlib_ng.compressobj(_LEVEL, zlib_ng.DEFLATED, _GZIP)
        with DurableFile(self._disk, self._temporary_directory) as file:
            for letter in letters:
                file.write(packer.compress(json.dumps(letter.to_json()).encode() + b"\n"))
            file.write(packer.flush())
            file.sync()
            file.publish(self._directory / f"{number:012d}.jsonl.gz")

    def remove_above(self, number: int) -> tuple[int, ...]:
        """Remove the files of runs above this one, which were never published; their numbers.

        For the start, and before a seal that failed is tried again. `number` is the highest published run:
        letters of those above it are read or written again, those of the others are not.

        Raises:
            SpoolFailed: The disk failed.
        """
        numbered = ((_FILE_NAME.fullmatch(path.name), path) for path in self._directory.iterdir())
        found = {int(match[1]): path for match, path in numbered if match}
        orphans = {orphan: path for orphan, path in sorted(found.items()) if orphan > number}
        with fatal(self._directory):
            for path in orphans.values():
                self._disk.unlink(path)
            if orphans:
                self._disk.fsync_folder(self._directory)
        return tuple(orphans)


class TopicDeadLetters:
    """A Kafka topic: key and value as they were, the place and the reason in the headers."""

    def __init__(self, producer: Producer, topic: str) -> None:
        """Produce to `topic` with a producer of the properties `TOPIC_PRODUCER`."""
        self._producer = producer
        self._topic = topic

    def write(self, number: int, letters: Sequence[DeadLetter]) -> None:  # noqa: ARG002  # the port's
        """Produce the letters and wait until each is acknowledged.

        Raises:
            BridgeError: the broker did not acknowledge all; those that it did are there twice after the
                next attempt.
        """
        faults: list[str] = []

        def report(error: KafkaError | None, _message: Report) -> None:
            if error is not None:
                faults.append(error.str())

        for letter in letters:
            if faults:
                break
            self._produce(letter, report)
        self._producer.flush()
        if faults:
            raise self._refused(f"not all of {len(letters)} were acknowledged: {faults[0]}")

    def _produce(self, letter: DeadLetter, report: Callable[[KafkaError | None, Report], None]) -> None:
        """Hand one letter to the producer; where its queue is full, first wait for it to drain."""
        while True:
            try:
                self._producer.produce(
                    self._topic,
                    key=letter.key,
                    value=letter.value,
                    headers=_headers(letter),
                    on_delivery=report,
                )
            except BufferError:
                self._producer.poll(1)
            except KafkaException as error:
                raise self._refused(error.args[0].str()) from error
            else:
                return

    def _refused(self, what: str) -> BridgeError:
        """What to tell of a topic that does not take our letters."""
        return BridgeError(
            f"dead letters: topic {self._topic}: {what}; see that the topic exists, that we may write it, "
            "and that its max.message.bytes is above the largest event"
        )


def _headers(letter: DeadLetter) -> list[tuple[str, str | bytes | None]]:
    """The headers of contract.md, dead_letters.topic; numbers as decimal texts."""
    return [
        ("reason", str(letter.reason).encode()),
        ("topic", letter.topic.encode()),
        ("partition", str(letter.partition).encode()),
        ("offset", str(letter.offset).encode()),
    ]


def _base64(content: bytes | None) -> str | None:
    """Bytes as a text of ASCII."""
    return None if content is None else b64encode(content).decode()
