"""What a replay reads, behind one face: topics between two times, or archived files."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from bridge.clock import Clock
from bridge.config import Config, Stream
from bridge.errors import UsageError
from bridge.ingest.client_settings import reader_settings
from bridge.ingest.decode import Decoder, SizedDecoder, decoder_for
from bridge.ingest.json_events import JsonEvents
from bridge.ingest.partition import Partition
from bridge.ingest.registry import Schemas
from bridge.ingest.source import Owner, Source
from bridge.ingest.topics import Topics
from bridge.replay.archive_source import ArchiveParts, ArchiveSource
from bridge.replay.archives import Archive
from bridge.replay.plan import Plan
from bridge.replay.topic_source import TopicParts, TopicSource

Starts = Mapping[Partition, int]
"""Where to go on in partitions that were begun."""


class Material(Protocol):
    """What a replay reads."""

    @property
    def topics(self) -> Topics:
        """Which stream each topic, or archive, belongs to."""
        ...

    @property
    def decoders(self) -> Mapping[str, Decoder]:
        """The decoder of each stream, by name."""
        ...

    def source(self, replay: str, taken: Starts, owner: Owner) -> Source:
        """The events behind what is `taken`, for the replay of this id.

        Raises:
            BridgeError: It cannot be begun.
        """
        ...


@dataclass(frozen=True, kw_only=True, slots=True)
class TopicMaterial:
    """Topics, as planned."""

    config: Config
    """Where Kafka is."""
    plan: Plan
    """What to read."""
    topics: Topics
    """Of all streams."""
    decoders: Mapping[str, Decoder]
    """By stream."""
    clock: Clock
    """What time it is."""

    @classmethod
    def of(cls, config: Config, plan: Plan, registry: Schemas | None, clock: Clock) -> "TopicMaterial":
        """The topics of a plan, decoded as the streams say."""
        return cls(
            config=config,
            plan=plan,
            topics=Topics(config.streams),
            decoders={stream.name: decoder_for(stream, registry) for stream in config.streams},
            clock=clock,
        )

    def source(self, replay: str, taken: Starts, owner: Owner) -> Source:
        """As Material has it."""
        plan = self.plan
        parts = TopicParts(
            settings=reader_settings(self.config.kafka, window_bytes=self.config.window.max_bytes),
            cluster_id=plan.cluster_id,
            topic_ids=plan.topic_ids,
            replay=replay,
            starts={at: taken.get(at, start) for at, start in plan.starts.items()},
            ends=plan.ends,
            clock=self.clock,
            stream_of=self._stream_of,
        )
        return TopicSource(parts, owner)

    def _stream_of(self, topic: str) -> str:
        stream = self.topics.stream_of(topic)
        return stream.name if stream is not None else ""


@dataclass(frozen=True, kw_only=True, slots=True)
class ArchiveMaterial:
    """Archived files of one stream."""

    archives: Sequence[Archive]
    """What to read."""
    stream: Stream
    """Whose events they are."""
    topics: Topics
    """Each archive as a topic of the stream."""
    decoders: Mapping[str, Decoder]
    """The one that reads what archives give: JSON."""
    temporary_directory: Path
    """Where to unpack to."""
    sleep: Callable[[float], None]
    """Waits so many seconds, less when the process is to stop."""

    @classmethod
    def of(
        cls,
        stream: Stream,
        archives: Sequence[Archive],
        temporary_directory: Path,
        sleep: Callable[[float], None],
    ) -> "ArchiveMaterial":
        """Archives whose events are the stream's, whatever format its topics have."""
        as_topics = stream.model_copy(update={"topics": tuple(archive.label for archive in archives)})
        json = JsonEvents(stream.fields, hashed=stream.hash_segments)
        return cls(
            archives=archives,
            stream=stream,
            topics=Topics([as_topics]),
            decoders={
                stream.name: SizedDecoder(
                    json, max_event_bytes=stream.max_event_bytes, hashed=stream.hash_segments
                )
            },
            temporary_directory=temporary_directory,
            sleep=sleep,
        )

    def source(self, replay: str, taken: Starts, owner: Owner) -> Source:
        """As Material has it."""
        parts = ArchiveParts(
            archives=self.archives,
            stream=self.stream,
            replay=replay,
            starts=taken,
            temporary_directory=self.temporary_directory,
            sleep=self.sleep,
        )
        return ArchiveSource(parts, owner)


def stream_of_archives(config: Config, names: Sequence[str]) -> Stream:
    """The one stream whose events archived files hold.

    Raises:
        UsageError: It is not clear which, or there is no such stream.
    """
    known = {stream.name: stream for stream in config.streams}
    wanted = names or (list(known) if len(known) == 1 else ())
    if len(wanted) != 1:
        raise UsageError(f"--files: give the one stream that they belong to: --stream {' | '.join(known)}")
    if wanted[0] not in known:
        raise UsageError(
            f"--stream {wanted[0]}: there is no such stream; the configuration has {', '.join(known)}"
        )
    return known[wanted[0]]
