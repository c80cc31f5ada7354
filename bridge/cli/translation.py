"""What `s2s-bridge status` shows of streams whose users are translated."""

from collections.abc import Iterator

from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from bridge.cli import tables
from bridge.cli.times import seconds, time, time_to
from bridge.service.telling.translation import TableStatus, Translation
from bridge.units import format_duration, format_size, plural


def page(found: Translation, now: int) -> Iterator[RenderableType]:
    """The streams, how far they are translated, and the identity table."""
    yield _streams(found, now)
    if found.run:
        yield Text(f"translated up to run {found.run}, as far as users were known")
    yield _table(found.table, now)


def _streams(found: Translation, now: int) -> Table:
    table = tables.table(
        "Partner ids to be translated",
        "stream",
        "ids of",
        "memberships+",
        "oldest+",
        "due+",
        "kept for users not known+",
        "for",
    )
    for one in found.streams:
        oldest = one.oldest_read_at
        table.add_row(
            one.stream,
            one.namespace,
            f"{one.waiting:,}",
            "" if oldest is None else format_duration(seconds(now - oldest)),
            "" if oldest is None else _due(found.due_at, now),
            f"{one.kept:,}",
            format_duration(one.park),
        )
    return table


def _due(due_at: int | None, now: int) -> str:
    if due_at is None or due_at <= now:
        return "now"
    return f"in {time_to(due_at, now)}"


def _table(table: TableStatus, now: int) -> Text:
    name = f"identity table of topic {table.topic}"
    if table.trouble:
        return Text(f"{name}: {table.trouble}", style="yellow")
    newest = "" if table.known_at is None else f", the newest of {time(table.known_at)}"
    told = f"{name}: {plural(table.rows, 'row')}, {format_size(table.bytes)}{newest}"
    if not table.complete:
        return Text(f"{told}; not all of it was read yet, so nothing is translated", style="yellow")
    if table.complete_at is None:
        return Text(told)
    whole = f"{told}; it holds all that the topic had at {time(table.complete_at)}"
    if not table.is_behind(now):
        return Text(whole)
    age = format_duration(seconds(now - table.complete_at))
    return Text(f"{whole}, {age} ago: opt-outs and browsers since then are not known", style="yellow")
