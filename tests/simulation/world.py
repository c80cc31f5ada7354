"""The whole bridge in one thread, on virtual time, between simulated neighbours."""

import errno
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

from bridge.clock import DAY, SECOND
from bridge.deliver.file_state import ARRIVED, FileState
from bridge.deliver.lanes import look
from bridge.deliver.ledger import Ledger
from bridge.deliver.records import AudienceState
from bridge.deliver.resending import refusal
from bridge.deliver.waiting import audiences, pending
from bridge.errors import BridgeError
from bridge.ingest.partition import Partition
from bridge.service.opening import LEDGER, Opened
from bridge.spool.spool import Spool
from tests.simulation.agenda import Agenda, VirtualClock
from tests.simulation.broker import Cluster
from tests.simulation.configuring import configuration
from tests.simulation.disk import Platter
from tests.simulation.incidents import KINDS
from tests.simulation.judge import Judge, hold
from tests.simulation.life import Life
from tests.simulation.plan import ACCOUNTS, TOPICS, Incident, Plan, Produced
from tests.simulation.process import Died
from tests.simulation.server import Arrived, Server, Trouble

PATIENCE = 8 * DAY
"""Once all is well, everything is delivered within this."""


@dataclass(kw_only=True)
class World:
    """Everything there is. `run` it once."""

    plan: Plan
    directory: Path
    first_death: int | None = None
    """The first process dies before its next step once it has taken so many, and the power is cut."""
    trace: list[str] = field(default_factory=list)
    """What happened, in order; the same for the same seed."""

    def __post_init__(self) -> None:
        """Nothing has happened yet."""
        plan = self.plan
        self.rng = Random(plan.seed)
        self.agenda = Agenda(plan.start)
        self.clock = VirtualClock(self.agenda)
        for folder in ("attic", "arrived"):
            (self.directory / folder).mkdir(parents=True)
        self.platter = Platter(self.directory / "attic")
        self.judge = Judge(plan, self.platter)
        self.cluster = Cluster(
            agenda=self.agenda,
            rng=self.rng,
            on_commit=self.judge.committed,
            commit_fault=lambda: self._takes("commit"),
            wake=lambda: self.life.wake() if self.life else None,
        )
        for topic in TOPICS:
            self.cluster.create(topic, plan.partitions)
        self.server = Server(
            agenda=self.agenda,
            rng=self.rng,
            kept=self.directory / "arrived",
            skew=plan.skew,
            trouble=lambda _: Trouble.UNREACHABLE if self.server_is_down else self._takes("upload"),
            on_arrival=self._arrived,
        )
        self.config = configuration(plan, self.directory / "spool")
        self.life: Life | None = None
        self._depth = 0
        self.faults: dict[str, list] = {}
        """What is to fail next, by port: taken from the front."""
        self.server_is_down = False
        self.disk_is_full = False
        self.reasons = 0
        """How many times a file may come twice."""
        self.accepted: list[dict] = []
        self.rejected: set[str] = set()
        """Names of the files that the platform has rejected."""

    def run(self) -> None:
        """Live through the plan, heal, drain, and be judged."""
        for one in self.plan.produced:
            self.agenda.at(one.at, lambda one=one: self._produce(one))
        for incident in self.plan.incidents:
            self.agenda.at(incident.at, lambda incident=incident: self._befall(incident))
        self.agenda.at(self.plan.end, self._heal)
        self._begin()
        while self.agenda.now < self.plan.end + PATIENCE and not self._drained():
            hold(self.agenda.go_on(), "I11", "nothing goes on any more")
        hold(self._drained(), "I11", f"not delivered {PATIENCE // DAY} days after all was well")
        self._be_judged()

    def note(self, what: str, **more: object) -> None:
        """A line of the trace."""
        at = (self.agenda.now - self.plan.start) / SECOND
        self.trace.append(f"{at:.3f} {what}" + "".join(f" {key}={value}" for key, value in more.items()))

    # The bridge lives, dies and is started again.

    def live(self, life: Life, turn: Callable[[], None]) -> None:
        """A turn of a living process. What ends one turn ends those that it is nested in, and the process."""
        self._depth += 1
        try:
            turn()
        except BridgeError as failure:
            self.note("exit", reason=type(failure).__name__)
            self.reasons += 1
            life.process.dead = True
            if self._depth > 1:
                raise Died from failure
        except Died:
            if self._depth > 1:
                raise
        finally:
            self._depth -= 1
        if not self._depth and life.process.dead and self.life is life:
            self._restart(life, 5 * SECOND)

    def stopped(self, life: Life) -> None:
        """It has stopped in order."""
        self.note("stopped")
        self._restart(life, 20 * SECOND)

    def _restart(self, life: Life, after: int) -> None:
        self.life = None
        life.end()
        if self.faults.pop("power", None):
            self.note("power cut")
            self.platter.cut(self.rng, self._files)
        self.agenda.after(after, self._begin)

    def _begin(self) -> None:
        if self.life is not None:
            return
        self.note("start")
        self.life = Life(self)
        if self.first_death is not None:
            self.life.process.die("", self.first_death)
            self.faults["power"], self.first_death = [True], None
        self.live(self.life, self.life.start)

    def _files(self) -> list[Path]:
        return [path for path in (self.directory / "spool").rglob("*") if path.is_file()]

    # What befalls it.

    def _befall(self, incident: Incident) -> None:
        if self.agenda.now < self.plan.end:
            self.note(incident.kind)
            KINDS[incident.kind](self, Random(incident.number))

    def reject(self, rng: Random) -> None:
        """The platform rejects a file of which what it held can be sent again; an operator asks for that."""
        path = self.config.spool.directory / LEDGER
        if not path.exists():
            return
        spool = Spool.open(path.parent, clock=self.clock)
        with Ledger.open(path) as ledger:  # in another process than the bridge's
            files = [file for name in ACCOUNTS for file in ledger.files(name, 100, (FileState.UPLOADED,))]
            held = look(spool)
            can = [one for one in files if refusal(one, ledger.audience(one.audience), held=held) is None]
            if can:
                file = rng.choice(can)
                ledger.reject(file.name, detail="simulated")
                ledger.ask_resend(file.name, self.clock.now())
                self.rejected.add(file.name)
                self.note("rejected", name=file.name)

    def disk_fault(self, operation: str) -> int | None:
        """The error number that this operation fails with."""
        if self.disk_is_full and operation in ("open", "write", "rename"):
            return errno.ENOSPC
        return self._takes("disk")

    def ledger_fault(self) -> str | None:
        """How this transaction fails."""
        return self._takes("ledger")

    def _takes(self, port: str) -> object:
        waiting = self.faults.get(port)
        return waiting.pop(0) if waiting else None

    def _heal(self) -> None:
        """From now on all is well."""
        self.note("heal")
        self.faults.clear()
        self.cluster.down = self.server_is_down = self.disk_is_full = False
        self.cluster.elsewhere.clear()

    # What comes in and goes out.

    def _produce(self, one: Produced) -> None:
        at = Partition(one.topic, one.partition)
        if one.event is not None and self.rng.random() < 0.05:
            self.cluster.skip(at)
        offset = self.cluster.produce(at, one.value)
        if one.event is not None:
            self.accepted.append(one.event | {"topic": at.topic, "partition": at.number, "offset": offset})
        elif one.value is not None:
            self.judge.bad.add((*at, offset))

    def _arrived(self, file: Arrived) -> None:
        self.note("arrived", account=file.account, name=file.name, sha256=file.sha256[:12])
        self.judge.arrived(file)

    def _drained(self) -> bool:
        if self.life is None or self.agenda.now < self.plan.end or self._depth:
            return False
        held = self.life.held
        if held is None or any(held.ledger.unfinished(name) for name in ACCOUNTS):
            return False
        if any(held.ledger.to_resend(name) for name in ACCOUNTS):
            return False
        return self._taken(held) and not self._waits(held)

    def _taken(self, held: Opened) -> bool:
        """Everything was read: the spool's runs hold it, whatever became of the commits."""
        positions = held.spool.positions().values()
        reached = {Partition(one.topic, one.partition): one.next_offset for one in positions}
        return all(log[-1].offset() < reached.get(at, 0) for at, log in self.cluster.logs.items() if log)

    @staticmethod
    def _waits(held: Opened) -> bool:
        """Whether the bridge itself knows of something to deliver; where it is wrong, I1 does not hold."""
        states, runs = held.ledger.audiences(), held.spool.runs()
        return any(
            pending(audience, states.get(audience, AudienceState()), runs) is not None
            for audience in audiences(runs)
        )

    def _be_judged(self) -> None:
        life = self.life
        assert life is not None
        assert life.held is not None
        ledger = life.held.ledger
        files = [file for name in ACCOUNTS for file in ledger.files(name, 10_000)]
        uploaded = {file.name for file in files if file.state in ARRIVED}
        # where their runs went before that was seen, the operator has the platform process them
        self.rejected -= {file.name for file in files if file.resend_asked_at is None}
        self.judge.ledger(self.server, uploaded, {file.name for file in files})
        horizons = any(state.horizon is not None for state in ledger.audiences().values())
        life.end()
        self.judge.quotas(self.server)
        self.judge.delivered(self.server, self.accepted, self.rejected, exact=not horizons)
        self.judge.refused(self.directory / "spool" / "dead-letters")
        self.judge.tidy(self.directory / "spool")
        self.judge.repeats(self.server, self.reasons)
