"""What is wrong with a tag that somebody has pasted: every fault, in words with a remedy."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from html.parser import HTMLParser
from urllib.parse import SplitResult, parse_qsl, unquote, urlsplit

from bridge.sync.tag import MACROS, MM_UUID, MT_DC, PARAMETERS, PATHS, Kind, Tag, is_here

_KINDS = {"script": Kind.JS, "img": Kind.IMAGE}
_HIDING = re.compile(r"display\s*:\s*none", re.IGNORECASE)
_URL = re.compile(r"(?:[a-z]+:)?//", re.IGNORECASE)
_MACRO = re.compile(r"[\[{]\w*[\]}]", re.ASCII)
"""What is meant as one."""
_PLATFORM = ".mathtag.com"
_KNOWN = {"exsync", "redir", "mt_exid", "gdpr", "gdpr_consent", "us_privacy"}
"""Parameters that are the platform's."""
_MOST_DECODED = 3


@dataclass(frozen=True, kw_only=True, slots=True)
class Findings:
    """What was found."""

    tag: Tag | None
    """What it says; None: that cannot be told."""
    faults: tuple[str, ...]
    """`what; remedy` of each; none: it is good."""


@dataclass(frozen=True, slots=True)
class _Element:
    kind: Kind
    source: str
    hidden: bool


def check(text: str, host: str | None = None) -> Findings:
    """Read a tag; `host`: the platform's, where it is known."""
    reader = _Reader()
    reader.feed(text)
    reader.close()
    if len(reader.found) != 1:
        what = "holds no script or image" if not reader.found else "holds more than one script or image"
        return Findings(tag=None, faults=(f"the text {what} with a src; paste one tag",))
    return _examine(reader.found[0], host)


@dataclass
class _Reader(HTMLParser):
    """The scripts and images of a text."""

    found: list[_Element] = field(default_factory=list)

    def __post_init__(self) -> None:
        super().__init__()
        self._hiding = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Remember what loads something; what stands around it may hide it."""
        attributes = dict(attrs)
        if _HIDING.search(attributes.get("style") or ""):
            self._hiding = True
        source = attributes.get("src")
        if tag in _KINDS and source:
            self.found.append(_Element(_KINDS[tag], source, self._hiding))


def _examine(element: _Element, host: str | None) -> Findings:
    try:
        url = urlsplit(element.source)
        named = dict(parse_qsl(url.query, keep_blank_values=True))
        meant = urlsplit(_meant(url.query, PARAMETERS[element.kind]))
    except ValueError:
        return Findings(tag=None, faults=("its src is no URL; make the tag anew with sync tag",))
    parameter, endpoint = PARAMETERS[element.kind], named.get(PARAMETERS[element.kind], "")
    faults = [*_of_platform(element.kind, url, host)]
    if element.kind is Kind.IMAGE and not named.get("mt_exid"):
        faults.append("it has no mt_exid; write the number that the platform has given you")
    if not endpoint:
        faults.append(f"it has no {parameter}; your endpoint's URL goes there, encoded once")
        return Findings(tag=None, faults=tuple(faults))
    faults += _of_encoding(url.query, parameter, endpoint, sorted(named.keys() - _KNOWN))
    faults += _of_endpoint(meant)
    return Findings(
        tag=Tag(
            kind=element.kind,
            host=url.netloc,
            endpoint=endpoint,
            exid=named.get("mt_exid"),
            hidden=element.hidden,
        ),
        faults=tuple(faults),
    )


def _of_platform(kind: Kind, url: SplitResult, host: str | None) -> Iterator[str]:
    if not _is_safe(url):
        yield f"its src is {url.scheme}, which an https page blocks; write https://"
    if not url.netloc:
        yield "its src names no host; write the platform's"
    elif host is not None and url.netloc != host:
        yield f"its host is {url.netloc}, not {host}; write that one"
    elif host is None and not f".{url.hostname}".endswith(_PLATFORM):
        yield f"its host is {url.netloc}, not one of {_PLATFORM[1:]}; write the one that you were given"
    if url.path != PATHS[kind]:
        yield f"its path is {url.path or 'missing'}; write {PATHS[kind]}, which is what a {kind} tag loads"


def _of_encoding(query: str, parameter: str, endpoint: str, others: list[str]) -> Iterator[str]:
    """`query` is the src's as it stands, `endpoint` the value of `parameter`, decoded once."""
    if not _URL.match(endpoint) and _URL.match(_meant(query, parameter)):
        yield f"{parameter} is encoded twice; encode the endpoint's URL once"
    elif "?" in query or others:
        lost = f": {', '.join(others)} would not reach the endpoint" if others else ""
        yield f"{parameter} is not encoded{lost}; encode the endpoint's URL once"


def _of_endpoint(url: SplitResult) -> Iterator[str]:
    if not _is_safe(url):
        yield f"the endpoint is {url.scheme}, which an https page blocks, and keeps no cookie of; use https"
    if not url.netloc:
        yield "the endpoint names no host; write its whole URL"
    for macro, what in ((MM_UUID, "the platform's id"), (MT_DC, "the data centre")):
        if macro not in url.query:
            yield f"{macro} is missing in the endpoint's query: {what} is not told; write it so, in capitals"
    for unknown in sorted(set(_MACRO.findall(url.query)) - set(MACROS)):
        yield f"{unknown} is no macro; there are {MM_UUID} and {MT_DC}"
    if url.fragment:
        yield "the endpoint has a fragment, which no browser sends; leave out # and what follows it"


def _is_safe(url: SplitResult) -> bool:
    """Whether a page that came by https loads it."""
    return url.scheme in {"", "https"} or (url.scheme == "http" and is_here(url.netloc))


def _meant(query: str, parameter: str) -> str:
    """The endpoint's URL, though it may be encoded too often, or not at all."""
    text = f"&{query}".partition(f"&{parameter}=")[2]
    if "?" in text:
        return unquote(text)
    text = unquote(text.partition("&")[0])
    for _ in range(_MOST_DECODED):
        if not _URL.match(text):
            text = unquote(text)
    return text
