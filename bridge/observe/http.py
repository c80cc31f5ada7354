"""`GET /healthz`, `/readyz`, `/metrics`: read-only, on the address of the configuration.

Whoever reaches the port can ask for nothing but these pages, and can keep no more busy than `MOST` threads
for `TIME` seconds each: a request is one short line and a few headers, and a connection carries one.
"""

import io
import socket
import socketserver
import threading
import time
from collections.abc import Callable, Mapping
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Self

import structlog

from bridge.clock import Clock
from bridge.errors import BridgeError
from bridge.observe.health import Health

log = structlog.get_logger()

Page = Callable[[], tuple[HTTPStatus, str, bytes]]
"""What a path answers: status, content type, body."""

MOST = 16
"""Connections that are served at once; a further one is closed."""

TIME = 10.0
"""Seconds for a whole request, and again for taking the answer."""

LARGEST = 16_384
"""Bytes of a request, with its headers."""

HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": (
        "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; "
        "frame-ancestors 'none'"
    ),
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}
"""Of every answer: no page runs, loads or is framed by anything."""

TEXT = "text/plain; charset=utf-8"


def pages(health: Health, metrics: Callable[[], bytes], clock: Clock) -> Mapping[str, Page]:
    """The paths of contract.md (Metrics, and pages)."""

    def verdict(faults: list[str]) -> tuple[HTTPStatus, str, bytes]:
        status = HTTPStatus.SERVICE_UNAVAILABLE if faults else HTTPStatus.OK
        return status, TEXT, ("\n".join(faults or ["ok"]) + "\n").encode()

    return {
        "/healthz": lambda: verdict(health.faults(clock.now())),
        "/readyz": lambda: verdict(health.not_ready()),
        "/metrics": lambda: (HTTPStatus.OK, "text/plain; version=0.0.4; charset=utf-8", metrics()),
    }


class HttpServer:
    """Serves pages in threads of its own until stopped."""

    def __init__(self, listen: str, paths: Mapping[str, Page]) -> None:
        host, _, port = listen.rpartition(":")
        handler = type("Handler", (_Handler,), {"paths": paths})
        try:
            self._server = _Server(host.strip("[]"), int(port), handler)
        except OSError as error:
            message = f"http.listen: cannot listen on {listen} ({error.strerror}); choose another address"
            raise BridgeError(message) from error
        self._thread = threading.Thread(target=self._server.serve_forever, name="http", daemon=True)

    @property
    def port(self) -> int:
        """The port that was bound; of use where 0 was asked for."""
        return self._server.server_port

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


class _Server(ThreadingHTTPServer):
    request_queue_size = MOST

    def __init__(self, host: str, port: int, handler: type[BaseHTTPRequestHandler]) -> None:
        self.address_family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self._free = threading.Semaphore(MOST)
        super().__init__((host, port), handler)

    def server_bind(self) -> None:
        """Bind without asking the name service, which may be away, what the host is called."""
        socketserver.TCPServer.server_bind(self)
        self.server_name, self.server_port = str(self.server_address[0]), int(self.server_address[1])

    def process_request(self, request: socket.socket, client_address: tuple[str, int]) -> None:  # type: ignore[override]  # a TCP server's are these
        """A thread for the connection, while there are few."""
        if not self._free.acquire(blocking=False):
            self.shutdown_request(request)
            return
        try:
            super().process_request(request, client_address)
        except RuntimeError:  # no thread can be started now
            self._free.release()
            self.shutdown_request(request)

    def process_request_thread(self, request: socket.socket, client_address: tuple[str, int]) -> None:  # type: ignore[override]  # as above
        """Serve it, and make room for another."""
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._free.release()

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that went away or is too slow is its own affair; the library would print a traceback."""


class _Bounded(io.RawIOBase):
    """What a client sends, as long as it is little and comes soon; after that, it is over."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self._deadline = time.monotonic() + TIME
        self._left = LARGEST

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]  # the buffered reader's buffer is one
        """The next bytes.

        Raises:
            TimeoutError: The client takes too long.
            ConnectionAbortedError: It says too much.
        """
        time_left = self._deadline - time.monotonic()
        if time_left <= 0:
            raise TimeoutError
        if not self._left:
            raise ConnectionAbortedError
        self._connection.settimeout(time_left)
        received = self._connection.recv_into(buffer[: self._left])
        self._left -= received
        return received


class _Handler(BaseHTTPRequestHandler):
    paths: Mapping[str, Page]

    def setup(self) -> None:
        """Bounds in place of the library's: its time limit begins anew at each byte."""
        super().setup()
        self.rfile = io.BufferedReader(_Bounded(self.connection), 1024)

    def do_GET(self) -> None:  # the name is http.server's
        """Answer one of the pages, or 404."""
        page = self.paths.get(self.path.partition("?")[0])
        if page is None:
            self.send_error(HTTPStatus.NOT_FOUND)
            return
        try:
            status, kind, body = page()
        except Exception as error:  # noqa: BLE001  # one page's fault is not the process's
            log.error("page_failed", path=self.path.partition("?")[0], kind=type(error).__name__)
            self.send_error(HTTPStatus.INTERNAL_SERVER_ERROR)
            return
        self._answer(status, kind, body)

    do_HEAD = do_GET  # noqa: N815  # as above

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:  # noqa: ARG002  # the library's signature; what it would tell quotes the request
        """A line of our own; what the library knows no method for is not allowed."""
        status = HTTPStatus.METHOD_NOT_ALLOWED if code == HTTPStatus.NOT_IMPLEMENTED else HTTPStatus(code)
        self._answer(status, TEXT, f"{status.phrase.lower()}\n".encode())

    def version_string(self) -> str:
        """No version of the library or the language."""
        return "s2s-bridge"

    def log_message(self, *_: object) -> None:
        """Requests are not logged."""

    def _answer(self, status: HTTPStatus, kind: str, body: bytes) -> None:
        self.connection.settimeout(TIME)
        self.close_connection = True
        self.request_version = self.protocol_version  # to what is no request, too, headers are sent
        self.send_response(status)
        for name, value in ({"Content-Type": kind, "Content-Length": str(len(body))} | HEADERS).items():
            self.send_header(name, value)
        if status == HTTPStatus.METHOD_NOT_ALLOWED:
            self.send_header("Allow", "GET, HEAD")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)
