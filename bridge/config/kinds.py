"""The kinds of values in the configuration: names, paths, durations, sizes. Refusals quote no value.

Each also says how the texts look that people write for it (`as_text`), for those who judge a configuration
before the bridge does: the Helm chart's values.schema.json is made of the model's JSON Schema.
"""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    PlainSerializer,
    PlainValidator,
    ValidationInfo,
    WithJsonSchema,
)
from pydantic_core import PydanticCustomError

from bridge.units import parse_duration, parse_size

REFUSED = "refused"
"""Type of a validation error whose message is already `what; remedy`."""

SINGLE_REGEX = "^"
"""A topic that begins so is a regular expression, as librdkafka has it."""

PRINTABLE = " -~\u00a0-\u2027\u202a-\ud7ff\ue000-\ufefe\uff00-\ufffd"
"""What a class of a pattern lists: all that YAML takes as it is, and that ends no line."""

TAXONOMY_SUFFIXES = (".csv", ".yaml", ".yml", ".json")
"""Forms of a taxonomy, as `taxonomy check` tells them apart."""

_LARGEST_ID = 2**31 - 1
_PORTS = range(65_536)


def refusal(what: str) -> PydanticCustomError:
    """A validation error with this text."""
    return PydanticCustomError(REFUSED, "{what}", {"what": what})


def matching(pattern: str, what: str) -> AfterValidator:
    """Lets whole texts of this pattern pass."""
    compiled = re.compile(pattern, re.ASCII)

    def check(text: str) -> str:
        if compiled.fullmatch(text) is None:
            raise refusal(what)
        return text

    return AfterValidator(check)


def as_text(pattern: str) -> WithJsonSchema:
    """The kind's JSON Schema: a text that matches as a whole. What it lets pass, the validators take.

    (That a topic's ^regex is one no pattern can say.) They are of the common subset of regular expressions:
    no look-around, and $ is the end.
    """
    whole = f"({pattern})" if "|" in pattern else pattern
    return WithJsonSchema({"type": "string", "pattern": f"^{whole}$"})


def bounded(  # the bounds are texts, so that the message can repeat them as a person writes them
    parse: Callable[[str], int],
    *,
    least: str | None = None,
    above: str | None = None,
    most: str | None = None,
    below: str | None = None,
) -> BeforeValidator:
    """Parses a text, or takes an int that code gives as it is, and holds it to the bounds."""
    bounds: list[tuple[str, str, Callable[[int, int], bool]]] = [
        (f"must be {relation} {bound}", bound, holds)
        for relation, bound, holds in (
            ("at least", least, int.__ge__),
            ("above", above, int.__gt__),
            ("at most", most, int.__le__),
            ("below", below, int.__lt__),
        )
        if bound is not None
    ]

    def check(value: object) -> object:
        if isinstance(value, str):
            try:
                value = parse(value)
            except ValueError as error:
                raise refusal(str(error)) from None
        if isinstance(value, int):
            for what, bound, holds in bounds:
                if not holds(value, parse(bound)):
                    raise refusal(f"{what}; change it")
        return value

    return BeforeValidator(check)


def _local_path(value: object, info: ValidationInfo) -> object:
    """A path of this machine: relative ones start at the configuration file's folder."""
    if not isinstance(value, str):
        return value
    if not value or "\0" in value:
        raise refusal("is no path; write one")
    return Path(info.context["folder"], value) if info.context else Path(value)


def _taxonomy(value: object, info: ValidationInfo) -> int | Path | None:
    """Digits alone are an id; as a path they would have a suffix."""
    if value is None or (isinstance(value, int) and not isinstance(value, bool)):
        number = value
    elif isinstance(value, str) and value.isascii() and value.isdecimal():
        number = int(value[: len(str(_LARGEST_ID)) + 1])
    else:
        path = _local_path(value, info)
        if not isinstance(path, Path):
            raise refusal("must be a taxonomy's file, or its id; write one")
        if path.suffix.lower() not in TAXONOMY_SUFFIXES:
            raise refusal("does not end with .csv, .yaml or .json; name a taxonomy's file, or its id")
        return path
    if number is not None and not 1 <= number <= _LARGEST_ID:
        raise refusal(f"is no taxonomy's id; write a number from 1 to {_LARGEST_ID}")
    return number


def _absent_is_empty(value: object) -> object:
    return "" if value is None else value


def _at_least_one(elements: tuple[object, ...]) -> tuple[object, ...]:
    if not elements:
        raise refusal("must hold at least one; add it")
    return elements


