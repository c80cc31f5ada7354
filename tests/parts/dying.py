"""`s2s-bridge run` in a process that kills itself: `python -m tests.parts.dying run --config F --at LABEL`.

It is the product as it is, with ports (`dying_ports`) that send the process a signal, SIGKILL unless told
otherwise, when a step is reached for the n-th time.
"""

import argparse
import os
import signal
import sys
from functools import partial
from pathlib import Path

from bridge.cli.run import stopped_by_signals
from bridge.clock import SystemClock
from bridge.config import load
from bridge.ingest.clients import Clients
from bridge.observe import log
from bridge.service.outside import Outside
from bridge.service.service import Service
from tests.parts.crash_points import CrashPoint
from tests.parts.dying_ports import DyingCalls, DyingConsumer, DyingDisk, DyingRemote, Trigger, dying_ledger


def dying_outside(trigger: Trigger) -> Outside:
    """The real outside, whose every step may be the last."""
    clock = SystemClock()
    return Outside(
        clock=clock,
        remote=lambda account: DyingRemote(trigger, account.sftp, clock),
        kafka=Clients(consumer=partial(DyingConsumer, trigger)),
        disk=DyingDisk(trigger),
        ledger=dying_ledger(trigger),
        calls=DyingCalls(trigger),
    )


def main() -> None:
    """Run as `s2s-bridge run` does, up to the end that was asked for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("verb", choices=["run"])
    parser.add_argument("--config", type=Path, required=True)
    parser.add_argument("--at", type=CrashPoint, choices=list(CrashPoint), required=True)
    parser.add_argument("--nth", type=int, default=1)
    parser.add_argument("--by", type=lambda name: signal.Signals[name], default=signal.SIGKILL)
    parser.add_argument("--until-end", action="store_true")
    chosen = parser.parse_args()
    settings = load(chosen.config, os.environ)
    outside = dying_outside(Trigger(chosen.at, chosen.nth, chosen.by))
    log.configure(form=settings.logging.format, level=settings.logging.level, clock=outside.clock)
    Service(settings, outside, until_end=chosen.until_end, adopt=False).run(stopped_by_signals())


if __name__ == "__main__":
    sys.exit(main())
