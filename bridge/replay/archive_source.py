"""The archives as a source: each a topic of its own, called as the file is, with one partition.

All of them are read once before the first event is given: of a damaged archive nothing is taken. That goes on
in small steps within the polls, so that a stop is seen meanwhile.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from bridge.clock import SECOND
from bridge.errors import BridgeError
from bridge.ingest.partition import Partition
from bridge.ingest.positions import ARCHIVES, Identity
from bridge.replay.archive_fields import Fields
from bridge.replay.archive_formats import ArchiveReader
from bridge.replay.archives import Archive, Damaged

if TYPE_CHECKING:
    from collections.abc import Generator

    from bridge.config import Stream
    from bridge.ingest.message import Message
    from bridge.ingest.source import Owner

UNKNOWN_END = 2**63 - 1
"""Where an archive ends, as long as it was not read up to there: above every offset."""

_STEP = 10_000
"""Events that are looked through in a poll, before the first one is given."""

_NO_TIME = (0, -1)
"""A Kafka timestamp that is not there."""


class ArchivedMessage(NamedTuple):
    """An event of an archive, with the methods of `bridge.ingest.message.Message`."""

    at: Partition
    """Which archive."""
    place: int
    """Which of its events, from 0."""
    event: bytes
    """As JSON."""

    def value(self) -> bytes:
        """The event."""
        return self.event

    def key(self) -> None:
        """Archives have none."""

    def topic(self) -> str:
        """The archive's label."""
        return self.at.topic

    def partition(self) -> int:
        """Always 0."""
        return self.at.number

    def offset(self) -> int:
        """Which of the archive's events it is."""
        return self.place

    def timestamp(self) -> tuple[int, int]:
        """Archives have none."""
        return _NO_TIME

    def error(self) -> None:
        """Never one: what is wrong with an archive ends the run."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ArchiveParts:
    """What a source is made of."""

    archives: Sequence[Archive]
    """What to read, in this order; the same content twice is one archive."""
    stream: "Stream"
    """Whose events they are."""
    replay: str
    """Id of the replay, under which its positions stand."""
    starts: Mapping[Partition, int]
    """The events to go on with; an archive that is not named is read from its beginning."""
    temporary_directory: Path
    """Where Parquet that is in gzip is unpacked to."""
    sleep: Callable[[float], None]
    """Waits so many seconds, less when the process is to stop."""


class ArchiveSource:
    """The events of archives as a JSON topic of the stream would have them."""

    def __init__(self, parts: ArchiveParts, owner: "Owner") -> None:
        self._parts = parts
        self._owner = owner
        once = {archive.digest: archive for archive in parts.archives}
        self._archives = {Partition(archive.label, 0): archive for archive in once.values()}
        self._identity = Identity(cluster_id=ARCHIVES, group=parts.replay)
        self._identity.topic_ids |= {at.topic: archive.digest for at, archive in self._archives.items()}
        self._next = {at: parts.starts.get(at, 0) for at in self._archives}
        self._counts: dict[Partition, int] = {}
        fields = Fields(mapped=parts.stream.fields, hashed=parts.stream.hash_segments)
        self._reader = ArchiveReader(fields, parts.temporary_directory)
        self._check = self._checking()
        self._messages = self._reading()
        self._begun = False
        self._paused = False
        self._finished = False

    @property
    def identity(self) -> Identity:
        """What positions stand under: the replay's id instead of a group's."""
        return self._identity

    @property
    def assigned(self) -> frozenset[Partition]:
        """All archives."""
        return frozenset(self._archives)

    def open(self) -> dict[Partition, int]:
        """Where each archive ends is told by `Owner.ended`; until then it is UNKNOWN_END."""
        return dict.fromkeys(self._archives, UNKNOWN_END)

    def poll(self, max_messages: int, timeout: int) -> "Sequence[Message]":
        """The next events; none while the archives are looked through. Waits where none are to come.

        Raises:
            BridgeError: An archive is damaged, holds no events of the stream, or cannot be read.
        """
        if not self._begun:
            self._begun = True
            self._owner.started(dict(self._next))
        if self._paused or self._finished:
            self._parts.sleep(timeout / SECOND)
            return []
        for _ in self._check:
            return []  # one step of it
        batch = list(islice(self._messages, max_messages))
        self._finished = len(batch) < max_messages
        return batch

    def pause(self, streams: frozenset[str]) -> None:
        """Nothing is read while the stream is one of these."""
        self._paused = self._parts.stream.name in streams

    def commit(self, offsets: Mapping[Partition, int], run: int) -> None:
        """Nothing to do: the runs hold how far each archive was taken."""

    def settle(self) -> None:
        """Nothing to do, as there are no commits."""

    def lag(self) -> dict[Partition, int]:
        """How many events of each archive are not yet read, once they are counted."""
        return {at: count - self._next[at] for at, count in self._counts.items()}

    def close(self) -> None:
        """Close the files."""
        self._check.close()
        self._messages.close()
        self._reader.close()

    def _checking(self) -> "Generator[None]":
        """Reads all archives to their ends, a step at a time."""
        for at in self._archives:
            count = 0
            try:
                for _ in self._reader.events(self._archives[at]):
                    count += 1
                    if count % _STEP == 0:
                        yield
            except Damaged as damage:
                raise BridgeError(f"{damage}; nothing was sent: fetch the file again") from damage
            self._counts[at] = count
            yield

    def _reading(self) -> "Generator[ArchivedMessage]":
        for at, count in self._counts.items():
            try:
                for event in islice(self._reader.events(self._archives[at]), self._next[at], None):
                    place = self._next[at]
                    self._next[at] = place + 1
                    yield ArchivedMessage(at, place, event)
            except Damaged as damage:
                raise _changed(at) from damage
            if self._next[at] != count:
                raise _changed(at)
            self._owner.ended(at, UNKNOWN_END)


def _changed(at: Partition) -> BridgeError:
    return BridgeError(
        f"{at.topic}: it changed while it was read, and a part of it was taken: "
        "put it where nobody writes, and replay it again"
    )
