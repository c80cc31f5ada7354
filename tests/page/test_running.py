"""The page of a real bridge, between a real broker and a real server, in a real browser."""

import signal
import urllib.error
import urllib.request
import uuid

import pytest
from playwright.sync_api import expect, sync_playwright

from tests.parts.bridging import Bridge, configuration, delivered, end, stream, wait_for_files
from tests.parts.collecting import events
from tests.parts.waiting import free_port, until

pytestmark = [pytest.mark.browser, pytest.mark.kafka, pytest.mark.sshd]


@pytest.fixture
def tab(chromium):
    """A window that tells what it asked for and complained of."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        one = browser.new_page()
        one.complaints, one.asked = [], []
        one.on("console", lambda message: one.complaints.append(message.text))
        one.on("request", lambda request: one.asked.append(request.url))
        one.clock.install()
        yield one
        browser.close()


def test_it_shows_a_running_bridge_and_goes_on(kafka, sshd, tmp_path, tab):
    """What was delivered and refused is there; what comes later too; no user id, no other address."""
    topic, port = "page.running", free_port()
    kafka.create_topic(topic, 4)
    kafka.produce(topic, [*events(500), *[(0, None, b"no event")] * 3])
    config = configuration(kafka, sshd, tmp_path, [stream(topic)], http={"listen": f"127.0.0.1:{port}"})
    process = Bridge(tmp_path, config).start()
    try:
        wait_for_files(sshd, 1)
        tab.goto(f"http://127.0.0.1:{port}/")
        until(lambda: shows(tab, "Last deliveries", delivered(sshd)[0].name), "the first file on the page")
        until(lambda: shows(tab, "Streams", "503"), "all events on the page")
        expect(tab.get_by_role("status")).to_contain_text("All well")
        expect(tab.get_by_role("row", name="undecodable")).to_contain_text("3")
        before = len(delivered(sshd))
        kafka.produce(topic, events(200, start=500))
        wait_for_files(sshd, before + 1)
        until(lambda: shows(tab, "Last deliveries", delivered(sshd)[-1].name), "the next file on the page")
        until(lambda: shows(tab, "Streams", "703"), "the next events on the page")
        html = tab.content()
    finally:
        end(process)
    assert tab.complaints == []
    assert {url for url in tab.asked if not url.startswith("data:")} == {f"http://127.0.0.1:{port}/"}
    assert not [number for number in range(700) if str(uuid.UUID(int=number + 1)) in html]


def shows(tab, table, text):
    """Whether the table has this text, now that the page has asked again."""
    with tab.expect_response("**/"):
        tab.clock.run_for(10_000)
    return tab.get_by_role("table", name=table).get_by_text(text).count() > 0


@pytest.mark.failure(59)
def test_a_bridge_that_waits_for_its_locks_has_a_page(kafka, sshd, tmp_path):
    """While another process has the spool, the page tells what is on disk, and that it waits."""
    topic, port = "page.waiting", free_port()
    kafka.create_topic(topic, 1)
    config = configuration(kafka, sshd, tmp_path, [stream(topic)])
    (tmp_path / "second").mkdir()
    first = Bridge(tmp_path, config)
    second = Bridge(tmp_path / "second", config | {"http": {"listen": f"127.0.0.1:{port}"}})
    processes = [first.start()]
    try:
        first.wait_for("started")
        processes.append(second.start())
        until(lambda: "another process holds the locks" in fetched(port), "the page of the one that waits")
        assert "0 of 1,000" in fetched(port)
        end(processes[0], signal.SIGTERM)
        second.wait_for("started")
        until(
            lambda: "another process holds the locks" not in fetched(port), "the page of the one that works"
        )
    finally:
        for process in processes:
            end(process)


def fetched(port):
    """The page; empty while nobody listens."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=5) as answer:
            return answer.read().decode()
    except urllib.error.URLError:
        return ""
