"""`s2s-bridge file sample`: the sample file that the platform asks for before it lets a partner in."""

import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from bridge.cli.options import ConfigFile
from bridge.clock import SystemClock
from bridge.config import load
from bridge.errors import BridgeError, UsageError
from bridge.observe import log
from bridge.service.outside import over_sftp
from bridge.service.sample import Sample, sample
from bridge.units import format_size

Stream = Annotated[str, typer.Option("--stream", metavar="S", help="Its name.", show_default=False)]
Events = Annotated[int, typer.Option("--events", metavar="N", min=1, help="How many of the newest to read.")]
Output = Annotated[
    Path | None,
    typer.Option("--output", metavar="FILE", help="Where to write it; else under its own name, here."),
]


def file_sample(config: ConfigFile, stream: Stream, events: Events = 1000, output: Output = None) -> None:
    """Make a sample file of a topic's newest events; nothing is uploaded, spent or committed."""
    settings, clock = load(config, os.environ), SystemClock()
    log.configure(form=settings.logging.format, level="error", clock=clock)
    folder = output is None or output.is_dir()
    if output is not None and not folder:
        _refuse_existing(output)
    made = sample(
        settings,
        over_sftp(settings, clock),
        stream,
        events,
        None if folder or output is None else output.name,
    )
    path = (output or Path()) / made.name if folder or output is None else output
    _write(path, made.data)
    _tell(path, made)


def _refuse_existing(path: Path) -> None:
    if path.exists() or path.is_symlink():
        raise UsageError(f"--output {path}: is there already; move it away, or write another")


def _write(path: Path, data: bytes) -> None:
    """Under its name the file is whole."""
    _refuse_existing(path)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        with os.fdopen(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(data)
        temporary.rename(path)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise BridgeError(f"cannot write {path}: {error.strerror}; choose a place with --output") from None


def _tell(path: Path, made: Sample) -> None:
    print(f"{path}: {made.users:,} users on {made.lines:,} lines, {made.memberships:,} memberships")
    print(f"audience {made.audience.key}, {format_size(len(made.data))} of gzip, no fault in its format")
    print(f"made of {made.events:,} events; nothing was uploaded or spent")
    if path.name != made.name:
        print(f"its FileIdentifier is {made.name}: give it this name before you hand it over")
    for reason, count in made.refused.items():
        print(f"refused: {count:,} events: {reason}", file=sys.stderr)
    for audience, count in made.others.items():
        print(f"not in it: {count:,} memberships of {audience.key}", file=sys.stderr)
