"""`s2s-bridge status`: quotas, audiences waiting, deliveries and history, for people or as JSON."""

import json
import os
from collections.abc import Iterator
from typing import Annotated

import typer
from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from bridge.cli import file_way, segments, tables, translation
from bridge.cli.options import ConfigFile
from bridge.cli.times import seconds, time, time_or_none, time_to
from bridge.clock import SystemClock
from bridge.config import load
from bridge.deliver.file_state import UNFINISHED, FileState
from bridge.service.telling.file_way import follow
from bridge.service.telling.status import AccountStatus, AudienceStatus, FileStatus, Status, gather
from bridge.units import format_duration, format_size, plural

NEWEST = 20
"""Files that are shown to people."""

SHORT, SPENT = 0.8, 1.0
"""Parts of a quota from which on it is yellow, and red."""

COLOURS = {
    FileState.BUILT: "yellow",
    FileState.UPLOADING: "yellow",
    FileState.REJECTED: "red",
    FileState.FAILED: "red",
}


def status(
    config: ConfigFile,
    file: Annotated[
        str | None, typer.Option("--file", metavar="NAME", help="The whole way of this file instead.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object.")] = False,
) -> None:
    """Tell quotas, audiences waiting, deliveries and history; beside a running bridge, or without one."""
    settings, clock = load(config, os.environ), SystemClock()
    found = gather(settings, clock) if file is None else follow(settings, clock, file)
    if as_json:
        print(json.dumps(found.to_json()))
        return
    tables.show(_page(found) if isinstance(found, Status) else file_way.page(found))


def _page(found: Status) -> Iterator[RenderableType]:
    for note in found.notes:
        yield Text(note)
    yield _quotas(found)
    yield Text()
    yield _audiences(found) if found.audiences else Text("no audience waits")
    if found.translation is not None:
        yield Text()
        yield from translation.page(found.translation, found.at)
    if found.replays:
        yield Text()
        yield _replays(found)
    unfinished = [one for one in found.files if one.file.state in UNFINISHED]
    if unfinished:
        yield Text()
        yield _unfinished(unfinished)
    if found.segments:
        yield Text()
        yield from segments.unknown_page(found.segments)
    yield Text()
    yield _files(found) if found.files else Text("no file was delivered yet")
    if found.histories:
        yield Text()
        yield _histories(found)


def _quotas(found: Status) -> Table:
    table = tables.table(
        "Quotas", "account", "files this hour", "resets in+", "bytes today", "resets in+", ""
    )
    for account in found.accounts:
        used = account.usage
        table.add_row(
            account.name,
            _share(f"{used.files_used:,} of {used.files_limit:,}", used.files_used, used.files_limit),
            time_to(used.files_reset_at, found.at),
            _share(
                f"{format_size(used.bytes_used)} of {format_size(used.bytes_limit)}",
                used.bytes_used,
                used.bytes_limit,
            ),
            time_to(used.bytes_reset_at, found.at),
            _closed(account, found.at),
        )
    return table


def _share(text: str, used: int, limit: int) -> Text:
    part = used / limit
    colour = "red" if part >= SPENT else "yellow" if part >= SHORT else "green"
    return Text(f"{text} ({part:.0%})", style=colour)


def _closed(account: AccountStatus, now: int) -> str:
    if account.closed_until is None:
        return ""
    return f"counts as spent for {time_to(account.closed_until, now)}"


def _audiences(found: Status) -> Table:
    table = tables.table(
        "Audiences waiting", "account", "audience", "memberships+", "oldest+", "due+", "horizon"
    )
    for status in found.audiences:
        table.add_row(
            status.audience.account,
            status.audience.label,
            f"{status.memberships:,}",
            format_duration(seconds(found.at - status.oldest_read_at)),
            _due(status, found.at),
            time_or_none(status.horizon),
        )
    return table


def _due(status: AudienceStatus, now: int) -> str:
    if status.waiting.unconfirmed:
        return "when its last file is confirmed"
    return "now" if status.due_at <= now else f"in {time_to(status.due_at, now)}"


def _unfinished(files: list[FileStatus]) -> Table:
    table = tables.table("Files not uploaded yet", "name", "state", "built", "attempts+", "size+", "why")
    for status in files:
        file = status.file
        table.add_row(
            file.name,
            _state(file.state),
            time(file.created_at),
            str(status.attempts or 0),
            format_size(file.bytes),
            file.detail,
        )
    return table


def _files(found: Status) -> Table:
    shown = found.files[:NEWEST]
    title = "Files" if len(shown) == len(found.files) else f"Files: the newest {len(shown)}"
    table = tables.table(title, "name", "audience", "state", "uploaded", "memberships+", "size+", "")
    for status in shown:
        file = status.file
        table.add_row(
            file.name,
            f"{file.audience.account}: {file.audience.label}",
            _state(file.state),
            "" if file.uploaded_at is None else time(file.uploaded_at),
            f"{file.memberships:,}",
            format_size(file.bytes),
            _word(status),
        )
    return table


def _word(status: FileStatus) -> Text:
    """What the platform says of a file, as far as somebody should look at it."""
    file = status.file
    if status.overdue:
        return Text("overdue: s2s-bridge reconcile", style="yellow")
    if file.state is FileState.REJECTED:
        return Text(file.detail, style="red")
    return Text(f"{plural(file.lines_refused, 'line')} refused" if file.lines_refused else "", style="yellow")


def _replays(found: Status) -> Table:
    table = tables.table("Replays", "name", "state", "from", "to", "memberships left+", "files+")
    for status in found.replays:
        table.add_row(
            status.name,
            status.state,
            time_or_none(status.since),
            time_or_none(status.until),
            f"{status.memberships:,}",
            f"{status.files:,}",
        )
    return table


def _histories(found: Status) -> Table:
    title = "History: events newer than the horizon are judged exactly"
    table = tables.table(title, "account", "audience", "horizon", "kept since")
    for status in found.histories:
        table.add_row(
            status.audience.account,
            status.audience.label,
            time_or_none(status.horizon),
            time_or_none(status.history_from),
        )
    return table


def _state(state: FileState) -> Text:
    return Text(state, style=COLOURS.get(state, ""))
