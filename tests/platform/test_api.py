"""Calls to a platform's API, against a real server that does to them whatever one may do."""

import base64
import datetime as dt
import json
import socket
import threading
from contextlib import closing
from email.utils import format_datetime

import pytest

from bridge.clock import MINUTE, SECOND, SystemClock
from bridge.name_service import NameService
from bridge.platform.api import Api, CallFailed, CallStopped, Limits, Outcome, Site
from bridge.platform.basic_auth import BasicAuth
from tests.parts.answering import Answering, raw, said
from tests.parts.certificates import certificate
from tests.parts.clocks import HandClock
from tests.parts.waiting import free_port, until

NOW = 1_793_491_200_000
HASTY = Limits(attempts=2, connect=500, silence=500, whole=800, bytes=100_000)
SECRET = "pass:wörd-9"
SETTING = "accounts[0].platform.processing_log"


class Caller:
    """Asks a server with a password; `clock` shows what was waited."""

    def __init__(self, directory, **more) -> None:
        self.clock = HandClock(NOW)
        self.stop = threading.Event()
        self.password_file = directory / "password"
        self.password_file.write_text(f"{SECRET}\n")
        self._more = {"limits": HASTY, "clock": self.clock, "stop": self.stop} | more

    def api(self, url: str) -> Api:
        site = Site(name="the processing log", url=url, setting=SETTING)
        return Api(site, auth=BasicAuth("agency", self.password_file), **self._more)

    def get(self, url: str) -> dict:
        with closing(self.api(url)) as api:
            return api.get("/log", {"offset": 100})

    def fails(self, url: str) -> CallFailed:
        with pytest.raises(CallFailed) as failure:
            self.get(url)
        return quiet(failure.value)

    def post_fails(self, url: str) -> CallFailed:
        with pytest.raises(CallFailed) as failure, closing(self.api(url)) as api:
            api.post("/new", {"name": "private"})
        return quiet(failure.value)


def quiet(failure: CallFailed) -> CallFailed:
    """One line that names the place and a setting, and neither secrets nor what was sent."""
    text = str(failure)
    assert text.startswith("the processing log at http")
    assert SETTING in text or "; try again in a while" in text or "resolver" in text or "stops" in text
    for hidden in (SECRET, base64.b64encode(f"agency:{SECRET}".encode()).decode(), "private", "\n", "  "):
        assert hidden not in text
    return failure


@pytest.fixture
def caller(tmp_path):
    return Caller(tmp_path)


def test_a_question_is_asked_with_its_parameters_and_credentials(caller):
    """Path and parameters as given, Basic authentication by RFC 7617, JSON wanted and given."""
    with Answering(said({"data": []})) as server:
        assert caller.get(server.url + "/base") == {"data": []}
    (asked,) = server.asked
    assert (asked.method, asked.target) == ("GET", "/base/log?offset=100")
    assert asked.headers["authorization"] == "Basic " + base64.b64encode(f"agency:{SECRET}".encode()).decode()
    assert asked.headers["accept"] == "application/json"


@pytest.mark.failure(64)
def test_a_rotated_password_is_taken_up_at_the_next_call(caller):
    """The file is read at each call; where it is gone, the call fails and names it, and nothing is sent."""
    with Answering(said({})) as server, closing(caller.api(server.url)) as api:
        api.get("/log")
        caller.password_file.write_text("new")
        api.get("/log")
        caller.password_file.unlink()
        with pytest.raises(CallFailed, match=r"cannot read .*password.*; see that it is there") as failure:
            api.get("/log")
    assert failure.value.outcome is Outcome.NOT_DONE
    encoded = [one.headers["authorization"].split()[1] for one in server.asked]
    assert [base64.b64decode(one).decode() for one in encoded] == [f"agency:{SECRET}", "agency:new"]


