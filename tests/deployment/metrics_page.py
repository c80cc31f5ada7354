"""docs/metrics.md, made of what the bridge declares: `python -m tests.deployment.metrics_page` writes it."""

from collections.abc import Iterable
from pathlib import Path

from bridge.deliver.remote import Reason
from bridge.observe.declared import Declared
from bridge.observe.health import Health
from bridge.observe.metrics import Metrics
from bridge.observe.sync_metrics import SyncMetrics

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "metrics.md"

HEAD = """\
# Metrics
All that `GET /metrics` tells, in the Prometheus text format. This page is made of what the bridge declares
(`make docs-metrics`), and a test keeps it current. Alerts on them are in
[helm/s2s-bridge/files/alerts.yaml](../helm/s2s-bridge/files/alerts.yaml), and what to do about each in
[runbook.md](runbook.md).

- `audience` is a client with its namespaces and `display` or `mobile`, as `Acme/mm/ep/display`. No label
  holds the id of a user.
- Bytes, seconds and epoch seconds throughout. A timestamp of 0 is never.
- Counters of what the configuration names (streams, accounts, audiences, each with their reasons) begin at 0,
  so that `increase` sees the first step too. They begin anew with the process; quotas, files by state and the
  last upload are from the ledger, and do not.
- What waits is told by the account's thread at each look, which is every 5 s at least; so is the lag. Files
  by state and the free room are told every 10 s.
- Reasons of dead letters are those of the events' rules (README.md), reasons of failed uploads: REASONS.

| metric | type | labels | meaning |
|---|---|---|---|
"""


SYNC = """
## User sync
What `user_sync.status_listen` tells of the process of `s2s-bridge sync serve`. Counters of all outcomes
([user-sync.md](user-sync.md)) and of the configuration's data centres begin at 0. The time has steps of a
millisecond.

| metric | type | labels | meaning |
|---|---|---|---|
"""


def declared() -> tuple[Declared, ...]:
    """All metrics of a bridge."""
    return Metrics(Health(lambda: True)).declared


def declared_of_user_sync() -> tuple[Declared, ...]:
    """All metrics of the user sync's process."""
    return SyncMetrics().declared


def text() -> str:
    """What the page has to say."""
    reasons = ", ".join(f"`{reason}`" for reason in Reason)
    return HEAD.replace("REASONS", reasons) + _rows(declared()) + SYNC + _rows(declared_of_user_sync())


def _rows(metrics: Iterable[Declared]) -> str:
    return "".join(
        f"| `{one.name}` | {one.kind} | {', '.join(f'`{label}`' for label in one.labels)} | {one.meaning} |\n"
        for one in metrics
    )


if __name__ == "__main__":
    PAGE.write_text(text())
