"""The endpoint as browsers meet it, and those who are none."""

import contextlib
import socket
import sqlite3
import time
from urllib.parse import quote

import pytest
from structlog.testing import capture_logs

from bridge.sync.endpoint import GIF
from bridge.sync.mapping import Consent
from bridge.sync.signature import sign
from tests.parts.waiting import until
from tests.sync.serving import KEY, MM_UUID, serving
from tests.sync.tc_strings import tc_string

VISIT = f"/sync?mmuuid={MM_UUID}&dc=ewr"
COOKIE = {"Cookie": "s2s_id=p1"}


@pytest.fixture
def site(tmp_path):
    with serving(tmp_path) as one:
        yield one


def signed(partner_id="p9", seconds=60):
    expires = int(time.time()) + seconds
    signature = sign("acme", partner_id, expires, KEY.encode())
    return f"&id={partner_id}&expires={expires}&signature={signature}"


def raw(site, request, seconds=20):
    """All that is answered to these bytes until the connection ends."""
    answer = b""
    with (
        socket.create_connection(("127.0.0.1", site.service.port), seconds) as connection,
        contextlib.suppress(ConnectionError),
    ):
        connection.sendall(request)
        while more := connection.recv(65_536):
            answer += more
    return answer


@contextlib.contextmanager
def full_disk(site):
    """Another process writes into the file, and does not end."""
    with contextlib.closing(sqlite3.connect(site.file, isolation_level=None)) as connection:
        connection.execute("BEGIN IMMEDIATE")
        yield


def test_a_new_browser_is_given_an_id_shows_it_and_is_stored(site):
    """Two requests the first time: to the same place again, with the cookie; the mapping has that id."""
    first = site.ask(VISIT)
    assert (first.status, site.stored()) == (302, [])
    (cookie,) = first.headers.get_all("set-cookie")
    assert cookie.endswith("; Max-Age=31536000; Path=/; Secure; HttpOnly; SameSite=None")
    again = "/sync" + first.headers["location"]
    second = site.ask(again, Cookie=cookie.split(";")[0])
    assert (second.status, second.body, second.cookies) == (200, GIF, {})
    (stored,) = site.stored()
    assert (stored.namespace, stored.mm_uuid, stored.data_centre) == ("acme", MM_UUID, "ewr")
    assert stored.partner_id == first.cookies["s2s_id"]
    assert abs(stored.synced_at - time.time() * 1000) < 60_000
    assert site.outcomes() == {"cookie_set": 1, "stored": 1}
    assert site.outcomes("syncs_stored") == {"ewr": 1}


def test_ids_that_are_made_cannot_be_guessed(site):
    """Each is another, of 128 bits."""
    made = {site.ask(VISIT).cookies["s2s_id"] for _ in range(50)}
    assert len(made) == 50
    assert all(len(one) == 22 for one in made)


def test_a_browser_that_keeps_no_cookie_is_not_sent_around(site):
    """After one more request it has its image, and nothing is stored."""
    answer = site.ask("/sync" + site.ask(VISIT).headers["location"])
    assert (answer.status, answer.body, answer.cookies) == (200, GIF, {})
    assert site.outcomes() == {"cookie_set": 1, "cookie_refused": 1}
    assert site.stored() == []


@pytest.mark.parametrize(
    ("query", "headers", "kind"),
    [
        ("", {}, "image/gif"),
        ("", {"Sec-Fetch-Dest": "image"}, "image/gif"),
        ("", {"Sec-Fetch-Dest": "script"}, "text/javascript; charset=utf-8"),
        ("&kind=js", {}, "text/javascript; charset=utf-8"),
        ("&kind=other", {}, "image/gif"),
        ("&dc=twice", {"Sec-Fetch-Dest": "script"}, "text/javascript; charset=utf-8"),
    ],
)
def test_the_answer_is_what_the_browser_loads(site, query, headers, kind):
    """An empty script or an image, of which no browser keeps anything, and which any page may load."""
    answer = site.ask(VISIT + query, **COOKIE, **headers)
    assert (answer.status, answer.headers["content-type"]) == (200, kind)
    assert answer.body == (GIF if kind == "image/gif" else b"")
    expected = {"cache-control": "no-store", "cross-origin-resource-policy": "cross-origin"}
    expected |= {
        "x-content-type-options": "nosniff",
        "referrer-policy": "no-referrer",
        "server": "s2s-bridge",
    }
    assert {name: answer.headers[name] for name in expected} == expected


