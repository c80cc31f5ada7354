"""A visit in a real browser: the tag as it is printed, the sandbox's sync domain, the endpoint, Kafka."""

import re

import pytest
from playwright.sync_api import expect, sync_playwright

from bridge.sync.mapping import Consent
from tests.sync.tc_strings import tc_string
from tests.sync.world import PARTNER, PIXEL, PUBLISHER, SYNC, World, printed_tag

pytestmark = [pytest.mark.browser, pytest.mark.kafka]

IMAGE = ("--kind", "image", "--exid", "1234", "--hidden")
YES, NO = tc_string(purposes={1}, vendors={755}), tc_string(purposes={2}, vendors={755})


@pytest.fixture(scope="module")
def whole(tmp_path_factory, kafka, chromium):
    folder = tmp_path_factory.mktemp("world")
    with sync_playwright() as playwright, World(folder, kafka, playwright, chromium) as one:
        yield one


@pytest.fixture
def world(whole):
    with whole.fresh() as one:
        yield one


def cookies(person, host):
    """What a browser keeps of a host."""
    return {one["name"]: one for one in person.cookies(f"https://{host}/")}


def tag_with(**consent):
    """The tag of an endpoint that is told of consent."""
    return printed_tag(f"https://{SYNC}/sync?" + "&".join(f"{key}={text}" for key, text in consent.items()))


@pytest.mark.parametrize("kind", [(), IMAGE], ids=["script", "image"])
def test_a_visit_is_a_mapping(world, kind):
    """On another site's page: the cookies are set, and the topic holds who is who, with the data centre."""
    person = world.person()
    tab = world.visit(person, printed_tag(f"https://{SYNC}/sync", *kind))
    world.come_to(cookie_set=1, stored=1)
    ours = cookies(person, SYNC)["s2s_id"]
    assert ours | {"value": "", "expires": 0} == {
        "name": "s2s_id",
        "value": "",
        "domain": SYNC,
        "path": "/",
        "expires": 0,
        "httpOnly": True,
        "secure": True,
        "sameSite": "None",
    }
    assert ours["expires"] > 0, "it outlives the browser"
    mm_uuid = cookies(person, PIXEL)["uuid"]["value"]
    (key, mapping), *others = world.kept().items()
    assert others == []
    assert key == f"acme {ours['value']} {mm_uuid}"
    assert (mapping.partner_id, mapping.mm_uuid) == (ours["value"], mm_uuid)
    assert (mapping.data_centre, mapping.consent) == ("ewr", Consent.NO_SIGNAL)
    assert [(one.mm_uuid, one.endpoint, one.synced) for one in world.browsers] == [(mm_uuid, SYNC, 1)]
    assert tab.complaints == []
    assert tab.asked == {PUBLISHER, PIXEL, SYNC}
    assert tab.evaluate("document.cookie") == ""


def test_who_comes_again_is_the_same(world):
    """By either kind, on this site or another: one mapping, its time the last visit's; others are others."""
    person = world.person()
    world.visit(person, printed_tag())
    world.come_to(cookie_set=1, stored=1)
    (first,) = world.kept().values()
    world.visit(person, printed_tag(f"https://{SYNC}/sync", *IMAGE), PARTNER)
    world.come_to(cookie_set=1, stored=2)
    (second,) = world.kept().values()
    assert second.synced_at > first.synced_at
    assert (second.partner_id, second.mm_uuid) == (first.partner_id, first.mm_uuid)
    assert [one.synced for one in world.browsers] == [2]
    world.visit(world.person(), printed_tag())
    world.come_to(cookie_set=2, stored=3)
    assert len({one.partner_id for one in world.kept().values()}) == 2
    assert len({one.mm_uuid for one in world.kept().values()}) == 2
    assert [one.synced for one in world.browsers] == [1, 2]


@pytest.mark.parametrize(
    ("outcome", "said", "how"),
    [
        ("no_consent", {"gdpr": "1", "gdpr_consent": NO}, {}),
        ("no_consent", {"gdpr": "1"}, {}),
        ("us_privacy", {"us_privacy": "1YYN"}, {}),
        ("gpc", {"gdpr": "1", "gdpr_consent": YES}, {"extra_http_headers": {"Sec-GPC": "1"}}),
    ],
    ids=["tc_string", "gdpr_alone", "us_privacy", "gpc"],
)
def test_without_consent_nothing_is_set_and_nothing_stored(world, outcome, said, how):
    """Neither at the first visit nor at the next; the page does not notice."""
    person = world.person(**how)
    for times in (1, 2):
        tab = world.visit(person, tag_with(**said))
        world.come_to(**{outcome: times})
    assert cookies(person, SYNC) == {}
    assert world.kept() == {}
    assert tab.complaints == []
    assert tab.asked == {PUBLISHER, PIXEL, SYNC}


