"""A bridge of which one thread hangs, as a process of its own: `python -m tests.parts.hanging CONFIG WHERE`.

WHERE is `upload` (the server's answer never comes, and nothing cuts the call), `ingest` (the same of the
brokers), or `nowhere`. What hangs is a call of the system's, a read that no flag of ours can end. A thread is
given up after `GIVE_UP` instead of ten minutes, and the clock runs `FACTOR` times as fast.
"""

import os
import signal
import sys
import threading
from pathlib import Path

from bridge.clock import MINUTE, SECOND, SystemClock
from bridge.config import load
from bridge.deliver.sftp import SftpRemote
from bridge.demo.accelerated import AcceleratedClock
from bridge.observe import log
from bridge.observe.silence import Patience
from bridge.service.outside import Outside
from bridge.service.service import Service

FACTOR = 4
GIVE_UP = 20 * SECOND
"""By that clock; a healthy deliverer waits for 5 s."""


def hang(*_: object) -> None:
    """Wait for ever, in the kernel."""
    os.read(os.pipe()[0], 1)


class HangingRemote(SftpRemote):
    """A remote whose uploads never end."""

    upload = hang


class HangingIds:
    """The ids of a cluster that never tells them."""

    cluster_id = topic_ids = hang


def run(path: Path, where: str) -> None:
    """`s2s-bridge run`, but for what hangs."""
    config = load(path, os.environ)
    # A little behind, to be a little ahead later: the further from the server's clock, the longer no upload
    # begins around the hour, which may strike at any time.
    clock = AcceleratedClock(start=SystemClock().now() - MINUTE, factor=FACTOR)
    clock.hurry()
    log.configure(form=config.logging.format, level=config.logging.level, clock=clock)
    remote = HangingRemote if where == "upload" else SftpRemote
    outside = Outside(
        clock=clock,
        remote=lambda account: remote(account.sftp, clock),
        topic_ids=HangingIds() if where == "ingest" else None,
    )
    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    patience = Patience(give_up=GIVE_UP, longest_look=2 * SECOND)
    Service(config, outside, until_end=False, adopt=False, patience=patience).run(stop)


if __name__ == "__main__":
    run(Path(sys.argv[1]), sys.argv[2])
