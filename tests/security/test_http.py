"""The port of health and metrics: read-only, the pages alone, and no client can wear it out."""

import contextlib
import socket
import subprocess
import sys
import threading
from http import HTTPStatus

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bridge.config.model import HttpSettings
from bridge.observe.http import HEADERS, HttpServer
from bridge.observe.page_thread import WAITING
from bridge.web.bounds import Bounds
from tests.parts.waiting import until


def failing():
    raise ValueError("5f1a6f43 is a user")


IMPATIENT = Bounds(request_seconds=0.5, answer_seconds=0.5)
LARGEST, MOST = IMPATIENT.request_bytes, IMPATIENT.connections

HEALTH = b"GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n"

PAGES = {
    "/healthz": lambda: (HTTPStatus.OK, "text/plain", b"ok\n"),
    "/fails": failing,
    "/large": lambda: (HTTPStatus.OK, "text/plain", bytes(50_000_000)),
}


@pytest.fixture(scope="module")
def server():
    """On a free port, less patient than the real one."""
    with HttpServer("127.0.0.1:0", PAGES, IMPATIENT) as one:
        yield one


def connected(server, seconds=20):
    return contextlib.closing(socket.create_connection(("127.0.0.1", server.port), seconds))


def said(server, request, *, all_said=False):
    """All that the server answers to these bytes; empty: it closed the connection without a word."""
    with connected(server) as connection:
        with contextlib.suppress(OSError):  # it may be closed already
            connection.sendall(request)
            if all_said:
                connection.shutdown(socket.SHUT_WR)
        return received(connection)


def received(connection):
    answer = b""
    with contextlib.suppress(ConnectionResetError):
        while more := connection.recv(65_536):
            answer += more
    return answer.decode("latin-1")


def status(answer):
    return int(answer.split(" ", 2)[1])


def fields(answer):
    """Its status line, and its headers by their names in lower case."""
    line, *headers = answer.partition("\r\n\r\n")[0].split("\r\n")
    named = [header.partition(": ")[::2] for header in headers]
    assert len({name.lower() for name, _ in named}) == len(named)
    return {"": line} | {name.lower(): value for name, value in named}


def connections(server):
    return len(server._server._server.server_state.connections)


def test_it_listens_on_loopback_unless_told_otherwise():
    """Nobody outside the machine sees it by default."""
    assert HttpSettings().listen == "127.0.0.1:8080"


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "CONNECT"])
def test_nothing_but_reading_is_allowed(server, method):
    """Every other method is 405, names those that are allowed, and quotes nothing of the request."""
    answer = said(server, f"{method} /healthz?evil HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n".encode())
    assert status(answer) == 405
    assert fields(answer)["allow"] == "GET, HEAD"
    assert answer.endswith("\r\n\r\nmethod not allowed\n")
    assert "evil" not in answer


def test_head_is_get_without_a_body(server):
    """The same headers, and nothing after them."""
    get, head = (
        said(server, f"{one} /healthz HTTP/1.1\r\nHost: a\r\n\r\n".encode()) for one in ("GET", "HEAD")
    )
    assert get.endswith("\r\n\r\nok\n")
    assert head.endswith("\r\n\r\n")
    assert fields(head) | {"date": ""} == fields(get) | {"date": ""}


@pytest.mark.parametrize(
    "request_line", ["GET /healthz", "GET /nowhere", "POST /healthz", "GET /fails", "\x00"]
)
def test_every_answer_has_the_headers_that_keep_a_browser_harmless(server, request_line):
    """Of pages and refusals alike: nothing is sniffed, framed, stored or loaded, and no version is told."""
    told = fields(said(server, f"{request_line} HTTP/1.1\r\nHost: a\r\n\r\n".encode()))
    assert {name: told[name.lower()] for name in HEADERS} == HEADERS
    assert told["server"] == "s2s-bridge"
    assert not any(name in repr(told).lower() for name in ("python", "uvicorn", "starlette", "httptools"))


@pytest.mark.parametrize(
    "path",
    [
        "/etc/passwd",
        "/../../etc/passwd",
        "/%2e%2e/etc/passwd",
        "//etc/passwd",
        "/healthz/",
        "/healthz/../metrics",
        "http://a/healthz",
        "*",
        "/",
    ],
)
def test_no_path_is_one_of_the_disk(server, path):
    """What is no page by its very name is 404."""
    assert status(said(server, f"GET {path} HTTP/1.1\r\nHost: a\r\n\r\n".encode())) == 404


@pytest.mark.parametrize(
    "request_bytes",
    [
        b"GET /" + b"a" * (2 * LARGEST) + b" HTTP/1.1\r\n\r\n",
        b"GET /healthz HTTP/1.1\r\n" + b"X: " + b"a" * (2 * LARGEST) + b"\r\n\r\n",
        b"GET /healthz HTTP/1.1\r\n" + b"X: a\r\n" * LARGEST + b"\r\n",
        b"a" * 10_000_000,
    ],
)
def test_a_large_request_is_left(server, request_bytes):
    """It is refused or cut before more than a little of it is read."""
    answer = said(server, request_bytes)
    assert answer == "" or 400 <= status(answer) < 500


