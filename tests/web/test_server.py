"""A web server for whoever reaches its port: connections of many requests, applications that fail."""

import asyncio
import contextlib
import gc
import json
import socket
import struct
import subprocess
import sys
import threading

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, StreamingResponse
from starlette.routing import Route
from structlog.testing import capture_logs

from bridge.errors import BridgeError
from bridge.web.bounds import Bounds
from bridge.web.connection import Connection
from bridge.web.server import WebServer
from tests.parts.waiting import until

BOUNDS = Bounds(request_seconds=0.5, answer_seconds=0.5, request_bytes=1000)


async def who(request: Request):
    return PlainTextResponse(f"{request.client.host} {request.url.query}\n")


async def fails(_: Request):
    raise ValueError("5f1a6f43 is a user")


async def endless(_: Request):
    async def more():
        while True:
            await asyncio.sleep(0)  # as any that works for its next piece
            yield bytes(100_000)

    return StreamingResponse(more())


async def breaks(_: Request):
    async def more():
        yield b"begun"
        raise ValueError("5f1a6f43 is a user")

    return StreamingResponse(more())


async def awaits(request: Request):
    while (await request.receive())["type"] != "http.disconnect":
        pass
    request.app.state.left.set()


async def cuts(request: Request):
    request.state.cut()
    while (await request.receive())["type"] != "http.disconnect":
        pass
    return PlainTextResponse("nobody sees it\n")


async def length(request: Request):
    return PlainTextResponse(f"{len(await request.body())}\n")


PAGES = (who, fails, endless, breaks, awaits, cuts, length)
APPLICATION = Starlette(routes=[Route(f"/{one.__name__}", one, methods=["GET", "POST"]) for one in PAGES])
APPLICATION.state.left = threading.Event()


def serving(bounds=BOUNDS):
    headers = {"X-Ours": "yes"}
    return WebServer(APPLICATION, "127.0.0.1:0", setting="a.listen", headers=headers, bounds=bounds)


@pytest.fixture(scope="module")
def server():
    with serving() as one:
        yield one


@pytest.fixture
def connection(server):
    with contextlib.closing(socket.create_connection(("127.0.0.1", server.port), 20)) as one:
        yield one


def request(path, *headers, method="GET"):
    return "\r\n".join([f"{method} {path} HTTP/1.1", "Host: a", *headers, "", ""]).encode()


def answered(connection):
    """The status of one answer, its headers as text, and its body; None: the connection was closed."""
    with connection.makefile("rb") as answer:
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            line = answer.readline()
            if not line:
                return None
            head += line
        text = head.decode()
        length = next(line for line in text.splitlines() if line.startswith("content-length"))
        return int(text.split()[1]), text, answer.read(int(length.split()[1])).decode()


def left(connection):
    """What comes until the other end closes."""
    answer = b""
    with contextlib.suppress(ConnectionError):
        while more := connection.recv(65_536):
            answer += more
    return answer


def stays(connection, seconds):
    """Whether for so long nothing comes, and nobody hangs up."""
    connection.settimeout(seconds)
    try:
        connection.recv(1)
    except TimeoutError:
        return True
    finally:
        connection.settimeout(20)
    return False


def connections(server):
    return len(server._server.server_state.connections)


def test_a_connection_carries_many_requests_with_bounds_of_its_own_each(connection):
    """Together they may be longer, and take longer, than one: the time and size begin anew with each."""
    for number in range(4):
        assert stays(connection, 0.2)
        connection.sendall(request(f"/who?{number}{'a' * 700}"))
        status, head, body = answered(connection)
        assert (status, body[:11]) == (200, f"127.0.0.1 {number}")
        assert "x-ours: yes\r\n" in head
        assert "server:" not in head


def test_a_request_and_its_answer_have_times_of_their_own():
    """An answer may take longer than a request may, and the next request longer than an answer."""
    allowed = threading.Event()

    def slow(_: Request):
        allowed.wait(20)
        return PlainTextResponse("made\n")

    application = Starlette(routes=[Route("/slow", slow)])
    short, long = 0.3, 20
    for request_seconds, answer_seconds in ((short, long), (long, short)):
        bounds = Bounds(request_seconds=request_seconds, answer_seconds=answer_seconds)
        with (
            WebServer(application, "127.0.0.1:0", setting="a.listen", headers={}, bounds=bounds) as server,
            contextlib.closing(socket.create_connection(("127.0.0.1", server.port), 20)) as connection,
        ):
            connection.sendall(request("/slow"))
            if answer_seconds == long:
                assert stays(connection, 2 * short)
                allowed.set()
            assert answered(connection)[2] == "made\n"
            if request_seconds == long:
                assert stays(connection, 2 * short)
                connection.sendall(request("/slow"))
                assert answered(connection)[2] == "made\n"