def test_with_consent_it_is_stored_with_what_allowed_it(world):
    """The page's TC string has come through the platform as it was."""
    person = world.person()
    world.visit(person, tag_with(gdpr="1", gdpr_consent=YES))
    world.come_to(cookie_set=1, stored=1)
    assert [one.consent for one in world.kept().values()] == [Consent.TC_STRING]


def test_without_consent_to_the_platform_nobody_is_asked(world):
    """Told beside the endpoint: the platform sets no cookie either, and loads no endpoint."""
    person = world.person()
    tab = world.visit(person, printed_tag().replace("/sync/js?", f"/sync/js?gdpr=1&gdpr_consent={NO}&"))
    assert tab.asked == {PUBLISHER, PIXEL}
    assert person.cookies() == []
    assert world.browsers == []
    assert world.outcomes == {}
    assert tab.complaints == []


def test_a_browser_that_blocks_third_parties_leaves_nothing(world):
    """On another site's page it is not given one id after the other: nothing is set, nothing is stored."""
    person = world.person(third_party_cookies=False)
    for times in (1, 2):
        tab = world.visit(person, printed_tag())
        world.come_to(cookie_set=times, cookie_refused=times)
    assert person.cookies() == []
    assert world.kept() == {}
    assert tab.complaints == []


def test_on_the_partners_own_page_the_platform_alone_is_a_third_party(world):
    """Blocked, it has another id for the browser at each visit, and so has the partner, whose own is kept."""
    person = world.person(third_party_cookies=False)
    for times in (1, 2):
        world.visit(person, printed_tag(), PARTNER)
        world.come_to(cookie_set=1, stored=times)
    assert cookies(person, PIXEL) == {}
    partner_id = cookies(person, SYNC)["s2s_id"]["value"]
    assert [one.partner_id for one in world.kept().values()] == [partner_id] * 2
    assert {one.mm_uuid for one in world.kept().values()} == {one.mm_uuid for one in world.browsers}


def test_who_opts_out_is_known_no_more(world):
    """By a click: a later record outdoes the mapping, the id is gone, and no visit makes a new one."""
    person = world.person()
    world.visit(person, printed_tag())
    world.come_to(cookie_set=1, stored=1)
    ((_, mapping),) = world.kept().items()
    tab = world.visit(person, f'<a href="https://{SYNC}/opt-out">Opt out</a>', PARTNER)
    tab.get_by_role("link", name="Opt out").click()
    expect(tab.get_by_text("You have opted out")).to_be_visible()
    assert {name: one["value"] for name, one in cookies(person, SYNC).items()} == {"s2s_id_opt_out": "1"}
    world.visit(person, printed_tag())
    world.come_to(cookie_set=1, stored=1, opted_out=1)
    after = world.kept()
    assert after.keys() == {
        f"acme {mapping.partner_id} {mapping.mm_uuid}",
        f"acme {mapping.partner_id}",
    }
    told = after[f"acme {mapping.partner_id}"]
    assert (told.mm_uuid, told.consent) == (None, Consent.WITHDRAWN)
    assert told.synced_at >= mapping.synced_at


def test_the_platform_says_what_is_wrong_with_a_tag(world):
    """An endpoint that was encoded twice is not loaded, and the sandbox's page says why."""
    person = world.person()
    tab = world.visit(person, printed_tag().replace("%", "%25"))
    assert tab.asked == {PUBLISHER, PIXEL}
    assert person.cookies() == []
    assert world.outcomes == {}
    sandbox = person.new_page()
    sandbox.goto(f"https://{PIXEL}/")
    expect(sandbox.locator("#tags")).to_have_text(
        re.compile("1 visit: exsync is no URL after it was decoded")
    )


def test_the_sandbox_shows_whom_it_has_synced(world):
    """By the beginning of the id, and how often."""
    person = world.person()
    for times in (1, 2):
        world.visit(person, printed_tag())
        world.come_to(cookie_set=1, stored=times)
    mm_uuid = cookies(person, PIXEL)["uuid"]["value"]
    sandbox = person.new_page()
    sandbox.goto(f"https://{PIXEL}/")
    row = sandbox.get_by_role("table", name="Browsers").get_by_role("row").nth(1)
    expect(row.get_by_role("rowheader")).to_have_text(f"{mm_uuid[:8]}…")
    expect(row.get_by_role("cell").first).to_have_text("2")
    assert mm_uuid not in sandbox.content()
