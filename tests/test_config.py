"""The contract's Configuration, rule by rule."""

import json
import pickle
import re
from copy import deepcopy
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from bridge.clock import DAY
from bridge.config import (
    Config,
    ConfigurationError,
    InventoryAccounts,
    load,
    load_endpoint,
    read_secret,
    secret_faults,
)
from bridge.config.wording import section_at
from bridge.errors import BridgeError

EXAMPLE = Path(__file__).parent.parent / "docs" / "example.yaml"

MINIMAL = {
    "kafka": {"bootstrap_servers": "kafka:9092"},
    "accounts": [
        {
            "name": "default",
            "agency": "AgencyName",
            "partner": "PartnerName",
            "sftp": {
                "host": "sftp.example.com",
                "username": "agency",
                "password_file": "/run/secrets/sftp-password",
                "host_key": "ssh-ed25519 AAAA...",
            },
        }
    ],
    "streams": [{"name": "acme", "topics": ["acme.segments"], "format": "json", "segment_namespace": "ep"}],
}
EVENT = {
    "type": "record",
    "name": "Membership",
    "fields": [
        {"name": "user_id", "type": "string"},
        {
            "name": "segments",
            "type": {"type": "array", "items": {"type": "record", "name": "Segment", "fields": []}},
        },
        {"name": "event_time", "type": "long"},
    ],
}
REMOVED = object()


def changed(*changes, base=MINIMAL):
    """A copy of the base with each (path, value); the position past a list's end appends."""
    document = deepcopy(base)
    for path, value in changes:
        *above, last = [int(step) if step.isdecimal() else step for step in path.split("/")]
        place = document
        for step in above:
            place = place[step] if isinstance(place, list) else place.setdefault(step, {})
        if value is REMOVED:
            del place[last]
        elif isinstance(place, list) and last == len(place):
            place.append(value)
        else:
            place[last] = value
    return document


def second(kind, **differing):
    """A further account or stream like the first."""
    return changed(*((key, value) for key, value in differing.items()), base=MINIMAL[kind][0])


def write(folder, document):
    path = folder / "bridge.yaml"
    text = (
        document
        if isinstance(document, str)
        else yaml.safe_dump(document, sort_keys=False, allow_unicode=True)
    )
    path.write_text(text, encoding="utf-8")
    return path


def loaded(folder, document, **environ):
    return load(write(folder, document), environ)


def faults(folder, document, **environ):
    with pytest.raises(ConfigurationError) as caught:
        loaded(folder, document, **environ)
    return caught.value.faults


def stream_of(folder, **differing):
    return loaded(
        folder, changed(*((f"streams/0/{key}", value) for key, value in differing.items()))
    ).streams[0]


def test_the_example_is_the_contracts_and_its_values_are_the_defaults(tmp_path):
    """docs/example.yaml means the same as its required keys alone: the other values are the defaults.

    The client is the one exception: the contract shows a name there, and says that null is global.
    """
    document = yaml.safe_load(EXAMPLE.read_text(encoding="utf-8"))
    example = loaded(tmp_path, EXAMPLE.read_text(encoding="utf-8"))
    required = {
        "kafka": {"bootstrap_servers": document["kafka"]["bootstrap_servers"]},
        "schema_registry": {"url": document["schema_registry"]["url"]},
        "accounts": [
            {key: document["accounts"][0][key] for key in ("name", "agency", "partner")}
            | {
                "sftp": {
                    key: document["accounts"][0]["sftp"][key]
                    for key in ("host", "username", "password_file", "host_key")
                }
            }
        ],
        "streams": [
            {
                key: document["streams"][0][key]
                for key in ("name", "topics", "client", "format", "segment_namespace")
            }
        ],
        "user_sync": {"namespace": document["user_sync"]["namespace"]},
    }
    assert loaded(tmp_path, required) == example


def test_the_example_names_every_key():
    """docs/example.yaml leaves out no key that the product knows, but the two that stand for another."""
    document = yaml.safe_load(EXAMPLE.read_text(encoding="utf-8"))

    def known(path):
        return {field.alias or name for name, field in section_at(path).model_fields.items()}

    assert set(document) == known(())
    for name in set(document) - {"accounts", "streams"}:
        assert set(document[name]) == known((name,))
    assert set(document["accounts"][0]) == known(("accounts", 0))
    assert set(document["accounts"][0]["quota"]) == known(("accounts", 0, "quota"))
    alternatives = {"private_key_file", "known_hosts_file"}
    assert set(document["accounts"][0]["sftp"]) | alternatives == known(("accounts", 0, "sftp"))
    assert set(document["streams"][0]) == known(("streams", 0))


def test_the_defaults_in_numbers(tmp_path):
    """Durations are milliseconds and sizes bytes, with the contract's values."""
    config = loaded(tmp_path, MINIMAL)
    assert (config.spool.max_bytes, config.spool.retention) == (20_000_000_000, 604_800_000)
    assert (config.window.max_age, config.window.max_bytes) == (60_000, 256_000_000)
    assert (config.roll.max_age, config.roll.max_bytes, config.roll.compression_level) == (
        900_000,
        500_000_000,
        6,
    )
    account = config.account("default")
    quota = account.quota
    assert (quota.files_per_hour, quota.bytes_per_day, quota.max_file_bytes) == (
        20,
        5_000_000_000,
        4_000_000_000,
    )
    assert (quota.guard, quota.replay_share, quota.removals_reserve) == (30_000, 0.25, 0.05)
    assert (account.sftp.port, account.sftp.directory, account.sftp.temporary_suffix) == (2222, ".", ".part")
    stream = config.streams[0]
    assert (stream.max_future, stream.max_event_bytes, stream.placeholder_segment) == (
        3_600_000,
        1_000_000,
        9_999_999,
    )
    assert (stream.client, stream.inventory, stream.user_namespace, stream.account) == (
        None,
        "event",
        "mm",
        "default",
    )
    assert config.kafka.group_id == "s2s-bridge"
    assert config.spool.directory == Path("/var/lib/s2s-bridge")
    assert config.dead_letters.directory == Path("/var/lib/s2s-bridge/dead-letters")
    assert config.http.listen == "127.0.0.1:8080"
    assert (config.logging.format, config.logging.level, config.schema_registry) == ("json", "info", None)


NAME_PART = "may hold letters, digits and hyphens alone, no underscore; rename it"
HEADER = "may hold letters, digits, dots, hyphens and underscores alone; correct it"
DURATION = "is no duration; write a whole number and its unit, as in 500ms, 60s, 15m, 1h or 7d"
SIZE = "is no size; write a whole number and its unit, as in 256MB, 5GB or 256MiB"
EMPTY = "has no value; write one, or leave out the key where it has a default"
MISSING = "missing; this key is required"
ADDRESS = "is no address; write host:port, as in 127.0.0.1:8080, or null for none"
URL = "is no address; write one that begins with http:// or https://"
OTHER_LOGIN = "is, with its host, that of accounts[0], whose quota it shares; make them one"
REGEX_MATCH = "a topic belongs to one stream: narrow the regex"
SAME_TOPIC = "a topic belongs to one stream: keep one"
PLACEHOLDERS = "which feeds the same audience; give both the same"
TOPIC = "is no topic's name; write letters, digits, dots, hyphens, underscores, or one ^regex"
SUFFIX = "may hold letters, digits, dots, hyphens and underscores; or null for none"
PARTNER = [("streams/0/user_namespace", "partner"), ("streams/0/user_table_id", "7")]


