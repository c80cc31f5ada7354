"""The chart's PrometheusRule and dashboard: the files as they are, under the names that others look for."""

import json
import subprocess
from pathlib import Path

import pytest
import yaml

from tests.deployment.test_alerts import ALERTS, NAMES, ROOT, run

CHART = ROOT / "helm" / "s2s-bridge"
VALUES = CHART / "ci" / "one-client-values.yaml"

pytestmark = [pytest.mark.helm]


def rendered(helm, template, *settings):
    """The object that a template makes; None: none."""
    sets = [
        part
        for setting in settings
        for part in ("--set-string" if ".labels." in setting else "--set", setting)
    ]
    done = subprocess.run(
        [
            helm,
            "template",
            "acme",
            str(CHART),
            "-f",
            str(VALUES),
            *sets,
            "-n",
            "n",
            "--kube-version",
            "1.34.0",
        ],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    documents = [document for document in yaml.safe_load_all(done.stdout) if document]
    found = [one for one in documents if (one["kind"], one["metadata"]["name"]) == template]
    return found[0] if found else None


RULE = ("PrometheusRule", "acme-s2s-bridge")
DASHBOARD = ("ConfigMap", "acme-s2s-bridge-dashboard")


@pytest.mark.promtool
def test_the_rule_holds_the_alerts_as_they_are(helm, promtool, tmp_path):
    """Prometheus's own braces survive Helm; the operator finds it by its labels; promtool takes its spec."""
    rule = rendered(
        helm, RULE, "metrics.prometheusRule.enabled=true", "metrics.prometheusRule.labels.release=prometheus"
    )
    assert rule["apiVersion"] == "monitoring.coreos.com/v1"
    assert rule["spec"] == yaml.safe_load(ALERTS.read_text())
    assert rule["metadata"]["labels"]["release"] == "prometheus"
    assert rule["metadata"]["labels"]["app.kubernetes.io/instance"] == "acme"
    file = Path(tmp_path) / "rules.yaml"
    file.write_text(yaml.safe_dump(rule["spec"]))
    code, told = run(promtool, "check", "rules", str(file))
    assert (code, f"{len(NAMES)} rules found" in told) == (0, True), told


def test_the_dashboard_is_what_grafana_looks_for(helm):
    """A ConfigMap with the sidecar's label, a further one, and the folder's annotation."""
    found = rendered(
        helm,
        DASHBOARD,
        "metrics.dashboard.enabled=true",
        "metrics.dashboard.labels.team=data",
        "metrics.dashboard.annotations.folder=Kafka",
    )
    labels = found["metadata"]["labels"]
    assert (labels["grafana_dashboard"], labels["team"]) == ("1", "data")
    assert found["metadata"]["annotations"] == {"folder": "Kafka"}
    (text,) = found["data"].values()
    assert json.loads(text) == json.loads((CHART / "files" / "dashboard.json").read_text())
    assert len(text.encode()) < 1_000_000  # a ConfigMap holds a megabyte


@pytest.mark.parametrize("template", [RULE, DASHBOARD])
def test_neither_is_there_unless_asked_for(helm, template):
    """A cluster without the operator, or without Grafana, is left alone."""
    assert rendered(helm, template) is None
