"""One process of the bridge, its parts wired as the product wires them, and its turns on the agenda."""

import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from typing import TYPE_CHECKING

from bridge.clock import MINUTE, SECOND
from bridge.deliver.deliverer import LOOK, Deliverer
from bridge.deliver.observer import SilentObserver
from bridge.ingest.clients import Clients
from bridge.ingest.observer import SilentObserver as SilentIngest
from bridge.service import wiring
from bridge.service.housekeeping import Housekeeping
from bridge.service.opening import Opened, opened
from bridge.service.outside import Outside
from bridge.service.upkeep_observer import SilentUpkeep
from tests.simulation.broker import Admin, Consumer
from tests.simulation.calls import LaterCalls
from tests.simulation.disk import PowerDisk
from tests.simulation.ledger import failing_ledger
from tests.simulation.plan import ACCOUNTS
from tests.simulation.process import Died, Process
from tests.simulation.server import SimulatedRemote

if TYPE_CHECKING:
    from tests.simulation.world import World

IDLE = 10 * MINUTE
"""How seldom ingest looks while nothing comes, ms; in truth it looks four times a second."""

UNHURRIED = 30 * MINUTE
"""How seldom a deliverer and housekeeping look while nothing happens, ms."""


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
        self._turns: Iterator[None] = iter(())
        self._pause = 0
        self._working = 0
        self._busy: set[str] = set()
        """Threads that are in a turn now: one nested in another's waiting must not begin it again."""
        self.unseen: set[str] = set()
        """Accounts whose deliverer has not looked since our clock was set."""
        self.held: Opened | None = None
        """Once it is open."""

    def start(self) -> None:
        """Open the spool, and begin."""
        held = self._stack.enter_context(opened(self.world.config, self._outside(), self.stop, adopt=False))
        self.held = held
        self._housekeeping = Housekeeping(
            config=self.world.config,
            spool=held.spool,
            ledger=held.ledger,
            clock=self.world.clock,
            observer=SilentUpkeep(),
            beat=lambda _: None,
        )
        collector = wiring.collector(
            self.world.config,
            held,
            self._outside(),
            observer=self,
            watches={},
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
        self.world.judge.excused |= bool(self.unseen)
        for let_go in (getattr(self._turns, "close", None), self._stack.close):
            with suppress(Died):
                if let_go:
                    let_go()
        for consumer in self._consumers:
            consumer.vanish(heard=self.world.rng.random() < 0.5)

    def wake(self) -> None:
        """There is something to read, or to see."""
        if self._pause > SECOND:
            self._pause = 0
            self._soon(self._ingest, once=True)

    def sealed(self, run_number: int, memberships: int) -> None:  # noqa: ARG002  # the port's
        """There is something to deliver."""
        self.look()

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

    # Turns: each notes the next one when it is over; one more, out of turn, is `once`.

    def _soon(self, turn: Callable, *arguments: object, after: int = 0, **more: object) -> None:
        def guarded() -> None:
            if not self.process.dead:
                self.world.live(self, lambda: turn(*arguments, **more))

        self.world.agenda.after(after, guarded)

    @contextmanager
    def _alone(self, thread: str) -> Iterator[bool]:
        """Whether the thread is free for a turn; it is not, until the block ends."""
        free = thread not in self._busy
        self._busy.add(thread)
        try:
            yield free
        finally:
            if free:
                self._busy.discard(thread)

    def _ingest(self, *, once: bool = False) -> None:
        with self._alone("ingest") as free:
            ended = free and next(self._turns, self) is self
        if ended and not once:
            self._over()
        elif not once:
            self._pause = min(max(SECOND // 4, 2 * self._pause), IDLE)
            self._soon(self._ingest, after=self._pause)

    def _keep(self) -> None:
        if self.stop.is_set():
            self._over()
            return
        self._housekeeping.step(self.stop)
        self._soon(self._keep, after=5 * MINUTE if "crowded" in self.world.plan.weathers else UNHURRIED)

    def _deliver(self, name: str, *, once: bool = False) -> None:
        if self.stop.is_set() and name not in self._busy:
            if not once:
                self._over()
            return
        with self._alone(name) as free:
            pause = (self._deliverers[name].step() or 0) if free else LOOK
        self.unseen -= {name} if free else set()
        if not once:
            self._soon(self._deliver, name, after=UNHURRIED if free and pause == LOOK else pause)
        elif not pause:
            self._soon(self._deliver, name, once=True)

    def _over(self) -> None:
        self._working -= 1
        if not self._working:
            self.world.stopped(self)
