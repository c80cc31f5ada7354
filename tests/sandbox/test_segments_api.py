"""The Audience Segments API of the stand-in, asked by a real client as the seed tells its users to."""

import json
import re
import threading
from pathlib import Path

import pytest

from bridge.clock import MINUTE, SECOND
from bridge.errors import BridgeError
from bridge.sandbox.faults import Kind
from bridge.sandbox.login import COOKIE, REALM, SESSION_PATH, TOKEN_PATH
from bridge.sandbox.site import CLIENT_ID
from bridge.sandbox.taxonomies.settings import Needs
from bridge.taxonomy import Form, read_bytes, update
from bridge.taxonomy import Rules as FileRules
from tests.parts.segments import EVERY, EXAMPLE, SegmentsSite, refused
from tests.parts.waiting import until

MOSCOW = "МОСКВА"  # noqa: RUF001  # it is Cyrillic


def test_the_seeds_example_is_created(segments: SegmentsSite):
    """Ids for taxonomy, vendor object and nodes, wholesale prices, revenue share; then it is got the same."""
    with segments.running():
        data = segments.created()
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
        got = segments.get(f"{EVERY}/100123")
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
        assert [one.taxonomy.nodes for one in segments.one.taxonomies] == [3]


def test_the_document_shows_what_is_answered(segments: SegmentsSite):
    """docs/sandbox.md: the answer to a creation."""
    document = (Path(__file__).parents[2] / "docs" / "sandbox.md").read_text()
    shown = document[document.index("--no-ensure-ascii\n{") :].removeprefix("--no-ensure-ascii\n")
    with segments.running():
        answer = segments.post(EXAMPLE)
    assert json.loads(shown[: shown.index("\n}\n") + 2]) == answer.json()


def test_the_page_tells_of_taxonomies(segments: SegmentsSite):
    """Name, id, segments, who may see it, when it was updated; the last one first, and names escaped."""
    with segments.running():
        segments.created()
        segments.clock.at += MINUTE
        segments.named("<b>Other</b>")
        page = segments.http.get(segments.url("/", "")).text
    rows = re.findall(r"<tr.*?</tr>", page[page.index('id="taxonomies"') :])
    other, example = (re.sub(r"<[^>]+>", " ", row).split() for row in rows[1:3])
    assert other[:3] == ["&lt;b&gt;Other&lt;/b&gt;", "100124", "2"]
    assert " ".join(example).endswith(
        "100123 2 100048 114842, 108108 171177, 141348, 137754 2026-11-01 00:00:00"
    )


def test_the_seeds_three_steps_of_an_update(segments: SegmentsSite):
    """What was got is changed and posted: ids stay, a node without one is new, one left out is gone."""
    with segments.running():
        segments.created()
        data = segments.get(f"{EVERY}/100123").json()["data"]
        first, second = data["taxonomy"]["children"]
        new = {"name": "Category", "buyable": False, "children": [second | {"retail_cpm": 1.25}]}
        new["children"].append({"name": "New", "code": 99, "uniques": 5, "retail_cpm": 2, "buyable": True})
        changed = data | {"permissions": {"agencies": [108108]}}
        changed["taxonomy"] = data["taxonomy"] | {"children": [new]}
        segments.clock.at += MINUTE
        answer = segments.post(changed, f"{EVERY}/100123")
        assert answer.status_code == 202, answer.text
        after = segments.get(f"{EVERY}/100123").json()["data"]
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
        assert refused(segments.post(again, f"{EVERY}/100123"), 400, f"id {first['id']}")
        assert segments.get(f"{EVERY}/100123").json()["data"] == after


def test_an_update_may_leave_out_what_the_seed_lets_it(segments: SegmentsSite):
    """Permissions, the root's name and id, a known node's name, flag and wholesale price stay."""
    with segments.running():
        segments.created()
        before = segments.get(f"{EVERY}/100123").json()["data"]
        bare = [
            {key: child[key] for key in ("id", "code", "uniques", "retail_cpm")}
            for child in before["taxonomy"]["children"]
        ]
        body = {"audience_vendor_id": 2468, "taxonomy": {"children": bare, "description": "Ours"}}
        assert segments.post(body, f"{EVERY}/100123").status_code == 202
        assert segments.get(f"{EVERY}/100123").json()["data"]["taxonomy"] == before["taxonomy"] | {
            "description": "Ours"
        }


