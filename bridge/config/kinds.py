"""The kinds of values in the configuration: names, paths, durations, sizes. Refusals quote no value."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, BeforeValidator, PlainSerializer, ValidationInfo
from pydantic_core import PydanticCustomError

from bridge.units import parse_duration, parse_size

REFUSED = "refused"
"""Type of a validation error whose message is already `what; remedy`."""

SINGLE_REGEX = "^"
"""A topic that begins so is a regular expression, as librdkafka has it."""

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

Duration = Annotated[int, bounded(parse_duration), _milliseconds]
"""Milliseconds; 0 too."""
Wait = Annotated[int, bounded(parse_duration, above="0ms"), _milliseconds]
"""Milliseconds, more than none."""
# Below half an hour by more than the 5 minutes that a skew may add on each side of a reset.
Guard = Annotated[int, bounded(parse_duration, below="20m"), _milliseconds]
"""Milliseconds; twice of it must leave room in an hour."""
Size = Annotated[int, bounded(parse_size, above="0B")]
"""Bytes, more than none."""
DailyBytes = Annotated[int, bounded(parse_size, least="1MB")]
"""Bytes a day."""
FileBytes = Annotated[int, bounded(parse_size, above="0B", most="4GB")]
"""Bytes a file: the platform rejects larger ones (seed s2s_data_import)."""

Text = Annotated[str, matching(r"(?s)[^\0]+", "is empty; write a text")]
"""Any text but none."""
Word = Annotated[str, matching(r"[^\s\0]+", "must be one word; leave out the spaces")]
"""A text without white space."""
NamePart = Annotated[
    str,
    matching(r"[A-Za-z0-9-]+", "may hold letters, digits and hyphens alone, no underscore; rename it"),
    matching(r".{1,64}", "is longer than 64 characters; shorten it"),
]
"""Stands between the underscores of a file name, of which three with stamp and suffix have 255 bytes."""
StreamName = Annotated[
    str, matching(r"[a-z0-9-]+", "may hold lower-case letters, digits and hyphens alone; rename it")
]
"""Name of a stream."""
_HEADER = "may hold letters, digits, dots, hyphens and underscores alone; correct it"
HeaderValue = Annotated[str, matching(r"[A-Za-z0-9._-]+", _HEADER)]
"""A namespace or table id: a value of an audience file's header, and a part of an audience's key."""
TableId = Annotated[str, BeforeValidator(_absent_is_empty), matching(r"[A-Za-z0-9._-]*", _HEADER)]
"""Table id of a further namespace; null, as of mm, is empty."""
Suffix = Annotated[
    str,
    matching(r"[A-Za-z0-9._-]+", "may hold letters, digits, dots, hyphens and underscores; or null for none"),
    matching(r".{1,32}", "is longer than 32 characters; shorten it"),
]
"""Suffix of a remote name."""
HostKey = Annotated[
    str,
    matching(r"[a-z0-9@.-]+ +\S+( .*)?", 'is no public key; write its type and key, "ssh-ed25519 AAAA..."'),
]
"""A server's public key, as in its .pub file."""
Topic = Annotated[str, AfterValidator(_topic)]
"""A topic's name, or a regular expression that begins with ^."""
Topics = Annotated[tuple[Topic, ...], BeforeValidator(_one_is_a_list), AT_LEAST_ONE]
"""A list of them; one alone needs no brackets."""
Listen = Annotated[str, AfterValidator(_listen)]
"""host:port."""
Url = Annotated[str, AfterValidator(_url)]
"""An HTTP address without credentials."""
LocalPath = Annotated[Path, BeforeValidator(_local_path)]
"""A path of this machine; absolute once loaded."""
