"""The oracle of failures.md, asked at every step and at the end of a world."""

import gzip
import json
from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path

from bridge.clock import DAY, HOUR
from bridge.ingest.partition import Partition
from bridge.spool.run import Run
from tests.parts import oracle
from tests.simulation.disk import Platter
from tests.simulation.plan import TOPICS, Plan
from tests.simulation.server import Arrived, Server

Place = tuple[str, int, int]
"""Topic, partition, offset."""


class BrokenError(AssertionError):
    """An invariant does not hold."""


def hold(condition: object, invariant: str, detail: str) -> None:
    """The invariant holds."""
    if not condition:
        raise BrokenError(f"{invariant}: {detail}")


class Judge:
    """Remembers what it saw."""

    def __init__(self, plan: Plan, platter: Platter) -> None:
        self._plan = plan
        self._platter = platter
        self._durable: dict[Partition, int] = {}
        self._hashes: dict[str, str] = {}
        self._seen: set[tuple[int, str]] = set()
        self._letters: set[Place] = set()
        self.excused = False
        """Our clock was set and the process died before it looked: of that, nobody knows."""
        self.bad: set[Place] = set()
        """What was produced and is no event."""

    def synced(self, folder: Path) -> None:
        """A folder was synced: what its runs hold is durable now, and was refused durably before."""
        if folder.name != "runs":
            return
        for path in folder.iterdir():
            status = path.stat()
            if (status.st_ino, path.name) in self._seen or not self._platter.lasts(path):
                continue
            self._seen.add((status.st_ino, path.name))
            for position in Run(path).footer.positions:
                at = Partition(position.topic, position.partition)
                self._durable[at] = max(self._durable.get(at, 0), position.next_offset)
        self._refused_before(folder.parent / "dead-letters")

    def _refused_before(self, folder: Path) -> None:
        """I1: of what durable runs cover, what was no event lies durably among the dead letters."""
        due = {one for one in self.bad if one[2] < self._durable.get(Partition(*one[:2]), 0)} - self._letters
        if not due:
            return
        for path in folder.iterdir():
            if self._platter.lasts(path):
                self._letters |= _places(path)
        lost = due - self._letters
        hold(not lost, "I1", f"covered by a run, and not among the dead letters: {sorted(lost)[:3]}")

    def committed(self, offsets: Mapping[Partition, tuple[int, str]]) -> None:
        """I2: what is committed is durable before."""
        for at, (offset, _) in offsets.items():
            durable = self._durable.get(at, 0)
            hold(offset <= durable, "I2", f"{at} is committed up to {offset}, durable up to {durable}")

    def arrived(self, file: Arrived) -> None:
        """I5, I6, I7: under its final name a file is whole, keeps the rules, and is always the same."""
        try:
            oracle.read(file.copy)
        except oracle.FaultError as fault:
            raise BrokenError(f"I5, I6: {fault}") from fault
        known = self._hashes.setdefault(file.name, file.sha256)
        hold(known == file.sha256, "I7", f"{file.name} has two contents")
        hold(file.copy.stat().st_size <= self._plan.max_file_bytes, "I4", f"{file.name} is too large")

    def quotas(self, server: Server) -> None:
        """I4: by the server's clock, whether it counts a file when it is opened or when it is done."""
        plan = self._plan
        if self.excused:
            return
        for account in {one.account for one in server.opened}:
            own = [one for one in server.opened if one.account == account]
            for name in ("at", "until"):
                files = Counter(getattr(one, name) // HOUR for one in own)
                days = Counter[int]()
                for one in own:
                    days[getattr(one, name) // DAY] += one.size
                most, heaviest = max(files.values()), max(days.values())
                hold(most <= plan.files_per_hour, "I4", f"{account}: {most} files in an hour, by {name}")
                hold(heaviest <= plan.bytes_per_day, "I4", f"{account}: {heaviest} bytes in a day, by {name}")

    def delivered(
        self, server: Server, events: Iterable[dict], rejected: Collection[str], *, exact: bool
    ) -> None:
        """I1, I8: the files but those rejected, folded in their order, say what all accepted events say.

        Not `exact`: history was given up, and what nobody can judge was set aside. Then something may be
        missing, but nothing is there that should not be.
        """
        events = list(events)
        state = oracle.fold(one.copy for one in server.arrived if one.name not in rejected)
        truth: oracle.State = {}
        for topic, client in TOPICS.items():
            truth |= oracle.last_write_wins([one for one in events if one["topic"] == topic], client=client)
        if exact:
            differences = oracle.same(state, truth)
        else:
            extra = _memberships(state) - _memberships(truth)
            differences = [f"{one} is not to be there" for one in sorted(extra, key=repr)[:3]]
        hold(not differences, "I1", "; ".join(differences))

    def refused(self, folder: Path) -> None:
        """I1: what was no event is in the dead letters, and nothing else is."""
        found = set[Place]().union(*map(_places, folder.iterdir()))
        hold(found == self.bad, "I1", f"dead letters differ: {sorted(found ^ self.bad)[:3]}")

    def tidy(self, spool: Path) -> None:
        """I10: nothing is left behind in the making."""
        left = [path.name for folder in ("tmp", "files") for path in (spool / folder).iterdir()]
        hold(not left, "I10", f"left behind: {left[:3]}")

    def ledger(self, server: Server, uploaded: set[str], known: set[str]) -> None:
        """I3: the ledger and the remote folder agree."""
        there = {one.name for one in server.arrived}
        hold(uploaded <= there, "I3", f"noted as uploaded, and not there: {sorted(uploaded - there)[:3]}")
        hold(there <= known, "I3", f"there, and not in the ledger: {sorted(there - known)[:3]}")

    def silent(self, told: str, users: Iterable[str]) -> None:
        """I12: no user is named in what was logged."""
        named = [user for user in users if user in told]
        hold(not named, "I12", f"{len(named)} users are named in the log")

    def repeats(self, server: Server, allowed: int) -> None:
        """I9: no file twice without need."""
        twice = len(server.arrived) - len({one.name for one in server.arrived})
        hold(twice <= allowed, "I9", f"{twice} files twice, with {allowed} reasons")


def _places(path: Path) -> set[Place]:
    """Where the letters of a file were read; each has a reason."""
    letters = [json.loads(line) for line in gzip.decompress(path.read_bytes()).splitlines()]
    hold(all(one["reason"] for one in letters), "I1", f"a letter without a reason in {path.name}")
    return {(one["topic"], one["partition"], one["offset"]) for one in letters}


def _memberships(state: oracle.State) -> set:
    return {
        (audience, user, segment)
        for audience, users in state.items()
        for user, segments in users.items()
        for segment in segments
    }