@pytest.mark.parametrize(
    ("path", "headers", "outcome"),
    [
        ("/sync", {}, "no_mm_uuid"),
        ("/sync?mmuuid=[MM_UUID]&dc=[MT_DC]", COOKIE, "unreplaced_macro"),
        ("/sync?mmuuid=00000000-0000-0000-0000-000000000000", COOKIE, "zero_mm_uuid"),
        ("/sync?mmuuid=1", COOKIE, "invalid_mm_uuid"),
        (VISIT + "&gdpr=1", {}, "no_consent"),
        (VISIT + "&gdpr=1&gdpr_consent=x", COOKIE, "consent_unreadable"),
        (VISIT + "&us_privacy=1YYN", {}, "us_privacy"),
        (VISIT, {"Sec-GPC": "1"}, "gpc"),
        (VISIT, COOKIE | {"Sec-GPC": "1"}, "gpc"),
        (VISIT, {"Cookie": "s2s_id=p1; s2s_id_opt_out=1"}, "opted_out"),
        (VISIT, {"Cookie": "s2s_id=a b"}, "invalid_partner_id"),
        (VISIT + "&id=p9&expires=1&signature=0", COOKIE, "bad_signature"),
        (VISIT + signed(seconds=-1), COOKIE, "signature_expired"),
        (VISIT + "&mmuuid=" + MM_UUID, COOKIE, "malformed_query"),
        (VISIT + "&id=%ff", COOKIE, "malformed_query"),
        (VISIT + "&a" * 5_000, COOKIE, "malformed_query"),
    ],
)
def test_a_visit_that_is_refused_gets_its_image_and_leaves_nothing(site, path, headers, outcome):
    """No page is disturbed, no cookie is set, nothing is stored; why is counted, and by that alone."""
    answer = site.ask(path, **headers)
    assert (answer.status, answer.body, answer.cookies) == (200, GIF, {})
    assert site.stored() == []
    assert site.outcomes() == {outcome: 1}


def test_a_signed_id_needs_no_cookie(site):
    """And sets none; the same parameters are good again until they expire."""
    for _ in range(2):
        answer = site.ask(VISIT + signed())
        assert (answer.status, answer.cookies) == (200, {})
    assert [one.partner_id for one in site.stored()] == ["p9"]
    assert site.outcomes() == {"stored": 2}


def test_a_consent_is_kept_with_what_decided_and_no_more(site):
    """Not the string itself, which tells who the user is, nearly."""
    site.ask(VISIT + "&gdpr=1&gdpr_consent=" + tc_string({1}, {7}), **COOKIE)
    assert [one.consent for one in site.stored()] == [Consent.TC_STRING]
    assert tc_string({1}, {7}).encode() not in site.file.read_bytes()


