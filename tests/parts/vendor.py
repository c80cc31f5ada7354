"""The vendor of a stand-in platform: its configuration and its client."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bridge.config import AudienceSegmentsSettings
from bridge.platform.api import Limits
from bridge.platform.segments import Segments
from bridge.sandbox.faults import Api, Fault, Kind
from bridge.sandbox.login import SESSION_PATH, TOKEN_PATH
from bridge.sandbox.site import CLIENT_ID
from tests.parts.clocks import HandClock
from tests.parts.segments import START, SegmentsSite

SETTING = "accounts[0].platform.audience_segments"
LIMITS = Limits(attempts=3, connect=2_000, silence=5_000, whole=10_000)

CONFIGURATION = """\
kafka: {{bootstrap_servers: "kafka:9092"}}
accounts:
  - name: default
    agency: AgencyName
    partner: PartnerName
    sftp: {{host: sftp.example.com, username: u, password_file: {password_file}, host_key: ssh-ed25519 AAAA}}
    platform:
      audience_segments:
        url: {url}
        vendor_id: 1234
        requests_per_second: 100
        auth:
          token_url: {token_url}
          session_url: {session_url}
          username: u
          password_file: {password_file}
          client_id: {client_id}
          client_secret_file: {client_secret_file}
streams:
  - {{name: acme, topics: [acme], format: json, segment_namespace: ep}}
"""


class Vendor(SegmentsSite):
    """A sandbox, and those who ask it by the product's own client."""

    def __init__(self, directory: Path) -> None:
        super().__init__(directory)
        self.config = directory / "bridge.yaml"
        self.waited = HandClock(START)
        """Of the clients: nothing is waited out in earnest."""

    def addresses(self) -> dict[str, str]:
        return {
            "url": self.url(""),
            "token_url": self.url(TOKEN_PATH, ""),
            "session_url": self.url(SESSION_PATH, ""),
        }

    def write_config(self, **more: str) -> Path:
        """A configuration for the command, of this sandbox as it runs now."""
        values = self.addresses() | {
            "password_file": str(self.place.password_file),
            "client_secret_file": str(self.place.client_secret_file),
            "client_id": CLIENT_ID,
        }
        self.config.write_text(CONFIGURATION.format(**values | more))
        return self.config

    def settings(self, **more: object) -> AudienceSegmentsSettings:
        addresses = self.addresses()
        auth = {
            "token_url": addresses["token_url"],
            "session_url": addresses["session_url"],
            "username": "u",
            "password_file": self.place.password_file,
            "client_id": CLIENT_ID,
            "client_secret_file": self.place.client_secret_file,
        }
        own = {key: more.pop(key) for key in ("url", "requests_per_second") if key in more}
        return AudienceSegmentsSettings(
            **{"url": addresses["url"], "vendor_id": 1234, "requests_per_second": 100, "auth": auth | more}
            | own
        )

    @contextmanager
    def client(self, limits: Limits = LIMITS, **more: object) -> Iterator[Segments]:
        client = Segments(self.settings(**more), setting=SETTING, clock=self.waited, limits=limits)
        try:
            yield client
        finally:
            client.close()

    def meet(self, kind: Kind, times: int = 1, *, api: Api = Api.AUDIENCE_SEGMENTS, **more: object) -> None:
        """The next requests meet this."""
        self.one.faults.plan(Fault(kind=kind, api=api, **more), times)
