"""The client of the Audience Segments API, against the stand-in, and a server that does whatever one may."""

import json
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import pytest

from bridge.clock import HOUR, SECOND
from bridge.config import PlatformSettings, load
from bridge.errors import BridgeError
from bridge.platform.api import CallFailed, Outcome
from bridge.platform.plan import planned
from bridge.platform.segments import taxonomies
from bridge.sandbox.faults import Kind
from bridge.sandbox.taxonomies.settings import Needs
from bridge.taxonomy import Node, Rules, Taxonomy, creation, read
from tests.parts.answering import Answering, said
from tests.parts.segments import EXAMPLE, START
from tests.parts.vendor import SETTING, Vendor
from tests.parts.waiting import free_port

FILES = Path(__file__).parents[1] / "taxonomy" / "fixtures"
ACME = read(FILES / "seed_example.yaml", Rules()).taxonomy


def test_create_get_update_list_grants(vendor: Vendor):
    """All five calls; what is got has the ids that an update names."""
    with vendor.running(), vendor.client() as client:
        taxonomy_id = client.create(ACME)
        held = client.get(taxonomy_id)
        assert (held.id, held.taxonomy.root.name) == (100123, ACME.root.name)
        assert held.taxonomy.permissions == ACME.permissions
        assert held.updated_on == "2026-11-01T00:00:00Z"
        assert creation(held.taxonomy)["taxonomy"]["children"][0] | {"wholesale_cpm": 0} == (
            EXAMPLE["taxonomy"]["children"][0] | {"wholesale_cpm": 0}
        )
        client.update(held.taxonomy)
        assert client.get(taxonomy_id).fingerprint == held.fingerprint
        other = client.create(
            Taxonomy(root=Node(name="Отель", children=(Node(name="Food"),)), vendor_id=1234)
        )
        assert [one.id for one in client.list().taxonomies] == [100123, other]
        assert [one.id for one in client.list(name="Отель").taxonomies] == [other]
        assert client.list(name="Food").taxonomies == ()
        assert [one.id for one in client.list(like="foo").taxonomies] == [other]
        assert [one.id for one in client.list(buyable=True).taxonomies] == [100123]
        assert client.list(buyable=True, like="foo").taxonomies == ()
        assert client.grants(1234) == ACME.permissions
        assert (vendor.one.writes.created, vendor.one.writes.updated) == (2, 1)


@pytest.mark.parametrize(
    "name",
    [
        "\u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645",
        "Prix\u00a0: 5 \u20ac",
        "\u5e74\u9f62\u300030",
        "A &amp; B | C",
    ],
)
def test_a_taxonomy_is_found_by_any_name_that_a_file_may_have(vendor: Vendor, name: str):
    """Else it would be created once more: with joiners, spaces of other widths, what looks like an entity."""
    with vendor.running(), vendor.client() as client:
        taxonomy_id = client.create(Taxonomy(root=Node(name=name), vendor_id=1234))
        assert [one.id for one in client.list(name=name).taxonomies] == [taxonomy_id]


def test_the_seeds_creation_is_posted_exactly(vendor: Vendor):
    """A YAML file becomes the body of the seed's example: each key, value and kind, and their order."""
    with vendor.running(), Answering(said({"data": {"taxonomy_id": 1}})) as server:
        with vendor.client(url=server.url) as client:
            client.create(ACME)
        (asked,) = server.asked
    example = (FILES / "seed_example.json").read_bytes()
    assert (asked.method, asked.target, asked.headers["content-type"]) == (
        "POST",
        "/audience_segments",
        "application/json",
    )
    assert json.loads(asked.body, object_pairs_hook=list) == json.loads(example, object_pairs_hook=list)


@pytest.mark.parametrize(
    ("needs", "send"), [(Needs.BEARER, "bearer"), (Needs.COOKIE, "session"), (Needs.BOTH, "both")]
)
def test_what_a_call_brings(vendor: Vendor, needs: Needs, send: str):
    """Token, session cookie, or both, as it is set; the wrong one is refused, and told as the log-in."""
    with vendor.running(needs=needs, logged_in=False):
        with vendor.client(send=send) as client:
            assert client.list().taxonomies == ()
        other = "bearer" if send == "session" else "session"
        with vendor.client(send=other) as client, pytest.raises(CallFailed, match="refuses the log-in"):
            client.list()