def test_a_request_may_come_in_pieces(connection):
    """As long as all of it is no more than a request may be."""
    whole = request("/who?" + "a" * 900)
    for piece in (whole[:850], whole[850:]):
        assert stays(connection, 0.1)
        connection.sendall(piece)
    assert answered(connection)[0] == 200


def test_an_idle_connection_is_closed(connection, server):
    """After an answer the next request has to come in time."""
    connection.sendall(request("/who"))
    assert answered(connection)[0] == 200
    assert left(connection) == b""
    until(lambda: connections(server) == 0, "its end", 5)


def test_requests_may_come_at_once(connection):
    """Each has its answer, in order."""
    connection.sendall(request("/who?1") + request("/who?2", "Connection: close"))
    assert [line for line in left(connection).splitlines() if line.startswith(b"127")] == [
        b"127.0.0.1 1",
        b"127.0.0.1 2",
    ]


def test_who_has_said_all_gets_the_answer(server):
    """Also where the loop sees the client's end before it has sent the answer, and the other way round."""
    for _ in range(50):
        with contextlib.closing(socket.create_connection(("127.0.0.1", server.port), 20)) as connection:
            connection.sendall(request("/who?1"))
            connection.shutdown(socket.SHUT_WR)
            assert left(connection).endswith(b"127.0.0.1 1\n")


def test_who_has_said_all_is_not_waited_for():
    """The last answer says that it is the last."""
    slow = Slow(Bounds())
    with (
        slow.server as server,
        contextlib.closing(socket.create_connection(("127.0.0.1", server.port), 20)) as connection,
    ):
        connection.sendall(request("/slow?1"))
        connection.shutdown(socket.SHUT_WR)
        assert stays(connection, 0.1)
        slow.allowed["1"].set()
        assert "connection: close" in answered(connection)[1]
        assert left(connection) == b""


class Slow:
    """An application whose answers are made when they are allowed, by their query; and its server."""

    def __init__(self, bounds):
        self.allowed = {str(number): threading.Event() for number in range(6)}
        application = Starlette(routes=[Route("/slow", self.slow), Route("/who", who)])
        self.server = WebServer(application, "127.0.0.1:0", setting="a.listen", headers={}, bounds=bounds)

    def slow(self, request: Request):
        self.allowed[request.url.query].wait(20)
        return PlainTextResponse(f"made {request.url.query}\n")

    def waiting(self):
        """Requests that wait for those before them."""
        return sum(len(one.pipeline) for one in list(self.server._server.server_state.connections))


def test_no_more_is_read_before_all_that_has_come_is_answered():
    """Whoever always has a request that waits is answered for ever: the size begins anew in between."""
    slow = Slow(Bounds(request_bytes=1000))
    with (
        slow.server as server,
        contextlib.closing(socket.create_connection(("127.0.0.1", server.port), 20)) as connection,
    ):
        said = [request(f"/slow?{number}", "X: " + "a" * 400) for number in range(6)]
        connection.sendall(said[0])
        for number, more in enumerate(said[1:]):
            connection.sendall(more)
            assert stays(connection, 0.1)
            slow.allowed[str(number)].set()
            assert answered(connection)[2] == f"made {number}\n"
        slow.allowed["5"].set()
        assert answered(connection)[2] == "made 5\n"


@pytest.mark.parametrize("more", [32, 33])
def test_few_requests_may_wait_on_one_connection(more):
    """Each is kept, at a hundred times its bytes; one too many is refused, and the others with it."""
    slow = Slow(Bounds())
    with (
        slow.server as server,
        contextlib.closing(socket.create_connection(("127.0.0.1", server.port), 20)) as connection,
    ):
        others = request("/who") * (more - 1) + request("/who", "Connection: close")
        connection.sendall(request("/slow?1") + others)
        until(lambda: slow.waiting() == 32 or not connections(server), "all of them", 5)
        slow.allowed["1"].set()
        answer = left(connection)
        assert answer.count(b"HTTP/1.1 200 ") == (33 if more == 32 else 0)
        assert answer.count(b"HTTP/1.1 400 ") == (0 if more == 32 else 1)


