"""uvicorn's connection, and the bounds that it lacks.

uvicorn has neither a time for a request that is not whole yet nor a limit of its size, and what a client does
not take is kept for ever. Here one deadline runs at any moment: of the request, then of its answer. Only time
in which the client is waited for, not work of ours, makes a connection one that may be cut for the sake of
another. Requests that come at once are read as one, and nothing more is read until all have their answers.
"""

import asyncio
from collections import OrderedDict
from http import HTTPStatus

from starlette.types import ASGIApp
from uvicorn.config import Config
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle
from uvicorn.server import ServerState

from bridge.web.bounds import Bounds
from bridge.web.joined import JoinedWrites
from bridge.web.sound import MOST_HEADERS, Unsound, check

_WAITING = 32
"""Requests of one connection that may wait for those before them: each takes a hundred times its bytes."""


class Connection(HttpToolsProtocol):
    """One client's connection."""

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, object],
        _loop: asyncio.AbstractEventLoop | None = None,
        *,
        bounds: Bounds,
        waited_for: "WaitedFor",
    ) -> None:
        # An application that must may cut its client off: `request.state.cut()`.
        super().__init__(config, server_state, app_state | {"cut": self.cut}, _loop)
        self.headers = []
        self._bounds = bounds
        self._waited_for = waited_for
        self._bytes_left = bounds.request_bytes
        self._answering: RequestResponseCycle | None = None
        self._unfinished: ASGIApp | None = None
        self._ends_at = 0.0
        self._timer: asyncio.TimerHandle | None = None

    @property
    def working(self) -> bool:
        """Whether a request is being answered, and not the client waited for."""
        return self._answering is not None and not self._answering.response_complete

    def cut(self) -> None:
        """End it at once, whatever was said or is still to be taken."""
        self.connections.discard(self)
        self._waited_for.pop(self, None)
        self.transport.abort()

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn's
        """Where there are too many, one is cut: of those that keep us waiting, or else this one."""
        super().connection_made(JoinedWrites(transport, self.loop))
        self._allow(self._bounds.request_seconds)
        self._waited_for[self] = None
        if len(self.connections) > self._bounds.connections:
            next(iter(self._waited_for)).cut()

    def connection_lost(self, exc: Exception | None) -> None:
        """No deadline any more, and nobody to answer."""
        self._waited_for.pop(self, None)
        if self._timer:
            self._timer.cancel()
        if self._answering is not None:  # uvicorn tells the request that has come last
            self._answering.disconnected = True
            self._answering.message_event.set()
        super().connection_lost(exc)
        self._unset_keepalive_if_required()  # uvicorn lets it run on where the client has reset it

    def data_received(self, data: bytes) -> None:
        """What is too much is not even looked at."""
        self._bytes_left -= len(data)
        if self._bytes_left < 0:
            self._refuse(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE)
            return
        super().data_received(data)
        self._let_go_on()
        if len(self.headers) > MOST_HEADERS and not self.transport.is_closing():  # and no end of them yet
            self._refuse(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE)

    def eof_received(self) -> bool:  # type: ignore[override]  # uvicorn's closes, in any case
        """Who has said all, and says that, still gets every answer, and then the end."""
        if self.working:
            self.cycle.keep_alive = False
            return True
        self.transport.close()  # sends what is held back; the loop would close what is below it
        return False

    def on_headers_complete(self) -> None:
        """What the parser takes and HTTP does not is refused before anybody answers it."""
        if len(self.pipeline) >= _WAITING:
            raise Unsound
        check(self.parser.get_http_version(), self.headers)
        super().on_headers_complete()
        if not self.url.startswith(b"/") or b"#" in self.url:  # uvicorn would find a path within it
            self.scope["path"], self.scope["query_string"] = self.url.decode("ascii"), b""
        if self.parser.should_upgrade():  # what comes after it is not parsed
            self.cycle.keep_alive = False
        self.headers = []  # what is called a header from now on stands behind the body

    def on_body(self, body: bytes) -> None:
        """Read on: uvicorn lets a large one wait for the application, which is not asked before its end."""
        super().on_body(body)
        if self._unfinished:
            self.flow.resume_reading()

    def on_message_complete(self) -> None:
        """What has waited for its own end alone is begun."""
        super().on_message_complete()
        if self._unfinished:
            app, self._unfinished = self._unfinished, None
            self._start_asgi_task(self.cycle, app)

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: ASGIApp) -> None:  # type: ignore[override]
        """A request whose turn has come, and that is whole, has the time of an answer.

        Answered earlier, its body would come behind the answer: whoever stands before us, and has not seen
        that there is one, takes the connection for free, and the next client's request is read as the body.
        """
        if cycle.more_body:
            self._unfinished = app
            return
        cycle.waiting_for_100_continue = False
        self._answering = cycle
        self._waited_for.pop(self, None)
        self._allow(self._bounds.answer_seconds)
        super()._start_asgi_task(cycle, app)  # type: ignore[arg-type]  # as uvicorn has them

    def on_response_complete(self) -> None:
        """The answer is made; whether or not it is taken, the next request has to come in time."""
        if not self.transport.is_closing():
            self._allow(self._bounds.request_seconds)
        self._waited_for[self] = None
        super().on_response_complete()
        self._let_go_on()
        if self.working:
            self.flow.pause_reading()
        else:
            self._bytes_left = self._bounds.request_bytes

    def send_400_response(self, msg: str) -> None:  # noqa: ARG002  # uvicorn's signature
        """The library's has neither our headers nor an eye on an answer that has begun."""
        self._refuse(HTTPStatus.BAD_REQUEST)

    def shutdown(self) -> None:
        """The server stops: what is being answered gets its answer, what is being sent is sent."""
        if self.working:
            self.cycle.keep_alive = False
        else:
            self.transport.close()

    def _let_go_on(self) -> None:
        """Who asks before sending a body is told once that it is waited for, and not before its turn."""
        if self._unfinished and self.cycle.waiting_for_100_continue and not self.transport.is_closing():
            self.cycle.waiting_for_100_continue = False
            self.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")

    def _allow(self, seconds: float) -> None:
        """A timer that is early enough stays: thousands a second would be set for nothing."""
        self._ends_at = self.loop.time() + seconds
        if self._timer is None or self._timer.when() > self._ends_at:
            if self._timer:
                self._timer.cancel()
            self._timer = self.loop.call_at(self._ends_at, self._look)

    def _look(self) -> None:
        if self._ends_at > self.loop.time():
            self._timer = self.loop.call_at(self._ends_at, self._look)
        else:
            self.cut()

    def _refuse(self, status: HTTPStatus) -> None:
        """Answer with a line of ours, unless another answer has begun, and close."""
        if self._answering is not None and self.working:
            if self._answering.response_started:
                self.cut()
                return
            self._answering.disconnected = True  # whoever works on it answers nobody
        line = f"{status.phrase.lower()}\n".encode()
        headers = dict(self.server_state.default_headers) | {
            b"content-type": b"text/plain; charset=utf-8",
            b"content-length": str(len(line)).encode(),
            b"connection": b"close",
        }
        head = f"HTTP/1.1 {status.value} {status.phrase}\r\n".encode()
        fields = b"".join(name + b": " + value + b"\r\n" for name, value in headers.items())
        self.transport.write(head + fields + b"\r\n" + line)
        self.transport.close()


WaitedFor = OrderedDict[Connection, None]
"""Of one server: whose client is waited for, the longest first. The first is found at once, of any number."""
