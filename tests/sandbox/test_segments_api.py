"""The Audience Segments API of the stand-in, asked by a real client as the seed tells its users to."""

import json
import threading
from contextlib import contextmanager
from pathlib import Path

import httpx2 as httpx
import pytest

from bridge.clock import MINUTE, SECOND
from bridge.errors import BridgeError
from bridge.sandbox.faults import Api, Fault, Kind
from bridge.sandbox.login import COOKIE, REALM, SESSION_PATH, TOKEN_PATH
from bridge.sandbox.rules import Rules
from bridge.sandbox.sandbox import Sandbox
from bridge.sandbox.settings import Address, Settings
from bridge.sandbox.site import CLIENT_ID, SandboxSite
from bridge.sandbox.taxonomies.settings import BASE_PATH, Needs, SegmentsSettings
from bridge.taxonomy import Form, creation, read, read_bytes, update
from bridge.taxonomy import Rules as FileRules
from tests.parts.clocks import SetClock
from tests.parts.waiting import until

START = 1_793_491_200_000
LOOPBACK = Address(host="127.0.0.1", port=0)
FIXTURES = Path(__file__).parents[1] / "taxonomy" / "fixtures"
EXAMPLE = creation(read(FIXTURES / "seed_example.yaml", FileRules()).taxonomy)
EVERY = "/audience_segments"
MOSCOW = "МОСКВА"  # noqa: RUF001  # it is Cyrillic
UNHURRIED = 10_000


class Site:
    """A directory, a vendor's client, and a sandbox `running` as often as wanted."""

    def __init__(self, directory: Path) -> None:
        self.clock = SetClock(START)
        self.place = SandboxSite(directory / "sandbox")
        self.one: Sandbox | None = None
        self.http = httpx.Client(timeout=20)

    @contextmanager
    def running(self, *, logged_in: bool = True, control: bool = False, **more: object):
        segments = SegmentsSettings(**{"requests_per_second": UNHURRIED} | more)
        settings = Settings(
            http=LOOPBACK, sftp=LOOPBACK, rules=Rules(account="u"), segments=segments, control=control
        )
        self.http.headers.pop("Authorization", None)
        with Sandbox(self.place, settings, self.clock) as self.one:
            if logged_in:
                self.log_in()
            yield self.one

    def url(self, path: str, base: str = BASE_PATH) -> str:
        return f"http://{self.one.http}{base}{path}"

    def credentials(self, **more: str) -> dict[str, str]:
        return {
            "grant_type": "password",
            "username": "u",
            "password": self.place.password,
            "audience": "https://api.mediamath.com/",
            "client_id": CLIENT_ID,
            "client_secret": self.place.client_secret,
        } | more

    def token(self, **more: str) -> httpx.Response:
        return self.http.post(self.url(TOKEN_PATH, ""), data=self.credentials(**more))

    def log_in(self, **more: str) -> dict[str, object]:
        said = self.token(**more).json()
        self.http.headers["Authorization"] = f"{said['token_type']} {said['access_token']}"
        return said

    def get(self, path: str = EVERY, **more: object) -> httpx.Response:
        return self.http.get(self.url(path), **more)

    def post(self, body: object, path: str = EVERY, **more: object) -> httpx.Response:
        return self.http.post(self.url(path), json=body, **more)

    def created(self, **more: object) -> dict[str, object]:
        answer = self.post(EXAMPLE | more)
        assert answer.status_code == 201, answer.text
        return answer.json()["data"]

    def named(self, name: str) -> dict[str, object]:
        return self.created(taxonomy=EXAMPLE["taxonomy"] | {"name": name})

    def plan(self, kind: Kind, times: int = 1, **more: object) -> None:
        self.one.faults.plan(Fault(kind=kind, api=Api.AUDIENCE_SEGMENTS, **more), times)


@pytest.fixture
def site(tmp_path: Path):
    one = Site(tmp_path)
    yield one
    one.http.close()


def refused(answer: httpx.Response, status: int, said: str) -> bool:
    """Whether it is an error of the platform's shape that says so."""
    assert answer.status_code == status, answer.text
    assert answer.json()["meta"] == {"status": "error"}
    return said in json.dumps(answer.json()["errors"][0])


