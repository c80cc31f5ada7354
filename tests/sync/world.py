"""All that a visit passes through, on this machine and by its own name: pages, platform, endpoint, topic.

    person ─▶ TLS ─▶ www.partner.com, www.publisher.com    pages with the tag
                 ├─▶ pixel.mathtag.com                     the sandbox
                 └─▶ sync.partner.com                      s2s-bridge sync serve ─▶ Kafka

Every name leads to this machine, in the browser's own resolver: nothing can come from elsewhere.
"""

import http.server
import io
import json
import subprocess
import sys
import threading
import urllib.request
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, redirect_stdout, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Self
from urllib.parse import urlsplit

from playwright.sync_api import BrowserContext, BrowserType, Page, Playwright

from bridge import cli
from bridge.clock import SystemClock
from bridge.sandbox.browsers import Browser
from bridge.sandbox.rules import Rules
from bridge.sandbox.sandbox import Sandbox
from bridge.sandbox.settings import Address, Settings
from bridge.sandbox.site import SandboxSite
from bridge.sync.mapping import UserSync, decode
from tests.parts.certificates import certificate
from tests.parts.kafka import Kafka
from tests.parts.tls_front import TlsFront
from tests.parts.waiting import free_port, until
from tests.sync.serving import Site, configuration
from tests.sync.stores import InKafka

PARTNER, PUBLISHER = "www.partner.com", "www.publisher.com"
"""Whose pages have the tag: the partner itself, and another site."""

PIXEL, SYNC = "pixel.mathtag.com", "sync.partner.com"
LOOPBACK = Address(host="127.0.0.1", port=0)
PAGE = """\
<!DOCTYPE html>
<html lang="en">
<head><title>A page</title><link rel="icon" href="data:,">{head}</head>
<body>{body}</body>
</html>
"""


@dataclass(frozen=True)
class Served:
    """Ports of the endpoint's process."""

    port: int
    status_port: int


