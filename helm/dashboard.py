"""Grafana's dashboard of a bridge, made of `panels`: `python -m helm.dashboard` writes it into the chart."""

import json
from collections.abc import Iterator
from pathlib import Path

from helm.panels import BRIDGE, ROWS, Panel

FILE = Path(__file__).parent / "s2s-bridge" / "files" / "dashboard.json"

SOURCE = {"type": "prometheus", "uid": "${datasource}"}

WIDTH = 24
"""Of a row, in Grafana's units."""


def _panel(panel: Panel, number: int, x: int, y: int) -> dict[str, object]:
    defaults: dict[str, object] = {
        "unit": panel.unit,
        "min": None if panel.unit == "s" else 0,  # a clock may be ahead or behind
        "max": panel.most,
        "thresholds": {
            "mode": "absolute",
            "steps": [{"value": value, "color": colour} for value, colour in panel.steps],
        },
    }
    if panel.kind == "timeseries":
        defaults["custom"] = {"fillOpacity": 10, "lineWidth": 1, "showPoints": "never"}
    options: dict[str, object] = {"legend": {"displayMode": "list", "placement": "bottom"}}
    if panel.kind != "timeseries":
        options = {"reduceOptions": {"calcs": ["lastNotNull"], "fields": "", "values": False}}
    return {
        "id": number,
        "type": panel.kind,
        "title": panel.title,
        "description": panel.text,
        "datasource": SOURCE,
        "gridPos": {"x": x, "y": y, "w": panel.width, "h": panel.height},
        "fieldConfig": {"defaults": defaults, "overrides": []},
        "options": options,
        "targets": [
            {
                "refId": chr(ord("A") + place),
                "datasource": SOURCE,
                "expr": query,
                "legendFormat": legend or panel.title,
                "instant": panel.kind != "timeseries",
                "range": panel.kind == "timeseries",
            }
            for place, (query, legend) in enumerate(panel.queries)
        ],
    }


def _panels() -> Iterator[dict[str, object]]:
    """Rows from top to bottom; a panel that does not fit beside the last begins a new line."""
    number, y = 1, 0
    for row in ROWS:
        yield {
            "id": number,
            "type": "row",
            "title": row.title,
            "collapsed": False,
            "panels": [],
            "gridPos": {"x": 0, "y": y, "w": WIDTH, "h": 1},
        }
        number, y, x, height = number + 1, y + 1, 0, 0
        for panel in row.panels:
            if x + panel.width > WIDTH:
                x, y, height = 0, y + height, 0
            yield _panel(panel, number, x, y)
            number, x, height = number + 1, x + panel.width, max(height, panel.height)
        y += height


def _variable(name: str, label: str, metric: str, of: str | None = None) -> dict[str, object]:
    """`of`: the label whose values are chosen from, where it is called otherwise."""
    query = f"label_values({metric}, {of or name})"
    return {
        "name": name,
        "label": label,
        "type": "query",
        "datasource": SOURCE,
        "query": {"query": query, "refId": name},
        "definition": query,
        "refresh": 2,
        "sort": 1,
        "multi": True,
        "includeAll": True,
        "allValue": ".*",
        "current": {"text": "All", "value": "$__all"},
    }


def dashboard() -> dict[str, object]:
    """The whole dashboard, as Grafana imports it."""
    return {
        "uid": "s2s-bridge",
        "title": "s2s-bridge",
        "description": "Kafka to audience files, and user sync; what each alert asks for: docs/runbook.md.",
        "tags": ["s2s-bridge"],
        "schemaVersion": 39,
        "editable": True,
        "timezone": "utc",
        "refresh": "1m",
        "time": {"from": "now-24h", "to": "now"},
        "templating": {
            "list": [
                {
                    "name": "datasource",
                    "label": "Data source",
                    "type": "datasource",
                    "query": "prometheus",
                    "current": {},
                },
                _variable("namespace", "Namespace", "s2s_bridge_build_info"),
                _variable("job", "Job", 's2s_bridge_build_info{namespace=~"$namespace"}'),
                _variable("sync", "User sync", 's2s_bridge_sync_store_works{namespace=~"$namespace"}', "job"),
                _variable("account", "Account", f"s2s_bridge_quota_bytes_limit{{{BRIDGE}}}"),
            ]
        },
        "annotations": {
            "list": [
                {
                    "name": "Starts",
                    "datasource": SOURCE,
                    "enable": True,
                    "iconColor": "blue",
                    "expr": f"changes(s2s_bridge_start_time_seconds{{{BRIDGE}}}[2m]) > 0",
                    "titleFormat": "start",
                    "step": "1m",
                }
            ]
        },
        "panels": list(_panels()),
    }


def text() -> str:
    """The file's content."""
    return json.dumps(dashboard(), indent=2, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    FILE.write_text(text())
