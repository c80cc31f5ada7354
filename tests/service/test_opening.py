"""Opening the spool and its ledger: what is refused, and what --adopt makes of it."""

import os
import socket
import threading

import pytest
from structlog.testing import capture_logs

from bridge.clock import DAY, HOUR, MINUTE
from bridge.config import Config
from bridge.deliver.ledger import Ledger, LedgerDamaged
from bridge.deliver.quota import Closed, Reason, room
from bridge.deliver.records import Progress
from bridge.errors import BridgeError
from bridge.service.opening import LEDGER, PATIENCE, open_ledger, opened
from bridge.service.outside import Outside
from bridge.spool.locks import LockHeld
from bridge.spool.spool import Spool
from tests.parts.audiences import DISPLAY
from tests.parts.clocks import HandClock
from tests.parts.delivering import START
from tests.parts.spools import one, seal


@pytest.fixture
def config(tmp_path):
    """Two accounts, a stream of each."""
    return Config(
        kafka={"bootstrap_servers": "localhost:9092"},
        spool={"directory": tmp_path / "spool"},
        accounts=[account("a"), account("b")],
        streams=[stream("a"), stream("b")],
        dead_letters={},
    )


@pytest.fixture
def spool(config):
    """The configured spool, with a run."""
    spool = Spool.open(config.spool.directory, clock=HandClock(START))
    seal(spool, one())
    return spool


def account(name, **quota):
    sftp = {"host": f"{name}.example", "username": "nobody"}
    return {"name": name, "agency": "Agency", "partner": "Partner", "sftp": sftp, "quota": quota}


def stream(name):
    return {"name": name, "topics": [name], "account": name, "format": "json", "segment_namespace": "ep"}


def outside_at(clock):
    """Nobody is asked; the clock is a hand's."""
    return Outside(clock=clock, remote=pytest.fail)


def ledger_of(config, spool, *, adopt):
    return open_ledger(spool, config.accounts, outside_at(HandClock(START)), adopt=adopt)


def test_a_first_start_has_the_whole_quota(config):
    """No ledger and no runs: a new ledger, and nothing counts as spent."""
    spool = Spool.open(config.spool.directory, clock=HandClock(START))
    with ledger_of(config, spool, adopt=False) as ledger:
        assert ledger.spool_id == spool.id
        assert ledger.closed_until("a") == 0


@pytest.mark.failure(53)
def test_runs_without_their_ledger_are_refused(config, spool):
    """What was delivered is not known: one line that names the ledger and --adopt; nothing is made."""
    with pytest.raises(BridgeError, match=rf"{LEDGER} is missing.*--adopt") as refusal:
        ledger_of(config, spool, adopt=False)
    assert "\n" not in str(refusal.value)
    assert not (spool.directory / LEDGER).exists()


@pytest.mark.failure(53)
def test_an_adopted_spool_uploads_nothing_until_the_day_is_over(config, spool):
    """Nobody knows what was uploaded today: both accounts' windows count as spent until the day's reset."""
    with ledger_of(config, spool, adopt=True) as ledger:
        midnight = START - START % DAY + DAY
        for account in config.accounts:
            until = ledger.closed_until(account.name)
            assert until == midnight
            for now in (START, START + HOUR, midnight - 1):
                left = room(account.quota, [], now, 0, until)
                assert isinstance(left, Closed)
                assert left.reason is Reason.REFUSED
            assert not isinstance(room(account.quota, [], midnight + MINUTE, 0, until), Closed)


def test_an_adopted_ledger_is_opened_at_the_next_start(config, spool):
    """Once adopted, --adopt is needed no more, and given again it changes nothing."""
    ledger_of(config, spool, adopt=True).close()
    for adopt in (False, True):
        with ledger_of(config, spool, adopt=adopt) as ledger:
            ledger.set_skew("a", 7)
            assert ledger.spool_id == spool.id
    with ledger_of(config, spool, adopt=False) as ledger:
        assert ledger.skew("a") == 7


