"""Pages are made in threads, one for each: whoever asks for one never waits for another."""

import asyncio
import threading
from concurrent.futures import Future
from http import HTTPStatus
from queue import SimpleQueue

import structlog
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

from bridge.observe.page import Made, Page

log = structlog.get_logger()

WAITING = 8
"""Requests that wait for one page; a further one is told to come again later.

Few enough that those for all pages together leave most of the connections to others."""


class PageThread:
    """Makes one page, a request after the other, until stopped."""

    def __init__(self, path: str, page: Page) -> None:
        self._path = path
        self._page = page
        self._asked: SimpleQueue[Future[Made] | None] = SimpleQueue()
        # A daemon: a page that hangs, as one that looks at a disk may, is no reason for a process to stay.
        self._thread = threading.Thread(target=self._work, name=f"http {path}", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """Make nothing more; what is being made is not waited for."""
        self._asked.put(None)

    async def answer(self, _: Request) -> Response:
        """The page; 500 if it fails, and 503 if too many wait for it."""
        if self._asked.qsize() >= WAITING:
            return refusal(HTTPStatus.SERVICE_UNAVAILABLE)
        asked: Future[Made] = Future()
        self._asked.put(asked)
        try:
            status, kind, body = await asyncio.wrap_future(asked)
        except Exception as error:  # noqa: BLE001  # one page's fault is not the process's
            log.error("page_failed", path=self._path, kind=type(error).__name__)
            return refusal(HTTPStatus.INTERNAL_SERVER_ERROR)
        return Response(body, status, headers={"Content-Type": kind})

    def _work(self) -> None:
        while asked := self._asked.get():
            if not asked.set_running_or_notify_cancel():
                continue
            try:
                asked.set_result(self._page())
            except Exception as error:  # noqa: BLE001  # told where it is awaited
                asked.set_exception(error)


def refusal(status: HTTPStatus) -> Response:
    """A line of our own, which quotes nothing of the request."""
    headers = {"Allow": "GET, HEAD"} if status is HTTPStatus.METHOD_NOT_ALLOWED else None
    return PlainTextResponse(f"{status.phrase.lower()}\n", status, headers)
