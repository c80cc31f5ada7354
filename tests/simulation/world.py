"""The whole bridge in one thread, on virtual time, between simulated neighbours."""

import errno
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

from bridge.clock import DAY, HOUR, MINUTE, SECOND
from bridge.config import Config
from bridge.deliver import quota
from bridge.deliver.deliverer import LOOK, Deliverer
from bridge.deliver.file_state import FileState
from bridge.deliver.observer import SilentObserver
from bridge.errors import BridgeError
from bridge.ingest.clients import Clients
from bridge.ingest.observer import SilentObserver as SilentIngest
from bridge.ingest.partition import Partition
from bridge.service import wiring
from bridge.service.housekeeping import Housekeeping
from bridge.service.opening import Opened, opened
from bridge.service.outside import Outside
from tests.simulation.agenda import Agenda, VirtualClock
from tests.simulation.broker import Admin, Cluster, Consumer
from tests.simulation.calls import LaterCalls
from tests.simulation.disk import Platter, PowerDisk
from tests.simulation.judge import Judge, hold
from tests.simulation.ledger import failing_ledger
from tests.simulation.plan import Incident, Plan, Produced
from tests.simulation.process import Died, Process
from tests.simulation.server import Arrived, Server, SimulatedRemote, Trouble

IDLE = 10 * MINUTE
"""How seldom ingest looks while nothing comes, ms; in truth it looks four times a second."""

UNHURRIED = 30 * MINUTE
"""How seldom a deliverer and housekeeping look while nothing happens, ms."""

PATIENCE = 8 * DAY
"""Once all is well, everything is delivered within this."""

TOPICS = ("acme", "beta")
ACCOUNTS = ("a", "b")


