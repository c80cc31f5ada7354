"""Asks one account's processing log, and writes down what it says of each file (docs/processing-log.md)."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial

from bridge.clock import DAY, Clock
from bridge.config import ProcessingLogSettings
from bridge.deliver import reconcile_log
from bridge.deliver.confirming import (
    Confirm,
    Decision,
    Looks,
    Overdue,
    Reject,
    after,
    decide,
    due_at,
    is_overdue,
    start,
)
from bridge.deliver.file_state import ARRIVED
from bridge.deliver.ledger import Ledger
from bridge.deliver.reconcile_observer import ReconcileObserver
from bridge.deliver.records import FileRecord
from bridge.platform.api import CallFailed, CallStopped, Json
from bridge.platform.processing_log import Entry, NoPage, Reading, newest, not_there, read

LONGEST = DAY
"""A log that asks to be left alone is left alone no longer than this, ms: it may have said so by mistake."""

NO_REASON = "the processing log gives no reason"


@dataclass(frozen=True, kw_only=True, slots=True)
class Found:
    """What came of one look."""

    decisions: tuple[Decision, ...]
    """What it means for files; they are carried out."""
    failure: str
    """Why the log was not read to its end, one line; empty: it was."""
    unknown: tuple[str, ...]
    """Statuses that the settings do not name, in order."""
    skipped: int
    """Entries that lack a file or a status."""


class Reconciler:
    """One account's, for one thread."""

    def __init__(
        self,
        account: str,
        settings: ProcessingLogSettings,
        ask: Callable[[int], Json],
        *,
        ledger: Ledger,
        clock: Clock,
        observer: ReconcileObserver,
    ) -> None:
        """`ask` gives the log's page at an offset, or raises CallFailed."""
        self._account = account
        self._settings = settings
        self._ask = ask
        self._ledger = ledger
        self._clock = clock
        self._observer = observer
        self._looks = Looks()
        self._said = reconcile_log.Said(account)

    def step(self) -> None:
        """Look, if it is time to.

        Raises:
            LedgerFailed: It cannot be read or written.
            CallStopped: The process stops; what was read so far is read again by the next one.
        """
        now = self._clock.now()
        self._observer.looking(self._account, now)
        due = due_at(self._looks, self._ledger.unconfirmed(self._account), self._settings.poll, now)
        if due is None:
            self._observer.looked(self._account, now)
            self._observer.reachable(self._account, value=True)
        elif due <= now:
            self.look()
        self._tell_open()

    @property
    def idle(self) -> bool:
        """There is nothing to ask about, as no file that is known was uploaded."""
        counts = self._ledger.counts()
        return not any(counts.get((self._account, state)) for state in ARRIVED)

    def look(self) -> Found:
        """Ask now, and write down what is said, file by file.

        Raises:
            LedgerFailed: It cannot be read or written.
            CallStopped: The process stops; what was read so far is read again by the next one.
        """
        now = self._clock.now()
        begun = start(self._looks, now)
        reading = Reading(names=partial(self._ledger.names_of, self._account), end=begun)
        failure = self._read(reading)
        files = self._files(reading)
        if failure is None:
            self._looks = after(self._looks, reading, files, begun, now)
            self._observer.looked(self._account, now)
        else:
            wait = min(failure.after, LONGEST) if isinstance(failure, CallFailed) else 0
            resume = 0 if not_there(failure) else self._looks.resume  # the log may have been cut
            self._looks = replace(self._looks, last_at=now, failed=True, not_before=now + wait, resume=resume)
        self._tell(reading, str(failure or ""))
        known = newest(entry for _, entry in reading.entries)
        decisions = tuple(decide(files, known, self._settings.overdue_after, now))
        for decision in decisions:
            self._carry_out(decision)
        return Found(
            decisions=decisions,
            failure=str(failure or ""),
            unknown=tuple(sorted(reading.unknown)),
            skipped=reading.skipped,
        )

    def _files(self, reading: Reading) -> tuple[FileRecord, ...]:
        """Those that wait for a word, and those that it was about: the platform may change it."""
        waiting = self._ledger.unconfirmed(self._account)
        told = {entry.file for _, entry in reading.entries} - {file.name for file in waiting}
        others = filter(None, map(self._ledger.file, sorted(told)))
        return (*waiting, *(file for file in others if file.state in ARRIVED))

    def _read(self, reading: Reading) -> CallFailed | NoPage | None:
        """Why not all could be read; None: all was."""
        try:
            read(self._page, self._settings, reading)
        except CallStopped:
            raise
        except (CallFailed, NoPage) as failure:
            return failure
        return None

    def _page(self, offset: int) -> Json:
        self._observer.looking(self._account, self._clock.now())
        return self._ask(offset)

    def _carry_out(self, decision: Decision) -> None:
        match decision:
            case Confirm(file=file, entry=entry):
                self._confirm(file, entry)
            case Reject(file=file, entry=entry):
                self._reject(file, entry)
            case Overdue():
                self._said.overdue(decision, self._settings.overdue_after)

    def _confirm(self, file: FileRecord, entry: Entry) -> None:
        noted = self._ledger.confirm(
            file.name,
            processed_at=entry.processed_at,
            lines_accepted=entry.lines_accepted,
            lines_refused=entry.lines_refused,
        )
        if not noted:
            return
        self._observer.confirmed(self._account, entry.lines_accepted or 0, entry.lines_refused or 0)
        reconcile_log.confirmed(file, entry)

    def _reject(self, file: FileRecord, entry: Entry) -> None:
        reason = entry.reason or NO_REASON
        noted = self._ledger.reject(
            file.name,
            processed_at=entry.processed_at,
            lines_accepted=entry.lines_accepted,
            lines_refused=entry.lines_refused,
            detail=reason,
        )
        if not noted:
            return
        self._observer.rejected(self._account, entry.lines_accepted or 0, entry.lines_refused or 0)
        reconcile_log.rejected(file, entry, reason)

    def _tell(self, reading: Reading, failure: str) -> None:
        self._observer.reachable(self._account, value=not failure)
        self._observer.skipped(self._account, reading.skipped)
        self._said.reached(failure)
        self._said.unknown(reading.unknown)
        self._said.skipped(reading.skipped)

    def _tell_open(self) -> None:
        now, files = self._clock.now(), self._ledger.unconfirmed(self._account)
        overdue = sum(is_overdue(file, self._settings.overdue_after, now) for file in files)
        self._said.still_open(files)
        self._observer.unconfirmed(self._account, len(files), overdue)
        rejected = self._ledger.rejected(self._account)
        self._observer.not_resent(self._account, sum(file.open for file in rejected))
