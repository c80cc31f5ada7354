"""Requests that may be read in two ways are not read at all: what smuggles one request within another."""

import contextlib
import socket
import threading

import h11
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bridge.web.bounds import Bounds
from bridge.web.server import WebServer
from bridge.web.sound import MOST_HEADERS, Unsound, check

HOST = (b"host", b"a")
CHUNKED = (b"transfer-encoding", b"chunked")


@pytest.mark.parametrize("version", ["0.9", "1.2", "2.0"])
def test_another_version_is_another_protocol(version):
    """Only 1.0 and 1.1 are spoken, and only 1.0 need name no host."""
    with pytest.raises(Unsound):
        check(version, [HOST])
    check("1.0", [])
    check("1.1", [HOST])


@pytest.mark.parametrize(
    "headers",
    [
        [],
        [HOST, HOST],
        [HOST] + [(b"x", b"")] * MOST_HEADERS,
        [HOST, CHUNKED, CHUNKED],
        [HOST, (b"transfer-encoding", b"gzip, chunked")],
        [HOST, (b"transfer-encoding", b"identity")],
        [HOST, (b"transfer-encoding", b"")],
    ],
)
def test_a_head_that_means_two_things_is_refused(headers):
    """No host or several, more headers than anybody sends, a body of whose end others may think otherwise."""
    with pytest.raises(Unsound):
        check("1.1", headers)


def test_a_body_in_chunks_is_of_1_1_alone():
    """Whoever speaks 1.0 does not know chunks, and would go on behind the head."""
    check("1.1", [HOST, (b"transfer-encoding", b" Chunked\t")])
    with pytest.raises(Unsound):
        check("1.0", [HOST, CHUNKED])


class Seen:
    """An application that keeps what it was asked, by the port of who asked."""

    def __init__(self):
        self.requests = {}
        self.changed = threading.Condition()

    async def __call__(self, scope, _receive, send):
        target = scope["path"] + ("?" + scope["query_string"].decode() if scope["query_string"] else "")
        one = (scope["method"], target, tuple(scope["headers"]))
        self.requests.setdefault(scope["client"][1], []).append(one)
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"0")]})
        await send({"type": "http.response.body", "body": b""})

    def asked(self, server, said):
        """All that it was asked by a client that says this, and what that was answered."""
        answer = b""
        with socket.create_connection(("127.0.0.1", server.port), 20) as connection:
            port = connection.getsockname()[1]
            with contextlib.suppress(ConnectionError):
                connection.sendall(said)
                connection.shutdown(socket.SHUT_WR)
                while more := connection.recv(65_536):
                    answer += more
        return self.requests.pop(port, []), answer


@pytest.fixture(scope="module")
def seen():
    return Seen()


@pytest.fixture(scope="module")
def server(seen):
    bounds = Bounds(request_seconds=0.5, answer_seconds=0.5)
    with WebServer(seen, "127.0.0.1:0", setting="a.listen", headers={}, bounds=bounds) as one:
        yield one


GOOD = b"GET /good HTTP/1.1\r\nHost: a\r\n\r\n"
HEAD = b"POST /head HTTP/1.1\r\nHost: a\r\n"


@pytest.mark.parametrize(
    "smuggling",
    [
        b"Content-Length: 0\r\nContent-Length: 33\r\n\r\n",
        b"Content-Length: 33\r\nContent-Length: 33\r\n\r\n",
        b"Content-Length: 0, 33\r\n\r\n",
        b"Content-Length: +33\r\n\r\n",
        b"Content-Length: 0x21\r\n\r\n",
        b"Content-Length: -1\r\n\r\n",
        b"Content-Length: 99999999999999999999999\r\n\r\n",
        b"Content-Length: 33\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n",
        b"Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n0\r\n\r\n",
        b"Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
        b"Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
        b"Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n",
        b"Transfer-Encoding: chunked\r\n\r\n0x0\r\n\r\n",
        b"Transfer-Encoding: chunked\r\n\r\n1\r\naa\r\n0\r\n\r\n",
        b"Transfer-Encoding: chunked\r\n\r\n0\n\n",
        b"Transfer-Encoding: chunked\r\n\r\nffffffffffffffffff\r\n",
        b"\nX: a\r\n\r\n",
        b"X: a\n\n",
        b"X: a\rContent-Length: 33\r\n\r\n",
        b"X: a\r\n Content-Length: 33\r\n\r\n",
        b"X: a\x00b\r\n\r\n",
        b"X\x00: a\r\n\r\n",
        b"Host: b\r\n\r\n",
    ],
)
def test_a_request_with_another_inside_is_refused(seen, server, smuggling):
    """Neither what is behind its head nor a later request is anybody's."""
    asked, _ = seen.asked(server, HEAD + smuggling + GOOD)
    assert [target for _, target, _ in asked if target != "/head"] == []


