"""`s2s-bridge files list` and `files resend`: what became of files, and sending again what they held."""

import json
import os
import sys
from collections.abc import Sequence
from typing import Annotated

import typer

from bridge.cli import tables
from bridge.cli.options import ConfigFile
from bridge.clock import SystemClock
from bridge.config import load
from bridge.deliver.file_state import FileState
from bridge.deliver.records import FileRecord
from bridge.errors import UsageError
from bridge.service.files import NotSentAgain, known_files, resending
from bridge.service.status import FileStatus, file_json
from bridge.units import iso_or_none

app = typer.Typer(
    help="Look at the files that were built, and send what they held again.",
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
    refused = False
    with resending(load(config, os.environ), SystemClock(), names) as work:
        for file in work.files:
            try:
                print(f"{file.name}: {work.ask(file)}")
            except NotSentAgain as error:
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
    table = tables.table(None, "name", "audience", "state", "uploaded", "memberships+", "sent again", "why")
    for file in files:
        table.add_row(
            file.name,
            f"{file.audience.account}: {file.audience.label}",
            file.state,
            iso_or_none(file.uploaded_at) or "",
            f"{file.memberships:,}",
            "asked for" if file.resend_waits else iso_or_none(file.resent_at) or "",
            file.detail,
        )
    tables.show([table])