def of_partner(**differing):
    """Changes to a stream: its users have a partner's ids, which are translated."""
    identify = changed(*differing.items(), base={"from": "acme"})
    return [("streams/0/inventory", "display"), ("streams/0/identify", identify)]


LOG = "accounts[0].platform.processing_log"
PLAIN = "sends the password over http:// to another machine; write https://, or set allow_plain_http"
SEGMENTS = {
    "vendor_id": "1234",
    "auth": {"username": "u", "password_file": "p", "client_id": "c", "client_secret_file": "s"},
}
"""What an account must say of the Audience Segments API."""


def of_segments(**differing):
    """A change to an account that names the API."""
    return ("accounts/0/platform/audience_segments", changed(*differing.items(), base=SEGMENTS))


_SEGMENTS = "accounts[0].platform.audience_segments"
_PLAINLY = "sends credentials over http:// to another machine; write https://, or set allow_plain_http"

FAULTY = [
    ([of_segments(vendor_id=0)], f"{_SEGMENTS}.vendor_id: must be at least 1; change it"),
    (
        [of_segments(**{"auth/username": REMOVED})],
        f"{_SEGMENTS}.auth.username: missing; this key is required",
    ),
    (
        [of_segments(**{"auth/grant": "password-realm"})],
        f"{_SEGMENTS}.auth.realm: missing; grant password-realm needs it",
    ),
    (
        [of_segments(**{"auth/realm": "r"})],
        f"{_SEGMENTS}.auth.realm: is for grant password-realm; write that, or remove it",
    ),
    ([of_segments(url="http://api.example.com/v2")], f"{_SEGMENTS}.url: {_PLAINLY}"),
    ([of_segments(**{"auth/token_url": "http://10.0.0.1/t"})], f"{_SEGMENTS}.auth.token_url: {_PLAINLY}"),
    # required
    ([("kafka", REMOVED)], f"kafka.bootstrap_servers: {MISSING}"),
    ([("kafka/bootstrap_servers", None)], f"kafka.bootstrap_servers: {EMPTY}"),
    ([("accounts", REMOVED)], f"accounts: {MISSING}"),
    ([("accounts", [])], "accounts: must hold at least one; add it"),
    ([("streams", REMOVED)], f"streams: {MISSING}"),
    ([("streams", [])], "streams: must hold at least one; add it"),
    ([("schema_registry", {})], f"schema_registry.url: {MISSING}"),
    *(
        ([(f"accounts/0/{key}", REMOVED)], f"accounts[0].{key}: {MISSING}")
        for key in ("name", "agency", "partner")
    ),
    *(
        ([(f"accounts/0/sftp/{key}", REMOVED)], f"accounts[0].sftp.{key}: {MISSING}")
        for key in ("host", "username")
    ),
    *(
        ([(f"streams/0/{key}", REMOVED)], f"streams[0].{key}: {MISSING}")
        for key in ("name", "topics", "format", "segment_namespace")
    ),
    # unknown keys
    ([("streams/0/clinet", "Acme")], "streams[0].clinet: unknown key; did you mean client?"),
    ([("stream", [])], "stream: unknown key; did you mean streams?"),
    ([("accounts/0/sftp/hostkey", "x")], "accounts[0].sftp.hostkey: unknown key; did you mean host_key?"),
    ([("streams/0/schema_", "x")], "streams[0].schema_: unknown key; did you mean schema?"),
    ([("http/zzz", "x")], "http.zzz: unknown key; did you mean listen?"),
    (
        [("streams/0/account", {"display": "default", "mobile": "default", "moblie": "default"})],
        "streams[0].account.moblie: unknown key; did you mean mobile?",
    ),
    (
        [("streams/0/fields", {"usr_id": "uid"})],
        "streams[0].fields.usr_id: unknown key; did you mean user_id?",
    ),
    # kinds
    ([("kafka", "x")], "kafka: must hold keys of its own; write a mapping"),
    ([("accounts", "x")], "accounts: must be a list; write [one, two]"),
    ([("kafka/group_id", ["a"])], "kafka.group_id: must be a text; write one"),
    ([("kafka/group_id", "")], "kafka.group_id: is empty; write a text"),
    ([("kafka/bootstrap_servers", "a b")], "kafka.bootstrap_servers: must be one word; leave out the spaces"),
    (
        [("accounts/0/quota/files_per_hour", "many")],
        "accounts[0].quota.files_per_hour: must be a whole number; write one",
    ),
    ([("accounts/0/quota/replay_share", "x")], "accounts[0].quota.replay_share: must be a number; write one"),
    (
        [("accounts/0/quota/replay_share", "nan")],
        "accounts[0].quota.replay_share: must be a number; write one",
    ),
    (
        [("streams/0/hash_segments", "maybe")],
        "streams[0].hash_segments: must be true or false; write one of them",
    ),
    (
        [("streams/0/format", "xml")],
        "streams[0].format: must be avro-confluent, avro-single-object, avro or json; write one of them",
    ),
    (
        [("streams/0/inventory", "tv")],
        "streams[0].inventory: must be event, display or mobile; write one of them",
    ),
    ([("logging/format", "xml")], "logging.format: must be json or console; write one of them"),
    ([("logging/level", "loud")], "logging.level: must be debug, info, warning or error; write one of them"),
    ([("window/max_age", "60")], f"window.max_age: {DURATION}"),
    ([("window/max_age", "0s")], "window.max_age: must be above 0ms; change it"),
    ([("roll/max_age", "soon")], f"roll.max_age: {DURATION}"),
    ([("spool/retention", 7)], f"spool.retention: {DURATION}"),
    ([("streams/0/max_future", "1x")], f"streams[0].max_future: {DURATION}"),
    ([("window/max_bytes", "lots")], f"window.max_bytes: {SIZE}"),
    ([("spool/max_bytes", "0")], "spool.max_bytes: must be above 0B; change it"),
    ([("roll/max_bytes", "0MB")], "roll.max_bytes: must be above 0B; change it"),
    ([("streams/0/max_event_bytes", "1Mb!")], f"streams[0].max_event_bytes: {SIZE}"),
    ([("roll/compression_level", 10)], "roll.compression_level: must be at most 9; change it"),
    ([("spool/directory", "")], "spool.directory: is no path; write one"),
    ([("dead_letters/directory", "")], "dead_letters.directory: is no path; write one"),
    ([("accounts/0/sftp/directory", "")], "accounts[0].sftp.directory: is empty; write a text"),
    *(
        ([("http/listen", address)], f"http.listen: {ADDRESS}")
        for address in ("8080", ":80", "h:", "h:x", "h:65536")
    ),
    *(
        ([("schema_registry/url", url)], f"schema_registry.url: {URL}")
        for url in ("registry:8081", "ftp://r", "http://")
    ),
    (
        [("schema_registry/url", "https://me:secret@registry")],
        "schema_registry.url: holds credentials; use username and password_file",
    ),
    ([("accounts/0/sftp/port", 0)], "accounts[0].sftp.port: must be at least 1; change it"),
    ([("accounts/0/sftp/port", 65_536)], "accounts[0].sftp.port: must be at most 65535; change it"),
    (
        [("accounts/0/sftp/host_key", "AAAA")],
        'accounts[0].sftp.host_key: is no public key; write its type and key, "ssh-ed25519 AAAA..."',
    ),
    (
        [("accounts/0/sftp/temporary_suffix", "")],
        f"accounts[0].sftp.temporary_suffix: {SUFFIX}",
    ),
    # names
    *(
        ([(f"accounts/0/{key}", name)], f"accounts[0].{key}: {NAME_PART}")
        for key in ("agency", "partner")
        for name in ("a_b", "a b", "ü", "")
    ),
    *(
        (
            [("accounts/1", second("accounts", name=name, **{"sftp/username": "other"}))],
            f"accounts[1].name: {NAME_PART}",
        )
        for name in ("a_b", "a b", "ü")
    ),
    *(
        (
            [("streams/0/name", name)],
            "streams[0].name: may hold lower-case letters, digits and hyphens alone; rename it",
        )
        for name in ("Acme", "a_b", "", "a.b")
    ),
    *(([("streams/0/client", name)], f"streams[0].client: {NAME_PART}") for name in ("A_B", "A B", "")),
    ([("streams/0/clients", ["Good", "A_B"])], f"streams[0].clients[1]: {NAME_PART}"),
    *(
        ([("streams/0/segment_namespace", name)], f"streams[0].segment_namespace: {HEADER}")
        for name in ("e p", "e/p", "e:p", "", "é")
    ),
    ([("streams/0/segment_namespaces", ["a", "b/c"])], f"streams[0].segment_namespaces[1]: {HEADER}"),
    ([*PARTNER, ("streams/0/user_namespace", "a:b")], f"streams[0].user_namespace: {HEADER}"),
    ([*PARTNER, ("streams/0/user_table_id", "a/b")], f"streams[0].user_table_id: {HEADER}"),
    ([("streams/0/user_namespaces", {"a:b": "7"})], f"streams[0].user_namespaces.a:b: {HEADER}"),
    ([("streams/0/user_namespaces", {"other": "7:8"})], f"streams[0].user_namespaces.other: {HEADER}"),
    (
        [("accounts/1", second("accounts", **{"sftp/username": "other"}))],
        "accounts[1].name: is the name of accounts[0] too; rename one",
    ),
    (
        [("streams/1", second("streams", topics=["other"]))],
        "streams[1].name: is the name of streams[0] too; rename one",
    ),
    # topics
    ([("streams/0/topics", [])], "streams[0].topics: must hold at least one; add it"),
    (
        [("streams/0/topics", ["^acme", "acme.segments"])],
        "streams[0].topics[0]: is a ^regex beside other topics; let it stand alone",
    ),
    (
        [("streams/0/topics", ["acme.segments", "^acme"])],
        "streams[0].topics[1]: is a ^regex beside other topics; let it stand alone",
    ),
    ([("streams/0/topics", ["^acme("])], "streams[0].topics[0]: is no regular expression; correct it"),
    *(
        (
            [("streams/0/topics", [topic])],
            f"streams[0].topics[0]: {TOPIC}",
        )
        for topic in ("a b", "", "..", "a" * 250)
    ),
    (
        [("streams/0/topics", ["a", "a"])],
        f"streams[0].topics[1]: stands in streams[0].topics[0] too; {SAME_TOPIC}",
    ),
    (
        [("streams/1", second("streams", name="other"))],
        f"streams[1].topics[0]: stands in streams[0].topics[0] too; {SAME_TOPIC}",
    ),
    (
        [("streams/1", second("streams", name="other", topics="acme.segments"))],
        f"streams[1].topics: stands in streams[0].topics[0] too; {SAME_TOPIC}",
    ),
    (
        [("streams/0/topics", ["^acme"]), ("streams/1", second("streams", name="other"))],
        f"streams[1].topics[0]: is matched by streams[0].topics[0]; {REGEX_MATCH}",
    ),
    (
        [("streams/1", second("streams", name="other", topics=["^acme[.]seg"]))],
        f"streams[0].topics[0]: is matched by streams[1].topics[0]; {REGEX_MATCH}",
    ),
    (
        [("streams/0/topics", ["^a"]), ("streams/1", second("streams", name="other", topics=["^a"]))],
        f"streams[1].topics[0]: stands in streams[0].topics[0] too; {SAME_TOPIC}",
    ),
    # accounts of streams
    (
        [("streams/0/account", "other")],
        "streams[0].account: names no account; write the name of one under accounts",
    ),
    (
        [("accounts/0/name", "main")],
        "streams[0].account: names no account; write the name of one under accounts",
    ),
    (
        [("streams/0/account", {"display": "default", "mobile": "other"})],
        "streams[0].account.mobile: names no account; write the name of one under accounts",
    ),
    ([("streams/0/account", {"display": "default"})], f"streams[0].account.mobile: {MISSING}"),
    # log-ins
    (
        [("accounts/0/sftp/password_file", REMOVED)],
        "accounts[0].sftp.password_file: missing; write it, or private_key_file",
    ),
    (
        [("accounts/0/sftp/private_key_file", "key")],
        "accounts[0].sftp.private_key_file: stands beside password_file; keep one of the two",
    ),
    (
        [("accounts/0/sftp/host_key", REMOVED)],
        "accounts[0].sftp.host_key: missing; write it, or known_hosts_file",
    ),
    ([("accounts/1", second("accounts", name="b"))], f"accounts[1].sftp.username: {OTHER_LOGIN}"),
    (
        [
            (
                "accounts/1",
                second("accounts", name="b", **{"sftp/host": "SFTP.example.com", "sftp/port": 2222}),
            )
        ],
        f"accounts[1].sftp.username: {OTHER_LOGIN}",
    ),
    (
        [("schema_registry", {"url": "http://r", "username": "u"})],
        "schema_registry.password_file: missing; username needs it",
    ),
    (
        [("schema_registry", {"url": "http://r", "password_file": "p"})],
        "schema_registry.username: missing; password_file needs it",
    ),
    # processing logs
    (
        [("accounts/0/platform/processing_log/url", "http://log.example.com:8080/x")],
        f"{LOG}.url: {PLAIN}",
    ),
    (
        [("accounts/0/platform/processing_log/url", "http://10.0.0.1")],
        f"{LOG}.url: {PLAIN}",
    ),
    (
        [
            ("accounts/0/platform/processing_log", {}),
            ("accounts/0/sftp/password_file", REMOVED),
            ("accounts/0/sftp/private_key_file", "key"),
        ],
        f"{LOG}.password_file: missing; the log has no log-in by key, and needs a password",
    ),
    (
        [("accounts/0/platform/processing_log/confirmed", ["done", "received"])],
        f"{LOG}.pending: has a status of {LOG}.confirmed too; a status means one thing",
    ),
    (
        [("accounts/0/platform/processing_log/path", "log")],
        f"{LOG}.path: is no path of an address; write one that begins with a slash",
    ),
    # quotas
    (
        [("accounts/0/quota/files_per_hour", 0)],
        "accounts[0].quota.files_per_hour: must be at least 1; change it",
    ),
    (
        [("accounts/0/quota/bytes_per_day", "999999")],
        "accounts[0].quota.bytes_per_day: must be at least 1MB; change it",
    ),
    (
        [("accounts/0/quota/max_file_bytes", "4000000001")],
        "accounts[0].quota.max_file_bytes: must be at most 4GB; change it",
    ),
    (
        [("accounts/0/quota/max_file_bytes", "4GiB")],
        "accounts[0].quota.max_file_bytes: must be at most 4GB; change it",
    ),
    (
        [("accounts/0/quota/max_file_bytes", 0)],
        "accounts[0].quota.max_file_bytes: must be above 0B; change it",
    ),
    ([("accounts/0/quota/guard", "20m")], "accounts[0].quota.guard: must be below 20m; change it"),
    (
        [("accounts/0/quota/replay_share", 1.01)],
        "accounts[0].quota.replay_share: must be at most 1; change it",
    ),
    (
        [("accounts/0/quota/replay_share", -0.1)],
        "accounts[0].quota.replay_share: must be at least 0; change it",
    ),
    (
        [("accounts/0/quota/removals_reserve", 1)],
        "accounts[0].quota.removals_reserve: must be below 1; change it",
    ),
    (
        [("accounts/0/quota/removals_reserve", -1)],
        "accounts[0].quota.removals_reserve: must be at least 0; change it",
    ),
    # user namespaces
    (
        [("streams/0/user_namespace", "partner")],
        "streams[0].user_table_id: missing; a user_namespace other than mm needs it",
    ),
    (
        [("streams/0/user_table_id", "7")],
        "streams[0].user_table_id: is for a user_namespace other than mm; remove it",
    ),
    (
        [("streams/0/user_namespaces", {"mm": None})],
        "streams[0].user_namespaces.mm: is the stream's user_namespace already; remove it",
    ),
    (
        [*PARTNER, ("streams/0/user_namespaces", {"partner": "7"})],
        "streams[0].user_namespaces.partner: is the stream's user_namespace already; remove it",
    ),
    (
        [*PARTNER, ("streams/0/user_namespaces", {"mm": "7"})],
        "streams[0].user_namespaces.mm: has a table id, and mm has none; write null",
    ),
    (
        [("streams/0/user_namespaces", {"other": None})],
        "streams[0].user_namespaces.other: has no table id; write it",
    ),
    (
        [("streams/0/user_namespaces", {"other": ""})],
        "streams[0].user_namespaces.other: has no table id; write it",
    ),
    # placeholders
    ([("streams/0/placeholder_segment", 0)], "streams[0].placeholder_segment: must be at least 1; change it"),
    (
        [("streams/0/placeholder_segment", 2**31)],
        "streams[0].placeholder_segment: must be at most 2147483647; change it",
    ),
    (
        [("streams/1", second("streams", name="other", topics=["other"], placeholder_segment=1))],
        f"streams[1].placeholder_segment: differs from streams[0], {PLACEHOLDERS}",
    ),
    (
        [
            ("streams/1", second("streams", name="b", topics=["b"], clients=["B"], placeholder_segment=1)),
            ("streams/2", second("streams", name="c", topics=["c"], client="B", inventory="mobile")),
            ("streams/0/client", "A"),
        ],
        f"streams[2].placeholder_segment: differs from streams[1], {PLACEHOLDERS}",
    ),
    (
        [("streams/1", second("streams", name="other", topics=["other"], historical_after="6h"))],
        f"streams[1].historical_after: differs from streams[0], {PLACEHOLDERS}",
    ),
    # schemas
    *(
        (
            [("streams/0/format", form)],
            f"streams[0].schema: missing; format {form} needs the .avsc that the topic is written with",
        )
        for form in ("avro", "avro-single-object")
    ),
    (
        [("streams/0/format", "avro-confluent")],
        "streams[0].schema: missing; format avro-confluent needs it, or a schema_registry",
    ),
    (
        [("streams/0/fields", {"user_id": "id", "client": "id"})],
        "streams[0].fields.client: is the topic's field of user_id too; a field has one meaning: keep one",
    ),
    ([("streams/0/fields", {"user_id": ""})], "streams[0].fields.user_id: is empty; write a text"),
    # Kafka's properties
    *(
        ([("kafka/properties", {name: "x"})], f"kafka.properties.{name}: is the product's own; {remedy}")
        for name, remedy in {
            "group.id": "use kafka.group_id",
            "bootstrap.servers": "use kafka.bootstrap_servers",
            "metadata.broker.list": "use kafka.bootstrap_servers",
            "group.instance.id": "remove it",
            "enable.auto.commit": "remove it",
            "enable.auto.offset.store": "remove it",
            "auto.offset.reset": "remove it",
            "isolation.level": "remove it",
            "partition.assignment.strategy": "remove it",
            "enable.partition.eof": "remove it",
            "on_commit": "remove it",
        }.items()
    ),
    (
        [("kafka/secret_properties", {"group.id": "file"})],
        "kafka.secret_properties.group.id: is the product's own; use kafka.group_id",
    ),
    (
        [
            ("kafka/properties", {"sasl.password": "x"}),
            ("kafka/secret_properties", {"sasl.password": "file"}),
        ],
        "kafka.secret_properties.sasl.password: stands in kafka.properties too; keep one",
    ),
    (
        [("kafka/secret_properties", {"sasl.password": None})],
        f"kafka.secret_properties.sasl.password: {EMPTY}",
    ),
    # taxonomies
    (
        [("streams/0/unknown_segments", "refuse")],
        "streams[0].taxonomy: missing; unknown_segments: refuse needs it",
    ),
    (
        [("streams/0/taxonomy", 77)],
        (
            "streams[0].taxonomy: is an id, which needs accounts[0].platform.audience_segments; write that, "
            "or name a file"
        ),
    ),
    (
        [("streams/0/taxonomy", "acme.xlsx")],
        "streams[0].taxonomy: does not end with .csv, .yaml or .json; name a taxonomy's file, or its id",
    ),
    (
        [("streams/0/taxonomy", ["a.csv"])],
        "streams[0].taxonomy: must be a taxonomy's file, or its id; write one",
    ),
    # dead letters
    (
        [("dead_letters", {"directory": "d", "topic": "t"})],
        "dead_letters.topic: stands beside directory; keep one of the two",
    ),
    (
        [("dead_letters/topic", "acme.segments")],
        "dead_letters.topic: is consumed by streams[0]; write to a topic that no stream reads",
    ),
    (
        [("dead_letters/topic", "acme.dead"), ("streams/0/topics", "^acme")],
        "dead_letters.topic: is consumed by streams[0]; write to a topic that no stream reads",
    ),
    # user sync
    ([("user_sync", {})], f"user_sync.namespace: {MISSING}"),
    (
        [("user_sync", {"namespace": "mm"})],
        "user_sync.namespace: is the platform's own, mm; write the namespace of your ids",
    ),
    (
        [("user_sync", {"namespace": "a", "topic": "t", "sqlite_file": "f"})],
        "user_sync.sqlite_file: stands beside topic; keep one of the two",
    ),
    (
        [("user_sync", {"namespace": "a", "path": "/opt-out"})],
        "user_sync.opt_out_path: is user_sync.path too; write another",
    ),
    (
        [("user_sync", {"namespace": "a", "cookie": {"name": "__Host-id", "domain": "a.com"}})],
        "user_sync.cookie.domain: is for a cookie without __Host-; remove it, or rename",
    ),
    (
        [("user_sync", {"namespace": "a", "cookie": {"name": "__Host-id", "path": "/a"}})],
        "user_sync.cookie.path: must be / for a cookie with __Host-; change it, or rename",
    ),
    (
        [("user_sync", {"namespace": "a", "cookie": {"name": "a=b"}})],
        "user_sync.cookie.name: may hold 1 to 64 letters, digits, dots, hyphens and underscores",
    ),
    (
        [("user_sync", {"namespace": "a", "cookie": {"domain": "a.com; Path=/x"}})],
        "user_sync.cookie.domain: is no host's name; write one, as in example.com",
    ),
    (
        [("user_sync", {"namespace": "a", "cookie": {"path": "/;Domain=x"}})],
        "user_sync.cookie.path: is no path; write one that begins with a slash, as in /sync",
    ),
    (
        [("user_sync", {"namespace": "a", "cookie": {"max_age": "401d"}})],
        "user_sync.cookie.max_age: must be at most 400d; change it",
    ),
    (
        [("user_sync", {"namespace": "a", "path": "sync"})],
        "user_sync.path: is no path; write one that begins with a slash, as in /sync",
    ),
    (
        [("user_sync", {"namespace": "a"}), ("streams/0/topics", "^user")],
        "user_sync.topic: is consumed by streams[0], and holds no events; keep them apart",
    ),
    # identify
    ([*of_partner(**{"from": REMOVED})], f"streams[0].identify.from: {MISSING}"),
    *(
        (
            [*of_partner(), ("streams/0/inventory", inventory)],
            "streams[0].inventory: must be display with identify: device ids are not translated; write it",
        )
        for inventory in ("event", "mobile", REMOVED)
    ),
    (
        [*of_partner(), *PARTNER],
        "streams[0].user_namespace: is for ids that are sent as they are; remove it, or identify",
    ),
    *(
        (
            [*of_partner(**{"from": name}), ("streams/0/user_namespaces", {"other": "8"})],
            (
                "streams[0].identify.from: is a namespace whose ids are sent as they are; write that of the "
                "ids to translate"
            ),
        )
        for name in ("mm", "other")
    ),
    (
        [*of_partner(), ("user_sync", {"namespace": "acme", "sqlite_file": "f"})],
        "user_sync.sqlite_file: is no topic, which identify needs; write user_sync.topic instead",
    ),
    (
        [*of_partner(), ("user_sync", {"namespace": "acme", "topic": "other"})],
        "streams[0].identify.table: differs from user_sync.topic; write the same",
    ),
    *(
        (
            [*of_partner(), ("streams/0/topics", [topic])],
            "streams[0].identify.table: is consumed by streams[0], and holds no events; keep them apart",
        )
        for topic in ("user-sync", "^user")
    ),
    (
        [*of_partner(table="a b")],
        (
            "streams[0].identify.table: may hold letters, digits, dots, hyphens and underscores alone; "
            "correct it"
        ),
    ),
    (
        [*of_partner(park="soon")],
        (
            "streams[0].identify.park: is no duration; write a whole number and its unit, as in 500ms, 60s, "
            "15m, 1h or 7d"
        ),
    ),
    ([*of_partner(parc="7d")], "streams[0].identify.parc: unknown key; did you mean park?"),
    # environment
    (
        [("accounts/0/sftp/host", "${SFTP_HOST}")],
        "accounts[0].sftp.host: environment variable SFTP_HOST is not set; set it, or write the value",
    ),
    (
        [("streams/0/topics", ["a.${WHERE}.b"])],
        "streams[0].topics[0]: environment variable WHERE is not set; set it, or write the value",
    ),
    ([("kafka/group_id", "${1A}")], "kafka.group_id: has a ${ that begins no variable; write ${NAME}"),
    ([("kafka/group_id", "a${")], "kafka.group_id: has a ${ that begins no variable; write ${NAME}"),
]


