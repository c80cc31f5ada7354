"""Faults on demand of both APIs: what the client sees, and what was done all the same."""

import json
from pathlib import Path

import httpx2 as httpx
import pytest

from bridge.sandbox.control import FAULTS
from bridge.sandbox.faults import Api, Fault, Faults, Kind
from bridge.sandbox.login import TOKEN_PATH
from bridge.sandbox.settings import LOG_PATH
from tests.parts.segments import EVERY, EXAMPLE, SegmentsSite, refused
from tests.parts.waiting import until

NOTHING_DONE = {
    Kind.FORBIDDEN: (403, "forbidden"),
    Kind.NOT_FOUND: (404, "not-found"),
    Kind.CONFLICT: (409, "conflict"),
    Kind.TOO_MANY_REQUESTS: (429, "too-many-requests"),
    Kind.TOO_MANY_WRITES: (429, "too-many-concurrent-writes"),
    Kind.SERVER_ERROR: (500, "internal-server-error"),
    Kind.UNAVAILABLE: (503, "service-unavailable"),
}


CUT = (httpx.RemoteProtocolError, httpx.ReadError)
"""What a client sees of a connection that was cut."""


@pytest.mark.parametrize("kind", list(NOTHING_DONE))
def test_a_refusal_on_demand(segments: SegmentsSite, kind: Kind):
    """Status and code, Retry-After where the platform sends it, and nothing is done; the next request is."""
    with segments.running():
        segments.plan(kind, 2, seconds=7)
        for _ in range(2):
            answer = segments.post(EXAMPLE)
            assert refused(answer, *NOTHING_DONE[kind])
            retry = kind in (Kind.TOO_MANY_REQUESTS, Kind.UNAVAILABLE)
            assert answer.headers.get("Retry-After") == ("7" if retry else None)
        assert segments.one.taxonomies == ()
        segments.created()
        assert segments.one.writes.created == 1


def test_a_token_that_expires_early(segments: SegmentsSite):
    """401, and again 401 with the same token, until a new one is brought."""
    with segments.running():
        segments.plan(Kind.UNAUTHORIZED)
        assert refused(segments.post(EXAMPLE), 401, "unauthorized")
        assert refused(segments.post(EXAMPLE), 401, "expired")
        segments.log_in()
        segments.created()


def test_an_answer_that_is_no_json(segments: SegmentsSite):
    """200 with HTML, and nothing is done."""
    with segments.running():
        segments.plan(Kind.NOT_JSON)
        answer = segments.post(EXAMPLE)
        assert answer.status_code == 200
        with pytest.raises(json.JSONDecodeError):
            answer.json()
        assert segments.one.taxonomies == ()


@pytest.mark.parametrize(("kind", "done"), [(Kind.CUT_BEFORE, 0), (Kind.CUT_AFTER, 1), (Kind.CUT_WITHIN, 1)])
def test_a_connection_that_is_cut(segments: SegmentsSite, kind: Kind, done: int):
    """The client sees no whole answer, of a creation nor of an update; what is held tells what was done."""
    with segments.running():
        segments.plan(kind)
        with pytest.raises(CUT):
            segments.post(EXAMPLE)
        assert (segments.one.writes.created, len(segments.one.taxonomies)) == (done, done)
        if not done:
            segments.created()
        segments.plan(kind)
        with pytest.raises(CUT):
            segments.post({"audience_vendor_id": 2468, "taxonomy": {"children": []}}, f"{EVERY}/100123")
        assert segments.one.writes.updated == done
        left = segments.get(f"{EVERY}/100123").json()["data"]["taxonomy"]["children"]
        assert len(left) == (0 if done else 2)


def test_a_slow_write_is_done_though_its_client_is_gone(segments: SegmentsSite):
    """Who does not wait for the answer cannot know; no other write begins meanwhile."""
    with segments.running():
        segments.plan(Kind.SLOW, seconds=2)
        with pytest.raises(httpx.ReadTimeout):
            segments.post(EXAMPLE, timeout=0.3)
        assert segments.one.taxonomies == ()
        assert refused(segments.post(EXAMPLE), 429, "too-many-concurrent-writes")
        until(lambda: segments.one.writes.created == 1, "the slow write")