def _one_is_a_list(value: object) -> object:
    return (value,) if isinstance(value, str) else value


def _topic(topic: str) -> str:
    if not topic.startswith(SINGLE_REGEX):
        if re.fullmatch(r"[A-Za-z0-9._-]{1,249}", topic, re.ASCII) is None or topic in {".", ".."}:
            raise refusal(
                "is no topic's name; write letters, digits, dots, hyphens, underscores, or one ^regex"
            )
        return topic
    try:
        re.compile(topic)
    except re.error:
        raise refusal("is no regular expression; correct it") from None
    return topic


def _listen(address: str) -> str:
    host, _, port = address.rpartition(":")
    if not host or not port.isdecimal() or int(port) not in _PORTS:
        raise refusal("is no address; write host:port, as in 127.0.0.1:8080, or null for none")
    return address


def _url(url: str) -> str:
    match = re.fullmatch(r"https?://([^/?#\s]+)\S*", url)
    if match is None:
        raise refusal("is no address; write one that begins with http:// or https://")
    if "@" in match[1]:
        raise refusal("holds credentials; use username and password_file")
    return url


AT_LEAST_ONE = AfterValidator(_at_least_one)
"""Refuses an empty tuple; unlike `min_length`, not one whose elements were refused."""

_milliseconds = PlainSerializer(lambda duration: f"{duration}ms", return_type=str, when_used="json")

Duration = Annotated[
    int,
    bounded(parse_duration),
    _milliseconds,
    as_text(r"[0-9]{1,9}(ms|s)|[0-9]{1,5}[mh]|[0-9]{1,4}d"),
]
"""Milliseconds; 0 too."""
Wait = Annotated[
    int,
    bounded(parse_duration, above="0ms"),
    _milliseconds,
    as_text(r"[1-9][0-9]{0,8}(ms|s)|[1-9][0-9]{0,4}[mh]|[1-9][0-9]{0,3}d"),
]
"""Milliseconds, more than none."""
# Browsers keep no cookie for longer than 400 days.
CookieAge = Annotated[
    int,
    bounded(parse_duration, least="1s", most="400d"),
    _milliseconds,
    as_text(r"[1-9][0-9]{0,6}s|[1-9][0-9]{0,4}m|[1-9][0-9]{0,2}h|([1-9][0-9]?|[1-3][0-9]{2}|400)d"),
]
"""Milliseconds that a browser is to keep a cookie."""
# Below half an hour by more than the 5 minutes that a skew may add on each side of a reset.
Guard = Annotated[
    int,
    bounded(parse_duration, below="20m"),
    _milliseconds,
    as_text(r"[0-9]{1,6}ms|[0-9]{1,3}s|1?[0-9]m|0[hd]"),
]
"""Milliseconds; twice of it must leave room in an hour."""
Size = Annotated[
    int,
    bounded(parse_size, above="0B"),
    as_text(r"[1-9][0-9]{0,17}B?|[1-9][0-9]{0,5} ?[kKMGT]i?B"),
]
"""Bytes, more than none."""
DailyBytes = Annotated[
    int,
    bounded(parse_size, least="1MB"),
    as_text(r"[1-9][0-9]{6,17}B?|[1-9][0-9]{3,5} ?[kK]i?B|[1-9][0-9]{0,5} ?[MGT]i?B"),
]
"""Bytes a day."""
FileBytes = Annotated[
    int,
    bounded(parse_size, above="0B", most="4GB"),
    as_text(
        r"([1-9][0-9]{0,8}|[1-3][0-9]{9})B?|[1-9][0-9]{0,5} ?[kK]i?B|[1-9][0-9]{0,2} ?Mi?B"
        r"|[1-3][0-9]{3} ?MB|[12][0-9]{3} ?MiB|[1-4] ?GB|[1-3] ?GiB"
    ),
]
"""Bytes a file: the platform rejects larger ones (seed s2s_data_import)."""