def test_an_application_is_told_that_its_client_has_gone(connection):
    """Also where another request waits behind the one that it works on."""
    APPLICATION.state.left.clear()
    connection.sendall(request("/awaits") + request("/who"))
    assert stays(connection, 0.1)
    connection.close()
    assert APPLICATION.state.left.wait(10)


def test_headers_without_an_end_are_refused(connection):
    """When there are too many, and not when they are too long: kept, each takes a multiple of its bytes."""
    connection.sendall(b"GET /who HTTP/1.1\r\n" + b"a:\r\n" * 120)
    assert left(connection).startswith(b"HTTP/1.1 431 ")


@pytest.mark.parametrize("after", [b"", request("/who")])
@pytest.mark.parametrize(
    "large",
    [request("/who?" + "a" * 1_000_000), request("/who", "X: " + "a" * 990), request("/who") + bytes(1_000)],
)
def test_a_large_request_is_refused(connection, after, large):
    """431 where it comes as one, else the end of the connection; and our headers are there."""
    connection.sendall(after)
    if after:
        assert answered(connection)[0] == 200
    with contextlib.suppress(ConnectionError):
        connection.sendall(large)
    answer = left(connection)
    assert answer == b"" or (answer.startswith(b"HTTP/1.1 431 ") and b"\r\nx-ours: yes\r\n" in answer)


def test_a_body_that_drips_is_cut(connection, server):
    """The time of a body is that of its request; nobody is asked before all of it is there."""
    connection.sendall(request("/who", "Content-Length: 900", method="POST"))
    connection.settimeout(0.05)
    with contextlib.suppress(ConnectionError):
        for _ in range(400):
            connection.sendall(b"a")
            with contextlib.suppress(TimeoutError):
                assert connection.recv(1) == b""
                break
        else:
            pytest.fail("it may go on for ever")
    until(lambda: connections(server) == 0, "its end", 5)


@pytest.mark.parametrize("before", [b"", request("/who")])
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_nobody_is_answered_before_all_is_said(connection, method, before):
    """Whoever shares us among clients, and sees no body where we see one, would send another's request."""
    another = request("/who?another")
    connection.sendall(before + request("/who?first", f"Content-Length: {len(another)}", method=method))
    if before:
        assert answered(connection)[0] == 200
    assert stays(connection, 0.1)
    for piece in (another[:5], another[5:] + request("/who?next", "Connection: close")):
        assert stays(connection, 0.1)
        connection.sendall(piece)
    lines = left(connection).splitlines()
    assert [line for line in lines if line.startswith(b"127")] == [b"127.0.0.1 first", b"127.0.0.1 next"]


def test_who_asks_whether_to_go_on_is_told_to(connection):
    """Once; a final answer would be taken for all, and the body for nobody's."""
    connection.sendall(request("/length", "Expect: 100-continue", "Content-Length: 9", method="POST"))
    assert connection.recv(1000) == b"HTTP/1.1 100 Continue\r\n\r\n"
    connection.sendall(b"12345")
    assert stays(connection, 0.1)
    connection.sendall(b"6789")
    assert answered(connection)[2] == "9\n"
    connection.sendall(request("/length", "Expect: 100-continue"))
    assert answered(connection)[2] == "0\n"


def test_who_asks_whether_to_go_on_is_told_to_when_its_turn_comes():
    """Not in the place of an answer that is owed to the request before it."""
    slow = Slow(Bounds())
    with (
        slow.server as server,
        contextlib.closing(socket.create_connection(("127.0.0.1", server.port), 20)) as connection,
    ):
        asking = request("/slow?2", "Expect: 100-continue", "Content-Length: 9", method="POST")
        connection.sendall(request("/slow?1") + asking)
        assert stays(connection, 0.1)
        slow.allowed["1"].set()
        answer = b""
        while not answer.endswith(b"made 1\nHTTP/1.1 100 Continue\r\n\r\n"):
            more = connection.recv(1000)
            assert more
            answer += more
        slow.allowed["2"].set()
        connection.sendall(b"123456789")
        assert answered(connection)[0] == 405


def test_a_body_may_be_as_large_as_a_request_may():
    """Also where it is more than uvicorn keeps for an application that does not take it."""
    with (
        serving(Bounds(request_bytes=1_000_000)) as server,
        contextlib.closing(socket.create_connection(("127.0.0.1", server.port), 20)) as connection,
    ):
        connection.sendall(request("/length", "Content-Length: 900000", method="POST") + bytes(900_000))
        assert answered(connection)[2] == "900000\n"


