"""The bridge as it is, between a broker and a server in its process, on accelerated time."""

from collections import Counter
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import replace
from threading import Event as Signal

from bridge.audience.audience_file import check
from bridge.clock import HOUR, MINUTE, SECOND
from bridge.deliver.ledger import Ledger
from bridge.deliver.records import AudienceState
from bridge.deliver.waiting import audiences, pending
from bridge.demo import fold
from bridge.demo.accelerated import AcceleratedClock
from bridge.demo.broker import Broker, NamedTopics
from bridge.demo.events import make
from bridge.demo.feed import Feed
from bridge.demo.outcome import File, Look, Outcome
from bridge.demo.site import ACCOUNT, FILES_PER_HOUR, PASSWORD, USERNAME, Site
from bridge.observe import log
from bridge.sandbox.limits import Limits
from bridge.sandbox.sftp_server import Partner, SftpServer
from bridge.service.opening import LEDGER
from bridge.service.outside import over_sftp
from bridge.service.service import Service
from bridge.spool.spool import Spool

FACTOR = 900
"""An hour in four seconds."""

SPAN = 2 * HOUR
"""How long events are sent."""

TURN = SECOND // 20
"""Between two looks, ms at the least."""

EARLIER = 6 * HOUR
"""The demo plays so long ago, so that at its end nothing lies in the future."""


def story(events: int) -> str:
    """What is about to be seen."""
    return (
        f"{events:,} made-up events of a global and two private clients, display and mobile, "
        f"sent within {SPAN // HOUR} hours.\n"
        f"The server takes {FILES_PER_HOUR} files an hour. "
        f"An hour passes in {HOUR // FACTOR // SECOND} seconds."
    )


class Demo:
    """One demo; `run` it once."""

    def __init__(self, site: Site, *, events: int, seed: int, now: int) -> None:
        """Prepare all that the bridge is to meet.

        Args:
            site: The directory.
            events: How many are made up.
            seed: Of the random numbers.
            now: The present, epoch ms.
        """
        start = now - now % HOUR - EARLIER + 5 * MINUTE
        self._site = site
        self._clock = AcceleratedClock(start=start, factor=FACTOR)
        self._events = make(events, seed, start=start, span=SPAN)
        self._broker = Broker()
        self._feed = Feed(self._broker, self._events, site.schema)
        self._server = SftpServer(
            site.server,
            clock=self._clock,
            partner=Partner(username=USERNAME, password=PASSWORD),
            limits=Limits(files_per_hour=FILES_PER_HOUR),
        )
        self._files: list[File] = []

    def run(self, stop: Signal, tell: Callable[[Look], None]) -> Outcome | None:
        """All the way; None: stopped before its end.

        Raises:
            BridgeError: The bridge could not go on.
        """
        ended = Signal()
        with ExitStack() as stack:
            self._server.start()
            stack.callback(self._server.stop)
            config = self._site.configure(self._broker.address, self._server.port, self._server.host_key)
            stream = stack.enter_context(self._site.log.open("w", encoding="utf-8", buffering=1))
            log.configure(form="json", level="info", clock=self._clock, stream=stream)
            outside = replace(over_sftp(config, self._clock), topic_ids=NamedTopics())
            service = Service(config, outside, until_end=False, adopt=False)
            pool = stack.enter_context(ThreadPoolExecutor(1, "bridge"))
            stack.callback(ended.set)
            running = pool.submit(service.run, ended)
            whole = self._direct(service, running, stop, tell)
            ended.set()
            running.result()
        return self._outcome() if whole else None

    def _direct(
        self, service: Service, running: Future[None], stop: Signal, tell: Callable[[Look], None]
    ) -> bool:
        """Send the events and watch them go; True: all is delivered, False: the bridge or we were stopped."""
        while not stop.is_set() and not running.done():
            self._feed.send(self._clock.now())
            whole = self._feed.done and self._delivered()  # before the look, which then has every file
            look = self._look(service)
            if look.read:  # from now on: joining the consumer group takes real time
                self._clock.hurry()
            tell(look)
            if whole:
                return True
            self._clock.wait(stop, TURN)
        return False

    def _look(self, service: Service) -> Look:
        for arrival in self._server.arrivals[len(self._files) :]:
            text = fold.read(self._site.server / arrival.name)
            self._files.append(File(text=text, at=arrival.at, bytes=arrival.bytes))
        sums = service.metrics.sums()
        return Look(
            now=self._clock.now(),
            events=len(self._events),
            sent=self._feed.sent,
            read=int(sums["events_consumed"]),
            refused=int(sums["dead_letters"]),
            pending=int(sums["pending_memberships"]),
            slots=FILES_PER_HOUR,
            slots_left=int(sums["quota_files_remaining"]),
            files=tuple(self._files),
        )

    def _delivered(self) -> bool:
        """Whether all events are in the spool's runs, and all of those on the server."""
        spool = Spool.open(self._site.spool, clock=self._clock)
        if sum(position.next_offset for position in spool.positions().values()) < len(self._events):
            return False
        runs = spool.runs()
        with Ledger.read_only(self._site.spool / LEDGER) as ledger:
            states = ledger.audiences(ACCOUNT)
            waiting = [one for one in audiences(runs) if pending(one, states.get(one, AudienceState()), runs)]
            return not waiting and not ledger.unfinished(ACCOUNT)

    def _outcome(self) -> Outcome:
        faults = tuple(fault for file in self._files for fault in self._faults(file.name))
        right = fold.of_events(self._events)
        loaded = fold.of_files(self._site.server / file.name for file in self._files)
        return Outcome(
            files=tuple(self._files),
            memberships=len(right),
            users=len({membership[:3] for membership in right}),
            differences=tuple(fold.differences(loaded.held, right)),
            faults=(*faults, *loaded.faults),
            refused=self._site.dead_letters(),
            meant_refused=Counter(event.refused for event in self._events if event.refused),
            busiest_hour=self._server.busiest_hour,
            slots=FILES_PER_HOUR,
            violations=self._server.violations,
        )

    def _faults(self, name: str) -> list[str]:
        content = (self._site.server / name).read_bytes()
        return [f"{name}:{fault.line}: {fault.reason}" for fault in check([content], name)]
