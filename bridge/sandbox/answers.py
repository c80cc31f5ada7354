"""Answers that say no, in the shape that the platform gives its errors."""

from http import HTTPStatus

from starlette.responses import JSONResponse

from bridge.sandbox.refused import Refused

MOST_DETAILS = 10
"""Of an error; the others are left out."""


def refusal(refused: Refused) -> JSONResponse:
    """What the client is told."""
    one: dict[str, object] = {"code": refused.code, "message": refused.message}
    if refused.details:
        one["details"] = list(refused.details[:MOST_DETAILS])
    return JSONResponse({"meta": {"status": "error"}, "errors": [one]}, refused.status)


def error(status: HTTPStatus, message: str, *, code: str = "") -> JSONResponse:
    """The same, where there is nobody to be told of it by an exception."""
    return refusal(Refused(status, message, code=code))