@pytest.mark.parametrize(("changes", "fault"), FAULTY, ids=[fault for _, fault in FAULTY])
def test_each_rule_has_its_line(tmp_path, changes, fault):
    """A file with one fault gives exactly that line: its path, what is wrong, what to do."""
    assert faults(tmp_path, changed(*changes)) == (fault,)


SOUND = [
    [("accounts/0/platform/processing_log", {})],
    *(
        [("accounts/0/platform/processing_log/url", f"http://{host}:8081")]
        for host in ("127.0.0.1", "127.9.9.9", "localhost", "[::1]")
    ),
    [("accounts/0/platform/processing_log", {"url": "http://log:80", "allow_plain_http": True})],
    [("accounts/0/platform/processing_log", {"confirmed": ["received"], "pending": []})],
    [
        ("accounts/0/platform/processing_log", {"username": "u", "password_file": "p"}),
        ("accounts/0/sftp/private_key_file", "key"),
        ("accounts/0/sftp/password_file", REMOVED),
    ],
    [of_segments()],
    [of_segments(url="http://127.0.0.1:8081/dmp", **{"auth/token_url": "http://[::1]/t"})],
    [of_segments(url="http://sandbox/dmp", allow_plain_http="true")],
    [("user_sync", {"namespace": "a", "sqlite_file": "f"}), ("streams/0/topics", "^user")],
    [("user_sync", {"namespace": "a", "cookie": {"name": "__Host-id"}})],
    [("accounts/1", second("accounts", name="b", **{"sftp/username": "other"}))],
    [("accounts/1", second("accounts", name="b", **{"sftp/port": 22}))],
    [("accounts/0/sftp/known_hosts_file", "known_hosts"), ("accounts/0/sftp/host_key", REMOVED)],
    [("accounts/0/sftp/private_key_file", "key"), ("accounts/0/sftp/password_file", REMOVED)],
    [("accounts/0/sftp/temporary_suffix", None)],
    [
        (
            "accounts/0/quota",
            {"bytes_per_day": "1MB", "max_file_bytes": "4GB", "guard": "19m", "replay_share": 1},
        )
    ],
    [("accounts/0/quota", {"files_per_hour": 1, "removals_reserve": 0, "replay_share": 0, "guard": "0s"})],
    [("streams/1", second("streams", name="b", topics=["^other"]))],
    [("streams/1", second("streams", name="b", topics=["b"], hash_segments=True, placeholder_segment=1))],
    [("streams/1", second("streams", name="b", topics=["b"], segment_namespace="x", placeholder_segment=1))],
    [
        ("streams/0/inventory", "display"),
        ("streams/1", second("streams", name="b", topics=["b"], inventory="mobile", placeholder_segment=1)),
    ],
    [*PARTNER, ("streams/0/user_namespaces", {"mm": None, "other": "8"})],
    [("streams/0/format", "avro-confluent"), ("schema_registry", {"url": "http://127.0.0.1:8081/path"})],
    [("streams/0/account", {"display": "default", "mobile": "default"})],
    [("streams/0/taxonomy", "acme.csv"), ("streams/0/unknown_segments", "refuse")],
    [("streams/0/taxonomy", None)],
    [*of_partner(), ("streams/0/user_namespaces", {"other": "8"})],
    [*of_partner(), ("streams/0/user_namespace", "mm")],
    [
        *of_partner(table="t"),
        ("user_sync", {"namespace": "acme", "topic": "t"}),
        ("streams/0/topics", "^user"),
    ],
    [*of_partner(), ("user_sync", {"namespace": "acme"})],
    [("streams/0/identify", None)],
    [("http/listen", None)],
    [("http/listen", "[::1]:0")],
    [("kafka/properties", {"client.id": "x", "security.protocol": "ssl"})],
    [("kafka/properties", None), ("accounts/0/quota", None), ("streams/0/clients", None), ("http", None)],
    [("spool/retention", "0s"), ("roll/max_age", "0s")],
]


