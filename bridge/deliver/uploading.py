"""Uploads of one account: each an attempt that is written down before it begins and after it ends.

What a failed attempt means for the quota is the remote's word (design.md, invariant 4): given back, spent, or
unknown, which counts as spent. A server that cannot be reached at all pauses the account, as it would fail
every file alike; that costs nothing, so it is tried again soon.
"""

import hashlib
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import structlog

from bridge.audience.audience import Audience
from bridge.backoff import Backoff
from bridge.clock import HOUR, MINUTE, SECOND, Clock
from bridge.config import Account
from bridge.deliver import file_log
from bridge.deliver.file_log import Trial
from bridge.deliver.file_state import FileState
from bridge.deliver.ledger import Ledger
from bridge.deliver.observer import DeliverObserver
from bridge.deliver.quota import Attempt, Room, closing, counted_since, room
from bridge.deliver.records import FileRecord, Outcome
from bridge.deliver.remote import Outcome as RemoteOutcome
from bridge.deliver.remote import Receipt, Remote, UploadFailed, UploadStage
from bridge.deliver.schedule import Unfinished
from bridge.deliver.server_clock import ServerClock
from bridge.deliver.waiting import as_unfinished
from bridge.spool.disk import refusals

log = structlog.get_logger()

OUTCOMES = {
    RemoteOutcome.NOT_OPENED: Outcome.GIVEN_BACK,
    RemoteOutcome.SPENT: Outcome.SPENT,
    RemoteOutcome.UNKNOWN: Outcome.UNKNOWN,
}
"""What the remote knows to what the ledger notes."""

LASTING_PAUSE = 5 * MINUTE
"""Before a server that refuses our log-in, or whose key changed, is tried again, ms."""


CHUNK = 1 << 22
"""Bytes of a file that are looked at without a beat."""


