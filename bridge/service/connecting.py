"""What `check --connect` asks outside: Kafka and its topics, the registry, SFTP servers, the platform's APIs.

Everything is tried, whatever fails before. Nothing is consumed, joined or uploaded. An answer that says no
is a fault, as only a person can remove it; no answer at all may be one of the moment.
"""

import re
from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from enum import Enum

from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import AdminClient
from confluent_kafka.schema_registry import SchemaRegistryError

from bridge.config import Account, AudienceSegmentsSettings, Config, KafkaSettings, RegistrySettings, Stream
from bridge.config.fault import Fault, Location, written
from bridge.config.kinds import SINGLE_REGEX
from bridge.config.secret import SENSITIVE, Secret, read_secret
from bridge.deliver.remote import UploadFailed
from bridge.errors import BridgeError
from bridge.ingest.client_settings import client_settings
from bridge.ingest.cluster import TIMEOUT
from bridge.ingest.faults import error_of
from bridge.ingest.registry import Registry, RegistryUnreachable, UnknownSchema, without_credentials
from bridge.platform.api import CallFailed
from bridge.platform.processing_log import NoPage, Reading, read
from bridge.platform.segments import Segments
from bridge.service import sync_topic
from bridge.service.outside import Outside
from bridge.service.reconciling import ProcessingLog, processing_logs

REFUSALS = frozenset(
    {
        KafkaError._AUTHENTICATION,  # noqa: SLF001  # librdkafka's own codes begin so
        KafkaError._SSL,  # noqa: SLF001  # as above
        KafkaError._INVALID_ARG,  # noqa: SLF001  # as above
        KafkaError.SASL_AUTHENTICATION_FAILED,
        KafkaError.TOPIC_AUTHORIZATION_FAILED,
        KafkaError.CLUSTER_AUTHORIZATION_FAILED,
    }
)
"""Kafka errors that tell of our settings, not of the broker's state."""

REGISTRY_REFUSALS = frozenset({401, 403, 404})
"""HTTP answers of something that is no registry, or does not let us in."""

QUESTION = 1
"""A schema id to ask for: whether there is one or not, the registry has answered."""


class Verdict(Enum):
    """How one thing was found."""

    GOOD = "good"
    """It works."""
    FAULT = "fault"
    """It answers, and the answer is no."""
    UNREACHABLE = "unreachable"
    """It does not answer."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was checked; `str()` is its line."""

    path: Location
    """The key of the configuration that it follows from."""
    what: str
    """What was found and, where it is not good, what to do; never a secret."""
    verdict: Verdict = Verdict.GOOD
    """How it was found."""

    def __str__(self) -> str:
        if self.verdict is Verdict.GOOD:
            return f"{written(self.path)}: ok: {self.what}"
        return str(Fault(self.path, self.what))


def connect(config: Config, outside: Outside) -> Iterator[Finding]:
    """Every finding, as soon as it is found."""
    yield from _kafka(config)
    if config.schema_registry is not None:
        yield _registry(config.schema_registry, outside)
    for at, account in enumerate(config.accounts):
        yield _sftp(at, account, outside)
    for log in processing_logs(config):
        yield _processing_log(log, outside)
    for at, account in enumerate(config.accounts):
        if account.platform.audience_segments is not None:
            yield _audience_segments(at, account.platform.audience_segments, outside)


def _kafka(config: Config) -> Iterator[Finding]:
    errors: list[KafkaError] = []
    try:
        brokers, topics = _metadata(config.kafka, errors)
    except KafkaException as exception:
        yield _kafka_failed(config.kafka, _telling(exception, errors))
        return
    except BridgeError as error:  # a secret that went after it was checked
        yield Finding(("kafka", "secret_properties"), str(error), Verdict.FAULT)
        return
    yield Finding(
        ("kafka", "bootstrap_servers"),
        f"Kafka answers, {brokers} {'broker' if brokers == 1 else 'brokers'}, {len(topics)} topics",
    )
    for at, stream in enumerate(config.streams):
        yield from _topics(at, stream, topics)
    yield from _overlaps(config.streams, topics)
    if config.dead_letters.topic is not None:
        yield _topic(("dead_letters", "topic"), config.dead_letters.topic, topics)
    if config.user_sync is not None and config.user_sync.topic_name is not None:
        yield _sync_topic(config.kafka, ("user_sync", "topic"), config.user_sync.topic_name)
    else:
        yield from _identity_topic(config, topics)


