"""Alerts and what they lean on: the metrics that the bridge exports, and the runbook."""

import json
import re
import subprocess
from pathlib import Path

import kubernetes_validate
import pytest
import yaml

from bridge.config import Config
from bridge.observe.health import Health
from bridge.observe.metrics import Metrics
from bridge.service.expected import expect
from bridge.translation.turn import Tally
from tests.deployment.metrics_page import PAGE, ROOT, declared, declared_of_user_sync, text
from tests.parts.clocks import HandClock

ALERTS = ROOT / "helm" / "s2s-bridge" / "files" / "alerts.yaml"
RUNBOOK = ROOT / "docs" / "runbook.md"
UNIT_TESTS = sorted(Path(__file__).parent.glob("alerts*_test.yaml"))

RULES = [rule for group in yaml.safe_load(ALERTS.read_text())["groups"] for rule in group["rules"]]
NAMES = [rule["alert"] for rule in RULES]

TARGET = {"namespace", "job", "instance"}
"""Labels that Prometheus adds."""

SUFFIXES = {"histogram": ("_bucket", "_sum", "_count"), "counter": ("",), "gauge": ("",)}


def exported():
    """Every name that a query may have, with the labels that it may ask for."""
    return {
        f"{one.name}{suffix}": {*one.labels, *TARGET, *(["le"] if suffix == "_bucket" else [])}
        for one in (*declared(), *declared_of_user_sync())
        for suffix in SUFFIXES[one.kind]
    }


def unknown(query):
    """What of a query neither bridge nor user sync exports: names, and labels of selectors and groupings."""
    known = exported()
    used = re.findall(r"\b(?:s2s_bridge_|process_)\w+", query)
    faults = [name for name in used if name not in known]
    allowed = set().union(*(known[name] for name in used if name in known))
    for name, selector in re.findall(r"\b((?:s2s_bridge_|process_)\w+)\{([^}]*)\}", query):
        labels = set(re.findall(r"(\w+)\s*[=!]", selector))
        faults += sorted(labels - known.get(name, labels))
    for grouping in re.findall(r"\b(?:by|on|ignoring|without)\s*\(([^)]*)\)", query):
        faults += sorted({label.strip() for label in grouping.split(",") if label.strip()} - allowed)
    return faults


def run(*command, given=None):
    """A program's exit code and all that it says."""
    done = subprocess.run(command, input=given, capture_output=True, check=False, timeout=60)
    return done.returncode, (done.stdout + done.stderr).decode()


def configuration():
    """Two accounts, three streams."""
    account = {"agency": "A", "partner": "P", "sftp": {"host": "h", "username": "u"}}
    stream = {"format": "json", "segment_namespace": "ep"}
    return Config(
        kafka={"bootstrap_servers": "localhost:9092"},
        accounts=[
            account | {"name": name, "quota": {"removals_reserve": 0.1}, "platform": {"processing_log": {}}}
            for name in ("a", "b")
        ],
        streams=[
            stream | {"name": "one", "topics": ["one"], "account": "a", "client": "Acme"},
            stream | {"name": "two", "topics": ["two"], "account": {"display": "a", "mobile": "b"}},
            stream
            | {"name": "three", "topics": ["three"], "account": "a", "inventory": "display"}
            | {"identify": {"from": "partner"}},
        ],
        dead_letters={},
    )


def started():
    """Metrics as they are when a bridge begins."""
    clock = HandClock(1_790_000_000_000)
    health = Health(lambda: True)
    metrics = Metrics(health)
    expect(metrics, configuration(), clock)
    health.beat("ingest", clock.now() - 2_000)
    return metrics


def worked(metrics):
    """After each kind of report."""
    ingest, deliver, spool, reconcile = metrics.ingest, metrics.deliver, metrics.spool, metrics.reconcile
    reconcile.confirmed("a", 5, 1)
    reconcile.rejected("a", 0, 2)
    reconcile.unconfirmed("a", 4, 1)
    reconcile.not_resent("a", 1)
    reconcile.looked("a", 1_790_000_002_500)
    reconcile.reachable("a", value=True)
    reconcile.skipped("a", 3)
    ingest.consumed("one", 2)
    ingest.polled("one", 2)
    ingest.lag("one", 0, 4)
    ingest.assigned(assigned=True)
    ingest.unreadable("two", unreadable=True)
    ingest.answered(1_790_000_001_500)
    ingest.unknown_segments("one", 1)
    deliver.pending("a", "x", 5, 6)
    deliver.replay_pending("a", "x", 5)
    deliver.horizon("a", "x", 1_790_000_000_000)
    deliver.uploaded("a", 7, 0.5)
    deliver.served("a", 1_790_000_000_000)
    deliver.quota("a", 8, 9)
    deliver.resets("a", 1_790_003_600_000, 1_790_086_400_000)
    deliver.replayed("a", 3)
    deliver.skew("a", -1_500)
    spool.used(10)
    spool.free(20)
    spool.paused({"one": True, "two": False})
    spool.files({("a", "rejected"): 1})
    metrics.translation.translated("three", Tally(matched=3, unmatched=2, found=1, taken_back=1))
    metrics.translation.kept("three", 5)
    metrics.translation.table(30, complete_at=1_790_000_000_500, caught_up=True, skipped={"undecodable": 1})
    return metrics.text().decode()


