"""`s2s-bridge files list`, `files resend`, `files settle`: what became of files, and what is done then."""

import json
import os
import sys
from collections.abc import Callable, Sequence
from typing import Annotated

import typer

from bridge.cli import tables
from bridge.cli.options import ConfigFile
from bridge.clock import SystemClock
from bridge.config import load
from bridge.deliver.file_state import FileState
from bridge.deliver.records import FileRecord
from bridge.errors import UsageError
from bridge.service.files import NotSentAgain, NotSettled, known_files, wishes
from bridge.service.telling.status import FileStatus, file_json
from bridge.units import iso_or_none

app = typer.Typer(
    help="Look at the files that were built, send what they held again, or settle them.",
    add_completion=False,
    rich_markup_mode=None,
    no_args_is_help=False,
)

States = Annotated[
    list[str] | None, typer.Option("--state", metavar="S", help="Only files in this state; may be repeated.")
]
Names = Annotated[list[str], typer.Argument(metavar="NAME...", help="Their names.", show_default=False)]


@app.command("list")
def list_files(
    config: ConfigFile,
    state: States = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object.")] = False,
) -> None:
    """Tell the newest files, and what the platform says of them."""
    wanted = _known(state or [])
    files = known_files(load(config, os.environ), wanted)
    if as_json:
        print(json.dumps({"files": [file_json(FileStatus(file=file, attempts=None)) for file in files]}))
    elif files:
        _show(files)
    else:
        print("no such file")


@app.command("resend")
def resend(names: Names, config: ConfigFile) -> None:
    """Have what these files held sent again, with all that came later for the same users."""
    with wishes(load(config, os.environ), SystemClock(), names, "files resend") as work:
        _each(work.files, work.ask)


@app.command("settle")
def settle(names: Names, config: ConfigFile) -> None:
    """Say that nothing is to be done about these files: nobody is told, no audience waits any more."""
    with wishes(load(config, os.environ), SystemClock(), names, "files settle") as work:
        _each(work.files, work.settle)


def _each(files: Sequence[FileRecord], note: Callable[[FileRecord], str]) -> None:
    """A file that cannot be had done so stops no other; exit 1 then."""
    refused = False
    for file in files:
        try:
            print(f"{file.name}: {note(file)}")
        except (NotSentAgain, NotSettled) as error:
            refused = True
            print(error, file=sys.stderr)
    if refused:
        raise typer.Exit(1)


def _known(states: list[str]) -> frozenset[FileState]:
    for state in states:
        if state not in set(FileState):
            raise UsageError(f"--state {state}: there is no such state; there are {', '.join(FileState)}")
    return frozenset(FileState(state) for state in states)


def _show(files: Sequence[FileRecord]) -> None:
    table = tables.table(
        None, "name", "audience", "state", "uploaded", "memberships+", "done about it", "why"
    )
    for file in files:
        table.add_row(
            file.name,
            f"{file.audience.account}: {file.audience.label}",
            file.state,
            iso_or_none(file.uploaded_at) or "",
            f"{file.memberships:,}",
            _done(file),
            file.detail,
        )
    tables.show([table])


def _done(file: FileRecord) -> str:
    if file.resend_waits:
        return "to be sent again"
    if file.resent_at is not None:
        return f"due again {iso_or_none(file.resent_at)}"
    return f"settled {iso_or_none(file.settled_at)}" if file.settled_at is not None else ""