def test_who_has_kept_us_waiting_the_longest_makes_room():
    """Since the connection was made, or since the answer before; and who has gone has no place."""
    bounds = Bounds(connections=3)
    with serving(bounds) as server, contextlib.ExitStack() as stack:

        def another():
            one = socket.create_connection(("127.0.0.1", server.port), 20)
            return stack.enter_context(contextlib.closing(one))

        asks, silent, gone = (another() for _ in range(bounds.connections))
        until(lambda: connections(server) == bounds.connections, "all of them", 5)
        for one in (gone, asks):
            one.sendall(request("/who"))
            assert answered(one)[0] == 200
        gone.close()
        until(lambda: connections(server) == bounds.connections - 1, "the end of one", 5)
        for late in (another(), another()):
            late.sendall(request("/who"))
            assert answered(late)[0] == 200
        assert left(silent) == b""
        asks.sendall(request("/who"))
        assert answered(asks)[0] == 200


def test_an_endless_answer_that_nobody_takes_is_cut(connection, server, capfd):
    """And its application does not go on."""
    connection.sendall(request("/endless"))
    until(lambda: connections(server) == 1, "the request", 5)
    until(lambda: connections(server) == 0, "its end", 5)
    until(lambda: not server._server.server_state.tasks, "the application's end", 5)
    assert "".join(capfd.readouterr()) == ""


def test_an_answer_may_have_less_time_than_a_request():
    """The deadline of the request is not waited for."""
    with (
        serving(Bounds(request_seconds=60, answer_seconds=0.5)) as server,
        contextlib.closing(socket.create_connection(("127.0.0.1", server.port), 20)) as connection,
    ):
        connection.sendall(request("/endless"))
        until(lambda: connections(server) == 1, "the request", 5)
        until(lambda: connections(server) == 0, "its end", 10)


def test_what_goes_wrong_after_an_answer_has_begun_ends_it(connection):
    """A request that is none is not refused in the midst of the answer to the one before it."""
    connection.sendall(request("/endless"))
    assert connection.recv(12) == b"HTTP/1.1 200"
    connection.sendall(b"none\r\n")
    assert b"HTTP/1.1" not in left(connection)


def test_an_application_may_cut_its_client_off(connection, capfd):
    """Not a byte of an answer comes, and nothing is said of it."""
    with capture_logs() as logs:
        connection.sendall(request("/cuts"))
        assert left(connection) == b""
    assert logs == []
    assert capfd.readouterr() == ("", "")


def test_a_connection_that_has_ended_leaves_nothing_behind():
    """No timer keeps it: thousands a second would be many."""
    with serving(Bounds(request_seconds=60, answer_seconds=60)) as server:
        for said in (b"", b"GET /who", request("/who"), request("/who", "Connection: close"), b"\0\r\n"):
            with contextlib.closing(socket.create_connection(("127.0.0.1", server.port), 20)) as one:
                one.sendall(said)
                if said.startswith(request("/who")[:20]):
                    assert answered(one)[0] == 200
        with contextlib.closing(socket.create_connection(("127.0.0.1", server.port), 20)) as resets:
            resets.sendall(request("/who"))
            assert answered(resets)[0] == 200
            resets.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

        state = server._server.server_state

        def kept():
            gc.collect()
            return [one for one in gc.get_objects() if type(one) is Connection and one.server_state is state]

        until(lambda: not kept(), "the end of all", 3)  # uvicorn waits 5 s for the next request


def test_nobody_is_believed_to_be_somebody_else(connection):
    """Headers of proxies say nothing about who asks."""
    connection.sendall(request("/who", "X-Forwarded-For: 9.9.9.9", "Forwarded: for=9.9.9.9"))
    assert answered(connection)[2].startswith("127.0.0.1 ")


@pytest.mark.parametrize("path", ["/fails", "/breaks"])
def test_an_application_that_fails_is_told_in_the_log_alone(connection, path, capfd):
    """500, or the end of an answer that has begun; the log has a line, and stderr nothing."""
    with capture_logs() as lines:
        connection.sendall(request(path, "Connection: close"))
        answer = left(connection)
    assert answer.startswith(b"HTTP/1.1 500 ") or not answer.endswith(b"0\r\n\r\n")
    assert b"5f1a6f43" not in answer
    assert [line["event"] for line in lines] == ["http_failed"]
    assert "".join(capfd.readouterr()) == ""