@pytest.mark.parametrize("drip", [b"", b"G", b"GET /healthz HTTP/1.1\r\n"])
def test_a_slow_client_is_left(server, drip):
    """Whoever says nothing, or a byte now and then, is cut when the time for a whole request is over."""
    with connected(server) as connection, contextlib.suppress(ConnectionError):
        connection.sendall(drip)
        connection.settimeout(0.1)
        closed = threading.Event()
        while not closed.is_set():
            with contextlib.suppress(TimeoutError):
                if not connection.recv(1):
                    closed.set()
            if drip and not closed.is_set():
                connection.sendall(b"a")
    assert said(server, HEALTH).endswith("ok\n")


def test_a_client_that_takes_nothing_is_left(server, capfd):
    """An answer that is not fetched holds its connection no longer than a request may take."""
    with connected(server) as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        connection.sendall(b"GET /large HTTP/1.1\r\nHost: a\r\n\r\n")
        until(lambda: connections(server) == 1, "the request", 5)
        until(lambda: connections(server) == 0, "its end", 20)
    assert capfd.readouterr().err == ""


def test_slow_clients_keep_nobody_out():
    """With as many idle connections as there may be, a probe has its answer: the oldest makes room."""
    with HttpServer("127.0.0.1:0", PAGES) as server, contextlib.ExitStack() as stack:
        idle = [stack.enter_context(connected(server)) for _ in range(MOST)]
        for slow in idle:
            slow.sendall(b"GET /healthz HTTP/1.1\r\n")
        until(lambda: connections(server) == MOST, "all connections", 5)
        assert said(server, HEALTH).endswith("ok\n")
        assert received(idle[0]) == ""
        idle[1].sendall(b"Host: a\r\n\r\n")
        assert received(idle[1]).endswith("ok\n")


class Slow:
    """A page that is made when it is allowed to, and the server of it and others."""

    def __init__(self):
        self.allowed = threading.Event()
        self.pages = PAGES | {"/": self.page}

    def page(self):
        self.allowed.wait(20)
        return HTTPStatus.OK, "text/plain", b"made\n"

    def asking(self, server, stack):
        one = stack.enter_context(connected(server))
        one.sendall(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        return one


def test_a_slow_page_delays_no_other_and_is_not_asked_for_by_too_many():
    """Probes are answered beside it; those who wait for it get it; one too many is told so at once."""
    slow = Slow()
    with HttpServer("127.0.0.1:0", slow.pages) as server, contextlib.ExitStack() as stack:
        first = slow.asking(server, stack)
        made = server._threads["/"]
        until(lambda: connections(server) == 1 and made._asked.qsize() == 0, "its being made", 5)
        waiting = [slow.asking(server, stack) for _ in range(WAITING)]
        until(lambda: made._asked.qsize() == WAITING, "all that may wait", 5)
        assert status(received(slow.asking(server, stack))) == 503
        assert said(server, HEALTH).endswith("ok\n")
        slow.allowed.set()
        assert all(received(one).endswith("made\n") for one in [first, *waiting])


def test_who_is_being_answered_is_not_cut_for_another():
    """Where all connections wait for us, not we for them, a further one is closed; later it is welcome."""
    slow, bounds = Slow(), Bounds(connections=3)
    with HttpServer("127.0.0.1:0", slow.pages, bounds) as server, contextlib.ExitStack() as stack:
        asked = [slow.asking(server, stack) for _ in range(bounds.connections)]
        at_work = server._server._server.server_state.connections
        until(lambda: len([one for one in at_work if one.working]) == bounds.connections, "their work", 5)
        assert said(server, HEALTH) == ""
        slow.allowed.set()
        assert all(received(one).endswith("made\n") for one in asked)
        assert said(server, HEALTH).endswith("ok\n")


def test_it_stops_whatever_clients_and_pages_do(capfd):
    """One who says nothing, one who takes nothing, a page that hangs: its threads and connections end."""
    slow, before = Slow(), set(threading.enumerate())
    with contextlib.ExitStack() as stack:
        with HttpServer("127.0.0.1:0", slow.pages) as server:
            for request in (b"", b"GET /hea", b"GET /large HTTP/1.1\r\nHost: a\r\n\r\n"):
                stack.enter_context(connected(server)).sendall(request)
            slow.asking(server, stack)
            until(lambda: connections(server) == 4, "all four", 5)
        assert connections(server) == 0
        until(
            lambda: [one.name for one in set(threading.enumerate()) - before] == ["http /"], "the others", 5
        )
        slow.allowed.set()
        until(lambda: set(threading.enumerate()) <= before, "the end of the page's thread", 5)
    assert capfd.readouterr().err == ""


def test_a_hanging_page_is_no_reason_to_stay():
    """A process whose page hangs ends with its main thread."""
    code = (
        "import threading, urllib.request\n"
        "from bridge.observe.http import HttpServer\n"
        "begun = threading.Event()\n"
        "page = lambda: begun.set() or threading.Event().wait()\n"
        "with HttpServer('127.0.0.1:0', {'/': page}) as server:\n"
        "    asks = lambda: urllib.request.urlopen(f'http://127.0.0.1:{server.port}/')\n"
        "    threading.Thread(target=asks, daemon=True).start()\n"
        "    begun.wait(10)\n"
        "print('left')\n"
    )
    ended = subprocess.run([sys.executable, "-c", code], timeout=30, check=True, capture_output=True)
    assert ended.stdout == b"left\n"


def test_a_connection_carries_one_request(server):
    """What comes after the first is not looked at."""
    assert said(server, HEALTH * 3).count("ok\n") == 1


def test_who_has_said_all_still_gets_the_answer(server):
    """A client may close its half of the connection after its request, as `nc -N` does."""
    assert said(server, HEALTH, all_said=True).endswith("ok\n")


@pytest.mark.parametrize(
    "request_bytes",
    [
        b"GET /healthz HTTP/1.1\r\n\r\n",
        b"GET /healthz HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nnone\r\n",
        b"GET /healthz HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
        b"GET /healthz HTTP/1.1\r\nHost: a\r\nX: \x00\r\n\r\n",
        b"get /healthz HTTP/1.1\r\nHost: a\r\n\r\n",
        b"X /healthz HTTP/1.1\r\nHost: a\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03 https? here?\r\n\r\n",
    ],
)
def test_what_is_no_request_is_refused_in_a_line(server, request_bytes, capfd):
    """400, and neither the terminal nor the client sees more of it."""
    answer = said(server, request_bytes)
    assert status(answer) == 400
    assert answer.endswith("\r\n\r\nbad request\n")
    assert fields(answer)["content-length"] == str(len("bad request\n"))
    assert "".join(capfd.readouterr()) == ""


def test_no_other_protocol_is_spoken(server, capfd):
    """An upgrade is not made: the page is the answer."""
    upgrade = b"Connection: upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: a\r\n\r\n"
    assert said(server, HEALTH.removesuffix(b"\r\n") + upgrade).endswith("ok\n")
    assert "".join(capfd.readouterr()) == ""


PIECES = [
    HEALTH,
    b"GET ",
    b"HEAD ",
    b"/healthz ",
    b"/ ",
    b"HTTP/1.1\r\n",
    b"Host: a\r\n",
    b"\r\n",
    b"5\r\nhello\r\n",
]
HEADS = [b"Expect: 100-continue\r\n", b"Transfer-Encoding: chunked\r\n", b"Content-Length: 5\r\n"]


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.sampled_from(PIECES + HEADS) | st.binary(max_size=20), max_size=12).map(b"".join))
def test_any_bytes_have_an_answer_or_none(server, capfd, request_bytes):
    """Whatever is said, the server says what HTTP knows, or closes; nothing goes wrong within."""
    answer = said(server, request_bytes, all_said=True)
    assert answer == "" or status(answer) in {100, 200, 400, 404, 405}
    assert "".join(capfd.readouterr()) == ""


