"""The platform's sync domain as the stand-in plays it: real HTTP, with and without a browser's cookies."""

import json
import re
from contextlib import contextmanager
from html import unescape
from urllib.parse import parse_qs, quote, urlsplit

import httpx2 as httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.sandbox.browsers import MOST, Browsers
from bridge.sandbox.refused import Refused
from bridge.sandbox.rules import Rules
from bridge.sandbox.sandbox import Sandbox
from bridge.sandbox.settings import Address, Settings
from bridge.sandbox.site import SandboxSite
from bridge.sandbox.sync_domain import endpoint_of, filled
from bridge.sync.endpoint import GIF
from bridge.sync.mapping import is_mm_uuid
from bridge.sync.tag import Kind, Tag, render
from tests.parts.clocks import SetClock
from tests.sync.tc_strings import tc_string

START = 1_793_491_200_000
LOOPBACK = Address(host="127.0.0.1", port=0)
ENDPOINT = "https://sync.partner.com/sync?mmuuid=[MM_UUID]&dc=[MT_DC]"
ONCE = quote(ENDPOINT, safe="[]")
JS, IMAGE = f"/sync/js?exsync={ONCE}", f"/sync/img?mt_exid=1&redir={ONCE}"
UUID = "5f11538c-fcb6-4600-88e0-6e51bff72bbc"


class Site:
    """A sandbox's directory, and its domain `running` as often as wanted."""

    def __init__(self, directory):
        self.clock = SetClock(START)
        self._place = SandboxSite(directory / "sandbox")

    @contextmanager
    def running(self):
        settings = Settings(http=LOOPBACK, sftp=LOOPBACK, rules=Rules(account="u"))
        with Sandbox(self._place, settings, self.clock) as self.one:
            yield self.one

    def get(self, path, uuid=None):
        """One request, with the cookie or without."""
        headers = {} if uuid is None else {"Cookie": f"other=1; uuid={uuid}"}
        return httpx.get(f"http://{self.one.http}{path}", headers=headers, follow_redirects=False)


@pytest.fixture
def site(tmp_path):
    return Site(tmp_path)


def brought_to(answer):
    """The endpoint's URL that a browser is brought to."""
    if answer.status_code == 302:
        return answer.headers["Location"]
    found = re.search(r"one\.src = (.*);", answer.text)
    return json.loads(found[1]) if found else None


@pytest.mark.parametrize("path", [JS, IMAGE])
def test_a_browser_is_brought_to_the_endpoint(site, path):
    """With an id of its own, which it keeps as a cookie that pages of other sites may send."""
    with site.running() as sandbox:
        answer = site.get(path)
        cookie = answer.headers["Set-Cookie"]
        mm_uuid = cookie.partition("uuid=")[2].partition(";")[0]
        assert is_mm_uuid(mm_uuid)
        assert {"Max-Age=31536000", "Path=/", "Secure", "HttpOnly", "SameSite=none"} <= set(
            cookie.split("; ")
        )
        assert brought_to(answer) == f"https://sync.partner.com/sync?mmuuid={mm_uuid}&dc=ewr"
        assert answer.headers["Cache-Control"] == "no-store"
        site.clock.at += 1
        again = site.get(path, mm_uuid)
        assert brought_to(again) == brought_to(answer)
        assert "Set-Cookie" not in again.headers
        (browser,) = sandbox.browsers
    assert (browser.mm_uuid, browser.synced, browser.endpoint) == (mm_uuid, 2, "sync.partner.com")
    assert (browser.first_synced_at, browser.synced_at) == (START, START + 1)