@pytest.mark.parametrize("changes", SOUND)
def test_what_is_allowed_loads(tmp_path, changes):
    """The rules stop at their limits."""
    assert isinstance(loaded(tmp_path, changed(*changes)), Config)


def test_a_bridge_has_one_identity_table(tmp_path):
    """Each of two streams with different topics is told; with one topic, said or not, they are sound."""
    more = {"name": "b", "topics": ["b"], "inventory": "display"}

    def two(table):
        return changed(
            *of_partner(), ("streams/1", second("streams", **more, identify={"from": "b"} | table))
        )

    assert faults(tmp_path, two({"table": "t"})) == tuple(
        f"streams[{number}].identify.table: differs from another stream's; a bridge has one identity table"
        for number in (0, 1)
    )
    config = loaded(tmp_path, two({"table": "user-sync", "park": "7d"}))
    assert [stream.identify.table for stream in config.streams] == ["user-sync"] * 2
    assert [stream.identify.park for stream in config.streams] == [30 * DAY, 7 * DAY]


def test_files_of_translated_users_are_of_the_platforms_namespace(tmp_path):
    """Events of no namespace are the partner's; those that name another one, or mm, stay as they are."""
    document = changed(*of_partner(), ("streams/0/user_namespaces", {"other": "8"}))
    stream = loaded(tmp_path, document).streams[0]
    assert list(stream.event_tables.items()) == [("acme", ""), ("mm", ""), ("other", "8")]
    assert [audience.user_namespace for audience in stream.audiences()] == ["mm", "other"]
    assert not any(audience.unresolved for audience in stream.audiences())