@pytest.mark.failure(14, 53)
@pytest.mark.parametrize("harm", ["empty", "cut", "garbage"])
def test_a_damaged_ledger_is_refused_and_kept_when_adopted(config, spool, harm):
    """Without --adopt one line; with it a new ledger whose windows are spent, the old one beside it."""
    ledger_of(config, spool, adopt=True).close()
    path = spool.directory / LEDGER
    whole = path.read_bytes()
    content = {"empty": b"", "cut": whole[: len(whole) // 2], "garbage": b"x" * 5000}[harm]
    path.write_bytes(content)
    with pytest.raises(LedgerDamaged, match="--adopt") as refusal:
        ledger_of(config, spool, adopt=False)
    assert "\n" not in str(refusal.value)
    assert path.read_bytes() == content
    with ledger_of(config, spool, adopt=True) as ledger:
        assert ledger.closed_until("a") > START
    (kept,) = spool.directory.glob(f"{LEDGER}.*.damaged")
    assert kept.read_bytes() == content


@pytest.mark.failure(14)
def test_another_spools_ledger_is_refused(config, spool):
    """Its frontiers speak of other runs: it is not used, with --adopt it is put aside."""
    Ledger.create(spool.directory / LEDGER, "another", START).close()
    with pytest.raises(LedgerDamaged, match=r"another spool.*--adopt"):
        ledger_of(config, spool, adopt=False)
    with ledger_of(config, spool, adopt=True) as ledger:
        assert ledger.spool_id == spool.id
        assert ledger.closed_until("b") > START


def test_a_start_waits_a_minute_for_the_lock_and_names_its_holder(config, spool):
    """Another process on the same spool is not disturbed; the refusal comes after `PATIENCE`."""
    clock, never = HandClock(START), threading.Event()
    with opened(config, outside_at(clock), never, adopt=True) as held:
        assert held.spool.id == spool.id
        with (
            pytest.raises(LockHeld, match=r"process \d+ on host"),
            opened(config, outside_at(clock), never, adopt=True),
        ):
            pass
        assert clock.now() - START >= PATIENCE
    with opened(config, outside_at(clock), never, adopt=False):
        pass


def test_who_waits_for_the_lock_says_so(config):
    """At once, and once: whom it waits for, and how long at most. Who need not wait says nothing."""
    clock, never = HandClock(START), threading.Event()
    with (
        capture_logs() as lines,
        opened(config, outside_at(clock), never, adopt=True),
        pytest.raises(LockHeld),
        opened(config, outside_at(clock), never, adopt=True),
    ):
        pass
    (line,) = [line for line in lines if line["event"] == "lock_awaited"]
    assert line["lock"] == "ingest.lock"
    assert line["held_by"] == f"process {os.getpid()} on host {socket.gethostname()}"
    assert line["seconds"] == PATIENCE // 1000


def test_run_numbers_go_on_above_what_the_ledger_knows(config, spool):
    """With its own high mark and its runs gone, no number comes again that counts as delivered."""
    clock, never = HandClock(START), threading.Event()
    with opened(config, outside_at(clock), never, adopt=True) as held:
        progress = Progress(start="", stop=None, run=41, newest_event_time=1, removals_only=False)
        held.ledger.skip(DISPLAY, progress)
        for run in held.spool.runs():
            held.spool.retire(run)
    (spool.directory / "numbers.json").unlink()
    with opened(config, outside_at(clock), never, adopt=False) as held:
        assert seal(held.spool, one()).number == 42


@pytest.mark.failure(50)
def test_files_that_nobody_will_upload_go_at_a_start(config, spool):
    """What a process built and did not note, or noted as done and did not remove, takes no disk for ever."""
    orphan = spool.files_directory / "Agency_Partner_202611010000.log.gz"
    orphan.write_bytes(b"built, and never noted")
    with opened(config, outside_at(HandClock(START)), threading.Event(), adopt=True):
        assert not orphan.exists()


@pytest.mark.failure(14, 53)
def test_no_name_comes_again_after_a_ledger_was_lost(config, spool):
    """Stamps ran ahead of the clock, and were written down in the lost ledger alone."""
    with Ledger.create(spool.directory / LEDGER, spool.id, START) as ledger:
        before = {str(ledger.reserve_name("Agency_Partner", START)) for _ in range(60)}
    (spool.directory / LEDGER).unlink()
    with ledger_of(config, spool, adopt=True) as ledger:
        after = {str(ledger.reserve_name("Agency_Partner", START + MINUTE)) for _ in range(60)}
    assert not before & after