def _metadata(kafka: KafkaSettings, errors: list[KafkaError]) -> tuple[int, dict[str, int]]:
    """How many brokers there are, and each topic's number of partitions.

    Where that raises KafkaException, `errors` says more than it does.
    """
    settings: dict[str, str | int | float | bool] = {"log_level": 0, **client_settings(kafka)}
    admin = AdminClient(settings, error_cb=errors.append)
    try:
        cluster = admin.list_topics(timeout=TIMEOUT)
    finally:
        admin.poll(0)
    topics = {name: len(topic.partitions) for name, topic in cluster.topics.items() if topic.error is None}
    return len(cluster.brokers), topics


def _telling(exception: KafkaException, errors: list[KafkaError]) -> KafkaError | None:
    """The error that says most: one that tells of our settings, else what librdkafka met first."""
    own = error_of(exception)
    candidates = [*errors, *([own] if own is not None else [])]
    return next((error for error in candidates if error.code() in REFUSALS), next(iter(candidates), None))


def _kafka_failed(kafka: KafkaSettings, error: KafkaError | None) -> Finding:
    text = _without_secrets(kafka, error.str()) if error is not None else "the client failed"
    if error is not None and error.code() in REFUSALS:
        return Finding(
            ("kafka", "properties"), f"Kafka refuses us: {text}; correct the properties", Verdict.FAULT
        )
    return Finding(
        ("kafka", "bootstrap_servers"),
        f"no broker answers within {TIMEOUT:g} s ({text}); see that it runs, and correct the address",
        Verdict.UNREACHABLE,
    )


def _without_secrets(kafka: KafkaSettings, text: str) -> str:
    """The text, if no secret stands in it: librdkafka quotes values that it does not like."""
    try:
        secrets = [read_secret(path) for path in kafka.secret_properties.values()]
        secrets += [Secret(value) for name, value in kafka.properties.items() if name in SENSITIVE]
    except BridgeError:
        return "a secret cannot be read"
    return "a secret property is not as it should be" if any(one.shows_in(text) for one in secrets) else text


def _topics(at: int, stream: Stream, topics: Mapping[str, int]) -> Iterator[Finding]:
    for number, topic in enumerate(stream.topics):
        path: Location = ("streams", at, "topics", number)
        if not topic.startswith(SINGLE_REGEX):
            yield _topic(path, topic, topics)
            continue
        found = sorted(name for name in topics if re.search(topic, name))
        if found:
            yield Finding(path, f"{topic} matches {len(found)}: {_listed(found)}")
        else:
            yield Finding(path, f"{topic} matches no topic; create one, or correct it", Verdict.FAULT)


def _topic(path: Location, name: str, topics: Mapping[str, int]) -> Finding:
    if name in topics:
        partitions = topics[name]
        return Finding(path, f"topic {name}, {partitions} {'partition' if partitions == 1 else 'partitions'}")
    return Finding(
        path, f"Kafka shows us no topic {name}; create it, allow us to read it, or correct it", Verdict.FAULT
    )


def _identity_topic(config: Config, topics: Mapping[str, int]) -> Iterator[Finding]:
    """The topic of the identity table, where no endpoint of the same configuration writes it."""
    for at, stream in enumerate(config.streams):
        if stream.identify is not None:
            path: Location = ("streams", at, "identify", "table")
            name = stream.identify.table
            yield _sync_topic(config.kafka, path, name) if name in topics else _topic(path, name, topics)
            return  # a bridge has one


