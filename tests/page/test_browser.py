"""The page in a real browser, of a lively day whose clock stands."""

import re
import socket

import pytest
from playwright.sync_api import Browser, expect, sync_playwright

from bridge.clock import MINUTE
from bridge.deliver.records import Outcome
from bridge.service.page.view import REFRESH
from tests.page.lively import NOW, Lively

pytestmark = pytest.mark.browser

NARROW = {"width": 360, "height": 640}


@pytest.fixture(scope="module")
def browser(chromium):
    with sync_playwright() as playwright:
        one = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        yield one
        one.close()


@pytest.fixture(scope="module")
def served(scene):
    """The address of a page that nobody changes."""
    with scene.serve() as server:
        yield f"http://127.0.0.1:{server.port}/"


@pytest.fixture
def lively(tmp_path):
    """A scene of one's own, to change, with its server."""
    with Lively(tmp_path) as scene, scene.serve() as server:
        scene.address = f"http://127.0.0.1:{server.port}/"
        yield scene


def opened(browser: Browser, address: str, **how):
    """The page in a window of its own, its clock in our hands; what it complains of and asks for is kept."""
    tab = browser.new_context(**how).new_page()
    tab.complaints, tab.asked = [], []
    tab.on("console", lambda message: tab.complaints.append(message.text))
    tab.on("pageerror", lambda error: tab.complaints.append(str(error)))
    tab.on("request", lambda request: tab.asked.append(request.url))
    tab.clock.install()
    tab.goto(address)
    return tab


def files_of_first(tab):
    """The bar of the hour's files of the first account."""
    return tab.get_by_role("meter", name="Files this hour").first


def files_used(scene):
    """What it is to show."""
    return str(scene.front.seen().status.accounts[0].usage.files_used)


def later(tab, seconds=REFRESH):
    """The time of the page goes on by so much."""
    tab.clock.run_for(seconds * 1000)


def test_it_loads_and_asks_for_nothing_else(browser, scene, served):
    """Its numbers are there; the console is empty; no address but its own was asked for."""
    tab = opened(browser, served)
    expect(tab.get_by_role("heading", name="s2s-bridge")).to_be_visible()
    expect(tab.get_by_role("status")).to_contain_text("1 fault, 1 thing to look at")
    expect(files_of_first(tab)).to_have_attribute("aria-valuenow", files_used(scene))
    expect(tab.get_by_role("table", name="Last deliveries").get_by_role("row")).to_have_count(21)
    expect(tab).to_have_title("1 fault, 1 thing to look at · s2s-bridge")
    assert tab.complaints == []
    assert set(tab.asked) - {served} == {url for url in tab.asked if url.startswith("data:")}


@pytest.mark.parametrize("viewport", [NARROW, {"width": 768, "height": 1024}, {"width": 1280, "height": 800}])
def test_nothing_sticks_out(browser, served, viewport):
    """On a phone, a tablet and a desk the page is as wide as the window; on a phone rows are cards."""
    tab = opened(browser, served, viewport=viewport)
    assert tab.evaluate("document.documentElement.scrollWidth") == viewport["width"]
    outside = """[...document.querySelectorAll('main *')].filter(one => {
        if (one.closest('thead')) return false;  // on a phone it is for who listens
        const box = one.getBoundingClientRect();
        return box.width > 1 && (box.right > innerWidth + 1 || box.left < -1);
    }).map(one => one.outerHTML.slice(0, 80))"""
    assert tab.evaluate(outside) == []


def test_roles_outlive_the_layout_of_a_phone(browser, scene, served):
    """Rows that are shown as cards are still rows of a table with named columns to who listens."""
    tab = opened(browser, served, viewport=NARROW)
    table = tab.get_by_role("table", name="Audiences waiting")
    expect(table.get_by_role("columnheader", name="memberships")).to_have_count(1)
    longest = scene.front.seen().status.audiences[0].audience
    expect(table.get_by_role("rowheader").first).to_have_text(longest.label)
    said = tab.locator("main").aria_snapshot()
    assert re.search(r'img "Bytes of the day, account display', said)
    assert 'meter "Bytes today"' in said
    assert 'heading "Dead letters" [level=2]' in said


def test_light_and_dark(browser, served):
    """The scheme of the machine decides; grounds differ, and each is the one that its palette names."""
    grounds = {}
    for scheme in ("light", "dark"):
        tab = opened(browser, served, color_scheme=scheme)
        grounds[scheme] = tab.evaluate("getComputedStyle(document.body).backgroundColor")
    assert grounds == {"light": "rgb(244, 246, 249)", "dark": "rgb(14, 19, 26)"}


