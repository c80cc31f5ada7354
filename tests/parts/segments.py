"""A client of the sandbox's Audience Segments API, and the seed's example."""

import json
from contextlib import contextmanager
from pathlib import Path

import httpx2 as httpx

from bridge.sandbox.faults import Api, Fault, Kind
from bridge.sandbox.login import TOKEN_PATH
from bridge.sandbox.rules import Rules
from bridge.sandbox.sandbox import Sandbox
from bridge.sandbox.settings import Address, Settings
from bridge.sandbox.site import CLIENT_ID, SandboxSite
from bridge.sandbox.taxonomies.settings import BASE_PATH, SegmentsSettings
from bridge.taxonomy import Rules as FileRules
from bridge.taxonomy import creation, read
from tests.parts.clocks import SetClock

START = 1_793_491_200_000
"""2026-11-01T00:00:00Z."""

LOOPBACK = Address(host="127.0.0.1", port=0)
EXAMPLE = creation(
    read(Path(__file__).parents[1] / "taxonomy" / "fixtures" / "seed_example.yaml", FileRules()).taxonomy
)
"""What the seed creates."""

EVERY = "/audience_segments"
UNHURRIED = 10_000
"""Requests a second: the clock stands still."""


class SegmentsSite:
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


def refused(answer: httpx.Response, status: int, said: str) -> bool:
    """Whether it is an error of the platform's shape that says so."""
    assert answer.status_code == status, answer.text
    assert answer.json()["meta"] == {"status": "error"}
    return said in json.dumps(answer.json()["errors"][0])