def test_a_browser_is_known_over_restarts(site):
    """What it brings is its id; what is no id is not taken for one."""
    for _ in range(2):
        with site.running():
            assert UUID in brought_to(site.get(JS, UUID))
    with site.running():
        for bad in ("x", "", UUID.upper(), UUID.replace("5", "g"), "00000000-0000-0000-0000-000000000000"):
            answer = site.get(JS, bad)
            assert is_mm_uuid(parse_qs(urlsplit(brought_to(answer)).query)["mmuuid"][0])
            assert "Set-Cookie" in answer.headers


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("/sync/js", "exsync is missing"),
        ("/sync/js?exsync=", "exsync is missing"),
        (f"/sync/js?redir={ONCE}", "exsync is missing"),
        (f"/sync/js?exsync={quote(ONCE, safe='[]')}", "exsync is no URL after it was decoded"),
        ("/sync/js?exsync=javascript:alert(1)//x", "exsync is no URL"),
        ("/sync/js?exsync=data:text/html,x", "exsync is no URL"),
        ("/sync/js?exsync=/sync", "exsync is no URL"),
        ("/sync/js?exsync=https%3A%2F%2F%5Bbad", "exsync is no URL"),
        ("/sync/js?exsync=https%3A%2F%2Fa.com%2F%0D%0Ax%3A1", "exsync is no URL"),
        ("/sync/js?exsync=https%3A%2F%2Fa.com%2F%FF", "exsync is no URL"),
        (f"/sync/img?mt_exid=1&exsync={ONCE}", "redir is missing"),
        (f"/sync/img?redir={ONCE}", "mt_exid is missing"),
        (f"/sync/img?mt_exid=&redir={ONCE}", "mt_exid is missing"),
    ],
)
def test_a_tag_that_says_nothing_sensible_is_refused(site, path, said):
    """400 with the reason, which the page counts; no cookie is set, and nobody is brought anywhere."""
    with site.running() as sandbox:
        for _ in range(2):
            answer = site.get(path)
            assert answer.status_code == 400
            assert answer.json()["errors"][0]["message"].startswith(said)
            assert "Set-Cookie" not in answer.headers
        assert sandbox.browsers == ()
        assert re.search(rf"2 visits: {said}", unescape(site.get("/").text))


@pytest.mark.parametrize(
    ("said", "asked"),
    [
        (f"gdpr=1&gdpr_consent={tc_string(purposes={1})}", True),
        ("gdpr=0", True),
        ("us_privacy=1YNN", True),
        (f"gdpr=1&gdpr_consent={tc_string(purposes={2})}", False),
        ("gdpr=1", False),
        ("us_privacy=1YYN", False),
        ("us_privacy=${US_PRIVACY}", False),
    ],
)
@pytest.mark.parametrize("path", [JS, IMAGE])
def test_without_consent_a_browser_gets_nothing(site, path, said, asked):
    """Neither an id nor the endpoint, but an answer that does no harm to a page."""
    with site.running() as sandbox:
        answer = site.get(f"{path}&{said}")
        assert (brought_to(answer) is not None) == asked
        assert ("Set-Cookie" in answer.headers) == asked
        assert len(sandbox.browsers) == asked
    if not asked:
        assert (answer.status_code, answer.content) == (200, b"" if path is JS else GIF)


def test_the_page_shows_browsers(site):
    """How often each was synced, and no whole id."""
    with site.running():
        for _ in range(3):
            site.get(JS, UUID)
        page = site.get("/").text
    assert re.search(r'>5f11538c…</th>.*?"number">3</td>', page)
    assert UUID not in page


words = st.text([chr(code) for code in range(0x21, 0x7F) if chr(code) not in '"<>[]\\^`'], max_size=20)


@given(words, st.sampled_from(Kind))
def test_what_the_tag_means_is_what_is_loaded(word, kind):
    """Whatever is in the endpoint's URL: the printed tag, sent by a browser, decoded once, is that URL."""
    endpoint = f"https://a.com/{word}[MM_UUID]&[MT_DC]"
    exid = "1" if kind is Kind.IMAGE else None
    text = unescape(render(Tag(kind=kind, host="p.mathtag.com", endpoint=endpoint, exid=exid)))
    query = urlsplit(text.partition('src="')[2].partition('"')[0]).query
    sent = {name: values[0] for name, values in parse_qs(query).items()}
    assert filled(endpoint_of(sent, kind), UUID) == f"https://a.com/{word}{UUID}&ewr"


@given(st.text(max_size=40) | st.text("htps:/[]%a.\r\n ", max_size=40), st.sampled_from(Kind))
def test_whatever_is_loaded_is_fit_for_a_header(text, kind):
    """Anything in the endpoint's place is a URL of http or https, or refused."""
    try:
        url = endpoint_of({"exsync": text, "redir": text, "mt_exid": "1"}, kind)
    except Refused:
        return
    assert urlsplit(url).hostname
    assert url.lower().startswith(("https://", "http://", "//"))
    assert url.isascii()
    assert url.isprintable()


def test_browsers_are_forgotten_when_there_are_many():
    """Those that have not come for the longest; their number stays bounded."""
    browsers = Browsers()
    for number in range(MOST):
        browsers.synced(str(number), "a.com", START)
    browsers.synced("0", "a.com", START)
    browsers.synced("new", "a.com", START)
    assert len(browsers.all) == MOST
    assert [one.mm_uuid for one in browsers.all[:2]] == ["new", "0"]
    assert "1" not in {one.mm_uuid for one in browsers.all}
