"""A spool is its user's alone, whatever the umask and whatever folder it finds."""

import os
import stat
import threading

import pytest

from bridge.deliver.ledger import Ledger
from bridge.service.service import _writable
from bridge.spool.openness import open_to_others
from bridge.spool.spool import Spool
from tests.parts.audiences import DISPLAY
from tests.parts.clocks import HandClock
from tests.parts.spools import seal

NOW = 1_790_000_000_000


@pytest.fixture(params=[0o000, 0o022, 0o077], ids=oct)
def _umask(request):
    old = os.umask(request.param)
    yield
    os.umask(old)


@pytest.mark.usefixtures("_umask")
def test_a_new_spool_is_its_users_alone(tmp_path):
    """Folders 0700, files 0600: runs, ledger, locks, the record of who it is."""
    clock = HandClock(NOW)
    spool = Spool.open(tmp_path / "in" / "spool", clock=clock)
    with spool.lock("ingest").acquire(0, clock):
        seal(spool, {DISPLAY: [(1, 7, 0, NOW, 0, 0, 1)]}, now=NOW)
    Ledger.create(spool.directory / "ledger.sqlite", spool.id, NOW).close()
    spool.write_file("beyond-horizon/one", b"x")
    found = [spool.directory, *spool.directory.rglob("*")]
    assert any(path.suffix == ".run" for path in found)
    for path in found:
        expected = 0o700 if path.is_dir() else 0o600
        assert stat.S_IMODE(path.stat().st_mode) == expected, path


@pytest.mark.parametrize(("mode", "told"), [(0o700, False), (0o770, False), (0o2770, False), (0o755, True)])
def test_others_in_a_spool_are_told_of(tmp_path, mode, told):
    """The group's modes are the operator's; those of everybody else are named, and stay as they are."""
    spool = Spool.open(tmp_path / "spool", clock=HandClock(NOW))
    (tmp_path / "spool" / "runs").chmod(mode)
    assert open_to_others(spool.directory) == ((spool.directory / "runs",) if told else ())
    Spool.open(tmp_path / "spool", clock=HandClock(NOW))
    assert stat.S_IMODE((tmp_path / "spool" / "runs").stat().st_mode) == mode


def test_two_looks_at_once_find_the_spool_writable(tmp_path):
    """/readyz may be asked by several at once: none takes the other's probe for a fault."""
    Spool.open(tmp_path, clock=HandClock(NOW))
    faults = []

    def look():
        faults.extend("not writable" for _ in range(2000) if not _writable(tmp_path))

    threads = [threading.Thread(target=look) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert faults == []
