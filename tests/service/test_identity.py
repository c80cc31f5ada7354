"""What is told of the identity table while it follows a real topic."""

import threading
import time

import pytest

from bridge.clock import SECOND, SystemClock
from bridge.config import Config
from bridge.observe.health import Health
from bridge.observe.metrics import Metrics
from bridge.service.identity import IdentityTable
from bridge.service.outside import Outside
from bridge.sync.table import ends
from bridge.sync.table import follower as follower_module
from tests.parts.kafka import Kafka
from tests.parts.waiting import until

pytestmark = pytest.mark.kafka


def configuration(kafka, directory):
    """A bridge whose one stream has its users translated."""
    stream = {"name": "s", "topics": ["s"], "format": "json", "segment_namespace": "ep", "account": "a"}
    sftp = {"host": "h", "username": "u"}
    return Config(
        kafka={"bootstrap_servers": kafka.bootstrap},
        spool={"directory": str(directory)},
        accounts=[{"name": "a", "agency": "A", "partner": "P", "sftp": sftp}],
        streams=[stream | {"inventory": "display", "identify": {"from": "acme", "table": "sync-old"}}],
    )


@pytest.mark.failure(66)
def test_a_broker_that_goes_away_makes_the_table_old(tmp_path_factory, tmp_path, monkeypatch):
    """The operator sees since when, and that it is behind; it is gone by meanwhile, and mends by itself."""
    monkeypatch.setattr(follower_module, "LOOK", 200)
    monkeypatch.setattr(ends, "BEHIND_AFTER", 5 * SECOND)
    kafka = Kafka.start(tmp_path_factory.mktemp("kafka"))
    metrics, stop = Metrics(Health(lambda: True)), threading.Event()
    table = IdentityTable(
        configuration(kafka, tmp_path),
        "sync-old",
        Outside(clock=SystemClock(), remote=lambda _: None),
        metrics.translation,
        lambda _: None,
    )
    thread = threading.Thread(target=table.run, args=(stop,))

    def told(name):
        table.tell()
        (found,) = [one.value for one in metrics.samples() if one.name == f"identity_table_{name}"]
        return found

    try:
        kafka.create_topic("sync-old")
        thread.start()
        until(lambda: told("caught_up") == 1, "the end of the topic")
        kafka.stop()
        gone_at = time.time()
        until(lambda: told("caught_up") == 0, "its age")
        assert 0 < told("complete_timestamp_seconds") <= gone_at
        assert table.snapshot() is not None
        kafka.restart()
        until(lambda: told("caught_up") == 1, "the broker")
        assert told("complete_timestamp_seconds") > gone_at
    finally:
        stop.set()
        thread.join(60)
        kafka.stop()
