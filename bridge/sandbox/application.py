"""The sandbox's HTTP: the page, the processing log, and the control if it is wanted."""

from collections.abc import Callable
from http import HTTPStatus

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route

from bridge.sandbox.control import FAULTS, RESUME, Control
from bridge.sandbox.log_api import LogApi, error


def application(
    page: Callable[[], bytes], log: LogApi, control: Control | None, *, log_path: str
) -> Starlette:
    """The paths; any other is 404, with a body as of the platform's other errors."""

    async def shown(_: Request) -> Response:
        return HTMLResponse(page())

    routes = [Route("/", shown, methods=["GET"]), Route(log_path, log.answer, methods=["GET"])]
    if control is not None:
        routes += [
            Route(FAULTS, control.faults, methods=["POST"]),
            Route(RESUME, control.resume, methods=["POST"]),
        ]
    one = Starlette(routes=routes, exception_handlers={HTTPException: _refused})
    one.router.redirect_slashes = False
    return one


async def _refused(_: Request, refusal: Exception) -> Response:
    status = HTTPStatus(refusal.status_code if isinstance(refusal, HTTPException) else 500)
    return error(status, status.phrase.lower())
