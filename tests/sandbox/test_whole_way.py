"""A bridge as its user runs it, pointed at the sandbox by what the sandbox says."""

import httpx2 as httpx
import pytest
import yaml

from bridge.clock import SECOND, SystemClock
from bridge.sandbox.rules import Rules
from bridge.sandbox.sandbox import Sandbox
from bridge.sandbox.settings import LOG_PATH, Address, Settings
from bridge.sandbox.site import SandboxSite
from tests.parts import bridging, oracle
from tests.parts import events as made
from tests.parts.events import Load
from tests.parts.waiting import until

LOOPBACK = Address(host="127.0.0.1", port=0)
TOPIC = "sandbox.whole"


def held(sandbox: Sandbox) -> oracle.State:
    """What the platform holds; what it holds since it loaded a file, as 0."""
    platform = sandbox.processing.platform
    loaded = {record.processed_at // SECOND for record in sandbox.processing.records()}
    state: oracle.State = {}
    for one in platform.audiences():
        audience = oracle.Audience(
            client=one.client or None,
            user_namespace=one.user_namespace,
            user_table_id=one.user_table_id or None,
            segment_namespace=one.segment_namespace,
            mobile=one.mobile,
            hashed=one.hashed,
        )
        for user in platform.users(one):
            segments = platform.memberships(one, user).items()
            known = {code: (0 if since in loaded else since,) for code, since in segments}
            state.setdefault(audience, {})[user] = known
    return state


def configured(kafka, sandbox: Sandbox, directory) -> dict:
    """The snippet that the sandbox prints, and the rest of a configuration."""
    said = sandbox.introduction
    snippet = yaml.safe_load(said[said.index("accounts:") : said.index("Runs until")])
    snippet["accounts"][0]["quota"]["guard"] = "0s"
    stream = bridging.stream(TOPIC, account="sandbox", clients=["Acme"])
    return {
        "kafka": {"bootstrap_servers": kafka.bootstrap, "group_id": f"group-{directory.name}"},
        "spool": {"directory": str(directory / "spool")},
        "streams": [stream],
        "http": {"listen": None},
    } | snippet


@pytest.mark.kafka
def test_events_become_memberships_of_the_platform(kafka, tmp_path):
    """What was produced is what is held: every file is loaded, no line is refused, nobody is on two lines."""
    kafka.create_topic(TOPIC, 4)
    load = Load(events=3_000, users=300, clients=(None, "Acme"))
    events = made.make(load, 5)
    placed = []
    settings = Settings(http=LOOPBACK, sftp=LOOPBACK, rules=Rules(account="sandbox"))
    with Sandbox(SandboxSite(tmp_path / "sandbox"), settings, SystemClock()) as sandbox:
        bridge = bridging.Bridge(tmp_path, configured(kafka, sandbox, tmp_path))
        for half in (events[:1_500], events[1_500:]):
            placed += bridging.produce(kafka, TOPIC, half)
            bridge.drain()
        login = ("sandbox", sandbox.site.password)

        def entries() -> list[dict]:
            return httpx.get(f"http://{sandbox.http}{LOG_PATH}", auth=login).json()["data"]

        until(lambda: all(one["status"] != "received" for one in entries()), "the files to be processed")
        assert len(entries()) == 8
        for one in entries():
            assert (one["status"], one["lines_refused"], one["warnings"]) == ("loaded", 0, [])
        assert oracle.same(held(sandbox), oracle.last_write_wins(placed)) == []