def test_a_command_that_does_not_listen_loads_no_server():
    """The libraries of the server are loaded where there is an address to listen on."""
    code = "import sys, bridge.cli\nprint(sorted({'uvicorn', 'starlette', 'httptools'} & set(sys.modules)))\n"
    ended = subprocess.run([sys.executable, "-c", code], timeout=60, check=True, capture_output=True)
    assert ended.stdout == b"[]\n"


def test_a_page_that_fails_is_500_and_tells_nobody_why(server, capfd):
    """Neither the client nor the terminal sees a traceback, or what the error quotes."""
    answer = said(server, b"GET /fails HTTP/1.1\r\nHost: a\r\n\r\n")
    assert status(answer) == 500
    out, err = capfd.readouterr()
    assert "page_failed" in out + err
    assert "5f1a6f43" not in answer + out + err
    assert "Traceback" not in out + err


def test_a_client_that_goes_away_leaves_no_trace(server, capfd):
    """Cut in the middle of a request or an answer: no traceback on stderr."""
    for request in (b"GET /hea", b"GET /large HTTP/1.1\r\nHost: a\r\n\r\n"):
        with connected(server) as connection:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")  # a reset
            connection.sendall(request)
    until(lambda: connections(server) == 0, "their end", 20)
    assert capfd.readouterr().err == ""


def test_the_name_service_is_not_asked(monkeypatch):
    """Listening needs no name service, which may be away and keep the start waiting."""
    for name in ("getfqdn", "getaddrinfo", "gethostbyaddr"):
        monkeypatch.setattr(socket, name, lambda *_, **__: pytest.fail("asked"))
    with HttpServer("127.0.0.1:0", PAGES) as server:
        assert server.port > 0


def test_an_address_of_ipv6():
    """`[::1]:8080` is one to listen on."""
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError:
        pytest.skip("this machine has no IPv6")
    with HttpServer("[::1]:0", PAGES) as server, socket.create_connection(("::1", server.port), 5) as one:
        one.sendall(HEALTH)
        assert received(one).endswith("ok\n")
