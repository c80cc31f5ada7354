"""The schema of the chart's values, made of the configuration's model: Helm refuses what `check` refuses.

What a user writes is the configuration, but for four things: clients and accounts are mappings by name, a
client's inventory is two switches, secrets are named as Kubernetes knows them instead of by paths, and what
the chart decides by itself cannot be written at all.

Draft 7 of JSON Schema, which every Helm of today reads. Where a value may be of two kinds its keywords stand
beside each other instead of in `anyOf`, as Helm then says in one line what is wrong.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import cast

from bridge.config import Config
from bridge.config.kinds import PRINTABLE
from bridge.config.rules import EVENT_FIELDS, OWN_PROPERTIES
from bridge.config.secret import SENSITIVE
from helm import cluster_schema
from helm.cluster_schema import Schema, one_of_names, section

CHART = Path(__file__).parent / "s2s-bridge"
"""The chart."""

_TAKEN_FOR_OTHERS = ("true", "false", "null")
"""What YAML makes of No, yes, ~ and others, unquoted, as a key."""

_WORDS = ("title", "description", "default", "$defs")


def values_schema() -> Schema:
    """The whole schema."""
    root = _plain(Config.model_json_schema(), {})
    sections = cast("dict[str, Schema]", root["properties"])
    stream = _element(sections["streams"])
    return {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "title": "Values of the chart s2s-bridge; made by make chart-schema",
    } | section(
        {
            "clients": one_of_names("[A-Za-z0-9-]{1,64}", _client(stream), without=_TAKEN_FOR_OTHERS),
            "streamDefaults": _stream_defaults(stream),
            "accounts": one_of_names(
                "[A-Za-z0-9-]{1,64}", _account(_element(sections["accounts"])), without=_TAKEN_FOR_OTHERS
            ),
            "schemas": one_of_names("[A-Za-z0-9._-]{1,200}", {"type": "string", "minLength": 1}, least=0),
            "taxonomies": one_of_names(
                r"[A-Za-z0-9._-]{1,200}\.(csv|ya?ml|json)", {"type": "string", "minLength": 1}, least=0
            ),
            "config": _config(sections),
            **cluster_schema.properties(),
        },
        required=("clients", "streamDefaults", "accounts", "config"),
    )


def written() -> str:
    """The schema as its file holds it."""
    return json.dumps(values_schema(), indent=2) + "\n"


def _plain(schema: object, known: Mapping[str, Schema]) -> Schema:
    """A schema of pydantic's without references, words and `anyOf`."""
    described = cast("Schema", schema)
    known = known or cast("dict[str, Schema]", described.get("$defs", {}))
    if "$ref" in described:
        return _plain(known[str(described["$ref"]).removeprefix("#/$defs/")], known)
    for kinds in ("anyOf", "oneOf"):
        if kinds in described:
            return _beside([_plain(kind, known) for kind in cast("list[Schema]", described[kinds])])
    plain: Schema = {}
    for key, value in described.items():
        if key in {"properties", "patternProperties"}:
            plain[key] = {name: _plain(inner, known) for name, inner in cast("Schema", value).items()}
        elif key in {"items", "additionalProperties", "propertyNames"} and isinstance(value, dict):
            plain[key] = _plain(value, known)
        elif key not in _WORDS:
            plain[key] = value
    return plain


def _beside(kinds: list[Schema]) -> Schema:
    """One schema for values of several types: each keyword judges values of its own type alone."""
    together: Schema = {}
    types: list[object] = []
    for kind in kinds:
        types.append(kind["type"])
        together |= kind
    return {"type": types} | {key: value for key, value in together.items() if key != "type"}


def _given(schema: Schema) -> Schema:
    """The same without null: something else is required where it is not given."""
    types = cast("list[str]", schema["type"])
    return schema | {"type": next(kind for kind in types if kind != "null")}


def _element(listed: Schema) -> Schema:
    return cast("Schema", listed["items"])


def _without(schema: Schema, *names: str, **more: object) -> Schema:
    """A section less some of its properties, with others."""
    properties = cast("Schema", schema["properties"])
    required = [name for name in cast("list[str]", schema.get("required", [])) if name not in names]
    return section(
        {name: inner for name, inner in properties.items() if name not in names} | more, required=required
    )


