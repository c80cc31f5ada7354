"""From a visit to the platform: mappings by the endpoint, events by partner ids, files by MM UUIDs."""

import uuid
from contextlib import contextmanager

import pytest

from bridge.clock import SystemClock
from bridge.sandbox.rules import Rules
from bridge.sandbox.sandbox import Sandbox
from bridge.sandbox.settings import Settings
from bridge.sandbox.site import SandboxSite
from tests.parts import bridging
from tests.parts.bridging import Bridge, end
from tests.parts.waiting import until
from tests.sandbox.test_whole_way import LOOPBACK, configured
from tests.sync import serving
from tests.sync.serving import service

pytestmark = pytest.mark.kafka

TOPIC = "identify.whole"
BROWSERS = [str(uuid.UUID(int=number << 64 | number)) for number in range(1, 5)]
LOOK_SECONDS = 120


class Partner:
    """Who has an endpoint for browsers, a topic of events, and a bridge to the sandbox."""

    def __init__(self, kafka, sandbox, endpoint, directory, topics):
        self.kafka = kafka
        self.sandbox = sandbox
        self.endpoint = endpoint
        self.topics = topics
        config = configured(kafka, sandbox, directory)
        (stream,) = config["streams"]
        del stream["clients"]
        stream |= {"topics": [topics[0]], "inventory": "display"}
        stream["identify"] = {"from": "acme", "table": topics[1]}
        config |= {"window": {"max_age": "500ms"}, "roll": {"max_age": "1s"}}
        self.bridge = Bridge(directory, config)

    def visits(self, partner_id, browser):
        """A browser comes by the platform's tag, with the partner's cookie."""
        before = self.endpoint.outcomes().get("stored", 0)
        self.endpoint.ask(f"/sync?mmuuid={BROWSERS[browser]}&dc=ewr", Cookie=f"s2s_id={partner_id}")
        assert self.endpoint.outcomes()["stored"] == before + 1

    def opts_out(self, partner_id):
        assert self.endpoint.ask("/opt-out", Cookie=f"s2s_id={partner_id}").status == 200

    def publishes(self, *memberships, at=None):
        """Events of a partner id and a segment each; by default of now."""
        now = SystemClock().now() if at is None else at
        events = [
            {
                "user_id": partner_id,
                "mobile": False,
                "client": None,
                "user_namespace": None,
                "segment_namespace": None,
                "remove_all": False,
                "segments": [{"segment_id": segment, "timestamp": 0}],
                "event_time": now,
            }
            for partner_id, segment in memberships
        ]
        bridging.produce(self.kafka, self.topics[0], events, partitions=2)

    def platform(self):
        """Of each browser that the platform knows anything of, its segments."""
        platform, found = self.sandbox.processing.platform, {}
        for audience in platform.audiences():
            assert (audience.user_namespace, audience.mobile) == ("mm", False)
            for user in platform.users(audience):
                if segments := platform.memberships(audience, user):
                    found[BROWSERS.index(user)] = {int(one) for one in segments}
        return found

    def until_platform_holds(self, wanted):
        until(lambda: self.platform() == wanted, f"{wanted} at the platform", LOOK_SECONDS)


@contextmanager
def partner(kafka, directory):
    topics = [f"{TOPIC}.{uuid.uuid4().hex}", f"user-sync-{uuid.uuid4().hex}"]
    kafka.create_topic(topics[0], 2)
    kafka.create_topic(topics[1], 2, {"cleanup.policy": "compact"})
    settings = Settings(http=LOOPBACK, sftp=LOOPBACK, rules=Rules(account="sandbox"))
    site = directory / "endpoint"
    site.mkdir()
    with (
        Sandbox(SandboxSite(directory / "sandbox"), settings, SystemClock()) as sandbox,
        service(site, kafka.bootstrap, topic=topics[1], answer_within="30s") as endpoint,
    ):
        yield Partner(kafka, sandbox, serving.Site(endpoint, site), directory, topics)


def test_events_before_and_after_the_visit_reach_the_platform_and_an_opt_out_empties_it(kafka, tmp_path):
    """Page visit, mapping, events by partner ids, files by MM UUIDs, the platform's state; then the opt-out.

    What is said of a user before the first visit arrives after it; of one with two browsers, at both.
    """
    with partner(kafka, tmp_path) as site:
        site.visits("p1", 0)
        site.publishes(("p1", 11), ("p2", 12))
        process = site.bridge.start()
        try:
            site.until_platform_holds({0: {11}})
            site.visits("p2", 1)
            site.until_platform_holds({0: {11}, 1: {12}})
            site.visits("p2", 2)
            site.publishes(("p2", 13))
            site.until_platform_holds({0: {11}, 1: {12, 13}, 2: {12, 13}})
            before = SystemClock().now()
            site.opts_out("p2")
            site.until_platform_holds({0: {11}})
            site.publishes(("p2", 14), at=before)
            site.publishes(("p1", 15))
            site.until_platform_holds({0: {11, 15}})
        finally:
            assert end(process, how=bridging.signal.SIGTERM) == 0, site.bridge.tail()
        assert "p2" not in site.bridge.log.read_text()


def test_until_end_waits_for_the_table_and_translates_all(kafka, tmp_path):
    """`run --until-end` ends when all that can be translated is delivered; what it parked is found later."""
    with partner(kafka, tmp_path) as site:
        site.visits("p1", 0)
        site.publishes(("p1", 11), ("p2", 12), ("p1", 13))
        site.bridge.drain()
        site.until_platform_holds({0: {11, 13}})
        site.visits("p2", 0)
        site.bridge.drain()
        site.until_platform_holds({0: {11, 12, 13}})
        site.bridge.drain()
        assert len(site.bridge.events("file_uploaded")) == 2
        (*_, told) = site.bridge.events("translated")
        assert told["found_later"] == 1
