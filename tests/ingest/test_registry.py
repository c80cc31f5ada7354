import base64
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from bridge.config import RegistrySettings, Stream
from bridge.ingest import registry as module
from bridge.ingest.decode import decoder_for
from bridge.ingest.events import Reason
from bridge.ingest.registry import Registry, RegistryUnreachable, UnknownSchema, without_credentials
from bridge.name_service import NameService
from tests.ingest import judge
from tests.parts import events as made
from tests.parts.waiting import free_port

SCHEMA = json.dumps(made.schema())
NOT_FOUND = (404, {"error_code": 40403, "message": "Schema not found"})


class Standing:
    """A clock that is set by hand."""

    def __init__(self):
        self.time = 1_000

    def now(self):
        return self.time


class Server:
    """Answers every GET with `answer`, and keeps the requests' paths and Authorization headers."""

    def __init__(self):
        self.answer = NOT_FOUND
        self.requests = []
        server = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                server.requests.append((self.path, self.headers.get("Authorization")))
                status, body = server.answer
                content = body if isinstance(body, bytes) else json.dumps(body).encode()
                self.send_response(status)
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, *_):
                """Quiet."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,))
        self._thread.start()
        self.port = self._server.server_address[1]
        self.url = f"http://127.0.0.1:{self.port}"

    def close(self):
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


@pytest.fixture
def server():
    running = Server()
    yield running
    running.close()


@pytest.fixture
def clock():
    return Standing()


@pytest.fixture
def asked(clock):
    """Makes registries, and closes them after the test."""
    opened = []

    def make(url, **settings):
        opened.append(Registry(RegistrySettings(url=url, **settings), clock))
        return opened[-1]

    yield make
    for registry in opened:
        registry.close()


def test_a_schema_is_asked_for_once_by_its_id_alone(server, asked, clock):
    """What was found is kept for ever."""
    server.answer = (200, {"schema": SCHEMA})
    registry = asked(server.url)
    assert registry.text(7) == SCHEMA
    server.answer = (500, {})
    clock.time += 10**10
    assert registry.text(7) == SCHEMA
    assert server.requests == [("/schemas/ids/7", None)]


def test_an_unknown_id_is_asked_for_again_after_a_minute(server, asked, clock):
    """A 404 with the registry's code is unknown; within 60 s it is not asked for again, after that it is."""
    registry = asked(server.url)
    for later in (0, 59_999):
        clock.time = 1_000 + later
        with pytest.raises(UnknownSchema, match="not in the registry"):
            registry.text(7)
    assert len(server.requests) == 1
    clock.time = 61_000
    with pytest.raises(UnknownSchema):
        registry.text(7)
    assert len(server.requests) == 2
    server.answer = (200, {"schema": SCHEMA})
    clock.time = 0  # the system's clock was set back
    assert registry.text(7) == SCHEMA


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        ((500, {"error_code": 50001}), "HTTP 500"),
        ((503, b"<html>"), "HTTP 503"),
        ((429, {}), "HTTP 429"),
        ((401, {"error_code": 401}), "refused the log-in"),
        ((403, b""), "forbids"),
        ((404, b"<html>"), "no schema registry"),
        ((404, {"error_code": 404}), "no schema registry"),
        ((302, b""), "HTTP 302"),
        ((200, b"<html>"), "no schema"),
        ((200, b""), "no schema"),
        ((200, b"[]"), "no schema"),
    ],
)
def test_an_answer_that_settles_nothing(server, asked, answer, words):
    """Anything but a schema or the registry's own 404 is one line with the address, and is tried again."""
    registry = asked(server.url)
    server.answer = answer
    with pytest.raises(RegistryUnreachable, match=words) as caught:
        registry.text(7)
    assert server.url in str(caught.value)
    assert "\n" not in str(caught.value)
    server.answer = (200, {"schema": SCHEMA})
    assert registry.text(7) == SCHEMA


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        ({"schema": SCHEMA, "references": [{"name": "a", "subject": "b", "version": 1}]}, "refers to other"),
        ({"schema": "{}", "schemaType": "JSON"}, "not an Avro schema"),
        ({}, "no text"),
    ],
)
def test_schemas_that_are_not_supported(server, asked, answer, words):
    """A schema that needs others, or is not Avro, is unknown, and says so."""
    server.answer = (200, answer)
    with pytest.raises(UnknownSchema, match=words):
        asked(server.url).text(7)


