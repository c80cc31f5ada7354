"""`s2s-bridge demo`: the whole way with nothing outside."""

import importlib
import shutil
import tempfile
from pathlib import Path
from types import ModuleType
from typing import Annotated

import typer
from rich.console import Console

from bridge.cli.demo_progress import progress
from bridge.cli.demo_report import report
from bridge.cli.run import stopped_by_signals
from bridge.clock import SystemClock
from bridge.demo.outcome import Outcome
from bridge.demo.site import Site
from bridge.errors import BridgeError, UsageError

INTERRUPTED = 130

WIDTH = 150
"""Columns where there is no terminal that has a width."""

Directory = Annotated[
    Path | None,
    typer.Option(
        "--directory",
        metavar="D",
        help="Keep everything here, in an empty or new directory.",
        show_default="a temporary one, removed at the end",
    ),
]
Events = Annotated[
    int, typer.Option("--events", metavar="N", min=100, max=500_000, help="How many events are made up.")
]
Seed = Annotated[int, typer.Option("--seed", metavar="S", help="The same seed makes the same events.")]


def demo(directory: Directory = None, events: Events = 20_000, seed: Seed = 1) -> None:
    """The whole way with nothing outside: a broker and an SFTP server in the process, on accelerated time."""
    parts = _parts()
    where = directory or Path(tempfile.mkdtemp(prefix="s2s-bridge-demo-"))
    console = Console(width=None if Console().is_terminal else WIDTH, highlight=False)
    site = Site(where)
    try:
        run = parts.Demo(site, events=events, seed=seed, now=SystemClock().now())
        console.print(parts.story(events), end="\n\n")
        with progress(console) as tell:
            outcome = run.run(stopped_by_signals(), tell)
    except BridgeError as error:
        raise BridgeError(f"{error}; the log is {site.log}") from error
    if outcome is None:
        print("Stopped before all was delivered: there is nothing to compare.")
    else:
        report(console, outcome, None if directory is None and outcome.good else where)
    if directory is None and (outcome is None or outcome.good):
        shutil.rmtree(where, ignore_errors=True)
    raise typer.Exit(_code(outcome))


def _code(outcome: Outcome | None) -> int:
    if outcome is None:
        return INTERRUPTED
    return 0 if outcome.good else 1


def _parts() -> ModuleType:
    """What the demo is made of, an extra beside it."""
    try:
        return importlib.import_module("bridge.demo.demo")
    except ModuleNotFoundError as error:
        if error.name != "asyncssh":
            raise
        raise UsageError(
            "the demo's SFTP server needs asyncssh: install it with pip install 's2s-bridge[demo]'"
        ) from error
