"""What keys must be together.

The rules read the document, not the model: so a fault of one key hides no fault of another.
"""

import ipaddress
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import combinations
from pathlib import Path
from urllib.parse import urlsplit

from bridge.audience.audience import MM, Audience
from bridge.config.document import Place
from bridge.config.fault import Fault, unknown_key, written
from bridge.config.kinds import SINGLE_REGEX
from bridge.config.model import SftpSettings, Stream
from bridge.config.pinned import schema_faults
from bridge.config.platform import ProcessingLogSettings
from bridge.config.user_sync import TOPIC as USER_SYNC_TOPIC
from bridge.config.user_sync import UserSyncSettings

EVENT_FIELDS = (
    "user_id",
    "mobile",
    "client",
    "user_namespace",
    "segment_namespace",
    "remove_all",
    "segments",
    "segment_id",
    "timestamp",
    "event_time",
)
"""Names that `fields` may map (contract.md, Events), those inside `segments` among them."""

OWN_PROPERTIES = frozenset(
    {
        "auto.commit.enable",
        "auto.commit.interval.ms",
        "auto.offset.reset",
        "bootstrap.servers",
        "enable.auto.commit",
        "enable.auto.offset.store",
        "enable.partition.eof",
        "group.id",
        "group.instance.id",
        "group.protocol",
        "isolation.level",
        "metadata.broker.list",
        "offset.store.method",
        "on_commit",
        "partition.assignment.strategy",
    }
)
"""Properties of librdkafka that the product's promises rest on (design.md, invariants 2 and 3)."""

_KEYS_OF_PROPERTIES = {
    "bootstrap.servers": "kafka.bootstrap_servers",
    "metadata.broker.list": "kafka.bootstrap_servers",
    "group.id": "kafka.group_id",
}
_DEFAULT_ACCOUNT = str(Stream.model_fields["account"].default)
_TRUE = frozenset({"1", "on", "t", "true", "y", "yes"})
"""What the model takes for true, in lower case."""

_SYNC_PATHS = {key: str(UserSyncSettings.model_fields[key].default) for key in ("path", "opt_out_path")}
_HOST_COOKIE = "__Host-"
"""Browsers take a cookie of such a name without a domain, and for all paths, alone."""
_DEFAULT_PORT = str(SftpSettings.model_fields["port"].default)


def faults(root: Place, folder: Path) -> Iterator[Fault]:
    """Every broken rule but `of_audiences`; relative paths start at `folder`."""
    for rule in _WHOLE:
        yield from rule(root)
    for stream in root["streams"]:
        yield from _table_ids(stream)
        yield from _field_names(stream)
        yield from _schema(stream, root, folder)
        yield from _taxonomy(stream, root)
        yield from _identify(stream, root)


def of_audiences(streams: Mapping[int, Stream]) -> Iterator[Fault]:
    """What is said of an audience is said once, or alike; `streams` by their position in the file."""
    for key in ("placeholder_segment", "historical_after"):
        feeders = dict[Audience, int]()
        for at, stream in streams.items():
            others = [feeders.setdefault(audience, at) for audience in stream.audiences()]
            for first in [one for one in others if getattr(streams[one], key) != getattr(stream, key)][:1]:
                yield Fault(
                    ("streams", at, key),
                    f"differs from streams[{first}], which feeds the same audience; give both the same",
                )


def _properties(root: Place) -> Iterator[Fault]:
    kafka = root["kafka"]
    for place in (*kafka["properties"], *kafka["secret_properties"]):
        if place.key in OWN_PROPERTIES:
            remedy = _KEYS_OF_PROPERTIES.get(place.key)
            yield place.fault(f"is the product's own; {f'use {remedy}' if remedy else 'remove it'}")
    for place in kafka["secret_properties"]:
        if kafka["properties"][place.key].given:
            yield place.fault("stands in kafka.properties too; keep one")


def _registry(root: Place) -> Iterator[Fault]:
    username, password = root["schema_registry"]["username"], root["schema_registry"]["password_file"]
    if username.given and not password.given:
        yield password.fault("missing; username needs it")
    if password.given and not username.given:
        yield username.fault("missing; password_file needs it")