@pytest.mark.failure(64)
@pytest.mark.parametrize(
    ("status", "words"),
    [
        (401, "refuses the log-in (HTTP 401); see the credentials"),
        (403, 'refuses (HTTP 403, "no-such: You may not"); see'),
        (404, 'refuses (HTTP 404, "no-such: You may not"); see'),
        (409, 'refuses (HTTP 409, "no-such: You may not"); see'),
        (302, "sends to another address (HTTP 302)"),
        (304, "refuses (HTTP 304"),
    ],
)
def test_a_refusal_is_told_at_once(caller, status, words):
    """It does not pass by itself: asked once, and what the platform says is repeated, but for a log-in."""
    errors = {"errors": [{"code": "no-such", "message": "You may not"}]}
    with Answering(said(errors, status, Location="/elsewhere")) as server:
        failure = caller.fails(server.url)
        assert caller.post_fails(server.url).outcome is Outcome.REFUSED
    assert words in str(failure)
    assert (failure.status, failure.passing, failure.outcome) == (status, False, Outcome.REFUSED)
    assert len(server.asked) == 2


def test_a_redirect_is_not_followed(caller):
    """The credentials never go to another address."""
    with Answering(said({})) as other, Answering(said(b"", 307, Location=other.url)) as server:
        failure = caller.fails(server.url)
    assert f"{SETTING}.url" in str(failure)
    assert (len(server.asked), other.asked) == (1, [])


def test_what_the_platform_says_is_clipped_and_printable(caller):
    """A fault's words are repeated in one line, and no more of them than a line holds."""
    errors = {"errors": [{"code": "a\nb\x1b[1m", "message": "long " * 1_000}]}
    with Answering(said(errors, 400)) as server:
        failure = caller.fails(server.url)
    assert '"a b [1m: long long' in str(failure)
    assert len(str(failure)) < 500
    assert failure.code == "a b [1m"


@pytest.mark.parametrize("errors", [[], {}, [{}], [[]], "x", None, [{"code": 7, "message": []}]])
def test_a_fault_in_other_words_is_still_one(caller, errors):
    """Whatever stands where the platform's errors should."""
    with Answering(said({"errors": errors}, 400)) as server:
        assert str(caller.fails(server.url)).endswith(f"refuses (HTTP 400); see {SETTING}")


@pytest.mark.failure(64)
@pytest.mark.parametrize("status", [408, 429, 500, 502, 503, 504, 524])
def test_what_may_pass_is_asked_again(caller, status):
    """A question is answered in the end; where it never is, the failure says so, after all attempts."""
    with Answering(said({}, status), said({"data": [1]})) as server:
        assert caller.get(server.url) == {"data": [1]}
    with Answering(said(b"<html>", status)) as server:
        failure = caller.fails(server.url)
    assert f"is busy or ill (HTTP {status}); try again in a while" in str(failure)
    assert (failure.passing, failure.outcome, len(server.asked)) == (True, Outcome.NOT_DONE, 2)