def test_grants_of_both_kinds(vendor: Vendor):
    """Auth0's grant with a realm, and the plain one."""
    with vendor.running(), vendor.client(grant="password-realm", realm="Connection") as client:
        assert client.list().whole


def test_a_token_is_renewed_before_its_end(vendor: Vendor):
    """No call is made with one that is about to end; within its life there is one log-in."""
    token = said({"access_token": "first", "expires_in": 3600, "token_type": "Bearer"})
    second = said({"access_token": "second", "expires_in": 3600})
    empty = said({"data": [], "meta": {}})
    with vendor.running(logged_in=False), Answering(token, second) as tokens, Answering(empty) as api:
        with vendor.client(token_url=tokens.url, url=api.url) as client:
            for _ in range(3):
                client.list()
            vendor.waited.move(HOUR - 59 * SECOND)
            client.list()
        assert len(tokens.asked) == 2
    brought = [asked.headers["authorization"] for asked in api.asked]
    assert brought == ["Bearer first"] * 3 + ["Bearer second"]


def test_a_token_that_ends_early(vendor: Vendor):
    """A 401 does nothing: it is renewed, once, and the call is made again, a write too."""
    with vendor.running(), vendor.client() as client:
        client.list()
        vendor.meet(Kind.UNAUTHORIZED, writes=True)
        client.create(ACME)
        assert vendor.one.writes.created == 1
        vendor.meet(Kind.UNAUTHORIZED, times=2)
        with pytest.raises(CallFailed, match="refuses the log-in") as failure:
            client.list()
        assert (failure.value.status, failure.value.outcome) == (401, Outcome.REFUSED)
        assert vendor.one.faults.planned == 0


def test_a_refresh_token_is_used(vendor: Vendor):
    """It takes the password's place; where it is good no more, the password is said again."""
    first = said({"access_token": "first", "refresh_token": "again", "expires_in": 60})
    gone = said({"error": "invalid_grant"}, 403)
    second = said({"access_token": "second", "refresh_token": "more", "expires_in": 60})
    with vendor.running(), Answering(first, gone, second) as tokens, Answering(said({"data": []})) as api:
        with vendor.client(token_url=tokens.url, url=api.url) as client:
            client.list()
            vendor.waited.move(60 * SECOND)
            client.list()
        grants = [json.loads(asked.body)["grant_type"] for asked in tokens.asked]
    assert grants == ["password", "refresh_token", "password"]
    assert "password" not in json.loads(tokens.asked[1].body)
    assert json.loads(tokens.asked[1].body)["refresh_token"] == "again"
    assert api.asked[1].headers["authorization"] == "Bearer second"


@pytest.mark.parametrize(
    ("said_by_it", "status", "keys"),
    [
        ({"error": "invalid_grant"}, 403, "username and password_file"),
        ({"error": "invalid_client"}, 401, "client_id and client_secret_file"),
        ({}, 403, "username, password_file, client_id, client_secret_file and audience"),
    ],
)
def test_a_refused_log_in_names_the_keys(vendor: Vendor, said_by_it, status, keys):
    """Which endpoint, which keys; no secret; and it is asked once, as an account may be locked."""
    with vendor.running(), Answering(said(said_by_it, status)) as tokens:
        with vendor.client(token_url=tokens.url) as client, pytest.raises(CallFailed) as failure:
            client.create(ACME)
        assert len(tokens.asked) == 1
        code = f", {said_by_it['error']}" if said_by_it else ""
        assert str(failure.value) == (
            f"the token endpoint at {tokens.url} refuses the log-in (HTTP {status}{code}); see {keys} of "
            f"{SETTING}.auth"
        )
        assert failure.value.outcome is Outcome.REFUSED
        assert vendor.one.writes.created == 0