def test_the_list(segments: SegmentsSite):
    """All, or what fits a query, equal or like (in any case): those nodes and what is above them."""
    with segments.running():
        segments.created()
        other = {"name": "Other", "children": [{"name": MOSCOW, "buyable": False, "children": []}]}
        segments.created(taxonomy=other)

        def found(query: str | None) -> list[tuple[int, list[str]]]:
            answer = segments.get(f"{EVERY}/" if query else EVERY, params={"q": query} if query else {})
            assert answer.status_code == 200, answer.text
            data = answer.json()["data"]
            assert answer.json()["meta"] == {"status": "success", "total_count": len(data)}
            return [(d["taxonomy_id"], [c["name"] for c in d["taxonomy"]["children"]]) for d in data]

        both = ["Acme Segment 1", "Acme Segment 2"]
        moscow = "".join(f"&#{ord(letter)};" for letter in MOSCOW)
        assert found(None) == [(100123, both), (100124, [moscow])]
        assert found("name==Acme Segment 2") == [(100123, ["Acme Segment 2"])]
        assert found("name==acme segment 2") == []
        assert found("name==Other") == [(100124, [])]
        assert found("name=:SEGMENT") == [(100123, both)]
        assert found(f"name=:{moscow}") == found(f"name=:{MOSCOW.lower()}") == [(100124, [moscow])]
        assert found("buyable==true") == [(100123, both)]
        assert found("buyable==false") == [(100123, []), (100124, [moscow])]
        for query in ("name", "code==1", "buyable=:true", "buyable==1", "name==", ""):
            assert refused(segments.get(params={"q": query}), 400, "is")


def test_grants(segments: SegmentsSite):
    """Whom the vendor may let in; another vendor's are not told, and nobody else may be let in."""
    with segments.running():
        assert segments.get(f"{EVERY}/grants/1234").json() == {
            "meta": {"status": "success"},
            "data": EXAMPLE["permissions"],
        }
        assert refused(segments.get(f"{EVERY}/grants/1"), 403, "not yours")
        assert refused(segments.get(f"{EVERY}/grants/x"), 404, "not-found")
        segments.created(permissions={})
        stranger = {"permissions": {"agencies": [108108, 1], "advertisers": [2]}}
        body = EXAMPLE | stranger | {"taxonomy": EXAMPLE["taxonomy"] | {"name": "Other"}}
        assert refused(segments.post(body), 403, '"details": ["agencies 1", "advertisers 2"]')
        body = {"audience_vendor_id": 2468, "taxonomy": {"children": []}} | stranger
        assert refused(segments.post(body, f"{EVERY}/100123"), 403, "agencies 1")
        assert len(segments.one.taxonomies) == 1


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
def test_a_taxonomy_that_breaks_a_rule_is_not_created(segments: SegmentsSite, children: object, said: str):
    """400, with each rule that it breaks; nothing is held."""
    with segments.running():
        body = EXAMPLE | {"taxonomy": {"name": "N", "children": children}}
        assert refused(segments.post(body), 400, said)
        assert (segments.one.taxonomies, segments.one.writes.created) == ((), 0)


def test_what_is_no_request_is_told(segments: SegmentsSite):
    """No JSON, no object, a part that is missing or of another kind, another vendor, no such taxonomy."""
    with segments.running():
        for content in (b"{", b"[1]", b"\xff", b"[" * 100_000, b'{"permissions": ' + b'{"a":' * 20_000):
            answer = segments.http.post(
                segments.url(EVERY), content=content, headers={"Content-Type": "application/json"}
            )
            assert refused(answer, 400, "the body is no JSON")
        assert refused(segments.http.post(segments.url(EVERY), content=b"{}"), 415, "application/json")
        for key in ("permissions", "vendor_id", "taxonomy"):
            assert refused(segments.post({k: v for k, v in EXAMPLE.items() if k != key}), 400, key)
        assert refused(segments.post(EXAMPLE | {"vendor_id": "1234"}), 400, "vendor_id")
        assert refused(
            segments.post(EXAMPLE | {"permissions": {"agencies": ["1"]}}), 400, "permissions.agencies"
        )
        assert refused(segments.post(EXAMPLE | {"vendor_id": 1}), 403, "vendor 1 is not yours")
        segments.created()
        body = {"audience_vendor_id": 2468, "taxonomy": {"children": []}}
        assert refused(segments.post(body | {"audience_vendor_id": 1}, f"{EVERY}/100123"), 400, "is 2468")
        assert refused(segments.post(body, f"{EVERY}/1"), 404, "there is no taxonomy 1")
        for path in ("1", "x", "-1", "9" * 5000, "grants"):
            assert refused(segments.get(f"{EVERY}/{path}"), 404, "not-found")
        assert refused(segments.http.put(segments.url(EVERY)), 405, "method")
        assert len(segments.one.taxonomies) == 1


