"""The control of a sandbox for tests: faults on demand, and going on after a suspension.

Off unless asked for, and for this machine alone: whoever asks does so from loopback, under a name of
loopback, and with JSON, which no page of another site can send there without being asked first.
"""

import json
from collections.abc import Callable
from http import HTTPStatus
from ipaddress import ip_address

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from bridge.sandbox.answers import error
from bridge.sandbox.faults import Api, Fault, Faults, Kind

FAULTS = "/control/faults"
RESUME = "/control/resume"

NAMES = {"localhost", "127.0.0.1", "::1"}
LONGEST = 600
"""Seconds that an answer may be held back, or Retry-After may ask for."""


class Control:
    """Answers POST of the two paths."""

    def __init__(self, faults: Faults, resume: Callable[[], None]) -> None:
        self._faults = faults
        self._resume = resume

    async def faults(self, request: Request) -> Response:
        """`{"fault": "slow", "times": 2, "seconds": 5}`: the next requests meet it.

        They are those for the log, unless `api` says otherwise, and with `"writes": true` writes alone.
        """
        if not _from_here(request):
            return error(HTTPStatus.FORBIDDEN, "the control is for this machine alone, with JSON")
        try:
            asked = json.loads(await request.body())
            fault = Fault(
                kind=Kind(asked["fault"]),
                seconds=_number(asked.get("seconds", 1), LONGEST),
                api=Api(asked.get("api", Api.PROCESSING_LOG)),
                writes=asked.get("writes", False) is True,
            )
            times = _number(asked.get("times", 1), Faults.MOST)
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
            return error(
                HTTPStatus.BAD_REQUEST,
                f"send fault (one of {', '.join(Kind)}), and perhaps api (one of {', '.join(Api)}), times, "
                "seconds and writes",
            )
        self._faults.plan(fault, times)
        return JSONResponse({"meta": {"status": "ok"}})

    async def resume(self, request: Request) -> Response:
        """Process what waits: the partner has mended its files."""
        if not _from_here(request):
            return error(HTTPStatus.FORBIDDEN, "the control is for this machine alone, with JSON")
        self._resume()
        return JSONResponse({"meta": {"status": "ok"}})


def _from_here(request: Request) -> bool:
    kind = request.headers.get("Content-Type", "").partition(";")[0].strip().lower()
    here = request.client is not None and ip_address(request.client.host).is_loopback
    return here and request.url.hostname in NAMES and kind == "application/json"


def _number(value: object, most: int) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= most:
        raise ValueError
    return value
