"""`s2s-bridge replay`: send again what the topics, or archived files, hold of a time."""

import os
import sys
from pathlib import Path
from threading import Event
from typing import Annotated

import typer

from bridge.cli import memory
from bridge.cli.options import ConfigFile
from bridge.cli.replay_progress import deliver, log_beside, reading, tell_translated, total
from bridge.cli.run import stopped_by_signals
from bridge.clock import SystemClock
from bridge.config import Config, load
from bridge.errors import UsageError
from bridge.replay.reading import Tally
from bridge.replay.request import Bounds, Request, checked_name, default_name, is_relative, parse_places
from bridge.service.outside import over_sftp
from bridge.service.replays.rehearsal import Forecast, rehearse
from bridge.service.replays.replaying import Replaying, cancel, replaying
from bridge.spool.replays import DRY_RUN
from bridge.units import iso

From = Annotated[
    str | None, typer.Option("--from", metavar="T", help="First event time, inclusive; -30d: ago.")
]
To = Annotated[
    str | None, typer.Option("--to", metavar="T", help="Last event time, exclusive; now: until now.")
]
Streams = Annotated[list[str] | None, typer.Option("--stream", metavar="S", help="Its name; else all.")]
Name = Annotated[
    str | None, typer.Option("--name", metavar="N", help="What it is called: under it, it goes on.")
]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Read and tell; send nothing, leave nothing.")]
Offsets = Annotated[
    list[str] | None,
    typer.Option("--from-offset", metavar="TOPIC:PARTITION:OFFSET", help="Begin there, read only these."),
]
Files = Annotated[
    list[Path] | None,
    typer.Option("--files", metavar="PATH...", help="Archived events: Avro, Parquet, JSON Lines; gzip too."),
]
MoreFiles = Annotated[list[Path] | None, typer.Argument(metavar="", hidden=True)]
Force = Annotated[bool, typer.Option("--force", help="Send adds too that nothing kept can judge.")]
Cancel = Annotated[bool, typer.Option("--cancel", help="End the unfinished replay of this name.")]


def replay(
    config: ConfigFile,
    *,
    since: From = None,
    until: To = None,
    stream: Streams = None,
    name: Name = None,
    dry_run: DryRun = False,
    from_offset: Offsets = None,
    files: Files = None,
    more_files: MoreFiles = None,
    force: Force = False,
    cancel_it: Cancel = False,
) -> None:
    """Send again what the topics hold of that time, with historical timestamps."""
    settings = load(Path(config), os.environ)
    if more_files and not files:
        raise UsageError(f"{more_files[0]}: what is it? Archived files stand behind --files")
    if cancel_it:
        _cancel(settings, name)
        return
    paths = [*(files or ()), *(more_files or ())]
    clock = SystemClock()
    request = _request(
        (since, until),
        tuple(stream or ()),
        name,
        tuple(from_offset or ()),
        paths,
        force=force,
        dry=dry_run,
        now=clock.now(),
    )
    memory.fit()
    log_beside(settings.logging, clock)
    stop = stopped_by_signals()
    with replaying(
        settings, over_sftp(settings, clock), request, files=paths, dry=dry_run, stop=stop
    ) as work:
        if _read(work, stop):
            if dry_run:
                _tell_forecast(rehearse(work, stop))
            else:
                deliver(work.deliver, work.replay.id, stop)


def _request(
    times: tuple[str | None, str | None],
    streams: tuple[str, ...],
    name: str | None,
    places: tuple[str, ...],
    paths: list[Path],
    *,
    force: bool,
    dry: bool,
    now: int,
) -> Request:
    """What is asked for.

    Raises:
        UsageError: It is not clear, or contradicts itself.
    """
    if paths and places:
        raise UsageError("--from-offset: has no meaning with --files; leave one of them out")
    for option, given in zip(("--from", "--to"), times, strict=True):
        if given is None and not (paths or places):
            raise UsageError(f"{option}: missing; write a time as 2026-11-01T00:00:00Z")
    bounds, offsets = Bounds.parse(*times, now=now), parse_places(places)
    relative = any(map(is_relative, times))
    if name is None:
        drawn = default_name(
            times if relative else bounds,
            sorted(streams),
            sorted(offsets.items()),
            sorted(map(str, paths)),
            force,
        )
    else:
        drawn = checked_name(name)
    return Request(
        name=f"{DRY_RUN}-{drawn}" if dry else drawn,
        bounds=bounds,
        streams=streams,
        from_offsets=offsets,
        force=force,
        relative=relative,
    )


def _cancel(settings: Config, name: str | None) -> None:
    if name is None:
        raise UsageError("--cancel: of which replay? Give its --name; s2s-bridge status lists them")
    clock = SystemClock()
    log_beside(settings.logging, clock)
    cancel(settings, over_sftp(settings, clock), checked_name(name))
    print(f"{name}: cancelled; what was sent of it stays sent")


def _read(work: Replaying, stop: Event) -> bool:
    """Read all of it; False: it was stopped before."""
    print(f"{work.request.name}: {'goes on' if work.resumed else _meant(work.request.bounds)}", flush=True)
    with reading(work.tally, work.replay.id, shown=sys.stderr.isatty()):
        finished = work.read(stop)
    _tell_read(work.tally)
    tell_translated(work.tally, dry=work.dry)
    if not finished and work.dry:
        print("stopped; nothing of it is left")
    elif not finished:
        print("stopped; the same command goes on where it was")
    return finished


def _meant(bounds: Bounds) -> str:
    since = "the beginning" if bounds.since is None else iso(bounds.since)
    return f"{since} to {'the end' if bounds.until is None else iso(bounds.until)}"


def _tell_read(tally: Tally) -> None:
    print(f"read: {tally.events:,} events; {tally.memberships:,} memberships of that time or later")
    for reason, count in tally.refused.most_common():
        print(f"refused: {count:,} {reason}; the first: {tally.first_refused[reason]}")


def _tell_forecast(forecast: Forecast | None) -> None:
    if forecast is None:
        print("stopped; nothing of it is left")
        return
    for share in forecast.shares:
        print(
            f"would send: {share.audience.key}  {total([share])}; {share.superseded:,} overtaken, "
            f"{share.beyond_horizon:,} beyond the horizon"
        )
    print(
        f"in all: {total(forecast.shares)}; the quotas make of it {_hours(forecast.hours_alone)}, "
        f"{_hours(forecast.hours_beside)} while live data waits"
    )
    print("nothing was sent or spent")


def _hours(number: int | None) -> str:
    return "no end" if number is None else f"about {number:,} h"
