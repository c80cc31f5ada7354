"""An audience file on disk, cut at a user's end where it would grow too large."""

from collections.abc import Callable, Iterable
from contextlib import closing
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path

import polars as pl

from bridge.ahead import ahead
from bridge.audience.audience import Audience
from bridge.audience.header import Header
from bridge.audience.lines import Lines, render
from bridge.audience.rows import from_user, historical
from bridge.clock import SECOND
from bridge.deliver.capped_gzip import CappedGzip
from bridge.deliver.gathering import Gathered, removals_alone
from bridge.spool.disk import DurableFile

SLICE = 1 << 20
"""Bytes of text handed to the compressor while there is room for plenty more."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Recipe:
    """How a file of an audience is made."""

    audience: Audience
    placeholder: str
    """The segment that does not exist, for users who are only removed from everything."""
    new_file: Callable[[], DurableFile]
    """Begins a file on the spool's disk."""
    directory: Path
    """Where built files are kept until they are uploaded."""
    level: int
    """Of compression, 1 to 9."""
    max_bytes: int
    """The gzip file is at most this large."""
    removals_only: bool
    """Removals alone, that no such file has carried yet; else everything."""
    historical_before: int | None = None
    """Of events before this instant (epoch ms) a timestamp 0 becomes their time; None: of none."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Built:
    """What was built, and how far it reaches."""

    name: str | None
    """None: no row was left to send, there is no file."""
    bytes: int = 0
    lines: int = 0
    memberships: int = 0
    sha256: str = ""
    reserved_at: int | None = None
    """When its name was reserved, epoch ms, as its header says: whole seconds; None: there is no file."""
    stop: str | None
    """The first user that found no room; None: the last user is in."""
    newest_event_time: int | None
    """Newest event time among the rows that it covers, epoch ms."""
    superseded: int = 0
    """Rows left out, as something newer was delivered."""
    beyond_horizon: pl.DataFrame | None = None
    """Adds that nothing kept can judge; None: there are none."""
    needed: int = 0
    """Where not even the first user found room: bytes of its lines."""


@dataclass(kw_only=True, slots=True)
class _Tally:
    """What has gone in so far."""

    lines: int = 0
    memberships: int = 0
    superseded: int = 0
    newest_event_time: int | None = None
    beyond_horizon: list[pl.DataFrame] = field(default_factory=list)

    def cover(self, gathered: Gathered, stop: str | None, audience: Audience) -> None:
        beyond = gathered.settled.beyond_horizon
        if stop is None:
            self.superseded += gathered.settled.superseded
        else:
            beyond = beyond.filter(~from_user(audience, stop))
        if not beyond.is_empty():
            self.beyond_horizon.append(beyond)
        newest = [time for time in (self.newest_event_time, gathered.newest_event_time) if time is not None]
        self.newest_event_time = max(newest, default=None)


def build(recipe: Recipe, gathered: Iterable[Gathered], reserve: Callable[[], Header]) -> Built:
    """Write the file of what was gathered.

    The name is reserved only when there is a row to send; the file is whole and synced when this returns.

    Raises:
        SpoolFull: There is no room; what there is of it is removed.
        SpoolFailed: The disk failed.
    """
    tally = _Tally()
    with closing(ahead((each, _render(recipe, each)) for each in gathered)) as ranges:
        first = _first_with_rows(recipe, ranges, tally)
        if first is None:
            return _built(tally, None, None)
        header = reserve()
        with recipe.new_file() as file:
            member = CappedGzip(file, limit=recipe.max_bytes, level=recipe.level)
            member.write(header.render())
            stop = _fill(recipe, member, chain([first], ranges), tally)
            member.close()
            if tally.lines == 0:
                return Built(name=None, stop=stop, newest_event_time=None, needed=len(first[1].text))
            file.sync()
            file.publish(recipe.directory / header.file_identifier)
    return _built(tally, stop, (header, member))


def _first_with_rows(
    recipe: Recipe, ranges: Iterable[tuple[Gathered, Lines]], tally: _Tally
) -> tuple[Gathered, Lines] | None:
    for gathered, lines in ranges:
        if lines.text:
            return gathered, lines
        tally.cover(gathered, None, recipe.audience)
    return None


def _render(recipe: Recipe, gathered: Gathered) -> Lines:
    rows = gathered.settled.send
    if recipe.removals_only:
        alone = removals_alone(recipe.audience, rows)
        rows = alone.filter(pl.col("run") > gathered.range.removals_sent)
    if recipe.historical_before is not None:
        rows = rows.with_columns(historical(pl.col("event_time") < recipe.historical_before))
    return render(recipe.audience, rows, recipe.placeholder)


def _fill(
    recipe: Recipe, member: CappedGzip, ranges: Iterable[tuple[Gathered, Lines]], tally: _Tally
) -> str | None:
    """Write range after range; returns the first user that found no room, or None."""
    for gathered, lines in ranges:
        left = _write(member, lines, tally)
        stop = left.first_user if left.text else None
        tally.cover(gathered, stop, recipe.audience)
        if stop is not None:
            return stop
    return None


def _write(member: CappedGzip, lines: Lines, tally: _Tally) -> Lines:
    """Write as many whole users as surely fit; returns the rest."""
    while lines.text:
        fitting, lines = lines.cut(member.room(len(lines.text)))
        if not fitting.text:
            break
        for start in range(0, len(fitting.text), SLICE):
            member.write(fitting.text[start : start + SLICE])
        tally.lines += fitting.text.count(b"\n")
        tally.memberships += fitting.memberships
    return lines


def _built(tally: _Tally, stop: str | None, file: tuple[Header, CappedGzip] | None) -> Built:
    header, member = file or (None, None)
    return Built(
        name=header.file_identifier if header else None,
        reserved_at=header.date_created * SECOND if header else None,
        bytes=member.bytes if member else 0,
        lines=tally.lines,
        memberships=tally.memberships,
        sha256=member.sha256 if member else "",
        stop=stop,
        newest_event_time=tally.newest_event_time,
        superseded=tally.superseded,
        beyond_horizon=pl.concat(tally.beyond_horizon) if tally.beyond_horizon else None,
    )