def test_every_fault_at_once_in_the_files_order(tmp_path):
    """Faults of the file, of keys and between keys are told together, from the file's top to its end."""
    document = changed(
        ("kafka/group_id", "${UNSET}"),
        ("kafka/properties", {"group.id": "x"}),
        ("accounts/0/quota/files_per_hour", 0),
        ("accounts/0/sftp/private_key_file", "key"),
        ("streams/0/account", "other"),
        ("streams/0/clinet", "Acme"),
        ("streams/0/user_table_id", "7"),
        ("streams/1", second("streams", name="b")),
    )
    paths = [fault.split(": ")[0] for fault in faults(tmp_path, document)]
    assert paths == [
        "kafka.group_id",
        "kafka.properties.group.id",
        "accounts[0].sftp.private_key_file",
        "accounts[0].quota.files_per_hour",
        "streams[0].account",
        "streams[0].clinet",
        "streams[0].user_table_id",
        "streams[1].topics[0]",
    ]


def test_a_faulty_account_is_no_missing_one(tmp_path):
    """Where an account's name is not known, no stream is blamed for naming none."""
    assert faults(tmp_path, changed(("accounts/0/name", "${UNSET}"))) == (
        "accounts[0].name: environment variable UNSET is not set; set it, or write the value",
    )


