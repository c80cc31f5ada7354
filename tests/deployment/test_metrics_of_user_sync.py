"""What the user sync's process exports, as Prometheus would read it."""

import re

import pytest

from bridge.clock import SECOND, SystemClock
from bridge.sync.outcome import Outcome
from tests.deployment.metrics_page import declared_of_user_sync
from tests.deployment.test_alerts import run
from tests.sync.serving import MM_UUID, serving


def samples(text):
    """Name and labels of each sample."""
    lines = re.findall(r"(?m)^(\w+)(?:{([^}]*)})? \S+$", text)
    return {(name, frozenset(re.findall(r'(\w+)="', labels))) for name, labels in lines}


def test_it_exports_all_that_is_declared(tmp_path):
    """Every metric of docs/metrics.md has a sample with its labels, from the start."""
    with serving(tmp_path) as site:
        there = samples(site.metrics())
    for one in declared_of_user_sync():
        name, more = (f"{one.name}_bucket", {"le"}) if one.kind == "histogram" else (one.name, set())
        assert (name, frozenset({*one.labels, *more})) in there, one.name


@pytest.mark.promtool
def test_what_has_happened_is_told(promtool, tmp_path):
    """By outcome and data centre, all of which begin at 0; the setting is in seconds."""
    before = SystemClock().now()
    with serving(tmp_path, answer_within="2s", data_centres=["ewr", "iad"]) as site:
        begun = site.metrics()
        for data_centre in ("ewr", "ewr", "ams", ""):
            site.ask(f"/sync?mmuuid={MM_UUID}&dc={data_centre}", Cookie="s2s_id=p1")
        site.ask("/sync?mmuuid=[MM_UUID]")
        told = site.metrics()
    for outcome in Outcome:
        assert f's2s_bridge_syncs_total{{outcome="{outcome}"}} 0.0' in begun
    for sample in (
        's2s_bridge_syncs_total{outcome="stored"} 4.0',
        's2s_bridge_syncs_total{outcome="unreplaced_macro"} 1.0',
        's2s_bridge_syncs_stored_total{data_centre="ewr"} 2.0',
        's2s_bridge_syncs_stored_total{data_centre="iad"} 0.0',
        's2s_bridge_syncs_stored_total{data_centre="other"} 1.0',
        's2s_bridge_syncs_stored_total{data_centre="none"} 1.0',
        "s2s_bridge_sync_seconds_count 5.0",
        "s2s_bridge_sync_answer_within_seconds 2.0",
        "s2s_bridge_sync_store_works 1.0",
    ):
        assert f"\n{sample}\n" in told, sample
    (started,) = re.findall(r"(?m)^s2s_bridge_sync_start_time_seconds (\S+)$", told)
    assert before <= float(started) * SECOND <= SystemClock().now()
    assert run(promtool, "check", "metrics", given=told.encode()) == (0, "")
