"""The dashboard: what Grafana imports, and whether its queries ask for what there is."""

import json
import re
from itertools import combinations

import pytest
import yaml

from helm import dashboard
from helm.panels import ROWS
from tests.deployment.test_alerts import NAMES, run, unknown

PANELS = dashboard.dashboard()["panels"]
ASKED = [(panel["title"], target["expr"]) for panel in PANELS for target in panel.get("targets", [])]
QUERIES = [query for _, query in ASKED] + [
    one["expr"] for one in dashboard.dashboard()["annotations"]["list"]
]

CHOSEN = {"$namespace": "n", "$job": "j", "$sync": "s", "$account": "a", "$__rate_interval": "5m"}


def chosen(query):
    """The query once Grafana has put in what is chosen above."""
    for name, value in CHOSEN.items():
        query = query.replace(name, value)
    return query


def test_the_file_in_the_chart_is_current():
    """`make dashboard` would change nothing."""
    assert dashboard.FILE.read_text() == dashboard.text()


def test_panels_stand_beside_and_below_each_other():
    """Ids are unique, no panel covers another, none stands out of its row."""
    assert len({panel["id"] for panel in PANELS}) == len(PANELS)
    places = [panel["gridPos"] for panel in PANELS]
    assert all(at["x"] >= 0 and at["x"] + at["w"] <= 24 for at in places)
    for one, other in combinations(places, 2):
        beside = one["x"] + one["w"] <= other["x"] or other["x"] + other["w"] <= one["x"]
        below = one["y"] + one["h"] <= other["y"] or other["y"] + other["h"] <= one["y"]
        assert beside or below, (one, other)


def test_panels_are_explained():
    """Each has a title of its own, a description, a unit and a query; alerts that it names are there."""
    panels = [panel for row in ROWS for panel in row.panels]
    assert len({panel.title for panel in panels}) == len(panels)
    assert [panel.title for panel in panels if not (panel.text and panel.unit and panel.queries)] == []
    named = {name for panel in panels for name in re.findall(r"S2sBridge\w+", panel.text)}
    assert named
    assert named <= set(NAMES)


@pytest.mark.parametrize("query", QUERIES)
def test_a_query_asks_for_what_the_bridge_exports(query):
    """Each metric and label is one of docs/metrics.md, and the choice above narrows each of its metrics."""
    assert unknown(query) == []
    metrics = re.findall(r"\b(?:s2s_bridge_|process_)\w+", query)
    assert metrics
    chosen_by = re.findall(r'{namespace=~"\$namespace",job=~"\$(job|sync)"', query)
    assert len(chosen_by) == len(metrics)
    assert len(set(chosen_by)) == 1


def test_legends_name_labels_that_are_there():
    """What stands in braces is a label of the query's result."""
    for panel in PANELS:
        for target in panel.get("targets", []):
            labels = re.findall(r"\{\{(\w+)\}\}", target["legendFormat"])
            grouped = re.match(r"(?:sum|max) by \(([^)]*)\)", target["expr"])
            if grouped:
                assert labels == grouped[1].split(", "), panel["title"]
            assert unknown(f"{target['expr']} + on ({', '.join(labels)}) up") == [], panel["title"]


def test_variables_choose_among_what_is_there():
    """Data source first; the others are labels of bridges, each narrowed by those before it."""
    variables = dashboard.dashboard()["templating"]["list"]
    assert [one["name"] for one in variables] == ["datasource", "namespace", "job", "sync", "account"]
    for one in variables[1:]:
        metric, label = re.fullmatch(r"label_values\((.+), (\w+)\)", one["definition"]).groups()
        assert label == {"sync": "job"}.get(one["name"], one["name"])
        assert unknown(f"sum by ({label}) ({metric})") == []
    used = set(re.findall(r"\$(\w+|\{\w+\})", json.dumps(PANELS)))
    assert used == {"namespace", "job", "sync", "account", "__rate_interval", "{datasource}"}


@pytest.mark.promtool
def test_every_query_parses(promtool, tmp_path):
    """Prometheus takes each one as a recording rule."""
    rules = [{"record": f"q{number}", "expr": chosen(query)} for number, query in enumerate(QUERIES)]
    file = tmp_path / "rules.yaml"
    file.write_text(yaml.safe_dump({"groups": [{"name": "dashboard", "rules": rules}]}))
    code, told = run(promtool, "check", "rules", str(file))
    assert (code, f"{len(QUERIES)} rules found" in told) == (0, True), told