@pytest.mark.parametrize(
    "no_http",
    [
        b"GET /good\r\n\r\n",
        b"GET /good HTTP/0.9\r\n\r\n",
        b"GET /good HTTP/2.0\r\nHost: a\r\n\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"GET /good HTTP/1.1\nHost: a\n\n",
        b"GET /good HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"GET /good HTTP/1.1\r\nHost: a\r\n" + b"X: a\r\n" * 64 + b"\r\n",
        b"GET /good HTTP/1.1\r\nHost: a\r\n" + b"X: a\r\n" * 1_000,
    ],
)
def test_what_is_another_protocol_is_nobodys_request(seen, server, no_http):
    """It is refused before anybody is asked."""
    asked, answer = seen.asked(server, no_http)
    assert asked == []
    assert answer.startswith(b"HTTP/1.1 4")


@pytest.mark.parametrize("target", ["http://a/good", "http://a", "*", "/good#a", "/good?a#b"])
def test_a_target_that_is_no_path_names_no_page(seen, server, target):
    """Nobody looks for a path within it: what stands before us may find another."""
    asked, answer = seen.asked(server, GOOD.replace(b"/good", target.encode()))
    assert [one for _, one, _ in asked] == [target] or answer.startswith(b"HTTP/1.1 400 ")


def test_what_stands_behind_a_body_is_no_header(seen, server):
    """A trailer comes when the request was judged already."""
    said = HEAD + b"Transfer-Encoding: chunked\r\n\r\n0\r\nCookie: a=b\r\n\r\n" + GOOD
    asked, answer = seen.asked(server, said)
    assert [headers for _, _, headers in asked] == [(HOST, CHUNKED), (HOST,)]
    assert answer.count(b"HTTP/1.1 200 ") == 2


def test_an_upgrade_is_answered_and_ends_the_connection(seen, server):
    """What comes behind it may be of the other protocol, and is not looked at."""
    upgrade = GOOD.removesuffix(b"\r\n") + b"Connection: upgrade\r\nUpgrade: h2c\r\n\r\n"
    asked, answer = seen.asked(server, upgrade + GOOD)
    assert len(asked) == answer.count(b"HTTP/1.1 200 ") == 1
    assert b"\r\nconnection: close\r\n" in answer


def by_h11(said):
    """What another parser takes these bytes for; ends of lines before a request are nothing."""
    requests = []
    with contextlib.suppress(h11.RemoteProtocolError):
        while said := said.lstrip(b"\r\n"):
            parser = h11.Connection(h11.SERVER)
            parser.receive_data(said)
            while not isinstance(event := parser.next_event(), h11.EndOfMessage):
                if isinstance(event, h11.Request):
                    headers = tuple((name.lower(), value) for name, value in event.headers)
                    requests.append((event.method.decode(), event.target.decode(), headers))
                elif not isinstance(event, h11.Data):
                    return requests
            parser.send(h11.Response(status_code=404, headers=[("content-length", "0")]))
            parser.send(h11.EndOfMessage())
            if parser.our_state is not h11.DONE:
                break
            said, _ = parser.trailing_data
    return requests


LINES = [
    *(b"GET / HTTP/1.1", b"POST /a?b HTTP/1.1", b"GET / HTTP/1.0", b"HEAD / HTTP/1.1"),
    *(b"GET http://a/b HTTP/1.1", b"GET /a?b#c HTTP/1.1", b"OPTIONS * HTTP/1.1", b"CONNECT a:1 HTTP/1.1"),
    *(b"Host: a", b"Host:b", b"Connection: close", b"Connection: keep-alive", b"Expect: 100-continue"),
    *(b"Content-Length: 0", b"Content-Length: 5", b"Content-Length: 5, 5", b"content-length:\t5 "),
    *(b"Transfer-Encoding: chunked", b"Transfer-Encoding: chunked, chunked", b"transfer-encoding:CHUNKED"),
    *(b"Connection: upgrade", b"Upgrade: h2c", b" X: folded", b"X : spaced", b"X: \xff", b"", b""),
    *(b"5", b"hello", b"0", b"5;a=b", b"00005", b"GET /in HTTP/1.1", b"X: a\rb"),
]
ENDS = [b"\r\n", b"\r\n", b"\r\n", b"\r\n", b"\r\n", b"\r\n", b"\n", b"\r"]
PIECES = st.one_of(
    st.just(GOOD),
    st.just(HEAD),
    st.tuples(st.sampled_from(LINES), st.sampled_from(ENDS)).map(b"".join),
    st.binary(max_size=3),
)


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(PIECES, min_size=1, max_size=12).map(b"".join))
def test_no_request_is_seen_where_another_parser_sees_none(seen, server, said):
    """Of any bytes the application is asked what h11 takes them for, up to what is refused."""
    asked, answer = seen.asked(server, said)
    assert asked == by_h11(said)[: len(asked)]
    assert answer.count(b"HTTP/1.1 200 ") <= len(asked)