def test_the_seeds_example_is_created(site: Site):
    """Ids for taxonomy, vendor object and nodes, wholesale prices, revenue share; then it is got the same."""
    with site.running():
        data = site.created()
        assert {key: data[key] for key in ("taxonomy_id", "audience_vendor_id", "revenue_share_pct")} == {
            "taxonomy_id": 100123,
            "audience_vendor_id": 2468,
            "revenue_share_pct": 0,
        }
        root = data["taxonomy"]
        assert (root["name"], root["id"]) == (EXAMPLE["taxonomy"]["name"], 1678332)
        given = [
            child | {"id": 1678333 + at, "wholesale_cpm": 0}
            for at, child in enumerate(EXAMPLE["taxonomy"]["children"])
        ]
        assert root["children"] == given
        assert "visibility" not in data
        got = site.get(f"{EVERY}/100123")
        moment = "2026-11-01T00:00:00Z"
        assert got.status_code == 200
        assert got.json() == {
            "meta": {"status": "success"},
            "data": {
                "permissions": EXAMPLE["permissions"],
                "created_on": moment,
                "updated_on": moment,
                "taxonomy": root,
                "audience_vendor_id": 2468,
                "taxonomy_id": 100123,
                "revenue_share_pct": 0,
            },
        }
        assert [one.taxonomy.nodes for one in site.one.taxonomies] == [3]


def test_the_seeds_three_steps_of_an_update(site: Site):
    """What was got is changed and posted: ids stay, a node without one is new, one left out is gone."""
    with site.running():
        site.created()
        data = site.get(f"{EVERY}/100123").json()["data"]
        first, second = data["taxonomy"]["children"]
        new = {"name": "Category", "buyable": False, "children": [second | {"retail_cpm": 1.25}]}
        new["children"].append({"name": "New", "code": 99, "uniques": 5, "retail_cpm": 2, "buyable": True})
        changed = data | {"permissions": {"agencies": [108108]}}
        changed["taxonomy"] = data["taxonomy"] | {"children": [new]}
        site.clock.at += MINUTE
        answer = site.post(changed, f"{EVERY}/100123")
        assert answer.status_code == 202, answer.text
        after = site.get(f"{EVERY}/100123").json()["data"]
        assert after["created_on"] == "2026-11-01T00:00:00Z"
        assert after["updated_on"] == "2026-11-01T00:01:00Z"
        assert after["permissions"] == {"organizations": [], "agencies": [108108], "advertisers": []}
        (category,) = after["taxonomy"]["children"]
        assert (category["name"], category["id"]) == ("Category", 1678335)
        assert [(one["code"], one["id"], one["retail_cpm"]) for one in category["children"]] == [
            ("1234568", second["id"], 1.25),
            ("99", 1678336, 2),
        ]
        told = answer.json()["data"]
        assert told == after | {"visibility": "RESTRICTED", "created_by": None, "updated_by": None}
        again = changed | {"taxonomy": after["taxonomy"] | {"children": [category, first]}}
        assert refused(site.post(again, f"{EVERY}/100123"), 400, f"id {first['id']}")
        assert site.get(f"{EVERY}/100123").json()["data"] == after


def test_an_update_may_leave_out_what_the_seed_lets_it(site: Site):
    """Permissions, the root's name and id, a known node's name, flag and wholesale price stay."""
    with site.running():
        site.created()
        before = site.get(f"{EVERY}/100123").json()["data"]
        bare = [
            {key: child[key] for key in ("id", "code", "uniques", "retail_cpm")}
            for child in before["taxonomy"]["children"]
        ]
        body = {"audience_vendor_id": 2468, "taxonomy": {"children": bare, "description": "Ours"}}
        assert site.post(body, f"{EVERY}/100123").status_code == 202
        assert site.get(f"{EVERY}/100123").json()["data"]["taxonomy"] == before["taxonomy"] | {
            "description": "Ours"
        }