ENDPOINT = {"kafka": {"bootstrap_servers": "kafka"}, "user_sync": {"namespace": "acme"}}
"""A file that is enough for `sync serve`."""


def test_an_endpoints_file_needs_no_accounts_and_streams(tmp_path):
    """They are what a bridge delivers: where it is to be delivered from, both are missing."""
    path = write(tmp_path, ENDPOINT | {"logging": {"level": "debug"}})
    endpoint = load_endpoint(path, {})
    assert (endpoint.accounts, endpoint.streams) == ((), ())
    assert (endpoint.user_sync.namespace, endpoint.logging.level) == ("acme", "debug")
    assert faults(tmp_path, path.read_text()) == (
        "accounts: missing; this key is required",
        "streams: missing; this key is required",
    )


def test_an_endpoint_takes_the_bridges_file(tmp_path):
    """One file may serve both: what it says of the bridge is the same."""
    path = write(tmp_path, MINIMAL | {"user_sync": {"namespace": "acme"}})
    assert load_endpoint(path, {}).model_dump() == load(path, {}).model_dump()


@pytest.mark.parametrize(
    ("document", "expected"),
    [
        (ENDPOINT | {"stream": []}, ["stream: unknown key; did you mean streams?"]),
        ({"user_sync": {"namespace": "acme"}}, ["kafka.bootstrap_servers: missing; this key is required"]),
        (
            ENDPOINT | {"user_sync": {"namspace": "acme", "listen": "${UNSET}"}},
            [
                "user_sync.namespace: missing; this key is required",
                "user_sync.namspace: unknown key; did you mean namespace?",
                "user_sync.listen: environment variable UNSET is not set; set it, or write the value",
            ],
        ),
        (
            ENDPOINT | {"user_sync": {"namespace": "mm"}},
            ["user_sync.namespace: is the platform's own, mm; write the namespace of your ids"],
        ),
        (
            changed(("user_sync/namespace", "acme"), ("streams/0/account", "other")),
            ["streams[0].account: names no account; write the name of one under accounts"],
        ),
    ],
)
def test_an_endpoints_file_is_judged_as_any_other(tmp_path, document, expected):
    """Each fault by its path, in the file's order; those of accounts too, where there are some."""
    with pytest.raises(ConfigurationError) as refused:
        load_endpoint(write(tmp_path, document), {})
    assert list(refused.value.faults) == expected


BROKEN_FILES = [
    ("", "configuration: holds no keys; write a YAML mapping with kafka, accounts and streams"),
    ("- a\n- b\n", "configuration: holds no keys; write a YAML mapping with kafka, accounts and streams"),
    ("a: [1\nb: 2\n", "no valid YAML at line 2, column 2"),
    ("a: 1\n\tb: 2\n", "no valid YAML at line 2, column 1"),
    ("a: \x01\n", "no valid YAML: it holds characters"),
    ("a: 1\n---\nb: 2\n", "no valid YAML at line 2, column 1"),
    ("a: " + "[" * 100_000, "nested too deeply"),
]


@pytest.mark.parametrize(("text", "fault"), BROKEN_FILES, ids=[fault for _, fault in BROKEN_FILES])
def test_a_file_that_is_no_mapping_has_one_line(tmp_path, text, fault):
    """Broken YAML is one fault, on one line, with the place of it."""
    (line,) = faults(tmp_path, text)
    assert line.startswith("configuration: ")
    assert fault in line
    assert "\n" not in line


def test_a_key_that_stands_twice_is_a_fault(tmp_path):
    """YAML would silently keep the last one."""
    text = yaml.safe_dump(MINIMAL) + "http:\n  listen: null\n  listen: 127.0.0.1:1\n"
    at = text.count("\n")
    assert faults(tmp_path, text) == (f"http.listen: stands twice, in lines {at - 1} and {at}; keep one",)


def test_tags_and_circles_are_faults(tmp_path):
    """No tag makes an object, and an alias of its own parent ends."""
    text = yaml.safe_dump(MINIMAL)
    assert faults(tmp_path, text + "http:\n  listen: !!python/name:os.system x\n") == (
        "http.listen: has a YAML tag that is not known here; leave the tag out",
    )
    assert "roll.max_age: is an alias of what it stands in; write the value out" in faults(
        tmp_path, text + "roll: &roll\n  max_age: *roll\n"
    )


def test_merge_keys_share_what_accounts_have_in_common(tmp_path):
    """`<<` brings the keys that a mapping does not have itself."""
    text = yaml.safe_dump(MINIMAL) + "window: &limits {max_bytes: 1MB}\nroll: {<<: *limits, max_age: 1m}\n"
    text += "spool: {max_bytes: 2MB, <<: *limits}\n"
    config = loaded(tmp_path, text)
    assert (config.roll.max_bytes, config.roll.max_age) == (1_000_000, 60_000)
    assert config.spool.max_bytes == 2_000_000


def test_a_file_that_cannot_be_read_is_a_fault(tmp_path):
    """A missing file, a folder and a binary file are wrong usage, each told in one line."""
    (tmp_path / "binary").write_bytes(b"\xff\xfe")
    for name, what in (("none", "No such file"), (".", "Is a directory"), ("binary", "no UTF-8 text")):
        with pytest.raises(ConfigurationError, match=what):
            load(tmp_path / name, {})