@pytest.mark.parametrize(
    ("answer", "told", "passing"),
    [
        (said({}), "gives no access_token", False),
        (said({"access_token": "a\r\nX: 1"}), "gives no access_token", False),
        (said({"access_token": 5}), "gives no access_token", False),
        (said(b"<html>"), "answers with no JSON object", False),
        (said({}, 500), "is busy or ill", True),
    ],
)
def test_a_token_endpoint_that_is_ill(vendor: Vendor, answer, told, *, passing):
    """It is the one that is named, and nothing was done: that call was never made."""
    with (
        vendor.running(),
        Answering(answer) as tokens,
        vendor.client(token_url=tokens.url) as client,
        pytest.raises(CallFailed) as failure,
    ):
        client.create(ACME)
    assert str(failure.value).startswith(f"the token endpoint at {tokens.url} {told}")
    assert (failure.value.outcome, failure.value.passing) == (Outcome.NOT_DONE, passing)


@pytest.mark.parametrize("key", ["token_url", "session_url"])
def test_an_endpoint_that_is_not_there_names_its_own_key(vendor: Vendor, key: str):
    """The log-in has two addresses of its own, and neither is `url`."""
    with vendor.running():
        client = vendor.client(**{key: f"http://127.0.0.1:{free_port()}"}, send="both")
        with client as one, pytest.raises(CallFailed) as failure:
            one.list()
    assert str(failure.value).endswith(f"is not reachable; see that it runs, and {SETTING}.auth.{key}")


def test_secrets_are_read_at_each_log_in(vendor: Vendor):
    """A rotated password is taken up; one that is missing is named by file and key, and nothing is asked."""
    with vendor.running(), vendor.client() as client:
        right = vendor.place.password_file.read_text()
        vendor.place.password_file.write_text("wrong\n")
        with pytest.raises(CallFailed, match="see username and password_file of"):
            client.list()
        vendor.place.password_file.write_text(right)
        client.list()
        vendor.place.password_file.unlink()
        client.list()
        vendor.meet(Kind.UNAUTHORIZED)
        with pytest.raises(BridgeError) as failure:
            client.list()
        assert f"{SETTING}.auth.password_file" in str(failure.value)
        vendor.place.password_file.write_text(right)


def test_no_session_cookie(vendor: Vendor):
    """An endpoint that sets none is told as such."""
    with vendor.running(), Answering(said({})) as sessions:
        client = vendor.client(session_url=sessions.url, send="both")
        with client as one, pytest.raises(CallFailed, match="sets no cookie adama_session"):
            one.list()
        assert sessions.asked[0].headers["authorization"].startswith("Bearer ")


REFUSALS = {
    Kind.FORBIDDEN: (403, Outcome.REFUSED, 1),
    Kind.NOT_FOUND: (404, Outcome.REFUSED, 1),
    Kind.CONFLICT: (409, Outcome.REFUSED, 1),
    Kind.TOO_MANY_REQUESTS: (429, Outcome.NOT_DONE, 3),
    Kind.TOO_MANY_WRITES: (429, Outcome.NOT_DONE, 3),
    Kind.SERVER_ERROR: (500, Outcome.UNKNOWN, 1),
    Kind.UNAVAILABLE: (503, Outcome.UNKNOWN, 1),
    Kind.NOT_JSON: (200, Outcome.UNKNOWN, 1),
    Kind.CUT_BEFORE: (None, Outcome.UNKNOWN, 1),
    Kind.CUT_AFTER: (None, Outcome.UNKNOWN, 1),
    Kind.CUT_WITHIN: (None, Outcome.UNKNOWN, 1),
}


@pytest.mark.parametrize("kind", REFUSALS)
def test_a_write_that_fails(vendor: Vendor, kind: Kind):
    """It is said again only where it was certainly not heard, else once; and what is known is told."""
    status, outcome, times = REFUSALS[kind]
    with vendor.running(), vendor.client() as client:
        vendor.meet(kind, times=9, writes=True)
        with pytest.raises(CallFailed) as failure:
            client.create(ACME)
        assert (failure.value.status, failure.value.outcome) == (status, outcome)
        assert 9 - vendor.one.faults.planned == times
        assert "\n" not in str(failure.value)
        assert str(failure.value).startswith(f"the Audience Segments API at {vendor.url('')}")
        assert vendor.one.writes.created == (kind in (Kind.CUT_AFTER, Kind.CUT_WITHIN))