def test_the_list(site: Site):
    """All, or what fits a query, equal or like (in any case): those nodes and what is above them."""
    with site.running():
        site.created()
        other = {"name": "Other", "children": [{"name": MOSCOW, "buyable": False, "children": []}]}
        site.created(taxonomy=other)

        def found(query: str | None) -> list[tuple[int, list[str]]]:
            answer = site.get(f"{EVERY}/" if query else EVERY, params={"q": query} if query else {})
            assert answer.status_code == 200, answer.text
            data = answer.json()["data"]
            assert answer.json()["meta"] == {"status": "success", "total_count": len(data)}
            return [(d["taxonomy_id"], [c["name"] for c in d["taxonomy"]["children"]]) for d in data]

        segments = ["Acme Segment 1", "Acme Segment 2"]
        moscow = "".join(f"&#{ord(letter)};" for letter in MOSCOW)
        assert found(None) == [(100123, segments), (100124, [moscow])]
        assert found("name==Acme Segment 2") == [(100123, ["Acme Segment 2"])]
        assert found("name==acme segment 2") == []
        assert found("name==Other") == [(100124, [])]
        assert found("name=:SEGMENT") == [(100123, segments)]
        assert found(f"name=:{moscow}") == found(f"name=:{MOSCOW.lower()}") == [(100124, [moscow])]
        assert found("buyable==true") == [(100123, segments)]
        assert found("buyable==false") == [(100123, []), (100124, [moscow])]
        for query in ("name", "code==1", "buyable=:true", "buyable==1", "name==", ""):
            assert refused(site.get(params={"q": query}), 400, "is")


def test_grants(site: Site):
    """Whom the vendor may let in; another vendor's are not told, and nobody else may be let in."""
    with site.running():
        assert site.get(f"{EVERY}/grants/1234").json() == {
            "meta": {"status": "success"},
            "data": EXAMPLE["permissions"],
        }
        assert refused(site.get(f"{EVERY}/grants/1"), 403, "not yours")
        assert refused(site.get(f"{EVERY}/grants/x"), 404, "not-found")
        site.created(permissions={})
        stranger = {"permissions": {"agencies": [108108, 1], "advertisers": [2]}}
        body = EXAMPLE | stranger | {"taxonomy": EXAMPLE["taxonomy"] | {"name": "Other"}}
        assert refused(site.post(body), 403, '"details": ["agencies 1", "advertisers 2"]')
        body = {"audience_vendor_id": 2468, "taxonomy": {"children": []}} | stranger
        assert refused(site.post(body, f"{EVERY}/100123"), 403, "agencies 1")
        assert len(site.one.taxonomies) == 1


def segment(**more: object) -> dict[str, object]:
    """A segment that breaks a rule."""
    return {"name": "S", "code": "1", "uniques": 1, "retail_cpm": 1, "buyable": True} | more


@pytest.mark.parametrize(
    ("children", "said"),
    [
        ([segment(name="x" * 256)], "256 characters"),
        ([segment(name="")], "a name is empty"),
        ([segment(code="2147483648")], "is not a number from 1 to 2147483647"),
        ([segment(), segment(name="T")], "'1' stands in line"),
        ([segment(uniques="1")], "uniques: must be a number"),
        ([segment(buyable=1)], "must be true or false"),
        ([{"name": "S"}], "buyable: is missing"),
        ([segment(id=5)], "has no id yet"),
        ("none", "children is missing, or no list"),
        (["x"], "must be a mapping"),
    ],
)
def test_a_taxonomy_that_breaks_a_rule_is_not_created(site: Site, children: object, said: str):
    """400, with each rule that it breaks; nothing is held."""
    with site.running():
        body = EXAMPLE | {"taxonomy": {"name": "N", "children": children}}
        assert refused(site.post(body), 400, said)
        assert (site.one.taxonomies, site.one.writes.created) == ((), 0)


