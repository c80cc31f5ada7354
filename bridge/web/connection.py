"""uvicorn's connection, and the bounds that it lacks.

uvicorn has no time for a request that is not whole yet, its limit of a request's size is looked at only while
the request is incomplete, and what a client does not take is kept for ever. Here one deadline runs at any
moment: of the request, then of its answer. Only time in which the client is waited for, not work of ours,
makes a connection one that may be cut for the sake of another.
"""

import asyncio
from http import HTTPStatus

from uvicorn.config import Config
from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.server import ServerState

from bridge.web.bounds import Bounds
from bridge.web.joined import JoinedWrites


class Connection(H11Protocol):
    """One client's connection."""

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, object],
        _loop: asyncio.AbstractEventLoop | None = None,
        *,
        bounds: Bounds,
    ) -> None:
        # An application that must may cut its client off: `request.state.cut()`.
        super().__init__(config, server_state, app_state | {"cut": self.cut}, _loop)
        self._bounds = bounds
        self._bytes_left = bounds.request_bytes
        self._deadline: asyncio.TimerHandle | None = None

    @property
    def working(self) -> bool:
        """Whether a request is being answered, and not the client waited for."""
        cycle = self.cycle
        return cycle is not None and not cycle.response_complete  # uvicorn declares it without its None

    @property
    def ends_at(self) -> float:
        """The deadline that runs, by the loop's clock."""
        return self._deadline.when() if self._deadline else 0.0

    def cut(self) -> None:
        """End it at once, whatever was said or is still to be taken."""
        self.connections.discard(self)
        self.transport.abort()

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn's
        """Where there are too many, one is cut: of those that keep us waiting, or else this one."""
        super().connection_made(JoinedWrites(transport, self.loop))
        self._allow(self._bounds.request_seconds)
        if len(self.connections) > self._bounds.connections:
            others = (one for one in self.connections if isinstance(one, Connection) and one is not self)
            waiting = (one for one in others if not one.working)
            min(waiting, key=lambda one: one.ends_at, default=self).cut()

    def connection_lost(self, exc: Exception | None) -> None:
        """No deadline any more."""
        if self._deadline:
            self._deadline.cancel()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """What is too much is not even looked at."""
        self._bytes_left -= len(data)
        if self._bytes_left < 0:
            self._refuse(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE)
        else:
            super().data_received(data)

    def eof_received(self) -> bool:  # type: ignore[override]  # uvicorn's closes, in any case
        """Who has said all, and says that, still gets an answer."""
        return self.working

    def handle_events(self) -> None:
        """A request that has become whole has the time of an answer."""
        before = self.cycle
        super().handle_events()
        if self.cycle is not before:
            self._allow(self._bounds.answer_seconds)

    def on_response_complete(self) -> None:
        """The answer is made; whether or not it is taken, the next request has to come in time."""
        self._bytes_left = self._bounds.request_bytes
        if not self.transport.is_closing():
            self._allow(self._bounds.request_seconds)
        super().on_response_complete()

    def send_400_response(self, msg: str) -> None:  # noqa: ARG002  # uvicorn's signature
        """The library's has neither our headers nor an eye on an answer that has begun."""
        self._refuse(HTTPStatus.BAD_REQUEST)

    def shutdown(self) -> None:
        """The server stops: what is being answered gets its answer, what is being sent is sent."""
        if self.working:
            self.cycle.keep_alive = False
        else:
            self.transport.close()

    def _allow(self, seconds: float) -> None:
        if self._deadline:
            self._deadline.cancel()
        self._deadline = self.loop.call_later(seconds, self.cut)

    def _refuse(self, status: HTTPStatus) -> None:
        """Answer with a line of ours, unless another answer has begun, and close."""
        if self.working:
            if self.cycle.response_started:
                self.cut()
                return
            self.cycle.disconnected = True  # whoever works on it answers nobody
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
