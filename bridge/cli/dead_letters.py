"""`s2s-bridge dead-letters list` and `dead-letters redrive`: refused events, told and brought back in."""

import json
import os
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from functools import partial
from threading import Event
from typing import Annotated

import typer

from bridge.cli import memory, tables
from bridge.cli.options import ConfigFile
from bridge.cli.replay_progress import deliver, log_beside, reading, tell_translated
from bridge.cli.run import stopped_by_signals
from bridge.clock import SECOND, SystemClock
from bridge.config import load
from bridge.errors import UsageError
from bridge.ingest.events import Reason
from bridge.replay.letter_survey import LetterGroup, Survey, survey
from bridge.replay.letters import LettersDamaged
from bridge.service.outside import over_sftp
from bridge.service.replays.redriving import RedriveTally, Redriving, letters_directory, redriving
from bridge.units import format_size, plural

app = typer.Typer(
    help="Look at dead letters, and bring them back in.",
    add_completion=False,
    rich_markup_mode=None,
    no_args_is_help=False,
)

OnlyReason = Annotated[
    str | None, typer.Option("--reason", metavar="R", help="Only events that were refused for this.")
]


@app.command("list")
def list_letters(
    config: ConfigFile, as_json: Annotated[bool, typer.Option("--json", help="One JSON object.")] = False
) -> None:
    """Tell the dead letters by reason and stream."""
    directory = letters_directory(load(config, os.environ))
    damaged: list[LettersDamaged] = []
    found = survey(directory, damaged.append)
    if as_json:
        print(json.dumps(found.to_json()))
    elif found.groups:
        _print_table(found)
    elif not damaged:
        print(f"no dead letters in {directory}")
    _tell(damaged)
    if damaged:
        raise typer.Exit(1)


@app.command("redrive")
def redrive(config: ConfigFile, reason: OnlyReason = None) -> None:
    """Decode dead letters again, as the configuration is today: what passes is sent, what fails stays."""
    settings, wanted, clock = load(config, os.environ), _known(reason), SystemClock()
    memory.fit()
    log_beside(settings.logging, clock)
    stop = stopped_by_signals()
    with redriving(settings, over_sftp(settings, clock), wanted) as work:
        _tell(work.found.damaged)
        if not work.idle:
            _redrive(work, stop)
        elif not work.found.damaged:
            print(
                f"no dead letters{'' if wanted is None else f' of {wanted}'} in {letters_directory(settings)}"
            )
    if work.found.damaged:
        raise typer.Exit(1)


def _known(reason: str | None) -> str | None:
    if reason is not None and reason not in set(Reason):
        raise UsageError(f"--reason {reason}: there is no such reason; there are {', '.join(Reason)}")
    return reason


def _redrive(work: Redriving, stop: Event) -> None:
    for left in filter(None, (*work.undelivered, work.replay)):
        print(f"{left.record.name}: goes on")
    print(f"{plural(work.found.letters, 'dead letter')} in {plural(len(work.found.files), 'file')}")
    replay = None if work.replay is None else work.replay.id
    with reading(work.tally, replay, shown=sys.stderr.isatty()):
        finished = work.take(stop)
    _tell_taken(work.tally)
    tell_translated(work.tally, dry=False)
    if not finished:
        print("stopped; the same command goes on where it was")
        return
    for left in work.undelivered:
        if not deliver(partial(work.deliver, left), left.id, stop):
            return


def _tell_taken(tally: RedriveTally) -> None:
    for reason, count in tally.passed.most_common():
        print(f"passed: {count:,} {reason}")
    for reason, count in tally.refused.most_common():
        print(f"stays: {count:,} {reason}; the first: {tally.first_refused[reason]}")
    passed = tally.passed.total()
    print(f"taken: {passed:,} of {plural(tally.events, 'event')}, {tally.memberships:,} memberships")


def _tell(damaged: Sequence[LettersDamaged]) -> None:
    for damage in damaged:
        print(damage, file=sys.stderr)


def _print_table(found: Survey) -> None:
    table = tables.table(
        None, "reason", "stream", "letters+", "oldest", "newest", "what is wrong with the newest"
    )
    for group in found.groups:
        table.add_row(group.reason, group.stream, f"{group.count:,}", *_times(group), group.detail)
    tables.show([table])
    print(
        f"{plural(found.letters, 'dead letter')} in {plural(found.files, 'file')}, {format_size(found.bytes)}"
    )


def _times(group: LetterGroup) -> tuple[str, str]:
    first, last = (
        datetime.fromtimestamp(instant // SECOND, UTC).strftime("%Y-%m-%d %H:%M:%SZ")
        for instant in (group.first_read_at, group.last_read_at)
    )
    return first, last
