"""What browsers ask: `GET /sync` with the platform's id, and the opt-out. It decides nothing: `visit` does.

A page shows the answer to nobody, and must not be disturbed by it: so a visit is answered with an image, or
an empty script, whatever it was; the outcome is counted.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from http import HTTPStatus

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from bridge.clock import SECOND, Clock
from bridge.sync import query
from bridge.sync.cookie import CookieRule, cookies
from bridge.sync.observer import SyncObserver
from bridge.sync.outcome import Outcome, Refused
from bridge.sync.store import Store
from bridge.sync.visit import GiveCookie, Rules, Visit, decide, opt_out

HEADERS = {
    "Cache-Control": "no-store",
    "Cross-Origin-Resource-Policy": "cross-origin",
    "Referrer-Policy": "no-referrer",
    "Server": "s2s-bridge",
    "X-Content-Type-Options": "nosniff",
}
"""Of every answer: nobody keeps it, and pages of any site may load it."""

GIF = bytes.fromhex("47494638396101000100800000000000ffffff21f90401000000002c00000000010001000002024401003b")
"""One transparent pixel."""

_IMAGE = Response(GIF, media_type="image/gif")
_SCRIPT = Response(b"", media_type="text/javascript")
_OPTED_OUT = "You have opted out: this browser is not synced any more.\n"
_OPT_OUT_FAILED = "Your opt-out could not be kept. Please come again in a minute.\n"
_OPT_OUT_REFUSED = "This link does not hold. Please ask for a new one.\n"


@dataclass(frozen=True, kw_only=True, slots=True)
class EndpointParts:
    """What both paths need."""

    rules: Rules
    cookie: CookieRule
    store: Store
    clock: Clock
    observer: SyncObserver
    new_id: Callable[[], str]
    """Makes a partner's id that nobody can guess."""


def application(parts: EndpointParts, *, path: str, opt_out_path: str) -> ASGIApp:
    """Answers these two paths, and nothing else."""
    visits = SyncPath(parts)
    others = Starlette(
        routes=[
            Route(path, visits, methods=["GET"]),
            Route(opt_out_path, OptOutPath(parts).answer, methods=["GET", "POST"]),
        ],
        exception_handlers={HTTPException: _refused},
    )
    others.router.redirect_slashes = False

    async def answer(scope: Scope, receive: Receive, send: Send) -> None:
        """The many go straight on: the way through the framework costs as much as all that a visit is."""
        one = visits if scope["path"] == path and scope["method"] == "GET" else others
        await one(scope, receive, send)

    return answer


class SyncPath:
    """Visits; an ASGI application, as a request is all that there is to it."""

    def __init__(self, parts: EndpointParts) -> None:
        self._parts = parts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one visit."""
        parts, begun = self._parts, self._parts.clock.elapsed()
        parts.observer.came()
        outcome, data_centre = Outcome.NOT_STORED, ""  # also where the browser is gone before the answer
        answer: Response = _nothing(scope["headers"], "")
        try:
            visit = _visit(scope, parts.cookie)
            answer = _nothing(scope["headers"], visit.parameters.get("kind", ""))
            decision = decide(visit, parts.rules, parts.clock.now(), parts.new_id)
            if isinstance(decision, GiveCookie):
                outcome = Outcome.COOKIE_SET
                answer = _sent_back(visit, parts.cookie.keep(decision.partner_id))
            else:
                data_centre = decision.data_centre
                outcome = Outcome.STORED if await parts.store.keep(decision) else Outcome.NOT_STORED
        except Refused as refused:
            outcome = refused.outcome
        finally:
            parts.observer.went(outcome, data_centre, (parts.clock.elapsed() - begun) / SECOND)
        await answer(scope, receive, send)


class OptOutPath:
    """Opt-outs, which people ask for: they are told what came of it."""

    def __init__(self, parts: EndpointParts) -> None:
        self._parts = parts

    async def answer(self, request: Request) -> Response:
        """Keep one, end the cookie and set the mark."""
        parts = self._parts
        try:
            found = opt_out(_visit(request.scope, parts.cookie), parts.rules, parts.clock.now())
        except Refused as refused:
            parts.observer.opted_out(refused.outcome)
            return PlainTextResponse(_OPT_OUT_REFUSED, HTTPStatus.BAD_REQUEST)
        if found is not None and not await parts.store.keep(found):
            parts.observer.opted_out(Outcome.NOT_STORED)
            return PlainTextResponse(_OPT_OUT_FAILED, HTTPStatus.SERVICE_UNAVAILABLE)
        parts.observer.opted_out(Outcome.NO_PARTNER_ID if found is None else Outcome.STORED)
        response = PlainTextResponse(_OPTED_OUT)
        for cookie in (parts.cookie.forget(), parts.cookie.mark_opt_out()):
            response.headers.append("set-cookie", cookie)
        return response


def _visit(scope: Scope, rule: CookieRule) -> Visit:
    """What the request says.

    Raises:
        Refused: Its query is malformed.
    """
    headers: Iterable[tuple[bytes, bytes]] = scope["headers"]
    brought = cookies(headers, (rule.name, rule.opt_out_name))
    return Visit(
        parameters=query.parameters(scope["query_string"]),
        cookie=brought.get(rule.name),
        opted_out=rule.opt_out_name in brought,
        gpc=(b"sec-gpc", b"1") in headers,
    )


def _nothing(headers: Iterable[tuple[bytes, bytes]], kind: str) -> Response:
    """An empty script for who loads a script, by its own word or the browser's; else the image."""
    return _SCRIPT if kind == "js" or (b"sec-fetch-dest", b"script") in headers else _IMAGE


def _sent_back(visit: Visit, cookie: str) -> Response:
    """To the very same place, and nowhere else."""
    return Response(
        b"", HTTPStatus.FOUND, headers={"Location": query.again(visit.parameters), "Set-Cookie": cookie}
    )


async def _refused(_: Request, error: Exception) -> Response:
    """A path or method that there is not; nothing of the request is quoted."""
    assert isinstance(error, HTTPException)
    status = HTTPStatus(error.status_code)
    return PlainTextResponse(f"{status.phrase.lower()}\n", status, error.headers)
