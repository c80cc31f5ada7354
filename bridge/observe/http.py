"""`GET /healthz`, `/readyz`, `/metrics`: read-only, on the address of the configuration."""

import threading
from collections.abc import Callable, Mapping
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Self

from bridge.clock import Clock
from bridge.errors import BridgeError
from bridge.observe.health import Health

Page = Callable[[], tuple[HTTPStatus, str, bytes]]
"""What a path answers: status, content type, body."""


def pages(health: Health, metrics: Callable[[], bytes], clock: Clock) -> Mapping[str, Page]:
    """The paths of contract.md (Metrics, and pages)."""

    def verdict(faults: list[str]) -> tuple[HTTPStatus, str, bytes]:
        status = HTTPStatus.SERVICE_UNAVAILABLE if faults else HTTPStatus.OK
        return status, "text/plain; charset=utf-8", ("\n".join(faults or ["ok"]) + "\n").encode()

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
            self._server = ThreadingHTTPServer((host.strip("[]"), int(port)), handler)
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


class _Handler(BaseHTTPRequestHandler):
    paths: Mapping[str, Page]
    timeout = 10

    def do_GET(self) -> None:  # the name is http.server's
        """Answer one of the pages, or 404."""
        page = self.paths.get(self.path.partition("?")[0])
        status, kind, body = page() if page else (HTTPStatus.NOT_FOUND, "text/plain", b"not found\n")
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Requests are not logged."""
