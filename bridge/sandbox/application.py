"""The sandbox's HTTP: the page, the platform's APIs, log-in and sync domain, and perhaps the control."""

from collections.abc import Callable
from http import HTTPStatus

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route

from bridge.sandbox.answers import error
from bridge.sandbox.control import FAULTS, RESUME, Control
from bridge.sandbox.log_api import LogApi
from bridge.sandbox.login import SESSION_PATH, TOKEN_PATH, LogIn
from bridge.sandbox.sync_domain import SyncDomain
from bridge.sandbox.taxonomies.api import SegmentsApi


def application(
    page: Callable[[], bytes],
    log: LogApi,
    segments: SegmentsApi,
    login: LogIn,
    sync: SyncDomain,
    *,
    control: Control | None,
    log_path: str,
) -> Starlette:
    """The paths; any other is 404, with a body as of the platform's other errors."""

    async def shown(_: Request) -> Response:
        return HTMLResponse(page())

    routes = [
        Route("/", shown, methods=["GET"]),
        Route(log_path, log.answer, methods=["GET"]),
        Route(TOKEN_PATH, login.token, methods=["POST"]),
        Route(SESSION_PATH, login.session, methods=["GET"]),
        *segments.routes(),
        *sync.routes(),
    ]
    if control is not None:
        routes += [
            Route(FAULTS, control.faults, methods=["POST"]),
            Route(RESUME, control.resume, methods=["POST"]),
        ]
    handlers = {HTTPException: _refused, ClientDisconnect: _gone}
    one = Starlette(routes=routes, exception_handlers=handlers)
    one.router.redirect_slashes = False
    return one


async def _refused(_: Request, refusal: Exception) -> Response:
    status = HTTPStatus(refusal.status_code if isinstance(refusal, HTTPException) else 500)
    return error(status, status.phrase.lower())


async def _gone(_: Request, __: Exception) -> Response:
    """Whoever went away in the middle of its request is answered nothing."""
    return Response()