def _credentials(root: Place) -> Iterator[Fault]:
    for account in root["accounts"]:
        sftp = account["sftp"]
        password, key = sftp["password_file"], sftp["private_key_file"]
        if password.given and key.given:
            yield key.fault("stands beside password_file; keep one of the two")
        if not password.given and not key.given:
            yield password.fault("missing; write it, or private_key_file")
        if not sftp["host_key"].given and not sftp["known_hosts_file"].given:
            yield sftp["host_key"].fault("missing; write it, or known_hosts_file")


def _processing_logs(root: Place) -> Iterator[Fault]:
    for account in root["accounts"]:
        log, waits = account["platform"]["processing_log"], account["wait_for_confirmation"]
        if not log.given:
            if waits.text.lower() in _TRUE:
                yield waits.fault(
                    "needs platform.processing_log, which confirms files; name it, or remove this"
                )
            continue
        if not log["password_file"].given and account["sftp"]["private_key_file"].given:
            yield log["password_file"].fault("missing; the log has no log-in by key, and needs a password")
        if _goes_plain(log["url"].text) and log["allow_plain_http"].text.lower() not in _TRUE:
            yield log["url"].fault(
                "sends the password over http:// to another machine; write https://, or set allow_plain_http"
            )
        yield from _statuses(log)


def _goes_plain(url: str) -> bool:
    """Whether what is sent there may be read on its way: by http, and not within this machine."""
    try:
        address = urlsplit(url)
        host = address.hostname or ""
        return address.scheme == "http" and not (
            host == "localhost" or ipaddress.ip_address(host).is_loopback
        )
    except ValueError:  # a name; or no address at all, which is a fault of its own
        return url.startswith("http://")


def _statuses(log: Place) -> Iterator[Fault]:
    """A status means one thing, written or by default."""
    first: dict[str, Place] = {}
    for key in ("confirmed", "rejected", "pending"):
        default = list(ProcessingLogSettings.model_fields[key].default)
        place = log[key] if log[key].given else Place(default, log[key].path)
        for status in place:
            earlier = first.setdefault(status.text, place)
            if earlier is not place:
                yield place.fault(f"has a status of {written(earlier.path)} too; a status means one thing")


def _segments_log_in(root: Place) -> Iterator[Fault]:
    for account in root["accounts"]:
        segments = account["platform"]["audience_segments"]
        auth = segments["auth"]
        if auth["grant"].text == "password-realm" and not auth["realm"].given:
            yield auth["realm"].fault("missing; grant password-realm needs it")
        if auth["realm"].given and auth["grant"].text != "password-realm":
            yield auth["realm"].fault("is for grant password-realm; write that, or remove it")
        if segments["allow_plain_http"].text.lower() in _TRUE:
            continue
        for address in (segments["url"], auth["token_url"], auth["session_url"]):
            if _goes_plain(address.text):
                what = "sends credentials over http:// to another machine"
                yield address.fault(f"{what}; write https://, or set allow_plain_http")


def _one_quota(root: Place) -> Iterator[Fault]:
    """Two accounts on one log-in would each spend the whole quota (design.md, invariant 4)."""
    first: dict[tuple[str, str, str], Place] = {}
    for account in root["accounts"]:
        sftp = account["sftp"]
        login = (sftp["host"].text.lower(), sftp["port"].text or _DEFAULT_PORT, sftp["username"].text)
        if not login[0] or not login[2]:
            continue
        earlier = first.setdefault(login, account)
        if earlier is not account:
            yield sftp["username"].fault(
                f"is, with its host, that of {written(earlier.path)}, whose quota it shares; make them one"
            )


def _unique(places: Iterable[Place]) -> Iterator[Fault]:
    first: dict[str, Place] = {}
    for place in places:
        earlier = first.setdefault(place.text, place)
        if place.text and earlier is not place:
            yield place.fault(f"is the name of {written(earlier.path[:-1])} too; rename one")


def _names(root: Place) -> Iterator[Fault]:
    yield from _unique(account["name"] for account in root["accounts"])
    yield from _unique(stream["name"] for stream in root["streams"])