@pytest.mark.parametrize("kind", [Kind.TOO_MANY_REQUESTS, Kind.TOO_MANY_WRITES])
def test_a_busy_platform_is_waited_for(vendor: Vendor, kind: Kind):
    """A 429 was not done: it is said again, no sooner than Retry-After says, and done once."""
    with vendor.running(), vendor.client() as client:
        client.list()
        before = vendor.waited.elapsed()
        vendor.meet(kind, writes=True, seconds=30)
        assert client.create(ACME) == 100123
        assert vendor.one.writes.created == 1
        assert kind is Kind.TOO_MANY_WRITES or vendor.waited.elapsed() - before >= 30 * SECOND


@pytest.mark.parametrize("kind", [Kind.SERVER_ERROR, Kind.UNAVAILABLE, Kind.CUT_BEFORE, Kind.CUT_WITHIN])
def test_a_question_is_asked_again(vendor: Vendor, kind: Kind):
    """What changes nothing may be asked as often as it takes, within bounds."""
    with vendor.running(), vendor.client() as client:
        vendor.meet(kind, times=2)
        assert client.list().taxonomies == ()
        vendor.meet(kind, times=3)
        with pytest.raises(CallFailed):
            client.list()


def test_the_pace(vendor: Vendor):
    """As many calls a second as are set: the platform's limit of five is never met."""
    with vendor.running(requests_per_second=5), vendor.client(requests_per_second=5) as client:
        vendor.one._segments._clock = vendor.waited
        for _ in range(12):
            client.list()
    assert vendor.waited.elapsed() - START >= 11 * SECOND // 5


@pytest.fixture
def saying(vendor: Vendor):
    """A client of a server that answers everything so."""
    servers = []

    def client(content: object):
        server = Answering(said(content)).__enter__()
        servers.append(server)
        return vendor.client(url=server.url)

    with vendor.running():
        yield client
    for server in servers:
        server.__exit__()


def data(**more: object) -> dict:
    root = {"name": "Acme", "id": 1, "children": [{"name": "A", "id": 2, "buyable": False}]}
    return {"data": {"taxonomy": root, "taxonomy_id": 5, "audience_vendor_id": 9} | more}


def tree(*children: dict) -> dict:
    return data(taxonomy={"name": "Acme", "id": 1, "children": list(children)})


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        ({}, "has no mapping as its data"),
        ({"data": []}, "has no mapping as its data"),
        (data(taxonomy_id=6), "is another taxonomy than the 5 that was asked for"),
        (data(taxonomy=None), "holds no taxonomy"),
        (tree({"name": "A\x1b[2J", "id": 2}), "name: a name has characters that cannot be seen"),
        (tree({"name": "A\u202e", "id": 2}), "name: a name has characters that cannot be seen"),
        (tree({"name": "A" * 256, "id": 2}), "name: a name has 256 characters"),
        (tree({"name": "A", "id": -2}), "id: '-2' is no such number"),
        (tree({"name": "A", "id": 2}, {"name": "B", "id": 2}), "id: '2' stands in line 1 too"),
        (tree({"name": "A", "id": 2, "code": "a b"}), "code: 'a b' is no hashed code"),
        (tree({"name": "A", "id": 2, "uniques": 1e400}), "no valid JSON"),
        (tree({"name": "\ud800", "id": 2}), "name: a name has characters that cannot be seen"),
    ],
)
def test_an_answer_that_is_no_taxonomy(saying, answer, told):
    """It is refused in one line that a terminal may show, whatever it holds."""
    with saying(answer) as client, pytest.raises(BridgeError) as failure:
        client.get(5)
    assert told in str(failure.value)
    assert str(failure.value).isprintable()


def test_an_answer_that_is_too_deep(saying):
    """Nesting beyond any taxonomy is refused, by whoever meets it first."""
    deep = b'{"data": {"taxonomy": {"name": "A", "children": ' + b"[" * 900 + b"]" * 900 + b"}}}"
    with saying(deep) as client, pytest.raises(BridgeError, match=r"nested too deeply|no JSON object"):
        client.get(5)


