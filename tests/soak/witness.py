"""I2, sampled while all goes on: what the group has committed is durable."""

import threading
from pathlib import Path

from confluent_kafka import KafkaException

from bridge.spool.run import Run
from tests.parts.bridging import committed
from tests.soak.feed import MAIN, TIGHT
from tests.soak.site import Site

LOOK = 3.0
"""Seconds between two looks."""


class Witness:
    """A thread that compares; `faults` is empty where the commits were always behind the runs."""

    def __init__(self, site: Site) -> None:
        self.looks = 0
        """How often both could be read."""
        self.faults: list[str] = []
        self._site = site
        self._durable: dict[tuple[str, int], int] = {}
        self._seen: set[tuple[str, int]] = set()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="witness")

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stop.set()
        if self._thread.ident is not None:
            self._thread.join()

    def _run(self) -> None:
        while not self._stop.wait(LOOK):
            self._look()

    def _look(self) -> None:
        try:  # the commits first: what is durable only grows
            commits = committed(self._site.kafka, self._site.config, MAIN, TIGHT)
        except (KafkaException, KeyError):
            return  # the broker is not there, or does not know its topics yet
        if commits:
            self._read_runs()
        self.looks += bool(commits)
        for topic, offsets in commits.items():
            for partition, offset in offsets.items():
                durable = self._durable.get((topic, partition), 0)
                if offset > durable:
                    self.faults.append(
                        f"{topic} {partition} is committed up to {offset}, durable to {durable}"
                    )

    def _read_runs(self) -> None:
        for path in (self._site.spool / "runs").iterdir():
            try:
                seen = (path.name, path.stat().st_ino)
                if seen not in self._seen:
                    self._read(path)
                    self._seen.add(seen)
            except FileNotFoundError:
                continue  # merged into another, which is read too, or retired: its places are known

    def _read(self, path: Path) -> None:
        with Run(path) as run:
            for position in run.footer.positions:
                at = (position.topic, position.partition)
                self._durable[at] = max(self._durable.get(at, 0), position.next_offset)