def _stream_settings(stream: Schema, *without: str, **more: object) -> Schema:
    """The settings of a stream that a client may have, none of them required."""
    renamed = cast("Schema", cast("Schema", stream["properties"])["fields"])["additionalProperties"]
    fields = dict.fromkeys(EVENT_FIELDS, renamed)
    settings = _without(stream, "name", "inventory", *without, fields=section(fields), **more)
    return {key: value for key, value in settings.items() if key != "required"}


def _client(stream: Schema) -> Schema:
    switch = {"type": "boolean"}
    on: Schema = {"const": True}
    return _stream_settings(stream, **{"display": switch, "mobile": switch, "global": switch}) | {
        "required": ["topics"],
        "anyOf": [
            {"required": [inventory], "properties": {inventory: on}} for inventory in ("display", "mobile")
        ],
    }


def _stream_defaults(stream: Schema) -> Schema:
    settings = _stream_settings(stream, "topics", "client")
    return settings | {"required": ["format", "segment_namespace"]}


def _account(account: Schema) -> Schema:
    sftp = cast("Schema", cast("Schema", account["properties"])["sftp"])
    own_files = ("password_file", "private_key_file", "known_hosts_file")
    secret = cluster_schema.secret_key()
    text = {"type": "string", "minLength": 1}
    host_key = _given(cast("Schema", cast("Schema", sftp["properties"])["host_key"]))
    known = _without(
        sftp, *own_files, password=secret, private_key=secret, host_key=host_key, known_hosts=text
    )
    known |= {
        "oneOf": [{"required": ["password"]}, {"required": ["private_key"]}],
        "anyOf": [{"required": ["host_key"]}, {"required": ["known_hosts"]}],
    }
    apis = cast("Schema", cast("Schema", account["properties"])["platform"])
    log = cast("Schema", cast("Schema", apis["properties"])["processing_log"])
    password_of_its_own = _without(log, "password_file", password=secret) | {"type": ["null", "object"]}
    segments = _segments(cast("Schema", cast("Schema", apis["properties"])["audience_segments"]))
    apis = _without(apis, processing_log=password_of_its_own, audience_segments=segments)
    return _without(account, "name", sftp=known, platform=apis)


def _segments(segments: Schema) -> Schema:
    """The Audience Segments API; its secrets are named as others are."""
    secret = cluster_schema.secret_key()
    auth = _without(
        cast("Schema", cast("Schema", segments["properties"])["auth"]),
        "password_file",
        "client_secret_file",
        password=secret,
        client_secret=secret,
    )
    auth |= {"required": [*cast("list[str]", auth["required"]), "password", "client_secret"]}
    return _without(segments, auth=auth) | {"type": ["null", "object"]}


def _user_sync(sync: Schema) -> Schema:
    """The user sync; a file for its mappings is known, so that the chart can say why it is refused."""
    own = ("listen", "status_listen", "signing_key_files")
    keys = {"type": "array", "items": cluster_schema.secret_key()}
    return _without(sync, *own, signing_keys=keys) | {"type": ["null", "object"]}


def _config(sections: Mapping[str, Schema]) -> Schema:
    secret = cluster_schema.secret_key()
    kafka, registry = sections["kafka"], sections["schema_registry"]
    one_line = {"type": ["string", "number", "boolean"], "pattern": f"^[{PRINTABLE}]*$"}
    open_ones = {"type": "object", "properties": _refused(OWN_PROPERTIES | SENSITIVE)}
    secret_ones = {"type": "object", "properties": _refused(OWN_PROPERTIES)}
    username = _given(cast("Schema", cast("Schema", registry["properties"])["username"]))
    log_in = {"dependencies": {"username": ["password"], "password": ["username"]}}
    return section(
        {
            "kafka": _without(
                kafka,
                properties=open_ones | {"additionalProperties": one_line},
                secret_properties=secret_ones
                | {"propertyNames": {"pattern": "^[a-z0-9._]+$"}, "additionalProperties": secret},
            ),
            "schema_registry": _without(registry, "password_file", username=username, password=secret)
            | log_in,
            "spool": _without(sections["spool"], "directory"),
            "dead_letters": _without(sections["dead_letters"], "directory"),
            "user_sync": _user_sync(sections["user_sync"]),
        }
        | {name: sections[name] for name in ("window", "roll", "logging")},
        required=("kafka",),
    )


def _refused(names: frozenset[str]) -> Schema:
    return dict.fromkeys(sorted(names), False)