def _accounts_exist(root: Place) -> Iterator[Fault]:
    names = {account["name"].text for account in root["accounts"]}
    doubtful = not names or "" in names  # then the fault is over there
    for stream in root["streams"]:
        account = stream["account"]
        default = Place(Stream.model_fields["account"].default, account.path)
        for place in (account["display"], account["mobile"], account if account.given else default):
            if place.text and place.text not in names and not doubtful:
                yield place.fault("names no account; write the name of one under accounts")


def _topics_of(stream: Place) -> list[Place]:
    topics = stream["topics"]
    return [topics] if topics.text else [topic for topic in topics if topic.text]


def _topics(root: Place) -> Iterator[Fault]:
    """A topic belongs to one stream; what two expressions both match is found when the topics are known."""
    topics = [(at, topic) for at, stream in enumerate(root["streams"]) for topic in _topics_of(stream)]
    for stream in root["streams"]:
        of_stream = _topics_of(stream)
        for topic in of_stream:
            if topic.text.startswith(SINGLE_REGEX) and len(of_stream) > 1:
                yield topic.fault("is a ^regex beside other topics; let it stand alone")
    for (at, topic), (other, later) in combinations(topics, 2):
        if topic.text == later.text:
            yield later.fault(f"stands in {written(topic.path)} too; a topic belongs to one stream: keep one")
        elif at != other and _matches(topic.text, later.text):
            yield later.fault(
                f"is matched by {written(topic.path)}; a topic belongs to one stream: narrow the regex"
            )
        elif at != other and _matches(later.text, topic.text):
            yield topic.fault(
                f"is matched by {written(later.path)}; a topic belongs to one stream: narrow the regex"
            )


def _matches(expression: str, topic: str) -> bool:
    if not expression.startswith(SINGLE_REGEX) or topic.startswith(SINGLE_REGEX):
        return False
    try:
        return re.search(expression, topic) is not None
    except re.error:  # a fault of its own
        return False


def _dead_letters(root: Place) -> Iterator[Fault]:
    directory, topic = root["dead_letters"]["directory"], root["dead_letters"]["topic"]
    if directory.given and topic.given:
        yield topic.fault("stands beside directory; keep one of the two")
    for stream in root["streams"]:
        for consumed in _topics_of(stream):
            if topic.text and (consumed.text == topic.text or _matches(consumed.text, topic.text)):
                yield topic.fault(
                    f"is consumed by {written(stream.path)}; write to a topic that no stream reads"
                )


def _user_sync(root: Place) -> Iterator[Fault]:
    sync = root["user_sync"]
    topic, file, cookie = sync["topic"], sync["sqlite_file"], sync["cookie"]
    if topic.given and file.given:
        yield file.fault("stands beside topic; keep one of the two")
    if sync["namespace"].text == MM:
        yield sync["namespace"].fault(f"is the platform's own, {MM}; write the namespace of your ids")
    if len({sync[key].text or _SYNC_PATHS[key] for key in _SYNC_PATHS}) < len(_SYNC_PATHS):
        yield sync["opt_out_path"].fault("is user_sync.path too; write another")
    if cookie["name"].text.startswith(_HOST_COOKIE):
        if cookie["domain"].given:
            yield cookie["domain"].fault(f"is for a cookie without {_HOST_COOKIE}; remove it, or rename")
        if cookie["path"].text not in {"", "/"}:
            yield cookie["path"].fault(f"must be / for a cookie with {_HOST_COOKIE}; change it, or rename")
    stored = topic.text or (USER_SYNC_TOPIC if sync.given and not file.given else "")
    for stream in _consumers(root, stored) if stored else ():
        yield topic.fault(f"is consumed by {written(stream.path)}, and holds no events; keep them apart")


def _consumers(root: Place, topic: str) -> Iterator[Place]:
    """The streams that read this topic."""
    for stream in root["streams"]:
        for consumed in _topics_of(stream):
            if consumed.text == topic or _matches(consumed.text, topic):
                yield stream


_WHOLE: tuple[Callable[[Place], Iterator[Fault]], ...] = (
    _properties,
    _registry,
    _names,
    _credentials,
    _processing_logs,
    _segments_log_in,
    _one_quota,
    _accounts_exist,
    _topics,
    _dead_letters,
    _user_sync,
)


