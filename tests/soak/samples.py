"""What the bridge takes, seen from outside once a second: memory, descriptors, threads, disk."""

import contextlib
import re
import threading
import time
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tests.soak.site import Site

LOOK = 1.0
"""Seconds between two looks."""

PAGES = 5
"""At each so many-th look the metrics are read."""

UUID = re.compile(rb"[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}")


@dataclass(frozen=True, kw_only=True)
class Sample:
    """One look; sizes are bytes."""

    at: float
    """Seconds after the start."""
    life: int
    """Which process of the bridge's."""
    memory: int
    """Resident; 0: no process was there."""
    descriptors: int
    threads: int
    runs: int
    """How many."""
    history: int
    """Of the runs, waiting or delivered."""
    making: int
    """Of built files and of what is in the making."""
    letters: int
    """Of the dead letters: they stay until their owner takes them."""
    ledger: int
    """Of the ledger and its journal: it tells of files for 30 days."""
    events: int
    """Produced so far."""
    arrived: int
    """Files so far."""

    @property
    def others(self) -> int:
        """Descriptors but for those of the runs, one each, whose number is a measure of its own."""
        return self.descriptors - self.runs


class Sampler:
    """A thread that looks; `samples` are in order of time."""

    def __init__(self, site: Site, produced: Callable[[], int]) -> None:
        self.samples: list[Sample] = []
        self.ids: set[str] = set()
        """What looks like a user's id in the metrics."""
        self._site = site
        self._produced = produced
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="sampler")
        self._start = time.monotonic()

    def start(self) -> None:
        self._start = time.monotonic()
        self._thread.start()

    def stop(self) -> None:
        self._stop.set()
        if self._thread.ident is not None:
            self._thread.join()

    def _run(self) -> None:
        while not self._stop.wait(LOOK):
            self.samples.append(self._look())
            if len(self.samples) % PAGES == 0:
                self._read_metrics()

    def _look(self) -> Sample:
        lives, spool = self._site.keeper.lives, self._site.spool
        pid = lives[-1].pid
        runs = _sizes(spool / "runs")
        return Sample(
            at=time.monotonic() - self._start,
            life=len(lives),
            memory=_status(pid, "VmRSS") * 1024,
            descriptors=_descriptors(pid),
            threads=_status(pid, "Threads"),
            runs=len(runs),
            history=sum(runs),
            making=sum(_sizes(spool / "files")) + sum(_sizes(spool / "tmp")),
            letters=sum(_sizes(spool / "dead-letters")),
            ledger=sum(_sizes(spool, "ledger.sqlite*")),
            events=self._produced(),
            arrived=len(self._site.platform.arrivals),
        )

    def _read_metrics(self) -> None:
        with (
            contextlib.suppress(OSError),
            urllib.request.urlopen(f"{self._site.pages}/metrics", timeout=1) as page,
        ):
            self.ids |= {found.decode().lower() for found in UUID.findall(page.read())}


def _status(pid: int, name: str) -> int:
    """A number in the kernel's status of a process; 0: there is none."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) for line in lines if line.startswith(f"{name}:")), 0)


def _descriptors(pid: int) -> int:
    try:
        return sum(1 for _ in Path(f"/proc/{pid}/fd").iterdir())
    except OSError:
        return 0


def _sizes(folder: Path, pattern: str = "*") -> list[int]:
    """Of the files that are there; one that goes meanwhile does not count."""
    sizes = []
    for path in folder.glob(pattern):
        with contextlib.suppress(OSError):
            sizes.append(path.stat().st_size)
    return sizes