@pytest.mark.promtool
def test_the_rules_are_right(promtool):
    """Prometheus takes every rule."""
    code, told = run(promtool, "check", "rules", str(ALERTS))
    assert (code, f"{len(NAMES)} rules found" in told) == (0, True), told


@pytest.mark.promtool
@pytest.mark.parametrize("file", UNIT_TESTS, ids=lambda file: file.stem)
def test_each_alert_fires_when_it_should_and_only_then(promtool, file):
    """With its exact labels and words, and not in the normal cases beside it or on a normal day."""
    code, told = run(promtool, "test", "rules", str(file))
    assert code == 0, told


def test_each_alert_has_a_unit_test_that_fires_it():
    """No alert is there whose words nobody has seen; and one in which it is silent."""
    tests = [test for file in UNIT_TESTS for test in yaml.safe_load(file.read_text())["tests"]]
    asked = [one for test in tests for one in test.get("alert_rule_test", [])]
    assert {one["alertname"] for one in asked if one.get("exp_alerts")} == set(NAMES)
    assert {one["alertname"] for one in asked if not one.get("exp_alerts")} == set(NAMES)


@pytest.mark.parametrize("rule", RULES, ids=NAMES)
def test_an_alert_asks_for_what_the_bridge_exports(rule):
    """Each metric and each label of its query is one of docs/metrics.md."""
    assert unknown(rule["expr"]) == []


def test_a_name_or_label_that_nobody_exports_is_found():
    """The test above can fail."""
    assert unknown('sum by (topic) (s2s_bridge_spool_bytes{stream="x"}) / s2s_bridge_none') == [
        "s2s_bridge_none",
        "stream",
        "topic",
    ]


@pytest.mark.parametrize("rule", RULES, ids=NAMES)
def test_an_alert_says_what_and_where_to_look(rule):
    """Severity, words that fit on a phone, and a section of the runbook that begins with what to do now."""
    words = rule["annotations"]
    assert rule["labels"] == {"severity": rule["labels"]["severity"]}
    assert rule["labels"]["severity"] in {"page", "ticket"}
    assert sorted(words) == ["description", "runbook_url", "summary"]
    assert len(words["summary"]) <= 60
    assert words["runbook_url"] == f"docs/runbook.md#{rule['alert'].lower()}"
    section = RUNBOOK.read_text().partition(f"\n## {rule['alert']}\n")[2].partition("\n## ")[0]
    assert section.startswith("**Now:** ")
    assert [heading in section for heading in ("\nMeans: ", "\nLook:\n", "\nDo:\n")] == [True] * 3
    assert f"`{rule['labels']['severity']}`" in section


def test_the_runbook_has_no_section_too_many():
    """Sections and alerts are the same, in one order."""
    assert re.findall(r"^## (S2sBridge\w+)$", RUNBOOK.read_text(), re.MULTILINE) == NAMES


def test_the_runbook_names_what_there_is():
    """Its metrics are exported, and its log lines are written by the bridge."""
    runbook = RUNBOOK.read_text()
    assert [name for name in re.findall(r"\bs2s_bridge_\w+", runbook) if name not in exported()] == []
    source = "\n".join(path.read_text() for path in sorted((ROOT / "bridge").rglob("*.py")))
    lines = set(re.findall(r"^- `([a-z_]+)`", runbook, re.MULTILINE))
    assert lines
    assert [line for line in sorted(lines) if f'"{line}"' not in source] == []