def test_what_is_no_request_is_told(site: Site):
    """No JSON, no object, a part that is missing or of another kind, another vendor, no such taxonomy."""
    with site.running():
        for content in (b"{", b"[1]", b"\xff", b"[" * 100_000, b'{"permissions": ' + b'{"a":' * 20_000):
            answer = site.http.post(
                site.url(EVERY), content=content, headers={"Content-Type": "application/json"}
            )
            assert refused(answer, 400, "the body is no JSON")
        assert refused(site.http.post(site.url(EVERY), content=b"{}"), 415, "application/json")
        for key in ("permissions", "vendor_id", "taxonomy"):
            assert refused(site.post({k: v for k, v in EXAMPLE.items() if k != key}), 400, key)
        assert refused(site.post(EXAMPLE | {"vendor_id": "1234"}), 400, "vendor_id")
        assert refused(site.post(EXAMPLE | {"permissions": {"agencies": ["1"]}}), 400, "permissions.agencies")
        assert refused(site.post(EXAMPLE | {"vendor_id": 1}), 403, "vendor 1 is not yours")
        site.created()
        body = {"audience_vendor_id": 2468, "taxonomy": {"children": []}}
        assert refused(site.post(body | {"audience_vendor_id": 1}, f"{EVERY}/100123"), 400, "is 2468")
        assert refused(site.post(body, f"{EVERY}/1"), 404, "there is no taxonomy 1")
        for path in ("1", "x", "-1", "9" * 5000, "grants"):
            assert refused(site.get(f"{EVERY}/{path}"), 404, "not-found")
        assert refused(site.http.put(site.url(EVERY)), 405, "method")
        assert len(site.one.taxonomies) == 1


def test_a_name_is_used_once(site: Site):
    """409, in the platform's words, for a creation and for an update that takes another's name."""
    with site.running():
        site.created()
        assert refused(site.post(EXAMPLE), 409, "A taxonomy already exists for the name")
        other = site.named("Other")
        body = {"audience_vendor_id": other["audience_vendor_id"], "taxonomy": other["taxonomy"]}
        taken = body | {"taxonomy": other["taxonomy"] | {"name": EXAMPLE["taxonomy"]["name"]}}
        assert refused(site.post(taken, f"{EVERY}/100124"), 409, "A taxonomy already exists for the name")
        assert site.post(body, f"{EVERY}/100124").status_code == 202


def test_hashed_codes(site: Site):
    """Codes that are no number need use_hash, in a creation and in each update; no answer tells of it."""
    with site.running():
        taxonomy = {"name": "Hashed", "children": [segment(code="a/b")]}
        body = EXAMPLE | {"taxonomy": taxonomy}
        assert refused(site.post(body), 400, "use_hash")
        data = site.created(taxonomy=taxonomy, use_hash=True)
        assert "use_hash" not in data
        assert site.one.taxonomies[0].taxonomy.use_hash
        again = {"audience_vendor_id": 2468, "taxonomy": data["taxonomy"]}
        assert refused(site.post(again, f"{EVERY}/100123"), 400, "use_hash")
        assert site.post(again | {"use_hash": True}, f"{EVERY}/100123").status_code == 202


def test_what_the_products_own_model_posts_and_reads(site: Site):
    """An answer read by bridge.taxonomy, posted by it without a change, is the same afterwards."""
    with site.running():
        site.created()
        answer = site.get(f"{EVERY}/100123")
        read_back = read_bytes(answer.content, "answer", Form.JSON, FileRules())
        assert read_back.good
        assert site.post(update(read_back.taxonomy), f"{EVERY}/100123").status_code == 202
        assert site.get(f"{EVERY}/100123").json() == answer.json()


def test_a_restart_changes_nothing(site: Site):
    """Taxonomies, times and the next ids are as before; a token is not."""
    with site.running():
        site.created()
        site.named("Other")
        site.clock.at += MINUTE
        body = {"audience_vendor_id": 2469, "taxonomy": {"children": []}, "use_hash": True}
        assert site.post(body, f"{EVERY}/100124").status_code == 202
        before, held = site.get().json(), site.one.taxonomies
        token = site.http.headers["Authorization"]
    with site.running():
        assert site.get(headers={"Authorization": token}).status_code == 401
        assert site.get().json() == before
        assert site.one.taxonomies == held
        third = site.named("Third")
        assert (third["taxonomy_id"], third["taxonomy"]["id"]) == (100125, 1678338)
    assert [path.name for path in site.place.directory.glob("taxonomies*")] == ["taxonomies.json"]
    site.place.taxonomies.write_text('{"taxonomies": [{}]}')
    with pytest.raises(BridgeError, match=r"taxonomies\.json is damaged"), site.running():
        pass


