"""Opening the spool and its ledger (design.md, invariant 3 and Locks)."""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from threading import Event

import structlog

from bridge.clock import DAY, MINUTE, SECOND, Clock
from bridge.config import Account, Config
from bridge.deliver.file_state import UNFINISHED
from bridge.deliver.ledger import Ledger, LedgerDamaged
from bridge.deliver.quota import closing
from bridge.errors import BridgeError
from bridge.service.outside import Outside
from bridge.spool.locks import Lock, LockHeld
from bridge.spool.replays import ReplayState
from bridge.spool.spool import IDENTITY, Spool

log = structlog.get_logger()

PATIENCE = MINUTE
"""How long a start waits for the locks, ms: a pod that ends has let go by then."""

LEDGER = "ledger.sqlite"
"""The ledger's name in the spool."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Opened:
    """What a process may write to as long as it holds the locks."""

    spool: Spool
    """The spool."""
    ledger: Ledger
    """Its ledger."""


CLAIM = "claim"
"""The lock that a bridge holds while it waits for those of the accounts: a replay that delivers gives way."""


@contextmanager
def opened(config: Config, outside: Outside, stop: Event, *, adopt: bool) -> Iterator[Opened]:
    """The spool and the ledger under the locks for ingest and for each account.

    Raises:
        LockHeld: Another process has one of them, and did not let go within `PATIENCE`.
        BridgeError: The spool or the ledger cannot be used; the message says what to do.
    """
    clock = outside.clock
    spool = open_spool(config, outside)
    with ExitStack() as stack:
        stack.enter_context(_awaited(spool.lock("ingest"), clock, stop))
        with _awaited(spool.lock(CLAIM), clock, stop):
            for name in _delivering(config):
                stack.enter_context(_awaited(spool.lock(name), clock, stop))
        spool.clean_up()
        ledger = stack.enter_context(open_ledger(spool, config.accounts, outside, adopt=adopt))
        spool.keep_above(newest_run(ledger))
        _remove_ended_files(spool, ledger)
        yield Opened(spool=spool, ledger=ledger)


def _awaited(lock: Lock, clock: Clock, stop: Event) -> Lock:
    """The lock is held when this returns; where another holds it, the log says who is waited for."""
    try:
        return lock.acquire(0, clock, stop)
    except LockHeld:
        log.info("lock_awaited", lock=lock.path.name, held_by=lock.holder(), seconds=PATIENCE // SECOND)
    return lock.acquire(PATIENCE, clock, stop)


@contextmanager
def opened_beside(spool: Spool, config: Config, outside: Outside) -> Iterator[Opened | None]:
    """As `opened`, for a replay, with the accounts' locks alone; None: a bridge has them, or wants to.

    Raises:
        BridgeError: The ledger cannot be used; the message says what to do.
    """
    clock = outside.clock
    with ExitStack() as stack:
        try:
            with spool.lock(CLAIM).acquire(0, clock):
                for name in _delivering(config):
                    stack.enter_context(spool.lock(name).acquire(0, clock))
        except LockHeld:
            stack.close()
            yield None
            return
        ledger = stack.enter_context(open_ledger(spool, config.accounts, outside, adopt=False))
        spool.keep_above(newest_run(ledger))
        yield Opened(spool=spool, ledger=ledger)


def claimed(spool: Spool, clock: Clock) -> bool:
    """Whether a bridge waits for the accounts' locks."""
    try:
        spool.lock(CLAIM).acquire(0, clock).release()
    except LockHeld:
        return True
    return False


def _delivering(config: Config) -> list[str]:
    return [_delivers(account.name) for account in config.accounts]


def _delivers(account: str) -> str:
    return f"deliver-{account}"


def open_spool(config: Config, outside: Outside) -> Spool:
    """The configured spool, made if there is none.

    Raises:
        BridgeError: As `Spool.open`.
    """
    return Spool.open(config.spool.directory, clock=outside.clock, disk=outside.disk)


def open_ledger(spool: Spool, accounts: Sequence[Account], outside: Outside, *, adopt: bool) -> Ledger:
    """The spool's ledger; a new one at a first start, or where it is adopted.

    An adopted spool's ledger counts the windows as spent: nobody knows what was uploaded in them.

    Raises:
        BridgeError: There are runs but no ledger, or it is damaged or another spool's, and `adopt` is off.
    """
    path, now = spool.directory / LEDGER, outside.clock.now()
    try:
        if path.exists():
            return _own(spool, path, outside)
    except LedgerDamaged:
        if not adopt:
            raise
    if _holds_runs(spool) and not adopt:
        raise BridgeError(
            f"{path} is missing, though {spool.directory} holds runs: what was delivered is not known; bring "
            f"it back, or start with --adopt to deliver all runs again, from tomorrow's quota on"
        )
    charged = {account.name: closing(account.quota, now, 0, DAY) for account in accounts} if adopt else {}
    log.warning("ledger_created", path=str(path), windows_counted_as_spent=sorted(charged))
    return outside.ledger.create(path, spool.id, now, charged)


def _holds_runs(spool: Spool) -> bool:
    """Whether anything may have been delivered. A replay has a ledger before it is read (`replaying`)."""
    read = (one for one in spool.replays.all() if one.record.state is not ReplayState.READING)
    return bool(spool.runs()) or any(True for _ in read)


def _remove_ended_files(spool: Spool, ledger: Ledger) -> None:
    """Built files that nobody will upload: a process died before it noted one, or before it removed it."""
    for path in sorted(spool.files_directory.iterdir()):
        file = ledger.file(path.name)
        if path.is_file() and (file is None or file.state not in UNFINISHED):
            spool.remove(path)
            log.info("built_file_removed", file=path.name, noted=file is not None)


def known_ledger(config: Config, asked: str) -> Path:
    """Where the ledger lies, for who only asks: neither it nor the spool is made.

    Args:
        config: The configuration.
        asked: What was asked for; the error begins with it.

    Raises:
        BridgeError: There is none yet.
    """
    directory = config.spool.directory
    path = directory / LEDGER
    if not (path.exists() and (directory / IDENTITY).exists()):
        raise BridgeError(
            f"{asked}: no bridge has delivered from {directory} yet: see that spool.directory is right"
        )
    return path


def delivering(spool: Spool, account: str, clock: Clock) -> bool:
    """Whether a process delivers this account, or is about to."""
    try:
        spool.lock(_delivers(account)).acquire(0, clock).release()
    except LockHeld:
        return True
    return False


def newest_run(ledger: Ledger) -> int:
    """The largest run number that the ledger knows; a run below it would count as delivered."""
    states = ledger.audiences()
    delivered = [max(state.frontier.highest, state.removals.highest) for state in states.values()]
    accounts = {audience.account for audience in states}
    built = [tried.file.progress.run for account in accounts for tried in ledger.unfinished(account)]
    return max([*delivered, *built], default=0)


def _own(spool: Spool, path: Path, outside: Outside) -> Ledger:
    ledger = outside.ledger.open(path)
    if ledger.spool_id != spool.id:
        ledger.close()
        raise LedgerDamaged(
            f"{path} belongs to another spool: bring the right one back, or start with --adopt to begin anew"
        )
    return ledger