def test_variables_stand_for_any_value(tmp_path):
    """A variable fills a text in part or whole, a number, a truth, a duration, a list, a mapping, a null."""
    document = changed(
        ("kafka/bootstrap_servers", "${HOST}:${PORT}"),
        ("kafka/properties", "PROPERTIES_HERE"),
        ("accounts/0/quota/files_per_hour", "${FILES}"),
        ("accounts/0/quota/replay_share", "${SHARE}"),
        ("streams/0/topics", "${TOPICS}"),
        ("streams/0/hash_segments", "${HASHED}"),
        ("streams/0/client", "${NOBODY}"),
        ("roll/max_age", "${AGE}"),
        ("http/listen", "${LISTEN}"),
    )
    text = yaml.safe_dump(document).replace("PROPERTIES_HERE", "${PROPERTIES}").replace("'", "")
    environ = {
        "HOST": "kafka",
        "PORT": "9092",
        "FILES": "3",
        "SHARE": "0.5",
        "TOPICS": "[a, b]",
        "HASHED": "true",
    }
    environ |= {"NOBODY": "null", "AGE": "5m", "LISTEN": "[::1]:8080", "PROPERTIES": "{client.id: 007}"}
    config = loaded(tmp_path, text, **environ)
    stream, quota = config.streams[0], config.accounts[0].quota
    assert config.kafka.bootstrap_servers == "kafka:9092"
    assert config.kafka.properties == {"client.id": "007"}
    assert (quota.files_per_hour, quota.replay_share, config.roll.max_age) == (3, 0.5, 300_000)
    assert (stream.topics, stream.hash_segments, stream.client) == (("a", "b"), True, None)
    assert config.http.listen == "[::1]:8080"


def test_a_variables_value_is_not_filled_in_again(tmp_path):
    """What stands in a variable is a value, though it looks like another variable."""
    config = loaded(tmp_path, changed(("kafka/group_id", "${A}")), A="${B}", B="no")
    assert config.kafka.group_id == "${B}"


def test_texts_stay_as_they_are_written(tmp_path):
    """YAML's guesses (octal numbers, No for false, dates, truths) change no name."""
    text = yaml.safe_dump(MINIMAL).replace("name: acme", "name: 007\n  client: No")
    text += "http: {listen: null}\nspool: {directory: 2026-01-01}\n"
    text = text.replace("kafka:\n", "kafka:\n  properties: {enable.metrics.push: false, linger.ms: 05}\n")
    config = loaded(tmp_path, text)
    assert (config.streams[0].name, config.streams[0].client) == ("007", "No")
    assert config.kafka.properties == {"enable.metrics.push": "false", "linger.ms": "05"}
    assert config.spool.directory == tmp_path / "2026-01-01"


SECRET = "hunter2-hunter2"
ANYWHERE = [
    "kafka/bootstrap_servers",
    "kafka/properties",
    "kafka/secret_properties",
    "schema_registry/url",
    "spool/max_bytes",
    "window/max_age",
    "roll/compression_level",
    "accounts/0/name",
    "accounts/0/sftp",
    "accounts/0/sftp/port",
    "accounts/0/sftp/host_key",
    "accounts/0/sftp/temporary_suffix",
    "accounts/0/quota/guard",
    "accounts/0/quota/replay_share",
    "streams/0/name",
    "streams/0/topics",
    "streams/0/account",
    "streams/0/client",
    "streams/0/format",
    "streams/0/fields",
    "streams/0/inventory",
    "streams/0/user_namespaces",
    "streams/0/segment_namespace",
    "streams/0/hash_segments",
    "streams/0/placeholder_segment",
    "http/listen",
    "logging/level",
]


@pytest.mark.parametrize("path", ANYWHERE)
def test_no_fault_shows_a_variables_value(tmp_path, path):
    """A secret that was put into the wrong variable is in no fault, error or its representation."""
    with pytest.raises(ConfigurationError) as caught:
        loaded(tmp_path, changed((path, "${WRONG}")), WRONG=f"^{SECRET} ({SECRET}")
    assert SECRET not in repr(caught.value) + str(caught.value) + str(caught.value.faults)


def test_properties_are_not_shown(tmp_path):
    """A property may be a password: the configuration's representation and its faults leave it out."""
    document = changed(("kafka/properties", {"sasl.password": SECRET}))
    assert SECRET not in repr(loaded(tmp_path, document))
    both = changed(("kafka/secret_properties", {"sasl.password": "file"}), base=document)
    assert SECRET not in str(faults(tmp_path, both))


def test_paths_start_at_the_files_folder(tmp_path):
    """Relative paths are those of the configuration's folder, absolute ones stay."""
    config = loaded(
        tmp_path,
        changed(
            ("spool/directory", "spool"),
            ("accounts/0/sftp/password_file", "secrets/password"),
            ("kafka/secret_properties", {"sasl.password": "/run/kafka"}),
        ),
    )
    assert config.spool.directory == tmp_path / "spool"
    assert config.dead_letters.directory == tmp_path / "spool" / "dead-letters"
    assert config.accounts[0].sftp.password_file == tmp_path / "secrets" / "password"
    assert config.kafka.secret_properties == {"sasl.password": Path("/run/kafka")}
    written = loaded(tmp_path, changed(("dead_letters/directory", "refused")))
    assert written.dead_letters.directory == tmp_path / "refused"


def test_accounts_of_a_stream(tmp_path):
    """One account takes both inventories, or each has its own."""
    assert stream_of(tmp_path).account_for(mobile=True) == "default"
    document = changed(
        ("accounts/1", second("accounts", name="b", **{"sftp/username": "other"})),
        ("streams/0/account", {"display": "default", "mobile": "b"}),
    )
    stream = loaded(tmp_path, document).streams[0]
    assert stream.account == InventoryAccounts(display="default", mobile="b")
    assert (stream.account_for(mobile=False), stream.account_for(mobile=True)) == ("default", "b")


def test_audiences_of_a_stream(tmp_path):
    """Every combination of what events may name, each once."""
    stream = stream_of(
        tmp_path,
        client="A",
        clients=["B", "A"],
        user_namespaces={"partner": "7"},
        segment_namespaces=["x"],
        inventory="mobile",
    )
    labels = [audience.label for audience in stream.audiences()]
    assert sorted(labels) == sorted(
        f"{client}/{user}/{segment}/mobile"
        for client in "AB"
        for user in ("mm", "partner:7")
        for segment in ("ep", "x")
    )


def pinned(tmp_path, schema, **differing):
    text = schema if isinstance(schema, str) else json.dumps(schema)
    (tmp_path / "event.avsc").write_text(text, encoding="utf-8")
    changes = {"format": "avro", "schema": "event.avsc"} | differing
    return changed(*((f"streams/0/{key}", value) for key, value in changes.items()))


@pytest.mark.parametrize("form", ["avro", "avro-single-object", "avro-confluent"])
def test_a_pinned_schema(tmp_path, form):
    """A schema beside the configuration serves every Avro format, without a registry."""
    stream = loaded(tmp_path, pinned(tmp_path, EVENT, format=form)).streams[0]
    assert stream.schema_ == tmp_path / "event.avsc"


def test_a_pinned_schema_with_other_names(tmp_path):
    """`fields` stands in for the names that the topic does not have."""
    schema = deepcopy(EVENT)
    schema["fields"][0]["name"] = "uid"
    loaded(tmp_path, pinned(tmp_path, schema, fields={"user_id": "uid"}))
    (fault,) = faults(tmp_path, pinned(tmp_path, schema))
    assert fault.endswith("event.avsc has no field user_id; name the topic's field under fields.user_id")