def test_the_runbooks_shell_on_the_volume(tmp_path):
    """`volume` stops the bridge, asks for a pod that the API takes, on its claim, and starts it again."""
    (block,) = [block for block in RUNBOOK.read_text().split("```") if "volume() {" in block]
    said = tmp_path / "said"
    kubectl = f"""kubectl() {{ printf '%s\\0' "$@" >>{said}; [ "$3" != get ] || echo registry/bridge:1; }}"""
    script = "\n".join(["set -eu", "N=n POD=b-s2s-bridge-0", kubectl, block.removeprefix("sh"), "volume"])
    assert run("sh", "-c", script) == (0, "")
    words = said.read_text().split("\0")
    assert [word for word in words if "replicas" in word] == ["--replicas=0", "--replicas=1"]
    (overrides,) = [word.removeprefix("--overrides=") for word in words if word.startswith("--overrides=")]
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "spool"}} | json.loads(overrides)
    kubernetes_validate.validate(pod, "1.30", strict=True)
    assert pod["spec"]["containers"][0]["image"] == "registry/bridge:1"
    (volume,) = pod["spec"]["volumes"]
    assert volume["persistentVolumeClaim"]["claimName"] == "data-b-s2s-bridge-0"


@pytest.mark.promtool
def test_the_metrics_are_as_prometheus_wants_them(promtool):
    """What a bridge that has worked exports has no fault that promtool knows."""
    code, told = run(promtool, "check", "metrics", given=worked(started()).encode())
    assert (code, told) == (0, "")


def test_a_counter_begins_at_0():
    """Whatever the configuration names is there before it happens, so that its first step can be seen."""
    told = started().text().decode()
    for sample in (
        's2s_bridge_events_consumed_total{stream="one"} 0.0',
        's2s_bridge_dead_letters_total{reason="undecodable",stream="two"} 0.0',
        's2s_bridge_upload_failures_total{account="b",reason="host_key"} 0.0',
        's2s_bridge_files_uploaded_total{account="b"} 0.0',
        's2s_bridge_files_rejected_total{account="b"} 0.0',
        's2s_bridge_memberships_beyond_horizon_total{audience="Acme/mm/ep/mobile"} 0.0',
        's2s_bridge_identify_memberships_total{result="unmatched",stream="three"} 0.0',
        's2s_bridge_identify_taken_back_total{stream="three"} 0.0',
        's2s_bridge_memberships_superseded_total{audience="(global)/mm/ep/display"} 0.0',
    ):
        assert sample in told


def test_the_settings_are_told():
    """What alerts compare with, in seconds and bytes."""
    told = started().text().decode()
    for sample in (
        "s2s_bridge_start_time_seconds 1.79e+09",
        "s2s_bridge_spool_max_bytes 2e+10",
        "s2s_bridge_roll_max_age_seconds 900.0",
        "s2s_bridge_window_max_age_seconds 60.0",
        's2s_bridge_quota_files_limit{account="a"} 20.0',
        's2s_bridge_quota_removals_reserve_bytes{account="a"} 5e+08',
        's2s_bridge_quota_guard_seconds{account="b"} 30.0',
    ):
        assert sample in told
    assert re.search(r'^s2s_bridge_build_info\{version="\d+\.\d+\.\d+"\} 1\.0$', told, re.MULTILINE)


def test_what_is_reported_is_told_in_seconds():
    """Instants and durations of the ports are milliseconds; those of Prometheus are not."""
    told = worked(started())
    for sample in (
        's2s_bridge_thread_beat_timestamp_seconds{thread="ingest"} 1.789999998e+09',
        "s2s_bridge_kafka_answered_timestamp_seconds 1.7900000015e+09",
        "s2s_bridge_identity_table_complete_timestamp_seconds 1.7900000005e+09",
        's2s_bridge_server_clock_skew_seconds{account="a"} -1.5',
        's2s_bridge_quota_bytes_reset_timestamp_seconds{account="a"} 1.7900864e+09',
        's2s_bridge_last_upload_timestamp_seconds{account="a"} 1.79e+09',
        's2s_bridge_stream_paused{stream="one"} 1.0',
        "s2s_bridge_assigned 1.0",
        's2s_bridge_processing_log_last_look_timestamp_seconds{account="a"} 1.7900000025e+09',
        's2s_bridge_lines_refused_total{account="a"} 3.0',
        's2s_bridge_files_overdue{account="a"} 1.0',
        's2s_bridge_topic_unreadable{topic="two"} 1.0',
        's2s_bridge_topic_events_consumed_total{topic="one"} 2.0',
    ):
        assert sample in told


def test_every_metric_is_declared_as_it_is():
    """Names, types and labels of docs/metrics.md are those of the samples."""
    metrics = started()
    worked(metrics)
    families = {family.name: family for family in metrics._registry.families()}
    for one in metrics.declared:
        family = families[one.name.removesuffix("_total") if one.kind == "counter" else one.name]
        labels = {frozenset(sample.labels) - {"le"} for sample in family.samples}
        assert (family.type, labels) == (one.kind, {frozenset(one.labels)}), one.name
    assert len(families) == len(metrics.declared)


def test_the_page_of_metrics_is_current():
    """`make docs-metrics` would change nothing."""
    assert PAGE.read_text() == text()