Text = Annotated[str, matching(r"(?s)[^\0]+", "is empty; write a text"), as_text(rf"[{PRINTABLE}]+")]
"""Any text but none."""
Word = Annotated[
    str, matching(r"[^\s\0]+", "must be one word; leave out the spaces"), as_text(r"[\x21-\x7e]+")
]
"""A text without white space."""
NamePart = Annotated[
    str,
    matching(r"[A-Za-z0-9-]+", "may hold letters, digits and hyphens alone, no underscore; rename it"),
    matching(r".{1,64}", "is longer than 64 characters; shorten it"),
    as_text(r"[A-Za-z0-9-]{1,64}"),
]
"""Stands between the underscores of a file name, of which three with stamp and suffix have 255 bytes."""
StreamName = Annotated[
    str,
    matching(r"[a-z0-9-]+", "may hold lower-case letters, digits and hyphens alone; rename it"),
    as_text(r"[a-z0-9-]+"),
]
"""Name of a stream."""
_HEADER = "may hold letters, digits, dots, hyphens and underscores alone; correct it"
HeaderValue = Annotated[str, matching(r"[A-Za-z0-9._-]+", _HEADER), as_text(r"[A-Za-z0-9._-]+")]
"""A namespace or table id: a value of an audience file's header, and a part of an audience's key."""
TableId = Annotated[
    str,
    BeforeValidator(_absent_is_empty),
    matching(r"[A-Za-z0-9._-]*", _HEADER),
    WithJsonSchema({"type": ["string", "null"], "pattern": "^[A-Za-z0-9._-]*$"}),
]
"""Table id of a further namespace; null, as of mm, is empty."""
TaxonomyName = Annotated[
    int | Path | None,
    PlainValidator(_taxonomy),
    WithJsonSchema(
        {
            "anyOf": [
                {
                    "type": "string",
                    "pattern": rf"^[{PRINTABLE}]*\.([cC][sS][vV]|[yY][aA]?[mM][lL]|[jJ][sS][oO][nN])$",
                },
                {"type": "integer", "minimum": 1, "maximum": _LARGEST_ID},
                {"type": "null"},
            ]
        }
    ),
]
"""A taxonomy: the path of its file, or its id at the platform."""
CookieName = Annotated[
    str,
    matching(r"[A-Za-z0-9._-]{1,64}", "may hold 1 to 64 letters, digits, dots, hyphens and underscores"),
    as_text(r"[A-Za-z0-9._-]{1,64}"),
]
"""Name of a cookie."""
HostName = Annotated[
    str,
    matching(r"[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)+", "is no host's name; write one, as in example.com"),
    as_text(r"[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)+"),
]
"""Name of a host, with a dot in it."""
PlainPath = Annotated[
    str,
    matching(r"/[A-Za-z0-9._~/-]*", "is no path; write one that begins with a slash, as in /sync"),
    as_text(r"/[A-Za-z0-9._~/-]*"),
]
"""Path of a URL, nothing of it encoded."""
Suffix = Annotated[
    str,
    matching(r"[A-Za-z0-9._-]+", "may hold letters, digits, dots, hyphens and underscores; or null for none"),
    matching(r".{1,32}", "is longer than 32 characters; shorten it"),
    as_text(r"[A-Za-z0-9._-]{1,32}"),
]
"""Suffix of a remote name."""
HostKey = Annotated[
    str,
    matching(r"[a-z0-9@.-]+ +\S+( .*)?", 'is no public key; write its type and key, "ssh-ed25519 AAAA..."'),
    as_text(rf"[a-z0-9@.-]+ +[\x21-\x7e]+( [{PRINTABLE}]*)?"),
]
"""A server's public key, as in its .pub file."""
Topic = Annotated[str, AfterValidator(_topic), as_text(r"[A-Za-z0-9_-][A-Za-z0-9._-]{0,248}|\^[^\x00]*")]
"""A topic's name, or a regular expression that begins with ^."""
Topics = Annotated[
    tuple[Topic, ...],
    BeforeValidator(_one_is_a_list),
    AT_LEAST_ONE,
    Field(json_schema_extra={"minItems": 1}),
]
"""A list of them; one alone needs no brackets."""
Listen = Annotated[str, AfterValidator(_listen), as_text(r"\S+:[0-9]{1,4}")]
"""host:port."""
Url = Annotated[str, AfterValidator(_url), as_text(r"https?://[A-Za-z0-9.:\[\]_-]+(/[\x21-\x7e]*)?")]
"""An HTTP address without credentials."""
UrlPath = Annotated[
    str,
    matching(r"/[^\s?#]*", "is no path of an address; write one that begins with a slash"),
    as_text(r"/[A-Za-z0-9/._~%-]*"),
]
"""What follows an address, before parameters."""
LocalPath = Annotated[Path, BeforeValidator(_local_path), as_text(rf"[{PRINTABLE}]+")]
"""A path of this machine; absolute once loaded."""