def test_a_change_is_said_again_only_where_it_was_not_heard(caller):
    """After 429 it was not done; after 5xx or a lost answer nobody knows, and it is not said twice.

    Neither does anybody after 524, a proxy's word for an answer that it did not wait for, and 303.
    """
    with Answering(said({}, 429), said({"id": 1})) as server, closing(caller.api(server.url)) as api:
        assert api.post("/new", {"name": "ü"}) == {"id": 1}
    assert [json.loads(one.body) for one in server.asked] == [{"name": "ü"}] * 2
    for answer in (
        said({}, 503),
        said({}, 500),
        said({}, 524),
        said({}, 303, Location="/new/1"),
        raw(b""),
        raw(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{"),
    ):
        with Answering(answer) as server:
            assert caller.post_fails(server.url).outcome is Outcome.UNKNOWN
        assert len(server.asked) == 1
    assert caller.post_fails(f"http://127.0.0.1:{free_port()}").outcome is Outcome.NOT_DONE


@pytest.mark.parametrize("written", ["30", "date"])
def test_retry_after_is_obeyed(caller, written):
    """Nothing is asked again before the platform wants it, whether it tells seconds or a date."""
    if written == "date":
        moment = dt.datetime.fromtimestamp(NOW / SECOND, dt.UTC) + dt.timedelta(seconds=30)
        written = format_datetime(moment, usegmt=True)
    asked_at = []

    def note(answer):
        def noted(connection):
            asked_at.append(caller.clock.now())
            answer(connection)

        return noted

    with Answering(note(said({}, 429, Retry_After=written)), note(said({}))) as server:
        caller.get(server.url)
    assert asked_at[1] - asked_at[0] >= 29 * SECOND


@pytest.mark.parametrize("written", ["3600", "999999999"])
def test_a_long_retry_after_is_told_and_not_waited_for(caller, written):
    """Longer than our patience: the failure says how long, so that whoever asked obeys it."""
    with Answering(said({}, 503, Retry_After=written)) as server:
        failure = caller.fails(server.url)
    assert (failure.after, len(server.asked)) == (int(written) * SECOND, 1)
    assert caller.clock.now() - NOW < MINUTE


@pytest.mark.parametrize("written", ["soon", "-5", "9" * 5_000, "Thu, 99 Foo 2026", "1e3", "\xb2"])
def test_a_retry_after_that_says_nothing_is_none(caller, written):
    """Garbage there is neither obeyed nor a fault of its own."""
    with Answering(said({}, 429, Retry_After=written), said({"data": 1})) as server:
        assert caller.get(server.url) == {"data": 1}


@pytest.mark.parametrize(
    "body",
    [
        b"<html>",
        b"",
        b"[]",
        b"7",
        b"null",
        b'{"data": ',
        b"\xff\xfe",
        b"[" * 90_000,
        b'{"a":' * 20_000,
        b"9" * 9_999,
    ],
)
def test_what_is_no_json_object_is_a_failure(caller, body):
    """One line names the setting to look at, whatever was there instead."""
    with Answering(said(body)) as server:
        failure = caller.fails(server.url)
    assert f"answers with no JSON object (HTTP 200); see that {SETTING} is right" in str(failure)
    assert (failure.outcome, len(server.asked)) == (Outcome.NOT_DONE, 1)


def test_an_answer_that_is_too_large_is_left(caller):
    """A gigabyte is not taken into memory: it is given up soon behind the limit."""
    sent = []

    def flood(connection):
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000000\r\n\r\n")
        for _ in range(1_000):
            connection.sendall(b"x" * 1_000_000)
            sent.append(1)

    with Answering(flood) as server:
        failure = caller.fails(server.url)
    assert "answers with more than 100,000 bytes" in str(failure)
    assert len(sent) < 100


@pytest.mark.parametrize(
    "first", [b"", b"HTTP/1.1 200 OK\r\nX: ", b"HTTP/1.1 200 OK\r\nContent-Length: 9999\r\n\r\n{"]
)
def test_an_answer_that_drips_is_left(caller, first):
    """However steadily bytes come, of headers too: a call ends, and what is left of it ends as well."""
    before = threading.active_count()
    with Answering() as server:
        server.answers.append(server.dripping(first))
        failure = caller.fails(server.url)
    if first:
        assert "gives no whole answer in time" in str(failure)
    assert (failure.passing, len(server.asked)) == (True, 2)
    until(lambda: threading.active_count() <= before, "the threads of the calls to end")


@pytest.mark.failure(64)
def test_a_silent_server_is_given_up(caller):
    """It takes the request and says nothing."""
    with Answering() as server:
        server.answers.append(server.never)
        failure = caller.fails(server.url)
    assert "gives no whole answer in time" in str(failure)
    assert len(server.asked) == 2


@pytest.mark.parametrize(
    "content", [b"", b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n{", b"garbage\r\n\r\n", b"HTTP/1"]
)
def test_a_cut_connection_is_told(caller, content):
    """Before the answer or within it, or where what comes is no HTTP; a question is asked again."""
    with Answering(raw(content)) as server:
        failure = caller.fails(server.url)
    assert "breaks the connection off" in str(failure)
    assert (failure.passing, failure.outcome, len(server.asked)) == (True, Outcome.NOT_DONE, 2)


def test_nobody_there(caller):
    """A refused connection, a name that nobody knows, an address that is none."""
    for url in (f"http://127.0.0.1:{free_port()}", "http://nowhere.invalid"):
        failure = caller.fails(url)
        assert f"is not reachable; see that it runs, and {SETTING}.url" in str(failure)
        assert (failure.passing, failure.outcome) == (True, Outcome.NOT_DONE)


def test_a_name_service_that_hangs_holds_nobody_up(tmp_path):
    """It is waited for as long as connecting may take, and told."""
    over = threading.Event()
    caller = Caller(tmp_path, names=NameService(lambda *_: over.wait() and []))
    failure = caller.fails("http://platform.example")
    over.set()
    assert "cannot be asked: the name service gives no answer within 0.5 s" in str(failure)
    assert failure.outcome is Outcome.NOT_DONE


@pytest.mark.parametrize("where", ["pause", "answer", "name"])
def test_a_stop_ends_a_call_wherever_it_is(tmp_path, where):
    """In the pause before it is asked again, in the wait for an answer, at the name service: at once."""
    over, patient = threading.Event(), Limits(silence=10 * MINUTE, whole=10 * MINUTE, connect=10 * MINUTE)
    names = NameService(lambda *_: over.wait() and []) if where == "name" else None
    caller = Caller(tmp_path, names=names, clock=SystemClock(), limits=patient)
    failures = []

    def ask(url: str) -> None:
        failures.append(caller.fails(url))

    with Answering() as server:
        server.answers.append(server.never if where == "answer" else said({}, 503, Retry_After="59"))
        thread = threading.Thread(target=ask, args=(server.url,))
        thread.start()
        until(lambda: server.asked or where == "name", "the question")
        caller.stop.set()
        thread.join(20)
        over.set()
    (failure,) = failures
    assert isinstance(failure, CallStopped)
    assert "the process stops" in str(failure)
    assert failure.outcome is Outcome.NOT_DONE


def test_a_certificate_that_nobody_vouches_for_is_told(caller, tmp_path):
    """The credentials stay here, and the message says that the certificate is the matter."""
    with Answering(said({}), tls=certificate(tmp_path, "127.0.0.1")) as server:
        failure = caller.fails(server.url)
        assert "shows a certificate that is not accepted" in str(failure)
        assert (failure.passing, failure.outcome, server.asked) == (False, Outcome.NOT_DONE, [])


def test_a_certificate_that_this_machine_trusts_is_accepted(caller, tmp_path, monkeypatch):
    """`SSL_CERT_FILE`, as programs have it, is where a company's own authority stands."""
    context = certificate(tmp_path, "127.0.0.1")
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "certificate"))
    with Answering(said({"data": 1}), tls=context) as server:
        assert caller.get(server.url) == {"data": 1}


def test_a_port_without_tls_is_told(caller):
    """A server that speaks http is asked by https: the message says where to look."""
    with Answering(raw(b"HTTP/1.1 400 Bad Request\r\n\r\n")) as server:
        failure = caller.fails(server.url.replace("http:", "https:"))
    assert f"does not speak TLS as it should; see scheme and port of {SETTING}.url" in str(failure)


def test_calls_keep_their_distance(caller):
    """No more of them in a second than allowed."""
    with Answering(said({})) as server, closing(caller.api(server.url)) as api:
        for _ in range(6):
            api.get("/log")
    assert caller.clock.now() - NOW == 5 * SECOND // HASTY.per_second


def test_the_connection_is_kept_between_calls(caller):
    """A server that keeps it open meets one client, once."""
    accepted = []

    def two(connection: socket.socket) -> None:
        accepted.append(connection)
        answer = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"
        connection.sendall(answer)
        connection.recv(65_536)
        connection.sendall(answer)

    with Answering(two) as server, closing(caller.api(server.url)) as api:
        assert [api.get("/log"), api.get("/log")] == [{}, {}]
    assert len(accepted) == 1
