"""The line to the server breaks in the middle of the bridge's work: a proxy cuts, stalls and swallows."""

import pytest

from tests.faults.site import Site
from tests.parts.bridging import delivered
from tests.parts.proxy import Proxy

pytestmark = [pytest.mark.kafka, pytest.mark.sshd]

TENTHS = 10
NEVER = 10**12
CLIENTS = [f"C{number}" for number in range(TENTHS)]


@pytest.fixture
def proxy(sshd):
    one = Proxy(sshd.port)
    yield one
    one.close()


@pytest.fixture
def site(kafka, sshd, proxy, tmp_path, request):
    one = Site(kafka, sshd, tmp_path, f"line.{request.node.name}")
    one.sftp["port"] = proxy.port
    return one


@pytest.mark.failure(42)
def test_cut_at_each_tenth(proxy, site):
    """Ten clients' files, each connection cut at another tenth: none torn, each there once, all right."""
    site.config["streams"][0] |= {"clients": CLIENTS, "inventory": "display"}
    site.write(events=1_000, users=1_000, mobile=0)
    site.drain()
    whole = proxy.sent
    proxy.cuts = [*(whole * tenth // TENTHS for tenth in range(TENTHS)), NEVER]
    site.write(events=10_000, users=10_000, mobile=0, clients=CLIENTS)
    site.drain()
    failed = site.bridge.events("upload_failed")
    assert len(failed) == TENTHS
    assert {line["reason"] for line in failed} == {"connection_lost"}
    site.check()


@pytest.mark.failure(45)
def test_the_reply_to_the_rename_is_lost(sshd, proxy, site):
    """The file has its final name, nobody says so: it is found there, and is not sent a second time."""
    proxy.lose_reply_when = lambda: delivered(sshd)
    site.write()
    site.drain()
    assert proxy.lost == 1
    (failed,) = site.bridge.events("upload_failed")
    assert failed["outcome"] == "unknown"
    assert [line["found"] for line in site.bridge.events("file_uploaded")].count(True) == 1
    site.check()
