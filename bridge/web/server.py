"""uvicorn in a thread: an ASGI application behind an address, until it is stopped.

Nothing of uvicorn's own is written anywhere: requests are not logged, a client that goes away is its own
affair, and what goes wrong is a line of the log.
"""

import asyncio
import logging
import socket
import threading
from collections.abc import Mapping
from functools import partial
from typing import Self

import structlog
import uvicorn
from starlette.types import ASGIApp, Receive, Scope, Send

from bridge.errors import BridgeError
from bridge.web.bounds import Bounds
from bridge.web.connection import Connection, WaitedFor

log = structlog.get_logger()

SILENT = logging.CRITICAL + 1

LEAVING = 2.0
"""Seconds, beyond its bounds' own, after which a thread that does not stop is left behind: it is a daemon."""


class WebServer:
    """Serves an application from its entry to its exit; its address is taken before."""

    def __init__(
        self, application: ASGIApp, address: str, *, setting: str, headers: Mapping[str, str], bounds: Bounds
    ) -> None:
        """Listen at once.

        Args:
            application: What answers.
            address: `host:port`, an IPv6 host in brackets; port 0 is any that is free.
            setting: The path of the address in the configuration, for the error.
            headers: Of every answer, refusals too. `Connection: close` among them: one request each.
            bounds: What clients may take.

        Raises:
            BridgeError: The address cannot be listened on.
        """
        try:
            self._socket = _listening(address, bounds.connections)
        except OSError as error:
            message = f"{setting}: cannot listen on {address} ({error.strerror}); choose another address"
            raise BridgeError(message) from error
        self._port = int(self._socket.getsockname()[1])
        self._bounds = bounds
        self._server = _Server(
            uvicorn.Config(
                _telling(application),
                http=partial(Connection, bounds=bounds, waited_for=WaitedFor()),  # type: ignore[arg-type]  # what makes one is as good
                timeout_graceful_shutdown=bounds.stop_seconds,
                backlog=bounds.connections,
                headers=list(headers.items()),
                server_header=False,
                proxy_headers=False,  # nobody is believed to be somebody else
                access_log=False,
                log_config=None,
                log_level=SILENT,
                loop="asyncio",
                ws="none",
                lifespan="off",
                interface="asgi3",
                workers=1,
            )
        )
        self._thread = threading.Thread(target=self._serve, name="http", daemon=True)

    @property
    def port(self) -> int:
        """The port that was bound; of use where 0 was asked for."""
        return self._port

    @property
    def serving(self) -> bool:
        """Whether somebody answers."""
        return self._thread.is_alive()

    def turns(self, seconds: float) -> bool:
        """Whether its loop does what it is asked within this time; not from the loop itself."""
        turned, loop = threading.Event(), self._server.loop
        if loop is None:
            return False
        try:
            loop.call_soon_threadsafe(turned.set)
        except RuntimeError:  # it has ended
            return False
        return turned.wait(seconds)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.should_exit = True
        self._thread.join(self._bounds.stop_seconds + LEAVING)

    def _serve(self) -> None:
        try:
            self._server.run(sockets=[self._socket])
        except Exception as error:  # noqa: BLE001  # else the thread would print a traceback
            _tell("the server ended", error)
        finally:
            self._socket.close()


class _Server(uvicorn.Server):
    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self._told_last = ("", 0.0)
        self.loop: asyncio.AbstractEventLoop | None = None

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """What goes wrong in the loop is told in the log, not on stderr."""
        self.loop = asyncio.get_running_loop()
        self.loop.set_exception_handler(self._tell_of)
        await super().startup(sockets)

    def _tell_of(self, loop: asyncio.AbstractEventLoop, context: dict[str, object]) -> None:
        """Once a second: without descriptors the loop fails to accept as often as its backlog is long."""
        what, now = str(context.get("message")), loop.time()
        last, then = self._told_last
        if what != last or now - then >= 1:
            self._told_last = (what, now)
            _tell(what, context.get("exception"))

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Whoever has not taken the answer by now does without."""
        await super().shutdown(sockets)
        for connection in list(self.server_state.connections):
            if isinstance(connection, Connection):
                connection.cut()
        await asyncio.sleep(0)  # in which the connections come to know it


def _listening(address: str, backlog: int) -> socket.socket:
    """Bound without asking the name service, which may be away, what the host is called.

    Raises:
        OSError: As the system says.
    """
    host, _, port = address.rpartition(":")
    host = host.strip("[]")
    one = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
    try:
        one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        one.bind((host, int(port)))
        one.listen(backlog)
    except OSError:
        one.close()
        raise
    return one


def _telling(application: ASGIApp) -> ASGIApp:
    """The same, and what it fails on is in the log."""

    async def told(scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await application(scope, receive, send)
        except Exception as error:
            _tell("a request failed", error)
            raise

    return told


def _tell(what: str, error: object) -> None:
    log.error("http_failed", what=what, exc_info=error)
