"""Up- and downgrades with a full spool: what earlier versions wrote is read, what later ones did is not."""

import json
import shutil
import sqlite3
from pathlib import Path

import pytest

from tests.faults.site import Site
from tests.parts import oracle
from tests.parts.bridging import delivered

pytestmark = [pytest.mark.kafka, pytest.mark.sshd]

FIXTURES = Path(__file__).with_name("fixtures")


@pytest.fixture
def site(kafka, sshd, tmp_path, request):
    """Its spool is the one that the first version left, full of what waits."""
    one = Site(kafka, sshd, tmp_path, f"versions.{request.node.name}")
    shutil.copytree(FIXTURES / "spool-1", one.spool)
    one.config["spool"]["retention"] = "3650d"
    one.config["accounts"][0]["name"] = "a"
    one.config["streams"][0]["account"] = "a"
    return one


@pytest.mark.failure(61)
def test_a_full_spool_of_the_first_version(site):
    """Its runs, replay and ledger are taken up: what waits arrives once, judged by what was delivered."""
    read = json.loads((site.spool / "events.json").read_text())
    before = list(site.spool.glob("*.log.gz"))
    assert len(before) == 1
    with site.running():
        site.bridge.wait_for("started")
        site.until(lambda: site.status("replays")[0]["state"] == "delivered", "the replay's file")
    site.drain()
    wanted = oracle.last_write_wins(read["events"]) | oracle.last_write_wins(
        read["hashed"], user_namespace="xx", table_ids={"xx": "7"}, hashed=True
    )
    assert oracle.same(oracle.fold([*before, *delivered(site.sshd)]), wanted) == []
    assert "Traceback" not in site.bridge.log.read_text()


def newer_spool(spool):
    """Another layout."""
    path = spool / "spool.json"
    path.write_text(path.read_text().replace('"format":1', '"format":2'))


def newer_ledger(spool):
    """Further tables."""
    connection = sqlite3.connect(spool / "ledger.sqlite")
    connection.execute("PRAGMA user_version = 99")
    connection.close()


def newer_run(spool):
    """Another kind of run."""
    path = max((spool / "runs").iterdir())
    path.write_bytes(path.read_bytes().replace(b"S2SRUN1\n", b"S2SRUN2\n"))


def newer_replay(spool):
    """A state that is not known yet."""
    (path,) = (spool / "replays").glob("*/replay.json")
    path.write_text(path.read_text().replace('"read"', '"paused"'))


NEWER = {
    "spool": (newer_spool, "use the version that made it"),
    "ledger": (newer_ledger, "run that version or a later one"),
    "run": (newer_run, "run that version or a later one"),
    "replay": (newer_replay, "if a newer s2s-bridge wrote it, run that version"),
}


@pytest.mark.failure(61)
@pytest.mark.parametrize("what", NEWER)
def test_what_a_newer_version_wrote_is_refused(site, what):
    """One line says what it is and what to do; nothing is sent, and nothing is changed."""
    change, words = NEWER[what]
    change(site.spool)
    files = {path: path.read_bytes() for path in site.spool.rglob("*") if path.suffix in (".run", ".json")}
    assert words in site.fails()
    assert delivered(site.sshd) == []
    assert {path: path.read_bytes() for path in files} == files
