"""The Processing Log API: Basic authentication with the SFTP credentials, JSON, `offset`, as the seed says.

Path, fields and statuses are nowhere published: they are `assumptions`.
"""

import asyncio
import base64
import binascii
import hmac
from collections.abc import Callable, Sequence
from http import HTTPStatus

from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response

from bridge.sandbox.faults import Fault, Faults, Kind
from bridge.sandbox.journal import Record
from bridge.units import iso, iso_or_none

LARGEST_OFFSET = 10**12

Records = Callable[[], Sequence[Record]]

_STATUSES = {
    Kind.TOO_MANY_REQUESTS: HTTPStatus.TOO_MANY_REQUESTS,
    Kind.UNAVAILABLE: HTTPStatus.SERVICE_UNAVAILABLE,
    Kind.SERVER_ERROR: HTTPStatus.INTERNAL_SERVER_ERROR,
}


class LogApi:
    """Answers requests for the log."""

    def __init__(
        self, records: Records, faults: Faults, *, username: str, password: str, page_size: int
    ) -> None:
        self._records = records
        self._faults = faults
        self._login = f"{username}:{password}".encode()
        self._page_size = page_size

    async def answer(self, request: Request) -> Response:
        """A page of the log, the oldest file first; behind the last one it is empty."""
        if not self._knows(request.headers.get("Authorization", "")):
            refused = error(HTTPStatus.UNAUTHORIZED, "use the user name and password of the SFTP server")
            refused.headers["WWW-Authenticate"] = 'Basic realm="sandbox", charset="UTF-8"'
            return refused
        fault = self._faults.take()
        if fault is not None and fault.kind in _STATUSES:
            return _failed(fault)
        if fault is not None and fault.kind is Kind.NOT_JSON:
            return HTMLResponse("<html><body>This page is no JSON.</body></html>")
        if fault is not None and fault.kind is Kind.SLOW:
            await asyncio.sleep(fault.seconds)
        offset = _offset(request.query_params.get("offset", "0"))
        if offset is None:
            return error(HTTPStatus.BAD_REQUEST, "offset is a whole number, at least 0")
        return self._page(0 if fault is not None and fault.kind is Kind.REPEATED_PAGE else offset)

    def _page(self, offset: int) -> Response:
        records = self._records()
        page = records[offset : offset + self._page_size]
        meta = {"status": "ok", "offset": offset, "count": len(page), "total": len(records)}
        return JSONResponse({"meta": meta, "data": [entry(record) for record in page]})

    def _knows(self, authorization: str) -> bool:
        scheme, _, encoded = authorization.partition(" ")
        try:
            said = base64.b64decode(encoded, validate=True)
        except (binascii.Error, ValueError):
            return False
        return scheme.lower() == "basic" and hmac.compare_digest(said, self._login)


def entry(record: Record) -> dict[str, object]:
    """A file as the log tells it."""
    verdict = record.verdict
    return {
        "file": record.name,
        "status": verdict.status.value,
        "received_at": iso(record.received_at),
        "processed_at": iso_or_none(record.processed_at),
        "bytes": record.bytes,
        "lines_accepted": verdict.lines_accepted,
        "lines_refused": verdict.lines_refused,
        "reason": verdict.reason or None,
        "warnings": list(verdict.warnings),
        "errors": [{"line": fault.line, "reason": fault.reason} for fault in verdict.faults],
    }


def error(status: HTTPStatus, message: str) -> JSONResponse:
    """An answer of the shape that the platform's other API gives its errors."""
    code = status.phrase.lower().replace(" ", "-")
    body = {"meta": {"status": "error"}, "errors": [{"code": code, "message": message}]}
    return JSONResponse(body, status)


def _failed(fault: Fault) -> Response:
    answer = error(_STATUSES[fault.kind], "as it was asked for")
    if fault.kind is not Kind.SERVER_ERROR:
        answer.headers["Retry-After"] = str(fault.seconds)
    return answer


def _offset(text: str) -> int | None:
    digits = text.isascii() and text.isdigit() and len(text) < len(str(LARGEST_OFFSET))
    return int(text) if digits else None
