"""`s2s-bridge run`: consume and deliver until stopped."""

import os
import signal
import sys
import threading
from pathlib import Path
from types import FrameType
from typing import Annotated

import typer

from bridge.cli import memory
from bridge.cli.options import ConfigFile
from bridge.cli.progress import progress
from bridge.clock import SystemClock
from bridge.config import load
from bridge.observe import log
from bridge.service.outside import over_sftp
from bridge.service.service import Service

UntilEnd = Annotated[
    bool, typer.Option("--until-end", help="Stop when all that is in the topics now is delivered.")
]
Adopt = Annotated[bool, typer.Option("--adopt", help="Take over from another or a lost spool.")]


def run(config: ConfigFile, until_end: UntilEnd = False, adopt: Adopt = False) -> None:
    """Consume and deliver until stopped."""
    settings = load(Path(config), os.environ)
    clock = SystemClock()
    memory.fit()
    log.configure(form=settings.logging.format, level=settings.logging.level, clock=clock)
    service = Service(settings, over_sftp(settings, clock), until_end=until_end, adopt=adopt)
    with progress(service.metrics, shown=sys.stderr.isatty()):
        service.run(stopped_by_signals())


def stopped_by_signals() -> threading.Event:
    """Set by the first SIGTERM or SIGINT; a second one ends the process at once (contract.md, Commands)."""
    stop = threading.Event()

    def handle(number: int, _frame: FrameType | None) -> None:
        if stop.is_set():
            os._exit(128 + number)
        stop.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, handle)
    return stop
