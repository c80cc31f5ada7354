"""The parts of a running bridge, made from its configuration."""

from collections.abc import Callable, Mapping
from functools import partial
from threading import Event

from bridge.audience.audience import Audience
from bridge.clock import SECOND, Clock
from bridge.config import Account, Config
from bridge.deliver.deliverer import Deliverer, DelivererParts
from bridge.deliver.observer import DeliverObserver
from bridge.deliver.remote import Remote
from bridge.ingest.client_settings import client_settings, consumer_settings
from bridge.ingest.cluster import HeardTopicIds, LastingAdmin, LastingTopicIds
from bridge.ingest.collector import Collector, CollectorParts
from bridge.ingest.dead_letters import TOPIC_PRODUCER, DeadLetters, FolderDeadLetters, TopicDeadLetters
from bridge.ingest.decode import decoder_for
from bridge.ingest.kafka import KafkaParts, KafkaSource
from bridge.ingest.observer import IngestObserver
from bridge.ingest.registry import Registry
from bridge.ingest.starts import Starts
from bridge.ingest.topics import Topics
from bridge.segments.watch import Watch
from bridge.service.opening import Opened
from bridge.service.outside import Outside
from bridge.service.pressure import file_room
from bridge.spool.spool import Spool


def collector(
    config: Config,
    opened: Opened,
    outside: Outside,
    *,
    observer: IngestObserver,
    watches: Mapping[str, Watch],
    full_streams: Callable[[], frozenset[str]],
    stop: Event,
    until_end: bool,
    adopt: bool,
) -> Collector:
    """The ingest thread's work."""
    topics, clock = Topics(config.streams), outside.clock
    admin = LastingAdmin(lambda: outside.kafka.admin({"log_level": 0, **client_settings(config.kafka)}))
    registry = Registry(config.schema_registry, clock) if config.schema_registry else None
    source = KafkaParts(
        settings=consumer_settings(
            config.kafka,
            instance=opened.spool.id,
            window_bytes=config.window.max_bytes,
            until_end=until_end,
        ),
        group=config.kafka.group_id,
        topics=topics,
        starts=Starts(
            spool=opened.spool.id,
            group=config.kafka.group_id,
            runs=opened.spool.runs,
            ids=HeardTopicIds(
                outside.topic_ids or LastingTopicIds(admin), lambda: observer.answered(clock.now())
            ),
            admin=admin,
            adopt=adopt,
        ),
        consumer=outside.kafka.consumer,
        clock=clock,
        calls=outside.calls,
        sleep=lambda seconds: _sleep(clock, stop, seconds),
        until_end=until_end,
        tell_unreadable=observer.unreadable,
    )
    return Collector(
        CollectorParts(
            connect=partial(KafkaSource, source),
            topics=topics,
            decoders={stream.name: decoder_for(stream, registry) for stream in config.streams},
            spool=opened.spool,
            dead_letters=dead_letters(config, opened.spool, outside),
            clock=clock,
            calls=outside.calls,
            observer=observer,
            max_age=config.window.max_age,
            max_bytes=config.window.max_bytes,
            full_streams=full_streams,
            until_end=until_end,
            watches=watches,
        )
    )


def deliverer(
    account: Account,
    config: Config,
    opened: Opened,
    *,
    clock: Clock,
    remote: Remote,
    observer: DeliverObserver,
    drain: Callable[[], bool],
) -> Deliverer:
    """One account's thread's work."""
    return Deliverer(
        DelivererParts(
            account=account,
            roll=config.roll,
            spool=opened.spool,
            ledger=opened.ledger,
            remote=remote,
            clock=clock,
            observer=observer,
            placeholders=placeholders(config),
            fallback_placeholder=str(config.streams[0].placeholder_segment),
            historical_after=historical_after(config),
            file_room=lambda: file_room(opened.spool.usage(), config.spool.max_bytes),
            drain=drain,
        )
    )


def dead_letters(config: Config, spool: Spool, outside: Outside) -> DeadLetters:
    """Where refused events go; what a crash left there without its run is removed."""
    settings = config.dead_letters
    if settings.topic is not None:
        producer = outside.kafka.producer({"log_level": 0} | client_settings(config.kafka) | TOPIC_PRODUCER)
        return TopicDeadLetters(producer, settings.topic)
    folder = FolderDeadLetters(settings.directory, spool.temporary_directory, outside.disk)
    newest = max((run.number for run in spool.runs()), default=None)
    if newest is not None:
        folder.remove_above(newest)
    return folder


def placeholders(config: Config) -> Mapping[Audience, str]:
    """The segment that does not exist, of each audience that a stream may fill."""
    return {
        audience: str(stream.placeholder_segment)
        for stream in config.streams
        for audience in stream.audiences()
    }


def historical_after(config: Config) -> Mapping[Audience, int]:
    """From which age on (ms) a timestamp 0 becomes its event's time, of the audiences where it does."""
    return {
        audience: stream.historical_after
        for stream in config.streams
        if stream.historical_after is not None
        for audience in stream.audiences()
    }


def _sleep(clock: Clock, stop: Event, seconds: float) -> None:
    clock.wait(stop, round(seconds * SECOND))
