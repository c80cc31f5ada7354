"""What the log tells of a file on its way, in order; who looks for the file's name finds all of it.

Each line has what joins it with others: account, audience, file, replay, and the attempt where there is one.
"""

from dataclasses import dataclass

import structlog

from bridge.audience.audience import Audience
from bridge.deliver.records import FileRecord, Outcome, TriedFile
from bridge.deliver.remote import Receipt, UploadFailed, UploadStage

log = structlog.get_logger()

_TOLD_STAGES = frozenset({UploadStage.OPENED, UploadStage.SENT, UploadStage.RENAMED})
"""Those that come once in an attempt."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Trial:
    """An attempt under way."""

    file: FileRecord
    """What is uploaded."""
    attempt: int
    """The attempt's id in the ledger."""
    number: int
    """Its number among those of the file, from 1 on: what the log calls `attempt`."""
    begun_at: int
    """When it began, epoch ms."""
    elapsed: int
    """The same, in ms of a clock that nobody sets (`Clock.elapsed`)."""


def reserved(audience: Audience, name: str, replay: str) -> None:
    """The file has its name."""
    log.info(
        "name_reserved",
        account=audience.account,
        audience=audience.label,
        file=name,
        replay=replay or None,
    )


def built(file: FileRecord) -> None:
    """The file is whole and noted in the ledger."""
    log.info(
        "file_built",
        account=file.audience.account,
        audience=file.audience.label,
        file=file.name,
        replay=file.replay or None,
        low=file.first_run,
        run=file.progress.run,
        bytes=file.bytes,
        memberships=file.memberships,
        removals_only=file.progress.removals_only,
    )


def discarded(file: FileRecord, reason: str) -> None:
    """The file was never begun, and goes."""
    log.info(
        "file_discarded",
        account=file.audience.account,
        audience=file.audience.label,
        file=file.name,
        replay=file.replay or None,
        reason=reason,
    )


def due_again(file: FileRecord) -> None:
    """What the file held is to be sent again."""
    log.info(
        "file_due_again",
        account=file.audience.account,
        audience=file.audience.label,
        file=file.name,
        replay=file.replay or None,
        runs=len(file.runs or ()),
        memberships=file.memberships,
    )


def not_due_again(file: FileRecord, reason: str) -> None:
    """It was asked for, and cannot be any more."""
    log.warning(
        "file_not_due_again",
        account=file.audience.account,
        audience=file.audience.label,
        file=file.name,
        replay=file.replay or None,
        reason=reason,
    )


def left_open(tried: TriedFile) -> None:
    """The process before this one died in the file's last attempt."""
    log.warning(
        "attempt_left_open",
        account=tried.file.audience.account,
        audience=tried.file.audience.label,
        file=tried.file.name,
        replay=tried.file.replay or None,
        attempt=len(tried.tries),
        remedy="none is needed: it counts as spent, and the next attempt asks the server for the file first",
    )


def damaged(file: FileRecord) -> None:
    """The file's bytes are not what was built."""
    log.error(
        "file_damaged",
        account=file.audience.account,
        audience=file.audience.label,
        file=file.name,
        replay=file.replay or None,
        remedy="check the disk; what the file held is delivered under another name",
    )


def begun(trial: Trial) -> None:
    """An attempt begins."""
    log.info(
        "upload_begun",
        account=trial.file.audience.account,
        audience=trial.file.audience.label,
        file=trial.file.name,
        replay=trial.file.replay or None,
        attempt=trial.number,
        bytes=trial.file.bytes,
    )


def reached(trial: Trial, stage: UploadStage) -> None:
    """An attempt has come so far."""
    if stage in _TOLD_STAGES:
        log.debug(
            "upload_reached",
            account=trial.file.audience.account,
            audience=trial.file.audience.label,
            file=trial.file.name,
            replay=trial.file.replay or None,
            attempt=trial.number,
            stage=stage,
        )


def uploaded(trial: Trial, receipt: Receipt) -> None:
    """The file has its final name."""
    log.info(
        "file_uploaded",
        account=trial.file.audience.account,
        audience=trial.file.audience.label,
        file=trial.file.name,
        replay=trial.file.replay or None,
        attempt=trial.number,
        bytes=trial.file.bytes,
        memberships=trial.file.memberships,
        seconds=round(receipt.seconds, 3),
        found=receipt.found,
    )


def failed(trial: Trial, outcome: Outcome, failure: UploadFailed) -> None:
    """An attempt failed."""
    log.error(
        "upload_failed",
        account=trial.file.audience.account,
        audience=trial.file.audience.label,
        file=trial.file.name,
        replay=trial.file.replay or None,
        attempt=trial.number,
        outcome=outcome,
        reason=failure.reason,
        detail=str(failure),
    )