def test_nobody_listens(asked):
    """An address without a registry, or without a host, is one line that names it."""
    address = f"http://127.0.0.1:{free_port()}/base"
    with pytest.raises(RegistryUnreachable, match="not reachable") as caught:
        asked(address).text(7)
    assert address in str(caught.value)
    with pytest.raises(RegistryUnreachable, match="not reachable"):
        asked("http://nowhere.invalid").text(7)


def test_addresses_are_shown_without_credentials():
    """Neither user, password nor query of an address shows."""
    assert without_credentials("https://me:sec@ret@host:81/base?key=k") == "https://host:81/base"


def test_the_password_is_read_anew_after_a_refused_log_in(server, asked, tmp_path):
    """A rotated password is taken up, a missing file is a reason to wait, and neither shows in an error."""
    path = tmp_path / "password"
    registry = asked(server.url, username="me", password_file=path)
    with pytest.raises(RegistryUnreachable, match="password"):
        registry.text(7)
    assert server.requests == []
    for password, answer in (("first", (401, {})), ("second", (200, {"schema": SCHEMA}))):
        path.write_text(password + "\n")
        server.answer = answer
        if answer[0] == 200:
            assert registry.text(7) == SCHEMA
        else:
            with pytest.raises(RegistryUnreachable) as caught:
                registry.text(7)
            assert password not in str(caught.value)
        expected = base64.b64encode(f"me:{password}".encode()).decode()
        assert server.requests[-1] == ("/schemas/ids/7", f"Basic {expected}")


@pytest.mark.failure(32)
def test_decoding_waits_for_the_registry(registry, asked):
    """While the registry is down nothing is decided; once it is up, the same values are read."""
    registry.schemas[7] = SCHEMA
    values = [judge.framed(made.schema(), event) for event in made.make(made.Load(events=10), 1)]
    values[3] = b"\0\0\0\0\x08" + values[3][5:]
    stream = Stream(name="s", topics=("t",), format="avro-confluent", segment_namespace="ep")
    decoder = decoder_for(stream, asked(registry.url))
    registry.stop()
    with pytest.raises(RegistryUnreachable):
        decoder.decode(values)
    registry.start()
    decoded = decoder.decode(values)
    assert [(refusal.index, refusal.reason) for refusal in decoded.refused] == [(3, Reason.UNKNOWN_SCHEMA)]
    assert decoded.refused[0].detail == "schema id 8: not in the registry"
    assert len(decoded.events) == 9
    registry.stop()
    assert len(decoder.decode(values).events) == 9
    assert sorted(registry.requests) == [7, 8]


@pytest.mark.failure(38)
def test_a_name_service_that_never_answers(monkeypatch):
    """The ingest thread waits for it no longer than for the registry; then the question stands again."""
    monkeypatch.setattr(module, "TIMEOUT", 300)
    answer, asked = threading.Event(), []

    def look_up(host, port):
        asked.append((host, port))
        answer.wait()
        return []

    settings = RegistrySettings(url="https://registry.example.com/path")
    registry = Registry(settings, Standing(), NameService(look_up))
    for _ in range(2):
        with pytest.raises(RegistryUnreachable) as failure:
            registry.text(7)
        assert str(failure.value) == (
            "schema registry https://registry.example.com/path cannot be asked: the name service gives no "
            "answer within 0.3 s; check this machine's resolver"
        )
    assert asked == [("registry.example.com", 443)]
    answer.set()
