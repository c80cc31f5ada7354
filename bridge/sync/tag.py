"""The sync tag: what a partner puts on its pages (seed s2s_data_import, User Syncing).

    <script type="text/javascript" src="https://HOST/sync/js?exsync=ENDPOINT"></script>
    <img width="1" height="1" alt="" src="https://HOST/sync/img?mt_exid=ID&amp;redir=ENDPOINT">

ENDPOINT is the partner's own URL with the macros, encoded once: but for their brackets. The platform may put
its values in before or after it decodes; brackets as they stand are found either way, encoded ones would be
found after it alone. Browsers send them as they are.

What is on this machine is loaded by http: there browsers take it for as safe (W3C, Secure Contexts, 3.1), and
all of it can be tried without a certificate.
"""

import re
from dataclasses import dataclass
from enum import StrEnum
from html import escape
from urllib.parse import quote, urlsplit

HOST = "sync.mathtag.com"
"""Where none is named; the platform tells each partner its own."""

MM_UUID = "[MM_UUID]"
MT_DC = "[MT_DC]"
MACROS = (MM_UUID, MT_DC)
"""What the platform replaces: its id of the browser, and its data centre's code."""

_HERE = re.compile(
    r"(?:(?:[\w-]+\.)*localhost|127(?:\.\d{1,3}){3}|\[::1\])(?::\d+)?", re.ASCII | re.IGNORECASE
)


class Kind(StrEnum):
    """How a page loads it."""

    JS = "js"
    """A script; to be preferred."""
    IMAGE = "image"
    """A pixel, for pages that allow no scripts."""


PATHS = {Kind.JS: "/sync/js", Kind.IMAGE: "/sync/img"}
"""Of the platform's host."""

PARAMETERS = {Kind.JS: "exsync", Kind.IMAGE: "redir"}
"""What holds the endpoint."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Tag:
    """What a tag says."""

    kind: Kind
    host: str
    """The platform's, with its port where it has one."""
    endpoint: str
    """URL of the partner's endpoint with the macros, as it is after decoding."""
    exid: str | None = None
    """The platform's number for the partner; of an image alone."""
    hidden: bool = False
    """Wrapped, so that it takes no room on the page."""


def with_macros(endpoint: str) -> str:
    """An endpoint's URL with the parameters `mmuuid` and `dc`, where it has no macro yet."""
    missing = [
        f"{name}={macro}" for name, macro in (("mmuuid", MM_UUID), ("dc", MT_DC)) if macro not in endpoint
    ]
    if not missing:
        return endpoint
    url, mark, fragment = endpoint.partition("#")
    joint = "" if url.endswith(("?", "&")) else "&" if urlsplit(url).query else "?"
    return f"{url}{joint}{'&'.join(missing)}{mark}{fragment}"


def is_here(place: str) -> bool:
    """Whether a host, with or without a port, is this machine."""
    return _HERE.fullmatch(place) is not None


def render(tag: Tag) -> str:
    """The tag as a line of HTML."""
    scheme = "http" if is_here(tag.host) else "https"
    exid = f"mt_exid={quote(tag.exid, safe='')}&" if tag.exid is not None else ""
    source = f"{scheme}://{tag.host}{PATHS[tag.kind]}?{exid}{PARAMETERS[tag.kind]}={encoded(tag.endpoint)}"
    text = _ELEMENTS[tag.kind].format(escape(source))
    return f'<div style="display:none">{text}</div>' if tag.hidden else text


def encoded(endpoint: str) -> str:
    """Encoded once, as a value of a query; the macros are left as they are."""
    text = quote(endpoint, safe="")
    for macro in MACROS:
        text = text.replace(quote(macro, safe=""), macro)
    return text


_ELEMENTS = {
    Kind.JS: '<script type="text/javascript" src="{}"></script>',
    Kind.IMAGE: '<img width="1" height="1" alt="" src="{}">',
}
