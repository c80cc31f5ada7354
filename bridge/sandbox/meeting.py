"""What becomes of an answer that meets a fault."""

import asyncio
from collections.abc import Awaitable, Callable
from http import HTTPStatus

from starlette.responses import HTMLResponse, Response
from starlette.types import Receive, Scope, Send

from bridge.sandbox.answers import error
from bridge.sandbox.faults import Fault, Kind

_STATUSES = {
    Kind.UNAUTHORIZED: HTTPStatus.UNAUTHORIZED,
    Kind.FORBIDDEN: HTTPStatus.FORBIDDEN,
    Kind.NOT_FOUND: HTTPStatus.NOT_FOUND,
    Kind.CONFLICT: HTTPStatus.CONFLICT,
    Kind.TOO_MANY_REQUESTS: HTTPStatus.TOO_MANY_REQUESTS,
    Kind.TOO_MANY_WRITES: HTTPStatus.TOO_MANY_REQUESTS,
    Kind.UNAVAILABLE: HTTPStatus.SERVICE_UNAVAILABLE,
    Kind.SERVER_ERROR: HTTPStatus.INTERNAL_SERVER_ERROR,
}
_WITH_RETRY_AFTER = (Kind.TOO_MANY_REQUESTS, Kind.UNAVAILABLE)

CONCURRENT_WRITES = "too-many-concurrent-writes"


class Cut(Response):
    """None: the connection ends."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002  # as ASGI has it
        """Cut it, and let the server come to know that, so that it sends no answer of its own."""
        scope["state"]["cut"]()
        while (await receive())["type"] != "http.disconnect":
            pass


class CutWithin(Response):
    """Another answer's head, and half of its body."""

    def __init__(self, whole: Response) -> None:
        super().__init__()
        self._whole = whole

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002  # as ASGI has it
        """The length is that of the whole; the server ends a connection whose answer is not complete."""
        head = {"status": self._whole.status_code, "headers": self._whole.raw_headers}
        await send({"type": "http.response.start"} | head)
        body = bytes(self._whole.body)
        await send({"type": "http.response.body", "body": body[: len(body) // 2], "more_body": True})


def _not_json() -> Response:
    return HTMLResponse("<html><body>This page is no JSON.</body></html>")


_INSTEAD = {Kind.NOT_JSON: _not_json, Kind.CUT_BEFORE: Cut}


async def met(fault: Fault | None, answer: Callable[[], Awaitable[Response]]) -> Response:
    """The answer, or what the fault makes of it; `answer` does what was asked."""
    if fault is None:
        return await answer()
    if fault.kind in _STATUSES:
        return _failed(fault)
    if fault.kind in _INSTEAD:
        return _INSTEAD[fault.kind]()
    if fault.kind is Kind.SLOW:
        await asyncio.sleep(fault.seconds)
    done = await answer()
    if fault.kind is Kind.CUT_AFTER:
        return Cut()
    return CutWithin(done) if fault.kind is Kind.CUT_WITHIN else done


def _failed(fault: Fault) -> Response:
    code = CONCURRENT_WRITES if fault.kind is Kind.TOO_MANY_WRITES else ""
    answer = error(_STATUSES[fault.kind], "as it was asked for", code=code)
    if fault.kind in _WITH_RETRY_AFTER:
        answer.headers["Retry-After"] = str(fault.seconds)
    return answer
