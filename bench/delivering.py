"""The deliver side of one account: a real spool, ledger and deliverer, a folder as its server.

Its clock is moved by hand, so that a day passes as fast as the bridge can work.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import polars as pl

from bench.hours import START, Hour
from bench.scene import temporary
from bridge.audience.audience import Audience
from bridge.audience.rows import schema
from bridge.clock import HOUR, MINUTE, SystemClock
from bridge.config import Account, RollSettings
from bridge.deliver.deliverer import Deliverer, DelivererParts
from bridge.deliver.folder import FolderRemote
from bridge.deliver.ledger import Ledger
from bridge.deliver.observer import SilentObserver
from bridge.observe import log
from bridge.spool.spool import Spool
from tests.parts.audiences import DISPLAY
from tests.parts.clocks import HandClock

AUDIENCE = replace(DISPLAY, account="bench")
UNRESOLVED = replace(AUDIENCE, user_namespace="acme", unresolved=True)
PLACEHOLDER = "9999999"
WINDOWS = 6  # an hour, sealed every 9 minutes


class Site:
    """Seals what is given, and delivers it."""

    def __init__(self, directory: Path, users: np.ndarray) -> None:
        self._users = users
        self.clock = HandClock(START)
        self.spool = Spool.open(directory / "spool", clock=self.clock)
        self.ledger = Ledger.create(directory / "spool" / "ledger.sqlite", self.spool.id, START)
        self._remote = directory / "remote"
        self._remote.mkdir()
        sftp = {"host": "localhost", "username": "nobody"}
        self._deliverer = Deliverer(
            DelivererParts(
                account=Account(name="bench", agency="Agency", partner="Partner", sftp=sftp),
                roll=RollSettings(max_age=HOUR),
                spool=self.spool,
                ledger=self.ledger,
                remote=FolderRemote(self._remote, temporary_suffix=".part", clock=self.clock),
                clock=self.clock,
                observer=SilentObserver(),
                placeholders={AUDIENCE: PLACEHOLDER},
                fallback_placeholder=PLACEHOLDER,
                historical_after={},
                file_room=lambda: 10**12,
                drain=lambda: False,
            )
        )

    def seal(self, number: int, events: Hour, ids: pl.Series | None = None) -> None:
        """The windows of the day's hour of that number become runs; with `ids`, those of partners' users."""
        audience = AUDIENCE if ids is None else UNRESOLVED
        cuts = np.linspace(0, len(events.user), WINDOWS + 1).astype(int).tolist()
        for window, cut in enumerate(pairwise(cuts), start=1):
            self.clock.move_to(START + number * HOUR + window * 9 * MINUTE)
            now, rows = self.clock.now(), self._rows(audience, events.take(slice(*cut)), ids)
            self.spool.seal(shards={audience: rows}, oldest_read_at={audience: now}, positions=(), now=now)

    def deliver(self) -> Path:
        """The file of what waits, once it has arrived."""
        before = set(self._remote.iterdir())
        while not (arrived := set(self._remote.glob("*.log.gz")) - before):
            self.clock.move(self._deliverer.step() or 0)
        return arrived.pop()

    def _rows(self, audience: Audience, events: Hour, ids: pl.Series | None) -> pl.DataFrame:
        uuids = {"hi": self._users[events.user, 0], "lo": self._users[events.user, 1]}
        users = uuids if ids is None else {"user": ids.gather(events.user)}
        ranks = {
            "source": np.full(len(events.user), 1 << 63, np.uint64),
            "partition": np.zeros_like(events.user),
        }
        columns = schema(audience)
        return pl.DataFrame(vars(events) | users | ranks).select(*columns).cast(columns)


@contextmanager
def site(users: np.ndarray) -> Iterator[Site]:
    """A new one in a temporary folder; of the log only errors are shown."""
    log.configure(form="console", level="error", clock=SystemClock())
    with temporary() as directory:
        yield Site(directory, users)