def test_a_name_is_used_once(segments: SegmentsSite):
    """409, in the platform's words, for a creation and for an update that takes another's name."""
    with segments.running():
        segments.created()
        assert refused(segments.post(EXAMPLE), 409, "A taxonomy already exists for the name")
        other = segments.named("Other")
        body = {"audience_vendor_id": other["audience_vendor_id"], "taxonomy": other["taxonomy"]}
        taken = body | {"taxonomy": other["taxonomy"] | {"name": EXAMPLE["taxonomy"]["name"]}}
        assert refused(segments.post(taken, f"{EVERY}/100124"), 409, "A taxonomy already exists for the name")
        assert segments.post(body, f"{EVERY}/100124").status_code == 202


def test_hashed_codes(segments: SegmentsSite):
    """Codes that are no number need use_hash, in a creation and in each update; no answer tells of it."""
    with segments.running():
        taxonomy = {"name": "Hashed", "children": [segment(code="a/b")]}
        body = EXAMPLE | {"taxonomy": taxonomy}
        assert refused(segments.post(body), 400, "use_hash")
        data = segments.created(taxonomy=taxonomy, use_hash=True)
        assert "use_hash" not in data
        assert segments.one.taxonomies[0].taxonomy.use_hash
        again = {"audience_vendor_id": 2468, "taxonomy": data["taxonomy"]}
        assert refused(segments.post(again, f"{EVERY}/100123"), 400, "use_hash")
        assert segments.post(again | {"use_hash": True}, f"{EVERY}/100123").status_code == 202


def test_what_the_products_own_model_posts_and_reads(segments: SegmentsSite):
    """An answer read by bridge.taxonomy, posted by it without a change, is the same afterwards."""
    with segments.running():
        segments.created()
        answer = segments.get(f"{EVERY}/100123")
        read_back = read_bytes(answer.content, "answer", Form.JSON, FileRules())
        assert read_back.good
        assert segments.post(update(read_back.taxonomy), f"{EVERY}/100123").status_code == 202
        assert segments.get(f"{EVERY}/100123").json() == answer.json()


def test_a_restart_changes_nothing(segments: SegmentsSite):
    """Taxonomies, times and the next ids are as before; a token is not."""
    with segments.running():
        segments.created()
        segments.named("Other")
        segments.clock.at += MINUTE
        body = {"audience_vendor_id": 2469, "taxonomy": {"children": []}, "use_hash": True}
        assert segments.post(body, f"{EVERY}/100124").status_code == 202
        before, held = segments.get().json(), segments.one.taxonomies
        token = segments.http.headers["Authorization"]
    with segments.running():
        assert segments.get(headers={"Authorization": token}).status_code == 401
        assert segments.get().json() == before
        assert segments.one.taxonomies == held
        third = segments.named("Third")
        assert (third["taxonomy_id"], third["taxonomy"]["id"]) == (100125, 1678338)
    assert [path.name for path in segments.place.directory.glob("taxonomies*")] == ["taxonomies.json"]
    segments.place.taxonomies.write_text('{"taxonomies": [{}]}')
    with pytest.raises(BridgeError, match=r"taxonomies\.json is damaged"), segments.running():
        pass