def test_whether_it_turns_is_seen_from_outside():
    """A thread that lives may hang all the same; when it has ended, or not begun, it does not turn either."""
    begun, allowed = threading.Event(), threading.Event()

    async def hangs(_: Request):
        begun.set()
        allowed.wait(20)
        return PlainTextResponse("made\n")

    application = Starlette(routes=[Route("/hangs", hangs)])
    one = WebServer(application, "127.0.0.1:0", setting="a.listen", headers={}, bounds=Bounds())
    assert not one.turns(0)
    with one, contextlib.closing(socket.create_connection(("127.0.0.1", one.port), 20)) as connection:
        until(lambda: one.turns(5), "its start", 10)
        connection.sendall(request("/hangs"))
        assert begun.wait(10)
        assert not one.turns(0.1)
        assert one.serving
        allowed.set()
        assert answered(connection)[2] == "made\n"
        assert one.turns(5)
    assert not one.turns(5)


def test_it_stops_when_an_answer_never_ends():
    """It waits for answers no longer than its bounds say, and its thread and address are free."""
    bounds = Bounds(stop_seconds=1)
    with serving(bounds) as server, contextlib.ExitStack() as stack:
        one = stack.enter_context(
            contextlib.closing(socket.create_connection(("127.0.0.1", server.port), 20))
        )
        one.sendall(request("/endless"))
        until(lambda: len(server._server.server_state.tasks) == 1, "the request", 5)
        taking = threading.Thread(target=left, args=(one,))
        taking.start()
        port = server.port
        server.__exit__()
        taking.join(10)
        assert not taking.is_alive()
        assert not server._thread.is_alive()
        socket.create_server(("127.0.0.1", port)).close()


def test_it_waits_for_nobody_who_is_owed_nothing():
    """Idle connections, new or after an answer, and requests that are not whole do not hold a stop up."""
    with serving(Bounds(stop_seconds=60, request_seconds=60)) as server, contextlib.ExitStack() as stack:
        for said in (b"", b"GET /who", request("/who")):
            one = stack.enter_context(
                contextlib.closing(socket.create_connection(("127.0.0.1", server.port), 20))
            )
            one.sendall(said)
        assert answered(one)[0] == 200
        until(lambda: connections(server) == 3, "all of them", 5)
        server._server.should_exit = True
        until(lambda: not server._thread.is_alive(), "its end", 20)


def test_it_outlives_a_lack_of_descriptors():
    """The log has a line a second, and who waited is served later; of a bad request it has none."""
    ended = subprocess.run(
        [sys.executable, "-m", "tests.web.starved"], timeout=60, check=True, capture_output=True
    )
    lines = [json.loads(line) for line in ended.stderr.splitlines()]
    assert {(line["action"], line["what"]) for line in lines} == {
        ("http_failed", "socket.accept() out of system resource")
    }
    assert len(lines) <= 3
    assert ended.stdout == b"not yet\nserved\n"


def test_an_address_that_cannot_be_had_is_one_clear_line(server):
    """The error names the setting, the address and the remedy."""
    with pytest.raises(
        BridgeError, match=r"^a\.listen: cannot listen on 127.0.0.1:\d+ \(.*\); choose another"
    ):
        WebServer(APPLICATION, f"127.0.0.1:{server.port}", setting="a.listen", headers={}, bounds=BOUNDS)


def test_an_answer_is_sent_in_one_piece(connection):
    """Its head and its body: whoever waits is woken up once."""
    connection.sendall(request("/who"))
    piece = connection.recv(65_536)
    assert piece.startswith(b"HTTP/1.1 200 ")
    assert piece.endswith(b"127.0.0.1 \n")


def test_a_large_answer_is_held_back_by_who_does_not_take_it():
    """However much an application says without a pause, little of it is kept for a client that is slow."""

    async def talks(_: Request):
        async def more():
            for _ in range(200):
                yield bytes(100_000)
            told.set()

        return StreamingResponse(more())

    told = threading.Event()
    application = Starlette(routes=[Route("/talks", talks)])
    bounds = Bounds(answer_seconds=60)
    with (
        WebServer(application, "127.0.0.1:0", setting="a.listen", headers={}, bounds=bounds) as one,
        contextlib.closing(socket.create_connection(("127.0.0.1", one.port), 20)) as slow,
    ):
        slow.sendall(request("/talks", "Connection: close"))
        assert slow.recv(12) == b"HTTP/1.1 200"
        assert not told.wait(1)
        assert len(left(slow)) > 20_000_000
        assert told.is_set()
