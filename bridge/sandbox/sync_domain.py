"""The platform's sync domain: what a sync tag loads (seed s2s_data_import, User Syncing).

    GET /sync/js?exsync=ENDPOINT              a script that loads the endpoint
    GET /sync/img?mt_exid=ID&redir=ENDPOINT   a redirect to it

ENDPOINT is decoded once; then its macros are replaced. A browser is known by a cookie of this domain.
"""

import json
import re
import uuid
from collections.abc import Callable, Mapping
from http import HTTPStatus
from urllib.parse import urlsplit

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from bridge.sandbox.answers import refusal
from bridge.sandbox.browsers import Browsers
from bridge.sandbox.refused import Refused, bad
from bridge.sync.consent import ConsentRule, granted
from bridge.sync.endpoint import GIF
from bridge.sync.mapping import is_mm_uuid
from bridge.sync.outcome import Refused as WithoutConsent
from bridge.sync.tag import MM_UUID, MT_DC, PARAMETERS, PATHS, Kind

COOKIE = "uuid"
YEAR = 31_536_000
"""Seconds that a browser keeps it."""

DATA_CENTRE = "ewr"
"""The best one for every browser."""

EXID = "mt_exid"

WITHOUT_CONSENT = "without consent no browser is synced"

_PLAIN = re.compile(r"[\x21-\x7E]+")
"""Bytes that a header and a script may hold."""

NEEDED = ConsentRule(vendor_id=None, purposes=frozenset({1}), required=False)
"""What a browser has to consent to before it gets an id, where it is asked at all."""

HEADERS = {"Cross-Origin-Resource-Policy": "cross-origin"}
"""Pages of any site load these."""

LOADING = """\
(function () {{
  var one = document.createElement("script");
  one.async = true;
  one.src = {};
  document.head.appendChild(one);
}})();
"""
"""The script of a tag; a script is what it loads."""


class SyncDomain:
    """Answers the two paths."""

    def __init__(self, browsers: Browsers, now: Callable[[], int]) -> None:
        """`now`: epoch ms."""
        self._browsers = browsers
        self._now = now

    def routes(self) -> list[Route]:
        """One for each kind of tag."""
        return [
            Route(PATHS[Kind.JS], self.script, methods=["GET"]),
            Route(PATHS[Kind.IMAGE], self.image, methods=["GET"]),
        ]

    async def script(self, request: Request) -> Response:
        """The script that loads the endpoint; without consent it does nothing."""
        return self._answer(request, Kind.JS, _script)

    async def image(self, request: Request) -> Response:
        """The way to the endpoint; without consent an image."""
        return self._answer(request, Kind.IMAGE, _image)

    def _answer(self, request: Request, kind: Kind, made: Callable[[str | None], Response]) -> Response:
        """What is `made` of the endpoint's URL, or of none."""
        try:
            endpoint = endpoint_of(request.query_params, kind)
            granted(request.query_params, NEEDED, gpc=False)
        except Refused as refused:
            self._browsers.refused(refused.message)
            return refusal(refused)
        except WithoutConsent:
            self._browsers.refused(WITHOUT_CONSENT)
            return made(None)
        known = request.cookies.get(COOKIE, "")
        mm_uuid = known if is_mm_uuid(known) else str(uuid.uuid4())
        self._browsers.synced(mm_uuid, urlsplit(endpoint).hostname or "", self._now())
        answer = made(filled(endpoint, mm_uuid))
        if mm_uuid != known:
            answer.set_cookie(COOKIE, mm_uuid, max_age=YEAR, secure=True, httponly=True, samesite="none")
        return answer


def endpoint_of(parameters: Mapping[str, str], kind: Kind) -> str:
    """Where a tag of this kind wants browsers to be brought, with the macros.

    Args:
        parameters: Of the tag's query, decoded once.
        kind: What it loads.

    Raises:
        Refused: It does not say, or has no `mt_exid` where it is an image.
    """
    name = PARAMETERS[kind]
    if kind is Kind.IMAGE and not parameters.get(EXID):
        bad(f"{EXID} is missing: an image names the partner's number")
    text = parameters.get(name, "")
    if not text:
        bad(f"{name} is missing: it holds the endpoint's URL")
    if not _is_url(text):
        bad(f"{name} is no URL after it was decoded: encode the endpoint's URL once")
    return text


def filled(endpoint: str, mm_uuid: str) -> str:
    """The endpoint's URL with what its macros stand for."""
    return endpoint.replace(MM_UUID, mm_uuid).replace(MT_DC, DATA_CENTRE)


def _is_url(text: str) -> bool:
    """Whether a browser can be sent there from a page of any scheme."""
    try:
        url = urlsplit(text)
    except ValueError:
        return False
    return _PLAIN.fullmatch(text) is not None and url.scheme in {"", "https", "http"} and bool(url.hostname)


def _script(url: str | None) -> Response:
    text = "" if url is None else LOADING.format(json.dumps(url))
    return Response(text, headers=HEADERS, media_type="text/javascript")


def _image(url: str | None) -> Response:
    if url is None:
        return Response(GIF, headers=HEADERS, media_type="image/gif")
    return Response(b"", HTTPStatus.FOUND, headers=HEADERS | {"Location": url})
