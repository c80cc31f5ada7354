"""The files that the ledger knows: telling them, and asking for some to be sent again.

A wish is noted in the ledger, beside a running bridge or without one; who delivers the account carries it out
(deliver/resending). Whether it can be is looked at here first, so that who asks is told at once.
"""

from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from bridge.clock import Clock
from bridge.config import Config
from bridge.deliver.file_state import ARRIVED, FileState
from bridge.deliver.lanes import look
from bridge.deliver.ledger import Ledger
from bridge.deliver.records import FileRecord
from bridge.deliver.resending import refusal
from bridge.errors import BridgeError
from bridge.service.opening import delivering, known_ledger
from bridge.service.telling.unknown_file import unknown_file
from bridge.spool.spool import Spool
from bridge.units import iso, plural

MOST = 10_000
"""So many files are told, the newest."""


class NotSentAgain(BridgeError):  # noqa: N818  # it names a state, as people say it
    """What a file held cannot be sent again."""


class NotSettled(BridgeError):  # noqa: N818  # as above
    """A file is not where anything could be settled about it."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Wishes:
    """Files that are known, and a ledger to note wishes in."""

    config: Config
    """The configuration."""
    clock: Clock
    """What time it is."""
    spool: Spool
    """Where the runs are."""
    ledger: Ledger
    """What knows the files."""
    files: tuple[FileRecord, ...]
    """Those that were asked for, in that order."""

    def settle(self, file: FileRecord) -> str:
        """Note that nothing is to be done about it; what that means, for people.

        Raises:
            NotSettled: It is not uploaded.
        """
        if file.state not in ARRIVED:
            raise NotSettled(f"{file.name}: it is {file.state}, and the bridge is not through with it")
        self.ledger.settle(file.name, self.clock.now())
        return "settled: nothing is waited for on its account, and nobody is told of it any more"

    def ask(self, file: FileRecord) -> str:
        """Note it; what becomes of it, for people.

        Raises:
            NotSentAgain: It cannot be sent again; the text says why, and what to do.
        """
        account = file.audience.account
        if account not in {one.name for one in self.config.accounts}:
            raise NotSentAgain(
                f"{file.name}: its account {account} is not configured any more: bring it back"
            )
        reason = refusal(file, self.ledger.audience(file.audience), held=look(self.spool))
        if reason is not None:
            raise NotSentAgain(f"{file.name}: {reason}")
        if not self.ledger.ask_resend(file.name, self.clock.now()):
            assert file.resend_asked_at is not None
            since = iso(file.resend_asked_at)
            return f"asked for since {since}; it waits until no file of its audience is begun"
        held = plural(file.memberships, "membership")
        if delivering(self.spool, account, self.clock):
            return f"{held}: due again as soon as no file of its audience is begun"
        return f"{held}: due again, but no bridge runs; the next one sends them"


def known_files(config: Config, states: Collection[FileState]) -> tuple[FileRecord, ...]:
    """The newest files in these states, or, where none is named, in any; the newest first.

    Raises:
        BridgeError: There is no ledger yet, or it cannot be read.
    """
    with Ledger.read_only(known_ledger(config, "files list")) as ledger:
        return ledger.files(limit=MOST, states=states)


@contextmanager
def wishes(config: Config, clock: Clock, names: Iterable[str], command: str) -> Iterator[Wishes]:
    """The files of these names; `command` is who asks, for messages.

    Raises:
        UsageError: The ledger does not know one; the text says why, as far as that can be told.
        BridgeError: There is no ledger yet, or the spool or the ledger cannot be used.
    """
    path = known_ledger(config, command)
    wanted = tuple(dict.fromkeys(names))
    with Ledger.read_only(path) as ledger:  # never brings the tables of an older bridge up, while that runs
        files = tuple(_known(name, ledger, path.parent, clock) for name in wanted)
    with Ledger.open(path) as ledger:
        spool = Spool.open(path.parent, clock=clock)
        yield Wishes(config=config, clock=clock, spool=spool, ledger=ledger, files=files)


def _known(name: str, ledger: Ledger, directory: Path, clock: Clock) -> FileRecord:
    file = ledger.file(name) if name.isascii() else None  # SQLite takes no broken text
    if file is None:
        raise unknown_file(name, name, ledger, directory / "files", clock.now())
    return file
