"""The five calls of the Audience Segments API over HTTP."""

from collections.abc import Awaitable, Callable
from dataclasses import asdict, dataclass, replace
from functools import partial
from http import HTTPStatus
from typing import TypeAlias

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from bridge.clock import Clock
from bridge.errors import BridgeError
from bridge.sandbox.answers import error, refusal
from bridge.sandbox.faults import Api, Faults, Kind
from bridge.sandbox.login import LogIn
from bridge.sandbox.meeting import CONCURRENT_WRITES, met
from bridge.sandbox.refused import Refused
from bridge.sandbox.taxonomies import bodies, query, told
from bridge.sandbox.taxonomies.catalogue import Catalogue, HeldTaxonomy
from bridge.sandbox.taxonomies.pace import Pace
from bridge.sandbox.taxonomies.settings import SegmentsSettings
from bridge.sandbox.taxonomies.store import Store

JSON = "application/json"
LONGEST_NUMBER = 18
"""Digits of an id in a path."""

RATE_LIMIT = "rate-limit-exceeded"

Act: TypeAlias = Callable[[Request], Awaitable[Response]]


@dataclass(frozen=True, kw_only=True, slots=True)
class Writes:
    """How many were carried out since the start, whether or not their answers arrived."""

    created: int = 0
    updated: int = 0


class SegmentsApi:
    """Answers the calls; `held` and `writes` may be looked at from any thread."""

    def __init__(
        self, store: Store, settings: SegmentsSettings, login: LogIn, *, faults: Faults, clock: Clock
    ) -> None:
        """Hold nothing yet."""
        self._store = store
        self._catalogue = Catalogue()
        self._base = settings.base_path
        self._vendor = settings.vendor
        self._login = login
        self._pace = Pace(settings.requests_per_second)
        self._faults = faults
        self._clock = clock
        self._writing = False
        self.writes = Writes()

    @property
    def held(self) -> tuple[HeldTaxonomy, ...]:
        """All taxonomies, in the order of their creation."""
        return self._catalogue.held

    def restore(self) -> None:
        """Hold what was stored.

        Raises:
            BridgeError: That is damaged.
        """
        self._catalogue = self._store.read()

    def routes(self) -> list[BaseRoute]:
        """The calls."""
        every = f"{self._base}/audience_segments"
        calls = (
            ("GET", every, self._list),
            ("GET", f"{every}/", self._list),
            ("POST", every, self._create),
            ("GET", f"{every}/grants/{{vendor_id}}", self._grants),
            ("GET", f"{every}/{{taxonomy_id}}", self._get),
            ("POST", f"{every}/{{taxonomy_id}}", self._update),
        )
        return [Route(path, partial(self._answer, act), methods=[method]) for method, path, act in calls]

    async def _answer(self, act: Act, request: Request) -> Response:
        refused = self._too_fast() or self._login.refusal(request)
        if refused is not None:
            return refused
        write = request.method == "POST"
        if write and self._writing:
            busy = HTTPStatus.TOO_MANY_REQUESTS
            return error(busy, "another write is under way", code=CONCURRENT_WRITES)
        self._writing = self._writing or write
        try:
            return await self._met(act, request, write=write)
        finally:
            self._writing = self._writing and not write

    async def _met(self, act: Act, request: Request, *, write: bool) -> Response:
        fault = self._faults.take(Api.AUDIENCE_SEGMENTS, write=write)
        if fault is not None and fault.kind is Kind.UNAUTHORIZED:
            self._login.revoke(request)
        return await met(fault, partial(_done, act, request))

    def _too_fast(self) -> Response | None:
        if self._pace.admits(self._clock.elapsed()):
            return None
        slower = error(HTTPStatus.TOO_MANY_REQUESTS, "too many requests a second", code=RATE_LIMIT)
        slower.headers["Retry-After"] = "1"
        return slower

    async def _create(self, request: Request) -> Response:
        content = await _json(request)

        def create() -> HeldTaxonomy:
            wanted = bodies.creation(content)
            return self._keep(self._catalogue.created(wanted, self._vendor, self._clock.now())).held[-1]

        held = await run_in_threadpool(create)
        self.writes = replace(self.writes, created=self.writes.created + 1)
        return _success(told.created(held), HTTPStatus.CREATED)

    async def _update(self, request: Request) -> Response:
        number = _number(request, "taxonomy_id")
        content = await _json(request)

        def update() -> HeldTaxonomy:
            wanted = bodies.update(content, self._catalogue.get(number))
            after = self._catalogue.updated(number, wanted, self._vendor, self._clock.now())
            return self._keep(after).get(number)

        held = await run_in_threadpool(update)
        self.writes = replace(self.writes, updated=self.writes.updated + 1)
        return _success(told.updated(held), HTTPStatus.ACCEPTED)

    async def _get(self, request: Request) -> Response:
        return _success(told.got(self._catalogue.get(_number(request, "taxonomy_id"))))

    async def _list(self, request: Request) -> Response:
        text = request.query_params.get("q")
        fits = query.parsed(text) if text is not None else lambda _: True
        found = ((one, query.pruned(one.taxonomy.root, fits)) for one in self._catalogue.held)
        data = [told.got(one, root) for one, root in found if root is not None]
        return JSONResponse({"meta": {"status": "success", "total_count": len(data)}, "data": data})

    async def _grants(self, request: Request) -> Response:
        if _number(request, "vendor_id") != self._vendor.id:
            raise Refused(HTTPStatus.FORBIDDEN, "this vendor is not yours")
        return _success(asdict(self._vendor.grants))

    def _keep(self, catalogue: Catalogue) -> Catalogue:
        """On the disk first."""
        self._store.write(catalogue)
        self._catalogue = catalogue
        return catalogue


async def _done(act: Act, request: Request) -> Response:
    try:
        return await act(request)
    except Refused as refused:
        return refusal(refused)
    except BridgeError as fault:
        return error(HTTPStatus.INTERNAL_SERVER_ERROR, str(fault))


async def _json(request: Request) -> bytes:
    if request.headers.get("Content-Type", "").partition(";")[0].strip().lower() != JSON:
        raise Refused(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, f"send the body as {JSON}")
    return await request.body()


def _number(request: Request, name: str) -> int:
    """Of the path; what is no number is nobody's."""
    text = str(request.path_params[name])
    if not text.isascii() or not text.isdigit() or len(text) > LONGEST_NUMBER:
        raise Refused(HTTPStatus.NOT_FOUND, f"{name} is a number")
    return int(text)


def _success(data: dict[str, object], status: HTTPStatus = HTTPStatus.OK) -> Response:
    return JSONResponse({"meta": {"status": "success"}, "data": data}, status)
