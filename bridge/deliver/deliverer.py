"""The deliverer of one account: looks, decides (`schedule`), carries out, writes down (`ledger`).

One thread an account, so one delivery at a time. It looks again when the decision says so, or when woken.
"""

import threading
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass

import structlog

from bridge.audience.audience import Audience
from bridge.audience.header import Header
from bridge.audience.names import series_of
from bridge.clock import MINUTE, SECOND, Clock
from bridge.config import Account, RollSettings
from bridge.deliver import file_log
from bridge.deliver.build import Built, Recipe, build
from bridge.deliver.file_state import FileState
from bridge.deliver.gathering import Gathered, gather, next_start
from bridge.deliver.lanes import Held, View, look
from bridge.deliver.ledger import Ledger
from bridge.deliver.observer import DeliverObserver
from bridge.deliver.quota import Closed, Room, Usage, counted_since, room, usage
from bridge.deliver.records import AudienceState, FileRecord, Progress, RunRange
from bridge.deliver.remote import Remote
from bridge.deliver.resending import Resends
from bridge.deliver.schedule import Deliver, Retry, Rooms, Unfinished, Wait, Waiting, decide, live_waits
from bridge.deliver.server_clock import ServerClock
from bridge.deliver.set_aside import SetAside
from bridge.deliver.sources import sources
from bridge.deliver.uploading import Uploads
from bridge.deliver.waiting import (
    Pending,
    as_waiting,
    audiences,
    awaited,
    held_back,
    pending,
    replays_waiting,
)
from bridge.spool.disk import SpoolFull
from bridge.spool.spool import Spool
from bridge.stopping import Stopped

log = structlog.get_logger()

LOOK = 5 * SECOND
"""How long it waits at most before it looks again, ms."""


@dataclass(frozen=True, kw_only=True, slots=True)
class DelivererParts:
    """What a deliverer is made of."""

    account: Account
    """Whose audiences it delivers."""
    roll: RollSettings
    """When an audience is due."""
    spool: Spool
    """Where the runs are."""
    ledger: Ledger
    """What was delivered and spent."""
    remote: Remote
    """Where the files go."""
    clock: Clock
    """What time it is."""
    observer: DeliverObserver
    """Who is told."""
    placeholders: Mapping[Audience, str]
    """The segment that does not exist, of each configured audience."""
    fallback_placeholder: str
    """The same for audiences that are configured no more."""
    historical_after: Mapping[Audience, int]
    """From which age of its event on (ms) a timestamp 0 becomes the event's time, of audiences where it does
    (contract, `historical_after`)."""
    file_room: Callable[[], int]
    """How many bytes the spool has room for, in a file that is built."""
    drain: Callable[[], bool]
    """All that will ever come is in the spool (`--until-end`): everything is due, and the end is an end."""


