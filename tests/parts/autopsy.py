"""What a process left behind, judged by the invariants: each fault is a line, none is an empty list.

The spool's footers and the ledger are read with the product's own readers; what was delivered, by the oracle.
"""

import hashlib
import shutil
import tempfile
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from bridge.deliver.file_state import FileState
from bridge.deliver.ledger import Ledger
from bridge.deliver.records import FileRecord, Outcome
from bridge.spool.folder import RunFolder
from tests.parts import bridging, oracle
from tests.parts.events import Event
from tests.parts.kafka import Kafka
from tests.parts.openssh import OpenSsh

PART = ".part"
"""The configuration's own `temporary_suffix`."""

AT_THE_SERVER = frozenset({FileState.UPLOADING, FileState.UPLOADED})
"""States of a file that may have its final name."""


@dataclass(kw_only=True)
class Estate:
    """One bridge's topic, spool and remote folder, and what was put into the topic."""

    kafka: Kafka
    sshd: OpenSsh
    config: dict
    topic: str
    accepted: list[Event] = field(default_factory=list)
    """Events that are to arrive."""
    refused: list[Event] = field(default_factory=list)
    """Events that belong to the dead letters."""
    seen: dict[str, str] = field(default_factory=dict)
    """The hash that goes with each name, since it was first seen."""

    def after_death(self) -> list[str]:
        """What may not be, however the process has ended."""
        files = self._noted()
        faults = [*self._committed_early(), *self._torn(), *self._changed(files)]
        begun = {path.name.removesuffix(PART) for path in self.sshd.root.iterdir()}
        there = {path.name for path in bridging.delivered(self.sshd)}
        uploaded = {name for name, file in files.items() if file.state is FileState.UPLOADED}
        possible = {name for name, file in files.items() if file.state in AT_THE_SERVER}
        faults += [f"I3: {name} is uploaded by the ledger, and not there" for name in uploaded - there]
        faults += [f"I3: {name} was opened there, and no attempt is spent" for name in begun - possible]
        return faults

    def in_the_end(self, deaths: int) -> list[str]:
        """What may not be once all is delivered."""
        faults = self.after_death()
        if self._torn():
            return faults  # nothing can be folded
        faults += [f"I1: {one}" for one in bridging.differences(self.sshd, self.accepted)]
        faults += self._letters()
        unfinished = [file.name for file in self._noted().values() if file.state is not FileState.UPLOADED]
        faults += [f"I3: {name} is not uploaded in the end" for name in unfinished]
        faults += self._twice(deaths)
        left = [path for folder in ("tmp", "files") for path in (self._spool / folder).iterdir()]
        left += self.sshd.root.glob(f"*{PART}")
        return faults + [f"I10: {path.name} is left in {path.parent.name}/" for path in left]

    @property
    def _spool(self) -> Path:
        return Path(self.config["spool"]["directory"])

    def _committed_early(self) -> list[str]:
        """I2: a committed offset that the runs, or of a refused event the dead letters, do not hold."""
        held: Counter[int] = Counter()
        for run in RunFolder(self._spool / "runs").live():
            for position in run.footer.positions:
                held[position.partition] = max(held[position.partition], position.next_offset)
        committed = bridging.committed(self.kafka, self.config, self.topic).get(self.topic, {})
        letters = self._letters_kept()
        return [
            f"I2: partition {partition} is committed up to {offset}, and held up to {held[partition]}"
            for partition, offset in committed.items()
            if offset > held[partition]
        ] + [
            f"I2: event {place} was refused, a run has taken it, and it is in no dead letter"
            for place in self._places_refused()
            if place[1] < held[place[0]] and place not in letters
        ]

    def _torn(self) -> list[str]:
        """I6 and I5: what has its final name keeps the format's rules."""
        faults = []
        for path in bridging.delivered(self.sshd):
            try:
                oracle.read(path)
            except oracle.FaultError as fault:
                faults.append(f"I6: {fault}")
        return faults

    def _changed(self, files: dict[str, FileRecord]) -> list[str]:
        """I7: a name with another hash than it had, here or at the server."""
        there = {path.name: _sha256(path) for path in bridging.delivered(self.sshd)}
        noted = {name: file.sha256 for name, file in files.items()}
        return [
            f"I7: {name} has another hash than it had"
            for name, found in [*there.items(), *noted.items()]
            if self.seen.setdefault(name, found) != found
        ]

    def _letters(self) -> list[str]:
        """I1: the dead letters are exactly the refused events."""
        kept, refused = self._letters_kept(), self._places_refused()
        return [f"I1: event {place} was refused, and is in no dead letter" for place in refused - kept] + [
            f"I1: dead letter {place} is no refused event" for place in kept - refused
        ]

    def _twice(self, deaths: int) -> list[str]:
        """I9: files whose upload was begun more than once, and bodies that came under two names."""
        with (
            Ledger.read_only(self._spool / "ledger.sqlite") as ledger,
            ledger._database.reading() as connection,
        ):
            again = connection.execute(
                "SELECT name, COUNT(*) - 1 AS more FROM attempts JOIN files USING (file)"
                " WHERE outcome <> ? GROUP BY name HAVING more",
                (Outcome.GIVEN_BACK,),
            ).fetchall()
        faults = []
        if sum(row["more"] for row in again) > deaths:
            faults.append(f"I9: {deaths} deaths, and sent again: {[tuple(row) for row in again]}")
        bodies = Counter(
            (one.audience, repr(one.rows)) for one in map(oracle.read, bridging.delivered(self.sshd))
        )
        return faults + [f"I9: {count} files of the same rows" for count in bodies.values() if count > 1]

    def _noted(self) -> dict[str, FileRecord]:
        """The ledger's files by name; of a copy, so that the next start finds what the dead one left."""
        with tempfile.TemporaryDirectory() as folder:
            for path in self._spool.glob("ledger.sqlite*"):
                shutil.copy(path, folder)
            copy = Path(folder) / "ledger.sqlite"
            if not copy.exists():
                return {}
            with Ledger.read_only(copy) as ledger:
                return {file.name: file for file in ledger.files(limit=10_000)}

    def _letters_kept(self) -> set[tuple[int, int]]:
        return {(letter["partition"], letter["offset"]) for letter in bridging.dead_letters(self.config)}

    def _places_refused(self) -> set[tuple[int, int]]:
        return {(event["partition"], event["offset"]) for event in self.refused}


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
