"""The Processing Log API: Basic authentication with the SFTP credentials, JSON, `offset`, as the seed says.

Path, fields and statuses are nowhere published: they are `assumptions`.
"""

import base64
import binascii
import hmac
from collections.abc import Callable, Sequence
from functools import partial
from http import HTTPStatus

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from bridge.sandbox.answers import error
from bridge.sandbox.faults import Api, Faults, Kind
from bridge.sandbox.journal import Record
from bridge.sandbox.meeting import met
from bridge.units import iso, iso_or_none

LARGEST_OFFSET = 10**12

Records = Callable[[], Sequence[Record]]


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
        fault = self._faults.take(Api.PROCESSING_LOG)
        repeated = fault is not None and fault.kind is Kind.REPEATED_PAGE
        return await met(fault, partial(self._page, request, repeated=repeated))

    async def _page(self, request: Request, *, repeated: bool) -> Response:
        offset = _offset(request.query_params.get("offset", "0"))
        if offset is None:
            return error(HTTPStatus.BAD_REQUEST, "offset is a whole number, at least 0")
        if repeated:
            offset = 0
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


def _offset(text: str) -> int | None:
    digits = text.isascii() and text.isdigit() and len(text) < len(str(LARGEST_OFFSET))
    return int(text) if digits else None
