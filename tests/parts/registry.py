"""A tiny schema registry on loopback: it answers GET /schemas/ids/N, and counts the requests."""

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from tests.parts.waiting import free_port


class SchemaRegistry:
    """`schemas` (id to schema text) may be changed at any time; `requests` lists the ids asked for."""

    def __init__(self, schemas: dict[int, str] | None = None) -> None:
        self.schemas = dict(schemas or {})
        self.requests: list[int] = []
        self.log_ins: list[str | None] = []
        """The header Authorization of each request."""
        self.port = free_port()
        self._server: ThreadingHTTPServer | None = None
        self._thread: threading.Thread | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        """Listen, on the same port each time."""
        registry = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                registry.log_ins.append(self.headers.get("Authorization"))
                status, answer = registry.answer(self.path)
                body = json.dumps(answer).encode()
                self.send_response(status)
                self.send_header("Content-Type", "application/vnd.schemaregistry.v1+json")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                """Quiet."""

        self._server = ThreadingHTTPServer(("127.0.0.1", self.port), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,))
        self._thread.start()

    def stop(self) -> None:
        """Refuse connections."""
        if self._server is None or self._thread is None:
            return
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()
        self._server = None

    def answer(self, path: str) -> tuple[int, dict[str, object]]:
        """Status and body for a GET of `path`."""
        prefix, _, number = path.partition("?")[0].rpartition("/")
        if prefix != "/schemas/ids" or not number.isdecimal():
            return 404, {"error_code": 404, "message": "Not Found"}
        self.requests.append(int(number))
        schema = self.schemas.get(int(number))
        if schema is None:
            return 404, {"error_code": 40403, "message": "Schema not found"}
        return 200, {"schema": schema}