class Uploads:
    """The files of one account that are built, and their way to the server."""

    def __init__(
        self,
        *,
        account: Account,
        ledger: Ledger,
        remote: Remote,
        clock: Clock,
        server_clock: ServerClock,
        observer: DeliverObserver,
        stopped: Callable[[], bool],
    ) -> None:
        """`stopped`: nothing is to be begun any more."""
        self._account = account
        self._ledger = ledger
        self._remote = remote
        self._clock = clock
        self._server_clock = server_clock
        self._observer = observer
        self._stopped = stopped
        self._reaching = Backoff(first=2 * SECOND, longest=2 * MINUTE)

    @property
    def paused_until(self) -> int:
        """No upload before this (epoch ms): the server could not be reached."""
        return self._reaching.due

    def unfinished(self, now: int) -> list[Unfinished]:
        """The files that are built and not uploaded."""
        return [as_unfinished(tried, now) for tried in self._ledger.unfinished(self._account.name)]

    def discard_unbegun(self, audience: Audience) -> None:
        """A file of the audience that was built and not begun makes way for a newer one."""
        self._discard(lambda file: file.audience == audience, "newer memberships go first")

    def discard_cancelled(self, replays: frozenset[str]) -> None:
        """Files of these replays that were built and not begun go."""
        if replays:
            self._discard(lambda file: file.replay in replays, "its replay was cancelled")

    def _discard(self, chosen: Callable[[FileRecord], bool], reason: str) -> None:
        for tried in self._ledger.unfinished(self._account.name):
            if tried.file.state is FileState.BUILT and chosen(tried.file):
                self._ledger.discard(tried.file.name)
                _remove(tried.file)
                file_log.discarded(tried.file, reason)

    def upload(self, name: str) -> None:
        """One attempt to upload a file that is built.

        Raises:
            LedgerFailed: It could not be written down; nothing is uploaded then.
        """
        file = self._ledger.file(name)
        if file is None or not self._whole(file) or self._stopped():
            return
        now = self._clock.now()
        admits = partial(self._admits, file, now, self._server_clock.skew())
        attempt = self._ledger.begin_attempt(name, now, counted_since(now), admits)
        if attempt is None:
            return
        trial = Trial(
            file=file,
            attempt=attempt,
            number=self._tries(name),
            begun_at=now,
            elapsed=self._clock.elapsed(),
        )
        file_log.begun(trial)
        try:
            receipt = self._remote.upload(
                Path(file.path), name, partial(self._reached, trial), partial(self._measured, attempt)
            )
        except UploadFailed as failure:
            self._failed(trial, failure)
        else:
            self._succeeded(trial, receipt)

    def _tries(self, name: str) -> int:
        """How often the file was tried, the attempt under way too."""
        tried = self._ledger.tried(name)
        return len(tried.tries) if tried else 0

    def _reached(self, trial: Trial, stage: UploadStage) -> None:
        self._progress(stage)
        file_log.reached(trial, stage)

    def _progress(self, stage: UploadStage) -> None:
        """The server answers: the account's thread works, and the server can be reached."""
        self._observer.beat(self._account.name, self._clock.now())
        if stage is not UploadStage.CONNECTING:
            self._reaching.succeeded()

    def _measured(self, attempt: int, skew: int) -> None:
        """The server's clock less ours, ms: noted at once, as the attempt counts by that clock."""
        self._server_clock.measured(skew, attempt)
        self._warn_of(skew)

    def _succeeded(self, trial: Trial, receipt: Receipt) -> None:
        file, account, now = trial.file, self._account.name, self._end_of(trial)
        if receipt.found:
            self._ledger.end_attempt(trial.attempt, now, Outcome.GIVEN_BACK, "it was there already")
            self._ledger.found_uploaded(file.name, now)
        else:
            self._ledger.end_attempt(trial.attempt, now, Outcome.UPLOADED)
        _remove(file)
        self._reaching.succeeded()
        self._observer.uploaded(account, file.bytes, receipt.seconds)
        file_log.uploaded(trial, receipt)

    def _failed(self, trial: Trial, failure: UploadFailed) -> None:
        account, now = self._account.name, self._clock.now()
        outcome = OUTCOMES[failure.outcome]
        ended_at = self._end_of(trial)
        self._ledger.end_attempt(trial.attempt, ended_at, outcome, str(failure), reason=failure.reason)
        if failure.quota:
            skew = self._server_clock.skew()
            self._ledger.close_account(account, closing(self._account.quota, now, skew, HOUR))
        if outcome is Outcome.GIVEN_BACK:
            self._reaching.failed(now)
            if not failure.transient:
                self._reaching.due = max(self._reaching.due, now + LASTING_PAUSE)
        self._observer.failed(account, failure.reason)
        file_log.failed(trial, outcome, failure)

    def _end_of(self, trial: Trial) -> int:
        """When an attempt ends, now, epoch ms: by the clock by which it began, which its skew is of.

        Where ours was set meanwhile it is the later of both, so that no window is left out that it touched.
        """
        return max(self._clock.now(), trial.begun_at + self._clock.elapsed() - trial.elapsed)

    def _admits(self, file: FileRecord, now: int, skew: int, attempts: Sequence[Attempt]) -> bool:
        """The last word on the quota, inside the transaction that spends it."""
        closed = self._ledger.closed_until(self._account.name)
        left = room(self._account.quota, attempts, now, skew, closed)
        if not isinstance(left, Room):
            return False
        return file.bytes <= (left.removals_bytes if file.progress.removals_only else left.bytes)

    def _whole(self, file: FileRecord) -> bool:
        """Whether the file on our disk is what was built; if not, what it holds is delivered anew."""
        whole = self._sha256(file) in (file.sha256, None)
        if not whole:
            file_log.damaged(file)
            self._ledger.give_up(file.name, "its bytes on disk are not what was built")
            _remove(file)
        return whole

    def _sha256(self, file: FileRecord) -> str | None:
        """Of the file on our disk, empty where there is none; None: stopped before its end.

        Raises:
            SpoolFailed: It cannot be read.
        """
        digest, path = hashlib.sha256(), Path(file.path)
        with refusals(path):
            try:
                with path.open("rb") as content:
                    while chunk := content.read(CHUNK):
                        if self._stopped():
                            return None
                        digest.update(chunk)
                        self._observer.beat(self._account.name, self._clock.now())
            except FileNotFoundError:
                return ""
        return digest.hexdigest()

    def _warn_of(self, skew: int) -> None:
        if abs(skew) > self._account.quota.guard + SECOND:  # it is known to half a second
            log.warning(
                "server_clock_differs",
                account=self._account.name,
                seconds=skew / SECOND,
                remedy="the guard is widened by up to 5 min; check both clocks",
            )


def _remove(file: FileRecord) -> None:
    """Its bytes are not needed any more.

    Raises:
        SpoolFailed: The disk failed.
    """
    path = Path(file.path)
    with refusals(path):
        path.unlink(missing_ok=True)