def _table_ids(stream: Place) -> Iterator[Fault]:
    main, table = stream["user_namespace"], stream["user_table_id"]
    if main.text in {"", MM}:
        if table.given and (main.text or not main.given):
            yield table.fault(f"is for a user_namespace other than {MM}; remove it")
    elif not table.given:
        yield table.fault(f"missing; a user_namespace other than {MM} needs it")
    for further in stream["user_namespaces"]:
        if further.key == (main.text or MM):
            yield further.fault("is the stream's user_namespace already; remove it")
        elif further.key == MM and further.given:
            yield further.fault(f"has a table id, and {MM} has none; write null")
        elif further.key != MM and not further.text:
            yield further.fault("has no table id; write it")


def _identify(stream: Place, root: Place) -> Iterator[Fault]:
    """Cookies alone have mappings, and a bridge has one identity table."""
    identify, source = stream["identify"], stream["identify"]["from"]
    if not identify.given:
        return
    if stream["inventory"].text != "display":
        yield stream["inventory"].fault(
            "must be display with identify: device ids are not translated; write it"
        )
    if stream["user_namespace"].text not in {"", MM}:
        yield stream["user_namespace"].fault("is for ids that are sent as they are; remove it, or identify")
    if source.text == MM or stream["user_namespaces"][source.text].given:
        yield source.fault(
            "is a namespace whose ids are sent as they are; write that of the ids to translate"
        )
    tables = {
        one["identify"]["table"].text or USER_SYNC_TOPIC for one in root["streams"] if one["identify"].given
    }
    if len(tables) > 1:
        yield identify["table"].fault("differs from another stream's; a bridge has one identity table")
    sync = root["user_sync"]
    if sync["sqlite_file"].given:
        yield sync["sqlite_file"].fault("is no topic, which identify needs; write user_sync.topic instead")
    elif sync.given and tables != {sync["topic"].text or USER_SYNC_TOPIC}:
        yield identify["table"].fault("differs from user_sync.topic; write the same")
    for consumer in () if sync.given else _consumers(root, identify["table"].text or USER_SYNC_TOPIC):
        yield identify["table"].fault(
            f"is consumed by {written(consumer.path)}, and holds no events; keep them apart"
        )


def _field_names(stream: Place) -> Iterator[Fault]:
    first: dict[str, Place] = {}
    for field in stream["fields"]:
        if field.key not in EVENT_FIELDS:
            yield field.fault(unknown_key(field.key, EVENT_FIELDS))
        earlier = first.setdefault(field.text, field)
        if field.text and earlier is not field:
            yield field.fault(f"is the topic's field of {earlier.key} too; a field has one meaning: keep one")


def _taxonomy(stream: Place, root: Place) -> Iterator[Fault]:
    """What the file holds is looked at by `service.taxonomies`: of a large one that takes seconds."""
    taxonomy = stream["taxonomy"]
    if stream["unknown_segments"].text == "refuse" and not taxonomy.given:
        yield taxonomy.fault("missing; unknown_segments: refuse needs it")
    if taxonomy.text.isdecimal():
        inventory = "mobile" if stream["inventory"].text == "mobile" else "display"
        name = stream["account"].text or stream["account"][inventory].text or _DEFAULT_ACCOUNT
        for account in root["accounts"]:
            if account["name"].text == name and not account["platform"]["audience_segments"].given:
                where = written((*account.path, "platform", "audience_segments"))
                yield taxonomy.fault(f"is an id, which needs {where}; write that, or name a file")


def _schema(stream: Place, root: Place, folder: Path) -> Iterator[Fault]:
    schema, form = stream["schema"], stream["format"].text
    if schema.text and "\0" not in schema.text:
        names = {field.key: field.text for field in stream["fields"] if field.text}
        yield from (schema.fault(what) for what in schema_faults(folder / schema.text, names))
    elif not schema.given and form in {"avro", "avro-single-object"}:
        yield schema.fault(f"missing; format {form} needs the .avsc that the topic is written with")
    elif not schema.given and form == "avro-confluent" and not root["schema_registry"].given:
        yield schema.fault("missing; format avro-confluent needs it, or a schema_registry")
