"""`s2s-bridge reconcile`: ask the processing logs once, and tell what changed and what is open."""

import json
import os
import sys
from collections.abc import Iterator
from typing import Annotated

import typer

from bridge.cli.options import ConfigFile
from bridge.clock import SystemClock
from bridge.config import Config, load
from bridge.deliver.confirming import Confirm, Reject, is_overdue
from bridge.deliver.ledger import Ledger
from bridge.deliver.reconciler import NO_REASON
from bridge.errors import UsageError
from bridge.observe import log
from bridge.service.opening import LEDGER
from bridge.service.reconciling import ProcessingLog, Reconciled, processing_logs
from bridge.service.reconciling import reconcile as reconciled
from bridge.units import iso_or_none, plural


def reconcile(
    config: ConfigFile,
    account: Annotated[
        str | None, typer.Option("--account", metavar="A", help="Of this account alone.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object.")] = False,
) -> None:
    """Ask the platform what became of uploaded files; beside a running bridge, or without one."""
    settings, clock = load(config, os.environ), SystemClock()
    log.configure(form=settings.logging.format, level="critical", clock=clock)  # its output tells all
    logs, path = _logs(settings, account), settings.spool.directory / LEDGER
    results: list[Reconciled] = []
    if path.exists():
        Ledger.read_only(path).close()  # never brings the tables of an older bridge up, while that runs
        with Ledger.open(path) as ledger:
            results = list(reconciled(logs, ledger, clock))
    elif not as_json:
        print(f"{path}: no ledger yet: nothing was delivered")
    if as_json:
        print(json.dumps({"accounts": [_json(one) for one in results]}))
    else:
        for line in (line for one in results for line in _lines(one)):
            print(line)
    for note in (note for one in results for note in _notes(one)):
        print(note, file=sys.stderr)
    failures = [one.found.failure for one in results if one.found and one.found.failure]
    for failure in failures:
        print(" ".join(failure.split()), file=sys.stderr)
    if failures:
        raise typer.Exit(1)


def _logs(config: Config, account: str | None) -> list[ProcessingLog]:
    if account is not None and account not in {one.name for one in config.accounts}:
        raise UsageError(f"--account {account}: there is no such account; see accounts in the configuration")
    found = [one for one in processing_logs(config) if account in {None, one.account.name}]
    if not found:
        whose = "no account has" if account is None else f"account {account} has no"
        raise UsageError(f"{whose} platform.processing_log; name it in the configuration")
    return found


def _lines(one: Reconciled) -> Iterator[str]:
    """What a person reads of an account."""
    for decision in one.found.decisions if one.found else ():
        match decision:
            case Confirm(file=file, entry=entry):
                yield f"{file.name}: confirmed{_counted(entry.lines_accepted, entry.lines_refused)}"
            case Reject(file=file, entry=entry):
                lines = _counted(entry.lines_accepted, entry.lines_refused)
                yield f"{file.name}: rejected{lines}: {entry.reason or NO_REASON}"
    for file in one.left:
        late = ", overdue" if is_overdue(file, one.overdue_after, one.at) else ""
        yield f"{file.name}: open{late}, uploaded {iso_or_none(file.uploaded_at)}"
    if one.found is None:
        yield f"account {one.account}: nothing to ask"
    elif not one.found.failure:
        yield f"account {one.account}: {plural(len(one.left), 'file')} open"


def _notes(one: Reconciled) -> Iterator[str]:
    """What of the log is not understood, and the setting that would change that."""
    if one.found and one.found.unknown:
        said = ", ".join(one.found.unknown)
        yield (
            f"account {one.account}: the log has statuses that no setting names ({said}): name them in "
            f"platform.processing_log, under confirmed, rejected or pending"
        )
    if one.found and one.found.skipped:
        yield (
            f"account {one.account}: {one.found.skipped:,} of the log's entries lack a file or a status: see "
            f"platform.processing_log.fields"
        )


def _counted(accepted: int | None, refused: int | None) -> str:
    told = [
        f"{count:,} {what}"
        for count, what in ((accepted, "accepted"), (refused, "refused"))
        if count is not None
    ]
    return f", lines: {', '.join(told)}" if told else ""


def _json(one: Reconciled) -> dict[str, object]:
    decisions = one.found.decisions if one.found else ()
    return {
        "name": one.account,
        "asked": one.found is not None,
        "failure": one.found.failure or None if one.found else None,
        "unknown_statuses": list(one.found.unknown) if one.found else [],
        "entries_skipped": one.found.skipped if one.found else 0,
        "confirmed": [made.file.name for made in decisions if isinstance(made, Confirm)],
        "rejected": [
            {"name": made.file.name, "reason": made.entry.reason or None}
            for made in decisions
            if isinstance(made, Reject)
        ],
        "open": [file.name for file in one.left],
        "overdue": [file.name for file in one.left if is_overdue(file, one.overdue_after, one.at)],
    }
