"""`GET /healthz`, `/readyz`, `/metrics`, and what else it is given: read-only, on the configured address.

Whoever reaches the port can ask for nothing but these pages, a connection each, and can neither keep it busy
(`bridge.web`) nor keep one page from another (`page_thread`).
"""

from collections.abc import Callable, Mapping
from http import HTTPStatus
from typing import Self

from bridge.clock import Clock
from bridge.observe.health import Health
from bridge.observe.page import Made, Page
from bridge.web.bounds import Bounds

SCRIPT = "'sha256-WmN96Shl0RoINLHcm1c38pNHSd+TH9NYIcjoMUOzKUY='"
"""The one script that may run, and may ask for nothing but these pages: that of the page for people."""

HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": (
        f"default-src 'none'; style-src 'unsafe-inline'; script-src {SCRIPT}; connect-src 'self'; "
        "img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}
"""Of every answer: no page loads, or is framed by, anything, or runs any other script."""

TEXT = "text/plain; charset=utf-8"


def pages(health: Health, metrics: Callable[[], bytes], clock: Clock) -> dict[str, Page]:
    """The paths of contract.md (Metrics, and pages) but `/`, which the service makes."""

    def verdict(faults: list[str]) -> Made:
        status = HTTPStatus.SERVICE_UNAVAILABLE if faults else HTTPStatus.OK
        return status, TEXT, ("\n".join(faults or ["ok"]) + "\n").encode()

    return {
        "/healthz": lambda: verdict(health.faults(clock.now())),
        "/readyz": lambda: verdict(health.not_ready()),
        "/metrics": lambda: (HTTPStatus.OK, "text/plain; version=0.0.4; charset=utf-8", metrics()),
    }


class HttpServer:
    """Serves pages in threads of its own until stopped."""

    def __init__(
        self,
        listen: str,
        paths: Mapping[str, Page],
        bounds: Bounds | None = None,
        *,
        setting: str = "http.listen",
    ) -> None:
        """Listen at once; `setting` is the address's path in the configuration.

        Raises:
            BridgeError: The address cannot be listened on.
        """
        # The server's libraries are loaded by those who listen, and not by every other command.
        from bridge.observe.application import application  # noqa: PLC0415
        from bridge.observe.page_thread import PageThread  # noqa: PLC0415
        from bridge.web.server import WebServer  # noqa: PLC0415

        self._threads = {path: PageThread(path, page) for path, page in paths.items()}
        self._server = WebServer(
            application(self._threads),
            listen,
            setting=setting,
            headers=HEADERS | {"Server": "s2s-bridge", "Connection": "close"},
            bounds=bounds or Bounds(),
        )

    @property
    def port(self) -> int:
        """The port that was bound; of use where 0 was asked for."""
        return self._server.port

    def __enter__(self) -> Self:
        for thread in self._threads.values():
            thread.start()
        self._server.__enter__()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.__exit__()
        for thread in self._threads.values():
            thread.stop()
