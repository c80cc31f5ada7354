"""What a running bridge exports, as Prometheus would read it."""

import re
import time
import urllib.request
from pathlib import Path

import pytest

from tests.deployment.metrics_page import declared
from tests.deployment.test_alerts import run
from tests.parts import events as made
from tests.parts.answering import Answering, said
from tests.parts.bridging import Bridge, configuration, end, produce, stream
from tests.parts.waiting import free_port, until

pytestmark = [pytest.mark.kafka, pytest.mark.sshd, pytest.mark.promtool]

NOT_YET = {"s2s_bridge_horizon_timestamp_seconds"}
"""Told once history is bounded, which takes a week."""


QUOTA = 's2s_bridge_quota_files_remaining{account="default"}'


TAXONOMY = """\
full_path,code,uniques,wholesale_cpm,retail_cpm,buyable
|Acme,,,,,0
|Acme|Cars,10001,1000,0.50,1.00,1
"""


@pytest.fixture
def processing_log():
    """One that knows no file."""
    with Answering(said({"data": []})) as server:
        yield server


def samples(text):
    """Each sample's value by its name with labels."""
    lines = (line.rpartition(" ") for line in text.splitlines() if line and not line.startswith("#"))
    return {name: float(value) for name, _, value in lines}


def test_a_running_bridge_exports_all_that_is_declared(kafka, sshd, promtool, tmp_path, processing_log):
    """Every metric of docs/metrics.md has a sample with its labels, and says what has happened."""
    topic, of_partner, mappings = "deployment.metrics", "deployment.partner", "deployment.user-sync"
    kafka.create_topic(topic, 2)
    kafka.create_topic(of_partner, 1)
    kafka.create_topic(mappings, 1, {"cleanup.policy": "compact"})
    produce(kafka, topic, made.make(made.Load(events=2_000, users=100), 1), partitions=2)
    port = free_port()
    Path(tmp_path, "acme.csv").write_text(TAXONOMY)
    identify = {"from": "partner", "table": mappings}
    translated = stream(of_partner, client="Acme", inventory="display", identify=identify)
    streams = [stream(topic, taxonomy="acme.csv"), translated]
    config = configuration(kafka, sshd, tmp_path, streams, http={"listen": f"127.0.0.1:{port}"})
    (tmp_path / "password").write_text("secret")
    told = {"url": processing_log.url, "password_file": str(tmp_path / "password"), "poll": "1s"}
    config["accounts"][0]["platform"] = {"processing_log": told}
    bridge = Bridge(tmp_path, config)
    process = bridge.start()

    def page():
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=5) as answer:
            return answer.read().decode()

    try:
        bridge.wait_for("file_uploaded", 2)  # display and mobile
        last = 's2s_bridge_last_upload_timestamp_seconds{account="default"}'
        looked = 's2s_bridge_processing_log_last_look_timestamp_seconds{account="default"}'
        lag = f's2s_bridge_consumer_lag{{partition="0",topic="{topic}"}}'
        until(
            lambda: (
                {last, looked, lag, QUOTA} <= samples(page()).keys()
                and samples(page())[QUOTA] == 998
                and samples(page())["s2s_bridge_identity_table_caught_up"] == 1
            ),
            "it looked again",
        )
        text, now = page(), time.time()
    finally:
        end(process)
    assert run(promtool, "check", "metrics", given=text.encode()) == (0, "")
    found = samples(text)
    there = {(name.partition("{")[0], frozenset(re.findall(r'(\w+)="', name))) for name in found}
    for one in declared():
        histogram = one.kind == "histogram"
        sample = f"{one.name}_bucket" if histogram else one.name
        labels = frozenset({*one.labels, *(["le"] if histogram else [])})
        assert ((sample, labels) in there) is (one.name not in NOT_YET), one.name
    assert found["s2s_bridge_assigned"] == 1
    assert found['s2s_bridge_unknown_segment_memberships_total{stream="deployment-metrics"}'] > 0
    assert found[f's2s_bridge_topic_events_consumed_total{{topic="{topic}"}}'] == 2_000
    assert found['s2s_bridge_stream_paused{stream="deployment-metrics"}'] == 0
    assert found[QUOTA] == 998
    assert abs(found['s2s_bridge_server_clock_skew_seconds{account="default"}']) < 2
    assert found["s2s_bridge_spool_free_bytes"] > 0
    for since in (
        "s2s_bridge_kafka_answered_timestamp_seconds",
        "s2s_bridge_start_time_seconds",
        "s2s_bridge_identity_table_complete_timestamp_seconds",
        's2s_bridge_thread_beat_timestamp_seconds{thread="deliver default"}',
        's2s_bridge_last_upload_timestamp_seconds{account="default"}',
    ):
        assert now - 120 < found[since] <= now, since
    for reset, window in (("files", 3_600), ("bytes", 86_400)):
        left = found[f's2s_bridge_quota_{reset}_reset_timestamp_seconds{{account="default"}}'] - now
        assert 0 < left <= window