def test_log_in(segments: SegmentsSite):
    """Both grants, as a form and as JSON; a wrong word gets no token, and is told in OAuth's way."""
    with segments.running(logged_in=False, token_seconds=60):
        assert refused(segments.get(), 401, "bearer token")
        assert segments.get().headers["WWW-Authenticate"].startswith("Bearer")
        said = segments.log_in()
        assert (said["token_type"], said["expires_in"], "refresh_token" in said) == ("Bearer", 60, False)
        assert segments.get().status_code == 200
        assert segments.token(grant_type=REALM, realm="r").status_code == 200
        as_json = segments.http.post(segments.url(TOKEN_PATH, ""), json=segments.credentials())
        assert as_json.status_code == 200
        wrong = {
            "password": (403, "invalid_grant"),
            "username": (403, "invalid_grant"),
            "client_id": (401, "access_denied"),
            "client_secret": (401, "access_denied"),
            "grant_type": (403, "unsupported_grant_type"),
        }
        for field, told in wrong.items():
            answer = segments.token(**{field: "wrong"})
            assert (answer.status_code, answer.json()["error"]) == told
        assert (
            segments.token(audience="").json()["error_description"] == "Missing required parameter: audience"
        )
        assert segments.token(grant_type=REALM).status_code == 400
        segments.clock.at += 60 * SECOND
        assert refused(segments.get(), 401, "expired")


def test_refresh(segments: SegmentsSite):
    """Whoever asks for offline_access gets a token that gets another one when the first has expired."""
    with segments.running(logged_in=False, token_seconds=60):
        refresh = segments.log_in(scope="offline_access")["refresh_token"]
        segments.clock.at += 60 * SECOND
        assert segments.get().status_code == 401
        grant = {"grant_type": "refresh_token", "refresh_token": refresh}
        client = {"client_id": CLIENT_ID, "client_secret": segments.place.client_secret}
        answer = segments.http.post(segments.url(TOKEN_PATH, ""), data=grant | client)
        segments.http.headers["Authorization"] = f"Bearer {answer.json()['access_token']}"
        assert segments.get().status_code == 200
        bad = segments.http.post(segments.url(TOKEN_PATH, ""), data=grant | client | {"refresh_token": "x"})
        assert (bad.status_code, bad.json()["error"]) == (403, "invalid_grant")


@pytest.mark.parametrize("needs", list(Needs))
def test_what_a_call_needs(segments: SegmentsSite, needs: Needs):
    """The token, the older session's cookie, or both: a call with less is 401, whatever else it has."""
    with segments.running(needs=needs):
        session = segments.http.get(segments.url(SESSION_PATH, ""))
        cookie = session.cookies[COOKIE]
        bearer = segments.http.headers.pop("Authorization")
        segments.http.cookies.clear()
        assert segments.http.get(segments.url(SESSION_PATH, "")).status_code == 401
        brought = {
            Needs.BEARER: {"Authorization": bearer},
            Needs.COOKIE: {"Cookie": f"{COOKIE}={cookie}"},
            Needs.BOTH: {"Authorization": bearer, "Cookie": f"{COOKIE}={cookie}"},
        }
        answers = {what: segments.get(headers=headers).status_code for what, headers in brought.items()}
        enough = {needs, Needs.BOTH}
        assert answers == {what: 200 if what in enough else 401 for what in Needs}


def test_more_than_so_many_requests_a_second(segments: SegmentsSite):
    """429 with Retry-After, and its second over all is well; what was refused does not count."""
    with segments.running(requests_per_second=3):
        assert [segments.get().status_code for _ in range(5)] == [200, 200, 200, 429, 429]
        answer = segments.get()
        assert refused(answer, 429, "rate-limit-exceeded")
        assert answer.headers["Retry-After"] == "1"
        segments.clock.at += SECOND
        assert segments.get().status_code == 200


def test_two_writes_at_one_time(segments: SegmentsSite):
    """The second is 429, and not done; reads go on beside a write; then writes do too."""
    with segments.running():
        segments.plan(Kind.SLOW, seconds=2, writes=True)
        first = threading.Thread(target=segments.created)
        first.start()
        until(lambda: segments.one.faults.planned == 0, "the first write")
        body = EXAMPLE | {"taxonomy": EXAMPLE["taxonomy"] | {"name": "Other"}}
        assert refused(segments.post(body), 429, "too-many-concurrent-writes")
        assert segments.get().status_code == 200
        first.join()
        segments.named("Third")
        names = [one.taxonomy.root.name for one in segments.one.taxonomies]
        assert names == [EXAMPLE["taxonomy"]["name"], "Third"]