def test_half_an_answer(segments: SegmentsSite):
    """Its head says how long it is; half of it comes."""
    with segments.running():
        segments.created()
        whole = segments.get()
        segments.plan(Kind.CUT_WITHIN)
        came: list[bytes] = []
        with segments.http.stream("GET", segments.url(EVERY)) as answer:
            assert (answer.status_code, answer.headers["Content-Length"]) == (200, str(len(whole.content)))
            with pytest.raises(httpx.RemoteProtocolError):
                came.extend(answer.iter_bytes())
        assert b"".join(came) == whole.content[: len(whole.content) // 2]


@pytest.mark.parametrize("kind", [Kind.CUT_BEFORE, Kind.CUT_AFTER, Kind.CUT_WITHIN])
def test_the_logs_connection_is_cut_too(segments: SegmentsSite, kind: Kind):
    """By a fault without an API, which is the log's; the other API does not meet it."""
    with segments.running():
        segments.one.faults.plan(Fault(kind=kind))
        segments.created()
        log = {"url": segments.url(LOG_PATH, ""), "auth": ("u", segments.place.password)}
        with pytest.raises(CUT):
            segments.http.get(**log)
        assert segments.http.get(**log).json()["data"] == []


def test_log_in_meets_faults_of_its_own(segments: SegmentsSite):
    """A token's request that is cut when a token was given, one that is told to wait, then a good one."""
    with segments.running(logged_in=False):
        for kind in (Kind.CUT_AFTER, Kind.UNAVAILABLE):
            segments.one.faults.plan(Fault(kind=kind, api=Api.LOGIN))
        with pytest.raises(CUT):
            segments.token()
        assert refused(segments.token(), 503, "service-unavailable")
        assert segments.token().status_code == 200


def test_the_control_plans_for_an_api_and_for_writes(segments: SegmentsSite):
    """`api` and `writes` by HTTP; what is neither is told."""
    with segments.running(control=True):
        control = segments.url(FAULTS, "")
        asked = {"fault": "conflict", "api": "audience_segments", "writes": True}
        assert segments.http.post(control, json=asked).status_code == 200
        assert segments.get().status_code == 200
        assert refused(segments.post(EXAMPLE), 409, "as it was asked for")
        for bad in ({"api": "x"}, {"api": []}, {"api": None}):
            answer = segments.http.post(control, json=asked | bad)
            assert refused(answer, 400, "audience_segments")


def test_a_fault_is_met_by_whom_it_is_for():
    """In the order of planning, each API apart; a fault of writes waits for one, and holds no other up."""
    faults = Faults()
    api = Api.AUDIENCE_SEGMENTS
    write, any_, log = (
        Fault(kind=Kind.SLOW, api=api, writes=True),
        Fault(kind=Kind.CONFLICT, api=api),
        Fault(kind=Kind.NOT_JSON),
    )
    for one in (write, log, any_, any_):
        faults.plan(one)
    assert faults.take(api) == any_
    assert faults.take(Api.LOGIN) is None
    assert faults.take(api, write=True) == write
    assert faults.take() == log
    assert faults.take() is None
    assert faults.take(api, write=True) == any_
    assert faults.planned == 0


def test_nobody_meets_a_fault_unless_logged_in(segments: SegmentsSite):
    """A request that is refused anyway leaves it for the one that it was planned for."""
    with segments.running(logged_in=False):
        segments.plan(Kind.CONFLICT)
        assert segments.get().status_code == 401
        assert segments.http.post(segments.url(TOKEN_PATH, "")).status_code == 403
        assert segments.one.faults.planned == 1


def test_the_seeds_example_is_what_is_posted():
    """What these tests post is the seed's creation example, to the letter."""
    path = Path(__file__).parents[1] / "taxonomy" / "fixtures" / "seed_example.json"
    assert json.loads(path.read_text()) == EXAMPLE
