"""The log lines about the processing log: each is said once, however often the log is asked."""

from collections.abc import Iterable

import structlog

from bridge.clock import SECOND
from bridge.deliver.confirming import Overdue
from bridge.deliver.records import FileRecord
from bridge.platform.processing_log import MOST_WORDS, Entry

log = structlog.get_logger()


def confirmed(file: FileRecord, entry: Entry) -> None:
    """The platform has processed it."""
    log.info(
        "file_confirmed",
        account=file.audience.account,
        audience=file.audience.label,
        file=file.name,
        replay=file.replay or None,
        lines_accepted=entry.lines_accepted,
        lines_refused=entry.lines_refused,
    )


def rejected(file: FileRecord, entry: Entry, reason: str) -> None:
    """The platform has refused it."""
    log.error(
        "file_rejected",
        account=file.audience.account,
        audience=file.audience.label,
        file=file.name,
        replay=file.replay or None,
        lines_accepted=entry.lines_accepted,
        lines_refused=entry.lines_refused,
        reason=reason,
        remedy=f"mend what it complains of, then s2s-bridge files resend {file.name}",
    )


class Said:
    """What was said of one account's processing log."""

    def __init__(self, account: str) -> None:
        self._account = account
        self._overdue: set[str] = set()
        self._statuses: set[str] = set()
        self._away = False
        self._skipped = False

    def reached(self, failure: str) -> None:
        """Why it gives no answer; empty: it has given one."""
        if failure and not self._away:
            log.warning("processing_log_unreachable", account=self._account, reason=failure)
        elif not failure and self._away:
            log.info("processing_log_reachable", account=self._account)
        self._away = bool(failure)

    def overdue(self, overdue: Overdue, limit: int) -> None:
        """A file should have been processed `limit` ms after its upload."""
        file = overdue.file
        if file.name in self._overdue:
            return
        self._overdue.add(file.name)
        log.warning(
            "file_overdue",
            account=self._account,
            audience=file.audience.label,
            file=file.name,
            replay=file.replay or None,
            status=overdue.said or None,
            seconds=limit // SECOND,
            remedy="ask the platform what became of it",
        )

    def still_open(self, files: Iterable[FileRecord]) -> None:
        """Of all other files nothing is remembered."""
        self._overdue &= {file.name for file in files}

    def unknown(self, statuses: Iterable[str]) -> None:
        """Statuses that the settings do not name."""
        for status in sorted(set(statuses) - self._statuses):
            if len(self._statuses) < MOST_WORDS:
                self._statuses.add(status)
                log.warning(
                    "unknown_status",
                    account=self._account,
                    status=status,
                    remedy="name it in platform.processing_log, under confirmed, rejected or pending",
                )

    def skipped(self, entries: int) -> None:
        """So many entries lack what they must have."""
        if entries and not self._skipped:
            self._skipped = True
            log.warning(
                "log_entries_skipped",
                account=self._account,
                entries=entries,
                remedy="see file and status in platform.processing_log.fields",
            )