def test_what_the_platform_holds_may_lack_what_a_file_must_have(saying):
    """Segments without users or prices, prices of many digits, codes of any kind: an update may mend them."""
    answer = tree({"name": "A", "id": 2, "code": "x-1", "buyable": True, "wholesale_cpm": 0.12345})
    with saying(answer) as client:
        held = client.get(5)
    assert (held.taxonomy.use_hash, held.tells_hash) == (True, False)
    with saying(data(use_hash=True)) as client:
        assert client.get(5).tells_hash


def test_a_taxonomy_of_sixty_thousand_nodes(saying):
    """It is read, and a plan of one price says one change."""
    segments = [
        {"name": f"S {at}", "id": at, "code": str(at), "uniques": at, "retail_cpm": 1.5, "buyable": True}
        for at in range(100, 60_100)
    ]
    with saying(tree(*segments)) as client:
        held = client.get(5)
    first, *others = held.taxonomy.root.children
    children = (*others, replace(first, id=None, retail_cpm=Decimal(2)))
    plan = planned(held, replace(held.taxonomy, root=replace(held.taxonomy.root, children=children)), 1234)
    assert held.taxonomy.nodes == 60_001
    assert [change.path[1:] for change in plan.difference.changes] == [("S 100",)]
    assert plan.counts["change"] == 1


def test_a_list_of_unknown_form(saying):
    """What cannot be read of a list makes it one that is not whole: nobody takes it for a proof."""
    good = {"taxonomy_id": 5, "taxonomy": {"name": "A\x1b]0;x\x07"}, "updated_on": "\x1b[31mnow"}
    hostile = [good, {"taxonomy_id": "6"}, 7, None, {"id": 8, "name": "x"}]
    with saying({"data": hostile}) as client:
        listing = client.list()
    assert not listing.whole
    (one,) = listing.taxonomies
    assert (one.id, one.name.isprintable(), one.updated_on.isprintable()) == (5, True, True)
    with saying({"data": [good], "meta": {"total_count": 2}}) as client:
        assert not client.list().whole
    with saying({"data": {}}) as client, pytest.raises(CallFailed, match="has no list as its data"):
        client.list()


@pytest.mark.parametrize("ids", [None, "1", [1, "2"], {"1": 1}])
def test_grants_of_unknown_form(saying, ids):
    """They are not taken for none."""
    answer = {"data": {"organizations": [], "agencies": ids, "advertisers": []}}
    with saying(answer) as client, pytest.raises(CallFailed, match="has no list of numbers as its agencies"):
        client.grants(1)


def test_a_creation_that_tells_no_id(saying):
    """It may have been done."""
    with saying({"data": {}}) as client, pytest.raises(CallFailed, match="has no taxonomy_id") as failure:
        client.create(ACME)
    assert failure.value.outcome is Outcome.UNKNOWN


def test_what_the_bridge_asks(vendor: Vendor):
    """The taxonomy of an id for an account of the configuration; an account without the API names the key."""
    with vendor.running(), vendor.client() as client:
        taxonomy_id = client.create(ACME)
        config = load(vendor.write_config(), {})
        assert taxonomies(config, vendor.waited)("default", taxonomy_id).taxonomy.codes == ACME.codes
        with pytest.raises(BridgeError, match="there is no taxonomy 7"):
            taxonomies(config, vendor.waited)("default", 7)
        bare = config.model_copy(
            update={"accounts": (config.accounts[0].model_copy(update={"platform": PlatformSettings()}),)}
        )
        with pytest.raises(BridgeError, match=r"accounts\[0\].platform.audience_segments is missing"):
            taxonomies(bare, vendor.waited)("default", 7)


def test_the_bridge_logs_in_once_for_all_that_it_asks(vendor: Vendor):
    """A token is good for a day: taxonomies that are asked for each hour, and at once, share it."""
    token = said({"access_token": "first", "expires_in": 86_400})
    with vendor.running(), Answering(token) as tokens, Answering(said(data())) as api:
        ask = taxonomies(load(vendor.write_config(token_url=tokens.url, url=api.url), {}), vendor.waited)
        with ThreadPoolExecutor(4) as threads:
            list(threads.map(lambda _: ask("default", 5), range(4)))
        vendor.waited.move(HOUR)
        ask("default", 5)
        assert (len(tokens.asked), len(api.asked)) == (1, 5)