def test_log_in(site: Site):
    """Both grants, as a form and as JSON; a wrong word gets no token, and is told in OAuth's way."""
    with site.running(logged_in=False, token_seconds=60):
        assert refused(site.get(), 401, "bearer token")
        assert site.get().headers["WWW-Authenticate"].startswith("Bearer")
        said = site.log_in()
        assert (said["token_type"], said["expires_in"], "refresh_token" in said) == ("Bearer", 60, False)
        assert site.get().status_code == 200
        assert site.token(grant_type=REALM, realm="r").status_code == 200
        as_json = site.http.post(site.url(TOKEN_PATH, ""), json=site.credentials())
        assert as_json.status_code == 200
        wrong = {
            "password": (403, "invalid_grant"),
            "username": (403, "invalid_grant"),
            "client_id": (401, "access_denied"),
            "client_secret": (401, "access_denied"),
            "grant_type": (403, "unsupported_grant_type"),
        }
        for field, told in wrong.items():
            answer = site.token(**{field: "wrong"})
            assert (answer.status_code, answer.json()["error"]) == told
        assert site.token(audience="").json()["error_description"] == "Missing required parameter: audience"
        assert site.token(grant_type=REALM).status_code == 400
        site.clock.at += 60 * SECOND
        assert refused(site.get(), 401, "expired")


def test_refresh(site: Site):
    """Whoever asks for offline_access gets a token that gets another one when the first has expired."""
    with site.running(logged_in=False, token_seconds=60):
        refresh = site.log_in(scope="offline_access")["refresh_token"]
        site.clock.at += 60 * SECOND
        assert site.get().status_code == 401
        grant = {"grant_type": "refresh_token", "refresh_token": refresh}
        client = {"client_id": CLIENT_ID, "client_secret": site.place.client_secret}
        answer = site.http.post(site.url(TOKEN_PATH, ""), data=grant | client)
        site.http.headers["Authorization"] = f"Bearer {answer.json()['access_token']}"
        assert site.get().status_code == 200
        bad = site.http.post(site.url(TOKEN_PATH, ""), data=grant | client | {"refresh_token": "x"})
        assert (bad.status_code, bad.json()["error"]) == (403, "invalid_grant")


@pytest.mark.parametrize("needs", list(Needs))
def test_what_a_call_needs(site: Site, needs: Needs):
    """The token, the older session's cookie, or both: a call with less is 401, whatever else it has."""
    with site.running(needs=needs):
        session = site.http.get(site.url(SESSION_PATH, ""))
        cookie = session.cookies[COOKIE]
        bearer = site.http.headers.pop("Authorization")
        site.http.cookies.clear()
        assert site.http.get(site.url(SESSION_PATH, "")).status_code == 401
        brought = {
            Needs.BEARER: {"Authorization": bearer},
            Needs.COOKIE: {"Cookie": f"{COOKIE}={cookie}"},
            Needs.BOTH: {"Authorization": bearer, "Cookie": f"{COOKIE}={cookie}"},
        }
        answers = {what: site.get(headers=headers).status_code for what, headers in brought.items()}
        enough = {needs, Needs.BOTH}
        assert answers == {what: 200 if what in enough else 401 for what in Needs}


def test_more_than_so_many_requests_a_second(site: Site):
    """429 with Retry-After, and its second over all is well; what was refused does not count."""
    with site.running(requests_per_second=3):
        assert [site.get().status_code for _ in range(5)] == [200, 200, 200, 429, 429]
        answer = site.get()
        assert refused(answer, 429, "rate-limit-exceeded")
        assert answer.headers["Retry-After"] == "1"
        site.clock.at += SECOND
        assert site.get().status_code == 200


def test_two_writes_at_one_time(site: Site):
    """The second is 429, and not done; reads go on beside a write; then writes do too."""
    with site.running():
        site.plan(Kind.SLOW, seconds=2, writes=True)
        first = threading.Thread(target=site.created)
        first.start()
        until(lambda: site.one.faults.planned == 0, "the first write")
        body = EXAMPLE | {"taxonomy": EXAMPLE["taxonomy"] | {"name": "Other"}}
        assert refused(site.post(body), 429, "too-many-concurrent-writes")
        assert site.get().status_code == 200
        first.join()
        site.named("Third")
        names = [one.taxonomy.root.name for one in site.one.taxonomies]
        assert names == [EXAMPLE["taxonomy"]["name"], "Third"]
