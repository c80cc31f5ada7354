"""`s2s-bridge segments unknown` and `unused`: codes that nobody can buy, and codes that nobody is in."""

import json
import os
from collections.abc import Iterator, Sequence
from typing import Annotated

import typer
from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from bridge.cli import tables
from bridge.cli.options import ConfigFile
from bridge.config import Config, Stream, load
from bridge.errors import UsageError
from bridge.replay.request import chosen
from bridge.service.telling.segments import (
    StreamSegments,
    TaxonomyUse,
    date,
    unknown_segments,
    unused_codes,
)
from bridge.units import plural

app = typer.Typer(
    help="Tell which segments nobody can buy, and which no event uses.",
    add_completion=False,
    rich_markup_mode=None,
    no_args_is_help=False,
)

Streams = Annotated[
    list[str] | None,
    typer.Option("--stream", metavar="S", help="Only this one; may be given again.", show_default=False),
]
AsJson = Annotated[bool, typer.Option("--json", help="One JSON object.")]


@app.command("unknown")
def unknown(config: ConfigFile, stream: Streams = None, as_json: AsJson = False) -> None:
    """Tell segments that their stream's taxonomy does not hold for sale, the most frequent first."""
    settings = load(config, os.environ)
    found = list(unknown_segments(settings, _streams(settings, stream), None))
    if as_json:
        print(json.dumps({"streams": [one.to_json() for one in found]}))
    else:
        tables.show(unknown_page(found))


@app.command("unused")
def unused(
    config: ConfigFile,
    stream: Streams = None,
    days: Annotated[int, typer.Option("--days", metavar="N", min=1, max=36_500)] = 30,
    as_json: AsJson = False,
) -> None:
    """Tell the codes of taxonomies that no event used for N days, those that never were first."""
    settings = load(config, os.environ)
    found = list(unused_codes(settings, _streams(settings, stream), days))
    if as_json:
        print(json.dumps({"taxonomies": [one.to_json() for one in found]}))
    else:
        tables.show(_unused_page(found))


def _streams(config: Config, names: Sequence[str] | None) -> tuple[Stream, ...]:
    """The streams that are asked for, of which at least one names a taxonomy."""
    streams = chosen(config, tuple(names or ()))
    if not any(stream.taxonomy is not None for stream in streams):
        whose = ", ".join(f"--stream {stream.name}" for stream in streams) if names else "streams"
        raise UsageError(f"{whose}: no taxonomy is named; write streams[].taxonomy")
    return streams


def unknown_page(found: Sequence[StreamSegments]) -> Iterator[RenderableType]:
    """A table of all of them, and what there is to say of streams without any."""
    rows = [(one.stream, segment) for one in found for segment in one.unknown]
    if rows:
        table = tables.table(
            "Segments that nobody can buy", "stream", "segment", "memberships+", "first seen", "last seen"
        )
        for stream, segment in rows:
            seen = date(segment.first_day), date(segment.last_day)
            # as Text: in a cell of a table, rich would take brackets for marks of its own
            table.add_row(*map(Text, (stream, segment.code, f"{segment.memberships:,}", *seen)))
        yield table
    for one in found:
        if one.since is None or one.until is None:
            yield Text(f"{one.stream}: segments are not watched yet: a running bridge does")
        elif not one.unknown:
            days = f"{date(one.since)} to {date(one.until)}"
            yield Text(f"{one.stream}: {one.taxonomy} holds every segment that came, watched {days}")


def _unused_page(found: Sequence[TaxonomyUse]) -> Iterator[RenderableType]:
    for number, one in enumerate(found):
        if number:
            yield Text()
        yield from _taxonomy_page(one)


def _taxonomy_page(use: TaxonomyUse) -> Iterator[RenderableType]:
    known = use.unused
    yield Text(f"{use.taxonomy} ({', '.join(use.streams)})", style="bold")
    if known is None:
        yield Text("segments are not watched yet: a running bridge does")
        return
    less = f", less than {use.asked}" if known.watched < use.asked else ""
    yield Text(
        f"watched since {date(known.since)}, up to {date(known.until)}: {plural(known.watched, 'day')}{less}"
    )
    if not known.codes:
        days = plural(known.days, "day")
        yield Text(f"every segment that is watched for {days} was in an event within {days}")
        return
    were = "was" if len(known.codes) == 1 else "were"
    segments = f"{plural(len(known.codes), 'segment')} of {known.segments:,}"
    yield Text(f"{segments} {were} in no event for {plural(known.days, 'day')}")
    yield _unused_table(use)


def _unused_table(use: TaxonomyUse) -> Table:
    table = tables.table(None, "segment", "last used", "watched since", "path")
    for one in use.unused.codes if use.unused is not None else ():
        last = "never" if one.last_day is None else date(one.last_day)
        texts = (one.code, last, date(one.known_since), use.paths.get(one.code, ""))
        table.add_row(*map(Text, texts))
    return table