class Deliverer:
    """Delivers what waits of one account, until it is stopped or, when draining, all is delivered."""

    def __init__(self, parts: DelivererParts) -> None:
        self._parts = parts
        self._name = parts.account.name
        self._server_clock = ServerClock(self._name, parts.ledger, parts.clock)
        self._uploads = Uploads(
            account=parts.account,
            ledger=parts.ledger,
            remote=parts.remote,
            clock=parts.clock,
            server_clock=self._server_clock,
            observer=parts.observer,
            stopped=lambda: self._stopped,
        )
        self._set_aside = SetAside(parts.spool)
        self._resends = Resends(
            account=self._name,
            spool=parts.spool,
            ledger=parts.ledger,
            clock=parts.clock,
            uploads=self._uploads,
        )
        self._wake = threading.Event()
        self._stopped = False
        self._set_back: dict[tuple[Audience, str], int] = {}  # what could not be built, until when
        self._told: set[Audience] = set()

    def recover(self) -> None:
        """What a crash left open is ended; to be called under the account's lock, before `run`."""
        for tried in self._parts.ledger.unfinished(self._name):
            if tried.tries and tried.tries[-1].ended_at is None:
                file_log.left_open(tried)
        self._parts.ledger.recover(self._name, self._parts.clock.now())

    def wake(self) -> None:
        """Something has changed: look at once."""
        self._wake.set()

    def stop(self) -> None:
        """Come to an end after the step under way."""
        self._stopped = True
        self._wake.set()

    def run(self) -> None:
        """Work until stopped; when draining, until all is delivered.

        Raises:
            BridgeError: It cannot go on: the ledger failed, or the disk.
        """
        while not self._stopped:
            pause = self.step()
            if pause is None:
                return
            if pause:
                self._parts.clock.wait(self._wake, min(pause, LOOK))
            self._wake.clear()

    def step(self) -> int | None:
        """Carry out one decision; returns after how many ms to look again, or None: drained."""
        parts, now = self._parts, self._parts.clock.now()
        parts.observer.beat(self._name, now)
        drain = parts.drain()
        # what holds others is looked up before: a wish that comes in between still holds them
        waited_for = awaited(parts.account, parts.ledger)
        self._resends.carry_out()
        held = look(parts.spool)
        states = parts.ledger.audiences(self._name)
        waiting = held_back(self._waiting(held, states, now), waited_for)
        self._uploads.discard_cancelled(held.cancelled)
        unfinished = self._uploads.unfinished(now)
        rooms = self._rooms(now, waiting, unfinished)
        if drain and not (live_waits(waiting, unfinished) or self._held_back(now)):
            return None
        if self._uploads.paused_until > now:
            return self._uploads.paused_until - now
        match decide(now, waiting, unfinished, rooms, parts.roll, drain=drain):
            case Deliver() as decision:
                self._deliver(decision, states.get(decision.audience, AudienceState()), held)
                return 0
            case Retry(name=name):
                self._uploads.upload(name)
                return 0
            case Wait(until=until):
                return LOOK if until is None else max(SECOND, until - now)

    def _waiting(self, held: Held, states: Mapping[Audience, AudienceState], now: int) -> list[Waiting]:
        found: dict[Audience, Pending] = {}
        for audience in audiences(held.runs):
            if audience.account == self._name:
                waits = pending(audience, states.get(audience, AudienceState()), held.runs)
                if waits is not None:
                    found[audience] = waits
        for audience, state in states.items():
            if state.horizon is not None:
                self._parts.observer.horizon(self._name, audience.label, state.horizon)
        replays = list(replays_waiting(held, states, self._name))
        self._tell(found, replays, now)
        if served := [state.served_at for state in states.values() if state.served_at is not None]:
            self._parts.observer.served(self._name, max(served))
        live = [
            as_waiting(audience, waits, states.get(audience, AudienceState()))
            for audience, waits in found.items()
        ]
        return [one for one in (*live, *replays) if self._set_back.get((one.audience, one.replay), 0) <= now]

    def _held_back(self, now: int) -> bool:
        """Live data waits that could not be built; it is not among what may go now."""
        self._set_back = {whose: until for whose, until in self._set_back.items() if until > now}
        return any(not replay for _, replay in self._set_back)

    def _rooms(self, now: int, waiting: list[Waiting], unfinished: list[Unfinished]) -> Rooms:
        ledger, settings = self._parts.ledger, self._parts.account.quota
        attempts = ledger.attempts(self._name, counted_since(now))
        skew, closed = self._server_clock.skew(), ledger.closed_until(self._name)
        known_since = ledger.known_since(self._name)
        used = usage(settings, attempts, now, skew, closed)
        replayed = usage(settings, [attempt for attempt in attempts if attempt.replay], now, skew)
        self._tell_quota(used, replayed, skew)

        def ask(*, replay: bool) -> Room | Closed:
            waits = live_waits(waiting, unfinished) or self._held_back(now)
            return room(
                settings,
                attempts,
                now,
                skew,
                closed,
                replay=replay,
                live_waits=waits,
                known_since=known_since,
            )

        return Rooms(live=ask(replay=False), replay=ask(replay=True))

    def _tell_quota(self, used: Usage, replayed: Usage, skew: int) -> None:
        observer = self._parts.observer
        observer.quota(
            self._name,
            max(0, used.files_limit - used.files_used),
            max(0, used.bytes_limit - used.bytes_used),
        )
        observer.resets(self._name, used.files_reset_at, used.bytes_reset_at)
        observer.replayed(self._name, replayed.bytes_used)
        observer.skew(self._name, skew)

    def _deliver(self, decision: Deliver, state: AudienceState, held: Held) -> None:
        """Build the audience's next file and upload it; a file of it that was not begun makes way."""
        self._uploads.discard_unbegun(decision.audience)
        view = held.view(state, decision.replay)
        start = next_start(view, removals_only=decision.removals_only)
        newest = max(run.number for run in view.own.runs)
        try:
            built = self._build(decision, view, start)
        except Stopped:
            return
        except SpoolFull as full:
            self._wait_for_disk(decision, full)
            return
        if built.needed:
            self._wait_for_room(decision, built.needed)
            return
        progress = Progress(
            start=start,
            stop=built.stop,
            run=newest,
            newest_event_time=built.newest_event_time,
            removals_only=decision.removals_only,
            replay=decision.replay,
        )
        self._tell_built(decision, built, newest)
        if built.name is None:
            self._parts.ledger.skip(decision.audience, progress)
            log.info(
                "nothing_to_send",
                account=self._name,
                audience=decision.audience.label,
                replay=decision.replay or None,
                run=newest,
            )
            return
        runs = sources(decision.audience, view, start, built.stop, removals_only=decision.removals_only)
        file = self._record(decision.audience, built, progress, runs)
        self._parts.ledger.add_file(file)
        file_log.built(file)
        self._uploads.upload(file.name)

    def _build(self, decision: Deliver, view: View, start: str) -> Built:
        audience = decision.audience
        age = self._parts.historical_after.get(audience)
        recipe = Recipe(
            audience=audience,
            placeholder=self._parts.placeholders.get(audience, self._parts.fallback_placeholder),
            new_file=self._parts.spool.new_file,
            directory=self._parts.spool.files_directory,
            level=self._parts.roll.compression_level,
            max_bytes=min(decision.max_bytes, self._parts.file_room()),
            removals_only=decision.removals_only,
            historical_before=None if age is None else self._parts.clock.now() - age,
        )
        with closing(gather(audience, view, start)) as ranges:
            return build(recipe, self._beating(ranges), lambda: self._header(audience, decision.replay))

    def _beating(self, ranges: Iterable[Gathered]) -> Iterator[Gathered]:
        """A large file takes minutes to build: its thread works all the while, and can be stopped."""
        for gathered in ranges:
            if self._stopped:
                raise Stopped
            self._parts.observer.beat(self._name, self._parts.clock.now())
            yield gathered

    def _header(self, audience: Audience, replay: str) -> Header:
        account, now = self._parts.account, self._parts.clock.now()
        name = self._parts.ledger.reserve_name(
            series_of(account.agency, account.partner, audience.client), now
        )
        file_log.reserved(audience, str(name), replay)
        return Header(
            file_identifier=str(name),
            date_created=now // SECOND,
            user_namespace=audience.user_namespace,
            user_table_id=audience.user_table_id,
            segment_namespace=audience.segment_namespace,
            mobile=audience.mobile,
            hash_segments=audience.hashed,
        )

    def _record(
        self, audience: Audience, built: Built, progress: Progress, runs: tuple[RunRange, ...]
    ) -> FileRecord:
        assert built.name is not None
        return FileRecord(
            name=built.name,
            audience=audience,
            state=FileState.BUILT,
            path=str(self._parts.spool.files_directory / built.name),
            bytes=built.bytes,
            lines=built.lines,
            memberships=built.memberships,
            sha256=built.sha256,
            created_at=self._parts.clock.now(),
            uploaded_at=None,
            detail="",
            progress=progress,
            reserved_at=built.reserved_at,
            runs=runs,
        )

    def _wait_for_room(self, decision: Deliver, needed: int) -> None:
        """Not even one user fits: other audiences go on, this one is tried again later."""
        now = self._parts.clock.now()
        self._set_back[decision.audience, decision.replay] = now + self._parts.roll.max_age
        log.error(
            "user_does_not_fit",
            account=self._name,
            audience=decision.audience.label,
            replay=decision.replay or None,
            bytes_left=decision.max_bytes,
            text_bytes=needed,
            remedy="it waits for more bytes of the day; if that never helps, raise quota.max_file_bytes",
        )

    def _wait_for_disk(self, decision: Deliver, full: SpoolFull) -> None:
        """The file could not be written: nothing is lost, the audience is tried again in a minute."""
        self._set_back[decision.audience, decision.replay] = self._parts.clock.now() + MINUTE
        log.error(
            "file_not_built",
            account=self._name,
            audience=decision.audience.label,
            replay=decision.replay or None,
            reason=str(full),
        )

    def _tell_built(self, decision: Deliver, built: Built, run: int) -> None:
        label = decision.audience.label
        if built.superseded:
            self._parts.observer.superseded(label, built.superseded)
        if built.beyond_horizon is not None and not decision.removals_only:
            self._set_aside.keep(decision.audience, run, built.beyond_horizon)
            self._parts.observer.beyond_horizon(label, len(built.beyond_horizon))
            log.warning(
                "beyond_horizon",
                account=self._name,
                audience=label,
                replay=decision.replay or None,
                run=run,
                memberships=len(built.beyond_horizon),
            )

    def _tell(self, found: Mapping[Audience, Pending], replays: Iterable[Waiting], now: int) -> None:
        replayed = Counter[Audience]()
        for one in replays:
            replayed[one.audience] += one.memberships
        for audience in self._told | replayed.keys():
            self._parts.observer.replay_pending(self._name, audience.label, replayed[audience])
        for audience in self._told - found.keys():
            self._parts.observer.pending(self._name, audience.label, 0, 0)
        for audience, waits in found.items():
            age = max(0, now - waits.oldest_read_at) / SECOND
            self._parts.observer.pending(self._name, audience.label, waits.memberships, age)
        self._told = {*found, *replayed}
