"""The command `s2s-bridge`: one file a verb; here stands what they share: errors become lines and exit codes.

| what a verb raises | on stderr | exit |
|---|---|---|
| ConfigurationError | a line for each fault | 2 |
| UsageError, typer's own refusals | one line | 2 |
| BridgeError | one line | 1 |
| OSError: stdout has no room | one line | 1 |
| typer.Exit | nothing | its code |
| KeyboardInterrupt, which typer makes an exit | nothing | 130 |
| anything else: a bug | one line; the traceback in the log, at level debug | 1 |
"""

import errno
import logging
import os
import sys
import traceback
from collections.abc import Sequence
from importlib.metadata import version
from io import TextIOWrapper
from typing import Annotated

import structlog
import typer

from bridge.cli import (
    check,
    dead_letters,
    demo,
    file,
    files,
    pixel_mapping,
    plan,
    reconcile,
    replay,
    run,
    sandbox,
    segments,
    status,
    support,
    sync,
    taxonomy,
)
from bridge.config import ConfigurationError
from bridge.errors import BridgeError, UsageError

NAME = "s2s-bridge"

FAILED = 1
WRONG_USAGE = 2

app = typer.Typer(name=NAME, add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False)
app.command("run")(run.run)
app.command("check")(check.check)
app.command("status")(status.status)
app.command("reconcile")(reconcile.reconcile)
app.command("plan")(plan.plan)
app.add_typer(file.app, name="file")
app.add_typer(files.app, name="files")
app.command("replay")(replay.replay)
app.add_typer(dead_letters.app, name="dead-letters")
app.add_typer(taxonomy.app, name="taxonomy")
app.add_typer(segments.app, name="segments")
app.command("pixel-mapping")(pixel_mapping.pixel_mapping)
app.add_typer(support.app, name="support")
app.add_typer(sync.app, name="sync")
app.command("demo")(demo.demo)
app.command("sandbox")(sandbox.sandbox)


def _tell_version(asked: bool) -> None:
    if asked:
        print(NAME, version(NAME))
        raise typer.Exit


@app.callback()
def _bridge(
    _version: Annotated[
        bool,
        typer.Option("--version", callback=_tell_version, is_eager=True, help="Print the version, and end."),
    ] = False,
) -> None:
    """Stream segment memberships from Kafka to server-to-server import, within its quotas."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command with these arguments (None: the process's own) and give its exit code."""
    # Until a verb has read the configuration's `logging`, the log is quiet and leaves stdout alone.
    structlog.configure(
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )
    if isinstance(sys.stdout, TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # a terminal may lack a name's letters
    try:
        result: object = app(arguments, prog_name=NAME, standalone_mode=False)
        sys.stdout.flush()  # while what goes wrong can still be told
    except Exception as error:  # noqa: BLE001  # the last place where one can become a line
        lines, code = _told(error)
        print(*lines, sep="\n", file=sys.stderr)
        return code
    return result if isinstance(result, int) else 0


def _told(error: Exception) -> tuple[list[str], int]:
    """What a person reads of an error, and the exit code."""
    match error:
        case ConfigurationError():
            return list(error.faults), WRONG_USAGE
        case UsageError():
            return [_line(str(error))], WRONG_USAGE
        case BridgeError():
            return [_line(str(error))], FAILED
        case OSError(errno=errno.ENOSPC):  # what else is written has an error of its own for that
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # else the end would try again
            return [_line(f"{error.strerror} for what is to be told; make some where stdout goes")], FAILED
        case typer.TyperException():
            return [_line(f"{error.format_message().rstrip('.')}; see {NAME} --help")], error.exit_code
        case _:
            structlog.get_logger().debug("bug", exc_info=error)
            return [_line(_bug(error))], FAILED


def _line(text: str) -> str:
    return f"{NAME}: {' '.join(text.split())}"


def _bug(error: Exception) -> str:
    """Kind and place alone: the message of an unforeseen error may quote a user id or a secret."""
    frames = traceback.extract_tb(error.__traceback__)
    place = f" in {frames[-1].name}, line {frames[-1].lineno}" if frames else ""
    return f"bug: {type(error).__name__}{place}; please report it, with the log at level debug"