class Life(SilentIngest):
    """One process of the bridge: what it is made of, and its next turns on the agenda."""

    def __init__(self, world: "World") -> None:
        self.world = world
        self.process = Process(world.note)
        self.stop = threading.Event()
        self._stack = ExitStack()
        self._disk = PowerDisk(world.platter, self.process, world.judge.synced)
        self._disk.fault = world.disk_fault
        self._consumers: list[Consumer] = []
        self._pause = 0
        self._working = 0

    def start(self) -> None:
        """Open the spool, and begin."""
        held = self._stack.enter_context(opened(self.world.config, self._outside(), self.stop, adopt=False))
        self.held: Opened = held
        self._housekeeping = Housekeeping(
            config=self.world.config,
            spool=held.spool,
            ledger=held.ledger,
            clock=self.world.clock,
            spool_bytes=lambda _: None,
            beat=lambda _: None,
        )
        collector = wiring.collector(
            self.world.config,
            held,
            self._outside(),
            observer=self,
            full_streams=self._housekeeping.pressed,
            stop=self.stop,
            until_end=False,
            adopt=False,
        )
        self._turns = collector.turns(self.stop)
        self._deliverers = {name: self._deliverer(name, held) for name in ACCOUNTS}
        for deliverer in self._deliverers.values():
            deliverer.recover()
        self._working = 2 + len(ACCOUNTS)
        self._soon(self._ingest)
        self._soon(self._keep)
        for name in ACCOUNTS:
            self._soon(self._deliver, name)

    def end(self) -> None:
        """The process is gone: the kernel gives back its locks and descriptors."""
        self.process.dead = True
        for what in (
            (self._turns.close, self._stack.close) if hasattr(self, "_turns") else (self._stack.close,)
        ):
            try:
                what()
            except Died:
                continue
        for consumer in self._consumers:
            consumer.vanish(heard=self.world.rng.random() < 0.5)

    def wake(self) -> None:
        """There is something to read."""
        self._pause = 0

    def sealed(self, run_number: int, memberships: int) -> None:  # noqa: ARG002  # the port's
        """Deliverers look again."""
        for name in ACCOUNTS:
            self._soon(self._deliver, name, once=True)

    def look(self) -> None:
        """Deliverers look again, as they do every few seconds."""
        for name in ACCOUNTS:
            self._soon(self._deliver, name, once=True)

    def _outside(self) -> Outside:
        world, process = self.world, self.process

        def consumer(properties: dict) -> Consumer:
            self._consumers.append(Consumer(properties, world.cluster, process))
            return self._consumers[-1]

        return Outside(
            clock=world.clock,
            remote=lambda account: SimulatedRemote(world.server, account.name, process, world.clock.now),
            topic_ids=world.cluster,
            kafka=Clients(consumer=consumer, admin=lambda _: Admin(world.cluster)),
            disk=self._disk,
            ledger=failing_ledger(process, world.ledger_fault),
            calls=LaterCalls(world.agenda, world.rng, process, lambda turn: world.live(self, turn)),
        )

    def _deliverer(self, name: str, held: Opened) -> Deliverer:
        outside, account = self._outside(), self.world.config.account(name)
        return wiring.deliverer(
            account,
            self.world.config,
            held,
            clock=self.world.clock,
            remote=outside.remote(account),
            observer=SilentObserver(),
            drain=lambda: False,
        )

    # Turns: each notes the next one when it is over, so none is begun twice.

    def _soon(self, turn: Callable, *arguments: object, after: int = 0, **more: object) -> None:
        def guarded() -> None:
            if not self.process.dead:
                self.world.live(self, lambda: turn(*arguments, **more))

        self.world.agenda.after(after, guarded)

    def _ingest(self) -> None:
        if next(self._turns, self) is self:
            self._over()
            return
        self._pause = min(max(SECOND // 4, 2 * self._pause), IDLE)
        self._soon(self._ingest, after=self._pause)

    def _keep(self) -> None:
        if self.stop.is_set():
            self._over()
            return
        self._housekeeping.step(self.stop)
        self._soon(self._keep, after=5 * MINUTE if "crowded" in self.world.plan.weathers else UNHURRIED)

    def _deliver(self, name: str, *, once: bool = False) -> None:
        if name in self.world.busy:
            if not once:
                self._soon(self._deliver, name, after=LOOK)
            return
        if self.stop.is_set():
            if not once:
                self._over()
            return
        self.world.busy.add(name)
        try:
            pause = self._deliverers[name].step() or 0
        finally:
            self.world.busy.discard(name)
        if not once:
            self._soon(self._deliver, name, after=UNHURRIED if pause == LOOK else pause)
        elif not pause:
            self._soon(self._deliver, name, once=True)

    def _over(self) -> None:
        self._working -= 1
        if not self._working:
            self.world.stopped(self)


@dataclass(kw_only=True)
class World:
    """Everything there is. `run` it once."""

    plan: Plan
    directory: Path
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
        self.config = _config(plan, self.directory / "spool")
        self.life: Life | None = None
        self._depth = 0
        self.busy: set[str] = set()
        self.faults: dict[str, list] = {}
        """What is to fail next, by port: taken from the front."""
        self.server_is_down = False
        self.disk_is_full = False
        self.reasons = 0
        """How many times a file may come twice."""
        self.accepted: list[dict] = []
        self.bad: set[tuple[str, int, int]] = set()

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
        life.end()
        self.life = None
        self.busy.clear()
        if self.faults.pop("power", None):
            self.note("power cut")
            self.platter.cut(self.rng, self._files)
        self.agenda.after(after, self._begin)

    def _begin(self) -> None:
        if self.life is not None:
            return
        self.note("start")
        self.life = Life(self)
        self.live(self.life, self.life.start)

    def _files(self) -> list[Path]:
        return [path for path in (self.directory / "spool").rglob("*") if path.is_file()]

    # What befalls it.

    def _befall(self, incident: Incident) -> None:
        if self.agenda.now < self.plan.end:
            self.note(incident.kind)
            getattr(self, incident.kind)(Random(incident.number))

    def kill(self, rng: Random) -> None:
        """The process dies at one of its next steps."""
        self.reasons += 1
        if self.life:
            self.life.process.die_after(rng.choice([0, 1, 3, 10, 30, 100]))

    def cut_power(self, rng: Random) -> None:
        """It dies, and what was not synced may be gone."""
        self.kill(rng)
        if self.life:
            self.faults["power"] = [True]

    def stop(self, _rng: Random) -> None:
        """SIGTERM."""
        if self.life:
            self.life.stop.set()
            self.life.wake()

    def broker_down(self, rng: Random) -> None:
        """Nobody answers for a while."""
        self.cluster.down = True
        self.agenda.after(rng.choice([SECOND, MINUTE, HOUR]), lambda: setattr(self.cluster, "down", False))

    def commit_trouble(self, rng: Random) -> None:
        """Some commits fail, each in its way."""
        kinds = rng.choices(["refused", "unheard", "unanswered"], k=rng.choice([1, 3, 10]))
        self.faults.setdefault("commit", []).extend(kinds)

    def partitions_leave(self, rng: Random) -> None:
        """A member of another program takes some partitions for a while, and commits nothing."""
        taken = set(rng.sample(sorted(self.cluster.logs), rng.randint(1, len(self.cluster.logs))))
        self.cluster.elsewhere |= taken
        back = rng.choice([SECOND, MINUTE, HOUR])
        self.agenda.after(back, lambda: self.cluster.elsewhere.difference_update(taken))

    def partitions_lost(self, rng: Random) -> None:
        """The group gave partitions away, as we did not answer; we have them back at once."""
        self.cluster.lost |= set(rng.sample(sorted(self.cluster.logs), 1))

    def topic_grows(self, _rng: Random) -> None:
        """A new partition."""
        at = Partition("acme", sum(one.topic == "acme" for one in self.cluster.logs))
        self.cluster.logs[at], self.cluster.ends[at] = [], 0

    def upload_trouble(self, rng: Random) -> None:
        """Some uploads fail, each in its way."""
        kinds = rng.choices(list(Trouble), k=rng.choice([1, 2, 5]))
        self.reasons += sum(kind in (Trouble.REPLY_LOST, Trouble.TAKEN) for kind in kinds)
        self.faults.setdefault("upload", []).extend(kinds)

    def server_down(self, rng: Random) -> None:
        """Nobody answers for a while."""
        self.server_is_down = True
        back = rng.choice([MINUTE, HOUR, 5 * HOUR])
        self.agenda.after(back, lambda: setattr(self, "server_is_down", False))

    def platform_loads(self, _rng: Random) -> None:
        """The platform takes away what is there."""
        self.server.load()

    def disk_full(self, rng: Random) -> None:
        """There is no room for a while."""
        self.disk_is_full = True
        back = rng.choice([SECOND, MINUTE, HOUR])
        self.agenda.after(back, lambda: setattr(self, "disk_is_full", False))

    def disk_fails(self, rng: Random) -> None:
        """One operation fails for good."""
        wait = rng.choice([0, 2, 10])
        self.faults.setdefault("disk", []).extend([None] * wait + [errno.EIO])

    def ledger_fails(self, rng: Random) -> None:
        """One transaction fails."""
        wait = rng.choice([0, 1, 2, 5])
        self.faults.setdefault("ledger", []).extend([None] * wait + [rng.choice(["begin", "unknown"])])

    def clock_jumps(self, rng: Random) -> None:
        """Somebody sets our clock; deliverers look every few seconds.

        It is never further off the server's than the guard is widened: beyond that nothing is promised.
        """
        most = quota.WIDEST - abs(self.plan.skew) - 2 * SECOND
        wanted = self.clock.off + rng.choice([-5, -1, 1, 5]) * MINUTE
        self.clock.off = max(-most, min(most, wanted))
        if self.life:
            self.life.look()

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
            self.bad.add((*at, offset))

    def _arrived(self, file: Arrived) -> None:
        self.note("arrived", account=file.account, name=file.name, sha256=file.sha256[:12])
        self.judge.arrived(file)

    def _drained(self) -> bool:
        if self.life is None or self.agenda.now < self.plan.end or self._depth:
            return False
        held = getattr(self.life, "held", None)
        if held is None or any(held.ledger.unfinished(name) for name in ACCOUNTS):
            return False
        return self._taken(held) and not self._waits(held)

    def _taken(self, held: Opened) -> bool:
        """Everything was read: the spool's runs hold it, whatever became of the commits."""
        positions = held.spool.positions().values()
        reached = {Partition(one.topic, one.partition): one.next_offset for one in positions}
        return all(log[-1].offset() < reached.get(at, 0) for at, log in self.cluster.logs.items() if log)

    @staticmethod
    def _waits(held: Opened) -> bool:
        states = held.ledger.audiences()
        return any(
            audience not in states or states[audience].frontier.lowest < run.number
            for run in held.spool.runs()
            for audience in run.audiences
        )

    def _be_judged(self) -> None:
        life = self.life
        assert life is not None
        ledger = life.held.ledger
        files = [file for name in ACCOUNTS for file in ledger.files(name, 10_000)]
        uploaded = {file.name for file in files if file.state is FileState.UPLOADED}
        self.judge.ledger(self.server, uploaded, {file.name for file in files})
        horizons = any(state.horizon is not None for state in ledger.audiences().values())
        life.end()
        self.judge.quotas(self.server)
        self.judge.delivered(self.server, self.accepted, exact=not horizons)
        self.judge.refused(self.directory / "spool" / "dead-letters", self.bad)
        self.judge.tidy(self.directory / "spool")
        self.judge.repeats(self.server, self.reasons)


def _config(plan: Plan, spool: Path) -> Config:
    config = Config.model_validate(
        {
            "kafka": {"bootstrap_servers": "simulated"},
            "spool": {"directory": str(spool), "max_bytes": plan.max_bytes},
            "window": {"max_age": f"{plan.window_age}ms"},
            "roll": {"max_age": f"{plan.roll_age}ms"},
            "accounts": [
                {
                    "name": name,
                    "agency": "Agency",
                    "partner": f"Partner-{name}",
                    "sftp": {"host": "simulated", "username": name, "password_file": "/nowhere"},
                    "quota": {"files_per_hour": plan.files_per_hour, "guard": f"{plan.guard}ms"},
                }
                for name in ACCOUNTS
            ],
            "streams": [
                {
                    "name": topic,
                    "topics": [topic],
                    "account": {"display": "a", "mobile": "b"},
                    "client": client,
                    "clients": ["Other"] if topic == "acme" else [],
                    "format": "json",
                    "segment_namespace": "ep",
                }
                for topic, client in (("acme", None), ("beta", "Beta"))
            ],
            "dead_letters": {"directory": str(spool / "dead-letters")},
        },
        context={"folder": spool},
    )
    # below what a configuration may ask for: small worlds need small limits
    limits = {"bytes_per_day": plan.bytes_per_day, "max_file_bytes": plan.max_file_bytes}
    accounts = tuple(
        one.model_copy(update={"quota": one.quota.model_copy(update=limits)}) for one in config.accounts
    )
    return config.model_copy(update={"accounts": accounts})