RECURSIVE = {"type": "record", "name": "Tree", "fields": [{"name": "left", "type": ["null", "Tree"]}]}
MUTUAL = {
    "type": "record",
    "name": "n.A",
    "fields": [
        {
            "name": "b",
            "type": {
                "type": "record",
                "name": "B",
                "fields": [
                    {"name": "a", "type": {"type": "map", "values": {"type": "array", "items": "n.A"}}}
                ],
            },
        }
    ],
}
BAD_SCHEMAS = [
    ("{", "is no JSON"),
    ("[" * 100_000, "is no JSON"),
    ('"string"', "is no Avro record"),
    ("7", "is no Avro schema"),
    ({"type": "record", "name": "A"}, "has no field user_id"),
    ({"type": "record", "name": "A", "fields": [{"name": "x", "type": "unknown"}]}, "is no Avro schema"),
    ({"type": "enum", "name": "A", "symbols": ["B"]}, "is no Avro record"),
    (RECURSIVE, "is recursive"),
    (MUTUAL, "is recursive"),
]


@pytest.mark.parametrize(("schema", "what"), BAD_SCHEMAS)
def test_a_pinned_schema_that_cannot_be_used(tmp_path, schema, what):
    """No JSON, no schema, no record of an event, or a recursive one (on which the decoder would crash)."""
    fault = faults(tmp_path, pinned(tmp_path, schema))[0]
    assert fault.startswith("streams[0].schema: ")
    assert what in fault


def test_a_schema_that_names_a_type_twice_is_not_recursive(tmp_path):
    """A second use of a record beside the first is no recursion."""
    schema = deepcopy(EVENT)
    schema["fields"].append({"name": "further", "type": ["null", "Segment"]})
    loaded(tmp_path, pinned(tmp_path, schema))


def test_a_missing_schema_file(tmp_path):
    """The fault stands at its key and names the file."""
    (fault,) = faults(tmp_path, changed(("streams/0/schema", "none.avsc")))
    assert re.fullmatch(
        r"streams\[0\]\.schema: cannot read .*none\.avsc: No such file .*; name an \.avsc file", fault
    )


def test_secrets_are_read_anew_and_lose_one_newline(tmp_path):
    """A rotated secret is taken up, and white space within it stays."""
    path = tmp_path / "password"
    for content, secret in ((b"a b\n", "a b"), (b"x\r\n", "x"), (b" y\n\n", " y\n"), (b"z", "z")):
        path.write_bytes(content)
        assert read_secret(path).reveal() == secret


@pytest.mark.parametrize("content", [b"", b"\n", b"\xff\xfe", None])
def test_a_secret_that_cannot_be_used(tmp_path, content):
    """The error names the file in one line."""
    path = tmp_path / "password"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(BridgeError, match=r"^.*password.*; .*$|password"):
        read_secret(path)


def test_every_secret_file_is_looked_at(tmp_path):
    """`secret_faults` names each missing file by its key, and nothing when all are there."""
    config = loaded(
        tmp_path,
        changed(
            ("kafka/secret_properties", {"sasl.password": "one"}),
            ("schema_registry", {"url": "http://r", "username": "u", "password_file": "two"}),
            ("accounts/0/sftp/password_file", "three"),
            ("accounts/0/sftp/known_hosts_file", "four"),
            (
                "accounts/1",
                second("accounts", name="b", **{"sftp/username": "b", "sftp/password_file": "three"}),
            ),
            ("accounts/1/sftp/private_key_file", "five"),
            ("accounts/1/sftp/password_file", REMOVED),
            ("accounts/1/platform/processing_log/password_file", "six"),
            ("user_sync", {"namespace": "a", "signing_key_files": ["six"]}),
        ),
    )
    assert [fault.split(": ")[0] for fault in secret_faults(config)] == [
        "kafka.secret_properties.sasl.password",
        "schema_registry.password_file",
        "accounts[0].sftp.password_file",
        "accounts[0].sftp.known_hosts_file",
        "accounts[1].sftp.private_key_file",
        "accounts[1].platform.processing_log.password_file",
        "user_sync.signing_key_files[0]",
    ]
    for name in ("one", "two", "three", "four", "five", "six"):
        (tmp_path / name).write_text(SECRET, encoding="utf-8")
    assert secret_faults(config) == ()


def test_a_configuration_is_frozen_and_goes_through_pickle(tmp_path):
    """It may be handed to threads and processes; so may the error."""
    config = loaded(tmp_path, MINIMAL)
    assert pickle.loads(pickle.dumps(config)) == config
    with pytest.raises(ValueError, match="frozen"):
        config.roll.max_age = 1
    error = ConfigurationError("f", ["a: b; c"])
    assert pickle.loads(pickle.dumps(error)).faults == error.faults


def test_an_error_is_one_line(tmp_path):
    """It says which file, and the first of its faults."""
    with pytest.raises(ConfigurationError) as caught:
        loaded(tmp_path, changed(("a", "x"), ("b", "x")))
    assert str(caught.value).startswith(
        f"{tmp_path / 'bridge.yaml'}: 2 faults in the configuration, the first: a: "
    )


VALUES = {
    "window/max_age": st.integers(1, 10**9).map("{}ms".format),
    "spool/retention": st.integers(0, 10**12).map("{}ms".format),
    "accounts/0/quota/max_file_bytes": st.integers(1, 4 * 10**9),
    "accounts/0/quota/replay_share": st.floats(0, 1),
    "streams/0/clients": st.lists(st.from_regex(r"[A-Za-z0-9-]{1,9}", fullmatch=True), max_size=3),
    "streams/0/hash_segments": st.booleans(),
    "streams/0/inventory": st.sampled_from(["event", "display", "mobile"]),
}


@given(st.fixed_dictionaries({}, optional=VALUES))
def test_a_dumped_configuration_loads_as_itself(tmp_path_factory, values):
    """What `model_dump` writes is a configuration file again, and means the same."""
    folder = tmp_path_factory.getbasetemp()
    config = loaded(folder, changed(*values.items()))
    assert loaded(folder, config.model_dump(mode="json", by_alias=True)) == config


@given(
    st.sampled_from(
        ["client", "topics", "segment_namespace", "placeholder_segment", "hash_segments", "max_future"]
    ),
    st.data(),
)
def test_a_slip_of_one_letter_names_the_key(tmp_path_factory, key, data):
    """Leaving out any one letter of a key is answered with that key."""
    at = data.draw(st.integers(0, len(key) - 1))
    slip = key[:at] + key[at + 1 :]
    if slip == "clients":
        return
    document = changed((f"streams/0/{slip}", "x"))
    assert f"streams[0].{slip}: unknown key; did you mean {key}?" in faults(
        tmp_path_factory.getbasetemp(), document
    )


@pytest.mark.parametrize(
    ("path", "most"),
    [("accounts/0/agency", 64), ("streams/0/client", 64), ("accounts/0/sftp/temporary_suffix", 32)],
)
def test_parts_of_file_names_have_room_in_one(tmp_path, path, most):
    """Three parts, a stamp and a suffix fit into the name of a file; what is longer is told here."""
    loaded(tmp_path, changed((path, "x" * most)))
    (fault,) = faults(tmp_path, changed((path, "x" * (most + 1))))
    assert fault.endswith(f": is longer than {most} characters; shorten it")
