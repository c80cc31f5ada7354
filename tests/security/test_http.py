"""The port of health and metrics: read-only, the pages alone, and no client can wear it out."""

import contextlib
import socket
import threading
from http import HTTPStatus

import pytest

from bridge.config.model import HttpSettings
from bridge.observe import http
from bridge.observe.http import HEADERS, LARGEST, MOST, HttpServer
from tests.parts.waiting import until


def failing():
    raise ValueError("5f1a6f43 is a user")


PAGES = {
    "/healthz": lambda: (HTTPStatus.OK, "text/plain", b"ok\n"),
    "/fails": failing,
    "/large": lambda: (HTTPStatus.OK, "text/plain", bytes(50_000_000)),
}


@pytest.fixture(scope="module")
def server():
    """On a free port, less patient than the real one."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(http, "TIME", 0.5)
        with HttpServer("127.0.0.1:0", PAGES) as one:
            yield one


def connected(server, seconds=20):
    return contextlib.closing(socket.create_connection(("127.0.0.1", server.port), seconds))


def said(server, request):
    """All that the server answers to these bytes; empty: it closed the connection without a word."""
    with connected(server) as connection:
        with contextlib.suppress(ConnectionError):
            connection.sendall(request)
        return received(connection)


def received(connection):
    answer = b""
    with contextlib.suppress(ConnectionResetError):
        while more := connection.recv(65_536):
            answer += more
    return answer.decode("latin-1")


def status(answer):
    return int(answer.split(" ", 2)[1])


def test_it_listens_on_loopback_unless_told_otherwise():
    """Nobody outside the machine sees it by default."""
    assert HttpSettings().listen == "127.0.0.1:8080"


@pytest.mark.parametrize(
    "method", ["POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "CONNECT", "get", "X"]
)
def test_nothing_but_reading_is_allowed(server, method):
    """Every other method is 405, names those that are allowed, and quotes nothing of the request."""
    answer = said(server, f"{method} /healthz?evil HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n".encode())
    assert status(answer) == 405
    assert "\r\nAllow: GET, HEAD\r\n" in answer
    assert answer.endswith("\r\n\r\nmethod not allowed\n")
    assert "evil" not in answer


def test_head_is_get_without_a_body(server):
    """The same headers, and nothing after them."""
    get, head = (said(server, f"{one} /healthz HTTP/1.1\r\n\r\n".encode()) for one in ("GET", "HEAD"))
    assert get.endswith("\r\n\r\nok\n")
    assert head.endswith("\r\n\r\n")
    assert [line for line in head.splitlines() if not line.startswith("Date")] == [
        line for line in get.splitlines()[:-1] if not line.startswith("Date")
    ]


@pytest.mark.parametrize(
    "request_line", ["GET /healthz", "GET /nowhere", "POST /healthz", "GET /fails", "\x00"]
)
def test_every_answer_has_the_headers_that_keep_a_browser_harmless(server, request_line):
    """Of pages and refusals alike: nothing is sniffed, framed, stored or loaded, and no version is told."""
    answer = said(server, f"{request_line} HTTP/1.1\r\n\r\n".encode())
    for name, value in HEADERS.items():
        assert f"\r\n{name}: {value}\r\n" in answer
    assert "\r\nServer: s2s-bridge\r\n" in answer
    assert "Python" not in answer


@pytest.mark.parametrize(
    "path",
    [
        "/etc/passwd",
        "/../../etc/passwd",
        "/%2e%2e/etc/passwd",
        "//etc/passwd",
        "/healthz/../metrics",
        "*",
        "/",
    ],
)
def test_no_path_is_one_of_the_disk(server, path):
    """What is no page by its very name is 404."""
    assert status(said(server, f"GET {path} HTTP/1.1\r\n\r\n".encode())) == 404


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
    assert said(server, b"GET /healthz HTTP/1.1\r\n\r\n").endswith("ok\n")


def test_a_client_that_takes_nothing_is_left(server, capfd):
    """An answer that is not fetched holds its thread no longer than a request may take."""
    with connected(server) as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        connection.sendall(b"GET /large HTTP/1.1\r\n\r\n")
        until(lambda: len(serving()) == 1, "the request", 5)
        until(lambda: serving() == [], "the end of its thread", 20)
    assert capfd.readouterr().err == ""


def serving():
    """The threads that serve a connection."""
    return [thread for thread in threading.enumerate() if "process_request_thread" in thread.name]


def test_many_clients_take_few_threads(server):
    """Beyond the most that are served at once a connection is closed; as soon as one is free, all is well."""
    with contextlib.ExitStack() as stack:
        idle = [stack.enter_context(connected(server)) for _ in range(MOST)]
        until(lambda: len(serving()) == MOST, "all threads", 5)
        assert said(server, b"GET /healthz HTTP/1.1\r\n\r\n") == ""
        assert len(serving()) == MOST
        assert len(idle) == MOST
    until(lambda: serving() == [], "their end", 20)
    assert said(server, b"GET /healthz HTTP/1.1\r\n\r\n").endswith("ok\n")


def test_a_page_that_fails_is_500_and_tells_nobody_why(server, capfd):
    """Neither the client nor the terminal sees a traceback, or what the error quotes."""
    answer = said(server, b"GET /fails HTTP/1.1\r\n\r\n")
    assert status(answer) == 500
    out, err = capfd.readouterr()
    assert "page_failed" in out + err
    assert "5f1a6f43" not in answer + out + err
    assert "Traceback" not in out + err


def test_a_client_that_goes_away_leaves_no_trace(server, capfd):
    """Cut in the middle of a request or an answer: no traceback on stderr."""
    for request in (b"GET /hea", b"GET /large HTTP/1.1\r\n\r\n"):
        with connected(server) as connection:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")  # a reset
            connection.sendall(request)
    until(lambda: serving() == [], "the end of their threads", 20)
    assert capfd.readouterr().err == ""


def test_the_name_service_is_not_asked(monkeypatch):
    """Listening needs no name service, which may be away and keep the start waiting."""
    monkeypatch.setattr(socket, "getfqdn", lambda _: pytest.fail("asked"))
    with HttpServer("127.0.0.1:0", PAGES) as server:
        assert server.port > 0


def test_an_address_of_ipv6():
    """`[::1]:8080` is one to listen on."""
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError:
        pytest.skip("this machine has no IPv6")
    with HttpServer("[::1]:0", PAGES) as server, socket.create_connection(("::1", server.port), 5) as one:
        one.sendall(b"GET /healthz HTTP/1.1\r\n\r\n")
        assert received(one).endswith("ok\n")
