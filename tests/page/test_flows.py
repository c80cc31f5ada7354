"""What streams did, and how fast."""

import pytest

from bridge.clock import HOUR, MINUTE, SECOND
from bridge.config import load
from bridge.observe.health import Health
from bridge.observe.metrics import Metrics
from bridge.service.page.flows import LATELY, LEAST, Flows
from bridge.translation.turn import Tally
from tests.page.lively import CONFIGURATION


class Counted:
    """Streams and their metrics."""

    def __init__(self, directory):
        (directory / "bridge.yaml").write_text(CONFIGURATION)
        self.metrics = Metrics(Health(lambda: True))
        self.flows = Flows(load(directory / "bridge.yaml", {}).streams)

    def look(self, elapsed):
        return {flow.stream: flow for flow in self.flows.look(self.metrics.samples(), elapsed)}


@pytest.fixture
def counted(tmp_path):
    return Counted(tmp_path)


def test_a_rate_needs_two_looks(counted):
    """It is that between them; too soon after the first there is none."""
    assert counted.look(0)["acme"].rate is None
    counted.metrics.ingest.consumed("acme", 600)
    assert counted.look(LEAST - 1)["acme"].rate is None
    assert counted.look(MINUTE)["acme"].rate == 10
    assert counted.look(MINUTE)["globex"].rate == 0


def test_a_rate_is_that_of_the_last_minutes(counted):
    """What was hours ago does not count: neither where many have looked since, nor where nobody has."""
    for step in range(120):
        counted.look(step * 10 * SECOND)
        counted.metrics.ingest.consumed("acme", 1000 if step < 60 else 10)
    assert counted.look(120 * 10 * SECOND)["acme"].rate == pytest.approx(1)
    assert len(counted.flows._looks) <= LATELY // (10 * SECOND) + 2
    counted.metrics.ingest.consumed("acme", 10**9)
    assert counted.look(3 * HOUR)["acme"].rate is None
    counted.metrics.ingest.consumed("acme", 120)
    assert counted.look(3 * HOUR + MINUTE)["acme"].rate == 2


def test_lag_belongs_to_the_stream_of_its_topic(counted):
    """Of names and of patterns; topics of no stream count for none."""
    counted.metrics.ingest.lag("acme.segments", 0, 3)
    counted.metrics.ingest.lag("acme.segments", 1, 4)
    counted.metrics.ingest.lag("everyone.eu", 0, 5)
    counted.metrics.ingest.lag("foreign", 0, 6)
    flows = counted.look(0)
    assert {name: flow.behind for name, flow in flows.items()} == {
        "acme": 7,
        "globex": 0,
        "initech": 0,
        "umbrella": 0,
        "everyone": 5,
    }


def test_a_stream_that_waits_for_room_is_said_to(counted):
    """As housekeeping tells."""
    counted.metrics.spool.paused({"acme": True, "globex": False})
    assert {name for name, flow in counted.look(0).items() if flow.paused} == {"acme"}


def test_what_became_of_partner_ids_is_told_by_stream(counted):
    """Of those whose users are translated, from 0 on; of others nothing."""
    counted.metrics.translation.expect(["umbrella"])
    assert counted.look(0)["umbrella"].translated == {"matched": 0, "unmatched": 0, "found_later": 0}
    counted.metrics.translation.translated("umbrella", Tally(matched=3, unmatched=2, found=1))
    assert counted.look(0)["umbrella"].translated == {"matched": 3, "unmatched": 2, "found_later": 1}
    assert counted.look(0)["acme"].translated == {}