def test_it_updates_and_leaves_the_reader_where_he_is(browser, lively):
    """New deliveries come without a reload; what was opened, the place on the page and the focus stay."""
    tab = opened(browser, lively.address, viewport={"width": 1000, "height": 600})
    hours = tab.get_by_text("Hour by hour").first
    hours.click()
    hours.focus()
    tab.evaluate("window.same = document.getElementById('letters'); scrollTo(0, 300)")
    lively.clock.move(MINUTE)
    before = files_used(lively)
    name = lively.upload(lively.of("display")[0], NOW + MINUTE, 12_300_000, Outcome.UPLOADED)
    later(tab)
    expect(tab.get_by_role("rowheader", name=name)).to_be_attached()
    expect(files_of_first(tab)).to_have_attribute("aria-valuenow", str(int(before) + 1))
    expect(tab.get_by_text("14:18:41")).to_be_attached()
    assert tab.evaluate("scrollY") == 300
    assert tab.evaluate("window.same.isConnected"), "what has not changed is left alone"
    assert tab.evaluate("document.activeElement.textContent") == "Hour by hour"
    expect(tab.locator("details").first).to_have_attribute("open", "")
    assert tab.complaints == []


def test_parts_come_and_go(browser, lively):
    """What fails gets its table in its place, and when it is over the table goes; the title tells both."""
    name = lively.ledger.unfinished("mobile")[0].file.name
    tab = opened(browser, lively.address)
    expect(tab.get_by_role("table", name="Files not uploaded yet")).to_be_visible()
    lively.clock.move(MINUTE)
    lively.attempt(name, NOW + MINUTE, Outcome.UPLOADED)
    later(tab)
    expect(tab.get_by_role("table", name="Files not uploaded yet")).to_have_count(0)
    expect(tab).to_have_title("1 thing to look at · s2s-bridge")
    lively.clock.move(MINUTE)
    lively.upload(lively.of("mobile")[1], NOW + MINUTE, 1000, Outcome.SPENT, "disk full")
    later(tab)
    expect(tab.get_by_role("table", name="Files not uploaded yet")).to_be_visible()
    titles = tab.get_by_role("heading", level=2).all_text_contents()
    assert titles.index("Files not uploaded yet") == titles.index("Audiences waiting") + 1
    assert tab.complaints == []


def test_where_nobody_answers_the_last_figures_stay(browser, tmp_path):
    """The bridge restarts: the page says so, keeps what it had, and comes back by itself."""
    with Lively(tmp_path) as scene:
        with scene.serve() as server:
            port = server.port
            tab = opened(browser, f"http://127.0.0.1:{port}/")
        later(tab)
        expect(tab.get_by_role("alert")).to_have_text(re.compile("The bridge does not answer"))
        expect(tab.get_by_role("table", name="Last deliveries")).to_be_visible()
        assert tab.title().startswith("No answer")
        with scene.serve(f"127.0.0.1:{port}"):
            later(tab)
            expect(tab.get_by_role("alert")).to_have_count(0)
            assert tab.title().startswith("1 fault")


def test_it_can_be_paused(browser, lively):
    """A reader stops the updates, and goes on when he wants."""
    tab = opened(browser, lively.address)
    tab.get_by_role("button", name="Pause").click()
    lively.clock.move(MINUTE)
    asked = len(tab.asked)
    later(tab, 3 * REFRESH)
    assert len(tab.asked) == asked
    tab.get_by_role("button", name="Go on").click()
    expect(tab.get_by_text("14:18:41")).to_be_attached()


def test_without_scripts_it_is_whole(browser, lively):
    """Who runs none sees the same numbers, and no button that does nothing."""
    tab = browser.new_context(java_script_enabled=False).new_page()
    tab.goto(lively.address)
    expect(tab.get_by_role("table", name="Last deliveries")).to_be_visible()
    expect(tab.get_by_role("button")).to_have_count(0)


def test_a_script_that_slips_in_does_not_run(browser, served):
    """Whatever escaping would miss, the policy stops: no other script, no handler, no foreign address."""
    tab = opened(browser, served)
    with socket.create_server(("127.0.0.1", 0)) as foreign:
        foreign.settimeout(0)
        tab.evaluate(
            """address => {
                const image = `<img src="${address}" onerror="window.ran = 1">`;
                document.body.insertAdjacentHTML('beforeend', image);
                const one = document.createElement('script');
                one.textContent = 'window.ran = 2';
                document.body.append(one);
                return fetch(address).catch(() => {});
            }""",
            f"http://127.0.0.1:{foreign.getsockname()[1]}/",
        )
        with pytest.raises(BlockingIOError):
            foreign.accept()
    assert tab.evaluate("window.ran") is None
    assert any("Content Security Policy" in text for text in tab.complaints)