def test_a_store_that_fails_is_no_browsers_concern(site):
    """The image comes, the visit counts as not stored, and later ones are stored again without any help."""
    with full_disk(site), capture_logs() as lines:
        answer = site.ask(VISIT, **COOKIE)
        assert (answer.status, answer.body) == (200, GIF)
        assert site.outcomes() == {"not_stored": 1}
        until(lambda: "sync_store_works 0.0" in site.metrics(), "the store's failure")
    assert [line["event"] for line in lines] == ["sync_store_failed"]
    until(lambda: site.ask(VISIT, **COOKIE) and site.outcomes().get("stored"), "a visit that is stored")
    assert len(site.stored()) == 1
    assert "sync_store_works 1.0" in site.metrics()


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_an_opt_out_ends_the_cookie_and_stays(site, method):
    """A record without an MM UUID; the browser is marked, and its next visit is refused."""
    site.ask(VISIT, **COOKIE)
    answer = site.ask("/opt-out", method, **COOKIE)
    assert (answer.status, answer.body[:17]) == (200, b"You have opted ou")
    assert answer.cookies == {"s2s_id": "", "s2s_id_opt_out": "1"}
    assert answer.headers.get_all("set-cookie")[0].startswith("s2s_id=; Max-Age=0; Path=/; Secure; ")
    assert {(one.partner_id, one.mm_uuid) for one in site.stored()} == {("p1", MM_UUID), ("p1", None)}
    assert site.ask(VISIT, Cookie="s2s_id_opt_out=1").cookies == {}
    assert site.outcomes("opt_outs") == {"stored": 1}
    assert site.outcomes() == {"stored": 1, "opted_out": 1}


def test_an_opt_out_may_be_signed(site):
    """A link in a mail, for a browser that the partner does not know; one that does not hold is told."""
    assert site.ask("/opt-out?" + signed()[1:]).status == 200
    assert [(one.partner_id, one.mm_uuid) for one in site.stored()] == [("p9", None)]
    refused = site.ask("/opt-out?" + signed("p8", -1)[1:])
    assert (refused.status, refused.cookies) == (400, {})
    assert len(site.stored()) == 1
    assert site.outcomes("opt_outs") == {"stored": 1, "signature_expired": 1}


def test_an_opt_out_without_an_id_marks_the_browser(site):
    """There is nothing to forget, and nothing will be known."""
    answer = site.ask("/opt-out")
    assert (answer.status, answer.cookies) == (200, {"s2s_id": "", "s2s_id_opt_out": "1"})
    assert site.stored() == []
    assert site.outcomes("opt_outs") == {"no_partner_id": 1}


def test_an_opt_out_that_is_not_stored_is_not_claimed(site):
    """The person is asked to come again, and keeps the id that it needs for that."""
    with full_disk(site):
        answer = site.ask("/opt-out", **COOKIE)
    assert (answer.status, answer.cookies) == (503, {})
    assert site.outcomes("opt_outs") == {"not_stored": 1}


@pytest.mark.parametrize(
    ("path", "method", "status"),
    [
        *(("/metrics", "GET", 404), ("/healthz", "GET", 404), ("/readyz", "GET", 404), ("/", "GET", 404)),
        *(("/sync/", "GET", 404), ("//evil.com/sync", "GET", 404), ("/sync/../metrics", "GET", 404)),
        *(("http://evil.com/other", "GET", 404), ("/sync", "POST", 405), ("/opt-out", "DELETE", 405)),
    ],
)
def test_the_public_port_has_two_paths_alone(site, path, method, status):
    """What is none of them is a line that quotes nothing."""
    answer = site.ask(path, method)
    assert answer.status == status
    assert b"evil" not in answer.body
    assert answer.headers["location"] is None


def test_health_and_metrics_have_a_port_of_their_own(site):
    """Which answers no browser."""
    assert site.status("/healthz") == site.status("/readyz") == (200, "ok\n")
    assert site.status(VISIT)[0] == 404
    assert site.status("/metrics")[1].count("s2s_bridge_syncs_in_flight 0.0") == 1


@pytest.mark.parametrize(
    "more",
    ["redir=https://evil.com", "url=//evil.com", "exsync=https://evil.com", "returned=https://evil.com"],
)
def test_nobody_is_sent_anywhere_else(site, more):
    """The only redirect is to the same path, with our own parameters."""
    location = site.ask(f"{VISIT}&{more}").headers["location"]
    assert location is None or (location.startswith("?mmuuid=") and "evil" not in location)


