"""What a probe and a scraper see."""

import urllib.error
import urllib.request

import pytest

from bridge.clock import MINUTE
from bridge.errors import BridgeError
from bridge.observe.health import SILENCE, Health
from bridge.observe.http import HttpServer, pages
from bridge.observe.metrics import Metrics

CONTRACT = {
    "events_consumed_total",
    "dead_letters_total",
    "memberships_sealed_total",
    "consumer_lag",
    "window_bytes",
    "spool_bytes",
    "runs_sealed_total",
    "pending_memberships",
    "oldest_pending_seconds",
    "files_uploaded_total",
    "bytes_uploaded_total",
    "upload_seconds",
    "upload_failures_total",
    "quota_files_remaining",
    "quota_bytes_remaining",
}


class Standing:
    """A clock that stands until it is set."""

    time = 1_000_000_000

    def now(self):
        return self.time

    def wait(self, signal, duration):
        raise NotImplementedError


@pytest.fixture
def served():
    """A server on a free port, with its clock, health and metrics."""
    clock, health = Standing(), Health(lambda: clock.time % 2 == 0)
    metrics = Metrics(health)
    with HttpServer("127.0.0.1:0", pages(health, metrics.text, clock)) as server:
        yield server, clock, health, metrics


def get(server, path):
    """Status and text of a page."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{server.port}{path}", timeout=5) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read().decode()


def test_every_metric_of_the_contract_has_its_name_and_labels(served):
    """After each kind of report, /metrics holds every name that contract.md lists."""
    server, _, _, metrics = served
    ingest, deliver = metrics.ingest, metrics.deliver
    ingest.consumed("s", 2)
    ingest.refused("s", "too_large", 1)
    ingest.collected("s", 3)
    ingest.sealed(1, 3)
    ingest.lag("t", 0, 4)
    deliver.pending("a", "x", 5, 6)
    deliver.uploaded("a", 7, 0.5)
    deliver.failed("a", "dns")
    deliver.quota("a", 8, 9)
    status, text = get(server, "/metrics")
    assert status == 200
    names = {line.split()[2] for line in text.splitlines() if line.startswith("# TYPE")}
    assert {f"s2s_bridge_{name}" for name in CONTRACT} <= names
    assert 's2s_bridge_dead_letters_total{reason="too_large",stream="s"} 1.0' in text
    assert 's2s_bridge_memberships_sealed_total{stream="s"} 3.0' in text
    assert 's2s_bridge_oldest_pending_seconds{account="a",audience="x"} 6.0' in text


def test_memberships_count_as_sealed_only_once_they_are(served):
    """What is only in the window is not in the counter."""
    _, _, _, metrics = served
    metrics.ingest.collected("s", 3)
    assert metrics.sums()["memberships_sealed"] == 0
    metrics.ingest.sealed(1, 3)
    metrics.ingest.sealed(2, 0)
    assert metrics.sums()["memberships_sealed"] == 3


def test_a_thread_that_falls_silent_makes_the_process_ill(served):
    """/healthz is 200 while all beat, and 503 with the thread's name once one has been silent too long."""
    server, clock, health, _ = served
    health.beat("ingest", clock.now())
    health.beat("deliver a", clock.now() + MINUTE)
    assert get(server, "/healthz") == (200, "ok\n")
    clock.time += SILENCE + 1_000
    status, text = get(server, "/healthz")
    assert status == 503
    assert text == "thread ingest has been silent for 301 s\n"


def test_it_is_ready_with_partitions_and_a_spool_that_can_be_written(served):
    """/readyz names what is missing."""
    server, clock, _, metrics = served
    assert get(server, "/readyz") == (503, "no partitions are assigned\n")
    metrics.ingest.assigned(assigned=True)
    assert get(server, "/readyz") == (200, "ok\n")
    clock.time += 1
    assert get(server, "/readyz") == (503, "the spool cannot be written\n")


def test_an_address_in_use_is_one_clear_line(served):
    """The error names the key, the address and the remedy."""
    server, *_ = served
    with pytest.raises(BridgeError, match=r"http\.listen: cannot listen on 127\.0\.0\.1:\d+ .*; choose"):
        HttpServer(f"127.0.0.1:{server.port}", {})


def test_other_paths_are_not_found(served):
    """Nothing else is served."""
    server, *_ = served
    assert get(server, "/etc/passwd") == (404, "not found\n")
