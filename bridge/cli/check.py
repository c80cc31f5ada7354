"""`s2s-bridge check`: every fault of the configuration, a line each with its path.

With `--connect` a line for each thing outside, too: what works on stdout, what does not on stderr.
"""

import os
import sys
from typing import Annotated

import typer

from bridge.cli.options import ConfigFile
from bridge.clock import SystemClock
from bridge.config import Config, ConfigurationError, load, secret_faults, secret_warnings
from bridge.observe import log
from bridge.service.connecting import Verdict, connect
from bridge.service.outside import over_sftp
from bridge.service.taxonomies import taxonomy_faults

CODES = {Verdict.GOOD: 0, Verdict.UNREACHABLE: 1, Verdict.FAULT: 2}
"""Exit codes (contract.md, Commands); of several the largest."""

Connect = Annotated[
    bool,
    typer.Option(
        "--connect", help="Ask Kafka, the registry, the SFTP servers and the platform's APIs as well."
    ),
]


def check(config: ConfigFile, connected: Connect = False) -> None:
    """Name every fault of the configuration, a line each with its path."""
    loaded = load(config, os.environ)
    faults = [*secret_faults(loaded), *taxonomy_faults(loaded)]
    if faults:
        raise ConfigurationError(str(config), faults)
    for warning in secret_warnings(loaded):
        print(f"warning: {warning}", file=sys.stderr)
    print(summary(loaded), flush=True)
    code = connections(loaded) if connected else 0
    if code:
        raise typer.Exit(code)


def connections(config: Config) -> int:
    """Print what is found outside, as it is found; returns the exit code."""
    clock, code = SystemClock(), 0
    log.configure(form=config.logging.format, level="error", clock=clock)
    for finding in connect(config, over_sftp(config, clock)):
        good = finding.verdict is Verdict.GOOD
        print(" ".join(str(finding).split()), file=sys.stdout if good else sys.stderr, flush=True)
        code = max(code, CODES[finding.verdict])
    return code


def summary(config: Config) -> str:
    """What is good, in one line."""
    return (
        f"configuration is good: {_counted(config.accounts, 'account')}, {_counted(config.streams, 'stream')}"
    )


def _counted(things: tuple[object, ...], name: str) -> str:
    return f"{len(things)} {name}" if len(things) == 1 else f"{len(things)} {name}s"