@pytest.mark.parametrize(
    "evil", ["%0d%0aSet-Cookie:%20a=b", "%0aX: y", "\\r\\n", "%00", "%e5%98%8a%e5%98%8d"]
)
@pytest.mark.parametrize("name", ["dc", "gdpr_consent", "kind", "us_privacy"])
def test_no_parameter_becomes_a_header(site, name, evil):
    """Neither where the browser is sent back, nor elsewhere."""
    path = f"/sync?mmuuid={MM_UUID}&gdpr=0&{name}={evil.replace(' ', '%20')}"
    answer = site.ask(path)
    assert set(answer.headers.keys()) <= {
        *("date", "cache-control", "cross-origin-resource-policy", "referrer-policy", "server"),
        *("x-content-type-options", "location", "set-cookie", "content-length", "content-type"),
    }
    assert set(answer.cookies) <= {"s2s_id"}


@pytest.mark.parametrize(
    "request_bytes",
    [
        b"GET /sync?mmuuid=" + b"a" * 1_000_000 + b" HTTP/1.1\r\nHost: a\r\n\r\n",
        b"GET /sync?" + b"a=b&" * 10_000 + b" HTTP/1.1\r\nHost: a\r\n\r\n",
        b"GET /sync HTTP/1.1\r\nHost: a\r\nCookie: " + b"s2s_id=a; " * 10_000 + b"\r\n\r\n",
        b"GET /sync?\xff\xfe HTTP/1.1\r\nHost: a\r\n\r\n",
        b"GET /sync?a b HTTP/1.1\r\nHost: a\r\n\r\n",
        b"GET /sync HTTP/1.1\r\nHost: a\r\nX: a\r\x00b\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"\x00" * 100_000,
    ],
)
def test_what_is_no_request_is_refused_and_the_next_is_served(site, request_bytes):
    """It is not even looked at, or is a visit without an id; nothing of it is quoted or logged."""
    with capture_logs() as lines:
        answer = raw(site, request_bytes.replace(b"Host: a\r\n", b"Host: a\r\nConnection: close\r\n"))
    assert answer[:13] in {b"", b"HTTP/1.1 400 ", b"HTTP/1.1 431 ", b"HTTP/1.1 200 "}
    assert b"aaaa" not in answer
    assert lines == []
    assert site.ask(VISIT, **COOKIE).body == GIF


def test_slow_clients_keep_nobody_out(tmp_path):
    """Where there are too many, those that keep us waiting the longest are cut."""
    with serving(tmp_path, max_connections=8) as site, contextlib.ExitStack() as stack:
        for _ in range(30):
            slow = stack.enter_context(socket.create_connection(("127.0.0.1", site.service.port)))
            slow.sendall(b"GET /sync?mmuuid=")
        assert site.ask(VISIT, **COOKIE).body == GIF
        assert len(site.service._web._server.server_state.connections) <= 8


def test_a_connection_carries_many_visits(site):
    """As that of whatever speaks TLS before us."""
    request = f"GET {VISIT} HTTP/1.1\r\nHost: a\r\nCookie: s2s_id=p1\r\n\r\n".encode()
    last = request.replace(b"Host", b"Connection: close\r\nHost")
    assert raw(site, request * 20 + last).count(GIF) == 21
    assert site.outcomes() == {"stored": 21}


def test_no_id_is_told_in_log_or_metrics(site):
    """Neither the platform's nor the partner's, of whatever outcome."""
    with capture_logs() as lines:
        for path in (
            VISIT,
            VISIT + "&gdpr=1",
            f"/sync?mmuuid={quote('[MM_UUID]')}",
            VISIT + signed("p77777"),
        ):
            site.ask(path, Cookie="s2s_id=p66666")
        site.ask("/opt-out", Cookie="s2s_id=p66666")
    text = site.metrics() + repr(lines)
    assert not any(secret in text for secret in (MM_UUID, "p66666", "p77777", KEY))