class World:
    """It runs from its entry to its exit; tests see what has come since they began (`fresh`)."""

    def __init__(self, folder: Path, kafka: Kafka, playwright: Playwright, chromium: str) -> None:
        self.folder = folder
        self._topic = InKafka(kafka)
        self._kafka = kafka
        self._chromium = partial(browser, playwright.chromium, chromium)
        self._pages = folder / "pages"
        self._tls = folder / "tls"
        for one in (self._pages, self._tls):
            one.mkdir()
        self._running, self._persons = ExitStack(), ExitStack()
        self._profiles = 0

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            settings = Settings(http=LOOPBACK, sftp=LOOPBACK, rules=Rules(account="u"))
            sandbox = Sandbox(SandboxSite(self.folder / "sandbox"), settings, SystemClock())
            self._sandbox = stack.enter_context(sandbox)
            self._endpoint = Site(stack.enter_context(self._served()), self.folder)
            pages = stack.enter_context(_static(self._pages))
            ports = {PARTNER: pages, PUBLISHER: pages, PIXEL: self._sandbox.http.port}
            ports[SYNC] = self._endpoint.service.port
            self._front = stack.enter_context(TlsFront(certificate(self._tls, *ports), ports))
            self._running = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._running.close()

    @contextmanager
    def fresh(self) -> Iterator[Self]:
        """For one test; its persons go with it."""
        self._outcomes = Counter(self._endpoint.outcomes())
        self._keys = self._topic.kept().keys()
        self._known = {one.mm_uuid for one in self._sandbox.browsers}
        with ExitStack() as self._persons:
            yield self

    def person(self, *, third_party_cookies: bool = True, **how: object) -> BrowserContext:
        """Somebody's browser, without a cookie; it asks the front for whatever it wants."""
        self._profiles += 1
        profile = self.folder / f"profile-{self._profiles}"
        rules = f"--host-resolver-rules=MAP * 127.0.0.1:{self._front.port}"
        one = self._chromium(profile, rules, third_party_cookies=third_party_cookies, **how)
        return self._persons.enter_context(one)

    def visit(self, person: BrowserContext, tag: str, site: str = PUBLISHER) -> Page:
        """A page of `site` with this tag, opened; what it complains of and asks for is kept."""
        script = tag.startswith("<script")
        text = PAGE.format(head=tag if script else "", body="" if script else tag)
        (self._pages / "visit.html").write_text(text)
        tab = person.new_page()
        tab.complaints, tab.asked = [], set()
        tab.on("console", lambda message: tab.complaints.append(message.text))
        tab.on("pageerror", lambda error: tab.complaints.append(str(error)))
        tab.on("request", lambda request: tab.asked.add(urlsplit(request.url).hostname))
        tab.goto(f"https://{site}/visit.html", wait_until="networkidle")
        return tab

    @property
    def outcomes(self) -> dict[str, int]:
        """What visits have come to, and how often."""
        return dict(Counter(self._endpoint.outcomes()) - self._outcomes)

    def come_to(self, **wanted: int) -> None:
        """Wait until visits have come to these, and to nothing else."""
        with suppress(TimeoutError):
            until(lambda: self.outcomes == wanted, "visits")
        assert self.outcomes == wanted

    def kept(self) -> dict[str, UserSync]:
        """What the topic holds to its end, by key: the last record of each."""
        found = self._topic.kept()
        return {key.decode(): decode(found[key]) for key in found.keys() - self._keys}

    @property
    def browsers(self) -> list[Browser]:
        """That the sandbox has synced, the last one first."""
        return [one for one in self._sandbox.browsers if one.mm_uuid not in self._known]

    @contextmanager
    def _served(self) -> Iterator[Served]:
        """`s2s-bridge sync serve`, a process of its own."""
        ports = Served(free_port(), free_port())
        path = configuration(
            self.folder,
            self._kafka.bootstrap,
            topic=self._topic.topic,
            listen=f"127.0.0.1:{ports.port}",
            status_listen=f"127.0.0.1:{ports.status_port}",
            answer_within="30s",
            consent={"vendor_id": 755},
        )
        with (self.folder / "endpoint.log").open("wb") as log:
            command = [sys.executable, "-m", "bridge", "sync", "serve", "--config", str(path)]
            process = subprocess.Popen(command, stdout=log, stderr=log)
            try:
                until(lambda: process.poll() is not None or _answers(ports.status_port), "the endpoint")
                yield ports
            finally:
                process.terminate()
                code = process.wait(30)
        told = [
            json.loads(line)["action"] for line in (self.folder / "endpoint.log").read_text().splitlines()
        ]
        assert (code, told) == (0, ["sync_started", "sync_stopped"])


@contextmanager
def browser(
    chromium: BrowserType,
    path: str,
    profile: Path,
    *arguments: str,
    third_party_cookies: bool = True,
    **how: object,
) -> Iterator[BrowserContext]:
    """A Chromium with a profile of its own; without settings a headless one blocks third parties' cookies."""
    (profile / "Default").mkdir(parents=True)
    settings = {"profile": {"cookie_controls_mode": 0 if third_party_cookies else 1}}
    (profile / "Default" / "Preferences").write_text(json.dumps(settings))
    one = chromium.launch_persistent_context(
        profile, executable_path=path, args=["--no-sandbox", *arguments], ignore_https_errors=True, **how
    )
    yield one
    one.close()


def printed_tag(endpoint: str = f"https://{SYNC}/sync", *more: str) -> str:
    """What `s2s-bridge sync tag` prints."""
    out = io.StringIO()
    with redirect_stdout(out):
        assert cli.main(["sync", "tag", "--endpoint", endpoint, "--host", PIXEL, *more]) == 0
    return out.getvalue().strip()


class _Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def _static(folder: Path) -> Iterator[int]:
    """Serves files as they lie there."""
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), partial(_Quiet, directory=folder)) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server.server_port
        server.shutdown()


def _answers(port: int) -> bool:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/healthz") as answer:
            return answer.status == 200
    except OSError:
        return False