def _sync_topic(kafka: KafkaSettings, path: Location, name: str) -> Finding:
    try:
        unfit = sync_topic.unfit(AdminClient({"log_level": 0, **client_settings(kafka)}), name)
    except KafkaException as exception:
        return _kafka_failed(kafka, error_of(exception))
    return Finding(path, unfit, Verdict.FAULT) if unfit else Finding(path, f"topic {name}, compacted")


def _listed(names: list[str], most: int = 5) -> str:
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more


def _overlaps(streams: tuple[Stream, ...], topics: Mapping[str, int]) -> Iterator[Finding]:
    """A topic belongs to one stream; which topics two expressions both match is known only here."""
    for at, stream in enumerate(streams):
        for earlier, other in enumerate(streams[:at]):
            shared = [name for name in sorted(topics) if _takes(stream, name) and _takes(other, name)]
            if shared:
                yield Finding(
                    ("streams", at, "topics"),
                    f"{_listed(shared)} is matched by streams[{earlier}] too; a topic belongs to one stream: "
                    f"narrow the regex",
                    Verdict.FAULT,
                )


def _takes(stream: Stream, name: str) -> bool:
    return any(
        re.search(topic, name) is not None if topic.startswith(SINGLE_REGEX) else topic == name
        for topic in stream.topics
    )


def _registry(settings: RegistrySettings, outside: Outside) -> Finding:
    """One GET by id, as the bridge itself asks."""
    path: Location = ("schema_registry",)
    registry = Registry(settings, outside.clock)
    try:
        registry.text(QUESTION)
    except UnknownSchema:
        pass
    except RegistryUnreachable as error:
        answer = error.__context__  # what the registry's client said; the error itself has no code
        refused = isinstance(answer, SchemaRegistryError) and answer.http_status_code in REGISTRY_REFUSALS
        return Finding(path, str(error), Verdict.FAULT if refused else Verdict.UNREACHABLE)
    finally:
        registry.close()
    return Finding(path, f"the schema registry at {without_credentials(settings.url)} answers")


def _sftp(at: int, account: Account, outside: Outside) -> Finding:
    path: Location = ("accounts", at, "sftp")
    try:
        outside.remote(account).check()
    except UploadFailed as failure:
        return Finding(path, str(failure), Verdict.UNREACHABLE if failure.transient else Verdict.FAULT)
    sftp = account.sftp
    return Finding(
        path, f"logged in at {sftp.host}:{sftp.port} as {sftp.username}, directory {sftp.directory} is there"
    )


def _processing_log(log: ProcessingLog, outside: Outside) -> Finding:
    """One page, read as the bridge does."""
    reading = Reading(names=frozenset, end=0)
    with closing(log.client(outside.clock)) as client:
        try:
            read(client.page, log.settings, reading, pages=1)
        except CallFailed as failure:
            return _call_failed(log.path, failure)
        except NoPage as failure:
            return Finding(log.path, str(failure), Verdict.FAULT)
    if reading.end and reading.skipped == reading.end:
        what = "the processing log's entries have no file or no status; see fields"
        return Finding(log.path, what, Verdict.FAULT)
    return Finding(
        log.path,
        f"the processing log at {log.settings.url} answers, entries on its first page: {reading.end}",
    )


def _audience_segments(at: int, settings: AudienceSegmentsSettings, outside: Outside) -> Finding:
    """The vendor's grants: a log-in, and a question that needs no taxonomy."""
    path: Location = ("accounts", at, "platform", "audience_segments")
    with closing(Segments(settings, setting=written(path), clock=outside.clock)) as client:
        try:
            granted = client.grants(settings.vendor_id)
        except CallFailed as failure:
            return _call_failed(path, failure)
    entities = len(granted.organizations) + len(granted.agencies) + len(granted.advertisers)
    return Finding(
        path,
        f"the Audience Segments API at {settings.url} lets vendor {settings.vendor_id} in, "
        f"entities that it may permit: {entities}",
    )


def _call_failed(path: Location, failure: CallFailed) -> Finding:
    return Finding(path, str(failure), Verdict.UNREACHABLE if failure.passing else Verdict.FAULT)
