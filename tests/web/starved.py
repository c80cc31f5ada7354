"""A web server whose process has no descriptor left for a while: `python -m tests.web.starved`."""

import resource
import socket
from pathlib import Path

from bridge.clock import SystemClock
from bridge.observe import log
from bridge.web.bounds import Bounds
from bridge.web.server import WebServer
from tests.parts.waiting import until

REQUEST = b"GET / HTTP/1.0\r\n\r\n"


async def application(_scope, _receive, send):
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"6")]})
    await send({"type": "http.response.body", "body": b"served"})


def descriptors():
    return [int(one.name) for one in Path("/proc/self/fd").iterdir()]


def left(connection):
    answer = b""
    while more := connection.recv(1000):
        answer += more
    return answer


def run():
    """A bad request and a good one, then one that has to wait."""
    log.configure(form="json", level="info", clock=SystemClock())
    headers = {"Connection": "close"}
    server = WebServer(application, "127.0.0.1:0", setting="a.listen", headers=headers, bounds=Bounds())
    with server, socket.socket() as late:
        until(lambda: server._server.started, "its start", 10)
        before = len(descriptors())
        for said in (b"is this the right door?\r\n\r\n", REQUEST):
            with socket.create_connection(("127.0.0.1", server.port)) as one:
                one.sendall(said)
                left(one)
        until(lambda: len(descriptors()) == before, "both ends of both", 10)
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (max(descriptors()), hard))
        late.connect(("127.0.0.1", server.port))
        late.sendall(REQUEST)
        late.settimeout(0.3)
        try:
            late.recv(1)
        except TimeoutError:
            print("not yet")
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        late.settimeout(10)
        print(left(late).rpartition(b"\n")[2].decode())


if __name__ == "__main__":
    run()
