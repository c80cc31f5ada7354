"""A replay from its request to its last file (contract.md, `replay`).

1. Ask what the topics hold of that time, or look at the files. Nothing is written before that is clear.
2. Read all of it into runs of the replay's own. Stopped or killed, it goes on there.
3. Translate what has a partner's user ids: `translation`.
4. Deliver them, or see them delivered: `delivery`.
"""

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import structlog

from bridge.clock import SECOND
from bridge.config import Config
from bridge.deliver.waiting import unsent
from bridge.errors import BridgeError, UsageError
from bridge.ingest.registry import Registry
from bridge.replay.archives import Archive, recognise
from bridge.replay.material import ArchiveMaterial, Material, TopicMaterial, stream_of_archives
from bridge.replay.plan import Plan, Planner
from bridge.replay.reading import Reading, Tally
from bridge.replay.request import Request
from bridge.service.opening import open_spool, opened_beside
from bridge.service.outside import Outside
from bridge.service.pressure import room_for_replays
from bridge.service.replays.delivery import Delivery, ReplayDelivery, held, known_states
from bridge.service.replays.translation import ReplayTranslation
from bridge.service.taxonomies import judged_beside
from bridge.spool.replays import Replay, ReplayState
from bridge.spool.spool import Spool
from bridge.stopping import Stopped, leave_if

log = structlog.get_logger()


FEW_RUNS = 16
"""A replay that is read has no more: a delivery looks through those of all replays in the spool."""


class NoRoom(BridgeError):  # noqa: N818  # it names a state, as people say it
    """The spool has no room for the replay beside live data."""


@dataclass(kw_only=True)
class Replaying:
    """One replay that this process holds the lock of."""

    config: Config
    """The configuration."""
    outside: Outside
    """What is outside."""
    spool: Spool
    """Where it goes."""
    replay: Replay
    """Its runs."""
    request: Request
    """What was asked for."""
    material: Material
    """What is to be read."""
    resumed: bool
    """It goes on from an earlier call."""
    dry: bool
    """It is read and never delivered, and is gone at the end."""
    tally: Tally = field(default_factory=Tally)
    """What this call has read."""

    def read(self, stop: threading.Event) -> bool:
        """Read what is not read yet; False: stopped before the end, and to be gone on with.

        Raises:
            BridgeError: It cannot be read. Where no later call could go on, nothing of it is kept.
        """
        if self.replay.record.state is not ReplayState.READING:
            return True
        reading = Reading(
            replay=self.replay,
            material=self.material,
            bounds=self.request.bounds,
            window=self.config.window,
            clock=self.outside.clock,
            tally=self.tally,
            watches=judged_beside(self.config),
        )
        log.info("replay_begun", replay=self.replay.id, events_left=self.tally.left, goes_on=self.resumed)
        try:
            finished = reading.run(stop, self._see_room)
        except BridgeError as error:
            if isinstance(error, NoRoom) or isinstance(self.material, ArchiveMaterial):
                self.spool.replays.remove(self.replay)
            raise
        finished = finished and self._translate(stop) and self._merge(stop)
        if finished and not self.dry:
            self.spool.replays.move_on(self.replay, ReplayState.READ)
        return finished

    def deliver(self, stop: threading.Event, tell: Callable[[Delivery], None]) -> bool:
        """Wait until all is delivered; as `ReplayDelivery.run`."""
        delivery = ReplayDelivery(
            config=self.config, outside=self.outside, spool=self.spool, replay=self.replay
        )
        return delivery.run(stop, tell)

    def _translate(self, stop: threading.Event) -> bool:
        """No user of it is to be translated any more; False: stopped before."""
        translation = ReplayTranslation(
            config=self.config, outside=self.outside, spool=self.spool, see_room=self._see_room
        )
        try:
            self.tally.translated = translation.run(self.replay, stop, dry=self.dry)
        except NoRoom:
            self.spool.replays.remove(self.replay)
            raise
        return self.tally.translated is not None

    def _merge(self, stop: threading.Event) -> bool:
        """Few runs stay open for as long as it is history; False: stopped before."""
        runs = self.replay.runs()
        try:
            if len(runs) > FEW_RUNS:
                self.replay.store.merge(runs, lambda: leave_if(stop))
        except Stopped:
            return False
        return True

    def _see_room(self) -> None:
        most = self.config.spool.max_bytes
        if not room_for_replays(self.spool.replays.usage(), self.spool.usage(), most):
            raise NoRoom(
                f"replay {self.request.name}: the spool {self.spool.directory} has no room for it beside "
                f"live data; nothing was sent: raise spool.max_bytes, or replay a shorter time"
            )


@contextmanager
def replaying(
    config: Config,
    outside: Outside,
    request: Request,
    *,
    files: Sequence[Path],
    dry: bool,
    stop: threading.Event,
) -> Iterator[Replaying]:
    """The replay of this request: a new one, or the unfinished one of its name.

    Args:
        config: The configuration.
        outside: What is outside.
        request: What is asked for.
        files: Archived files instead of topics.
        dry: It is only to be looked at: nothing of it outlives the block.
        stop: Set when the process is to stop.

    Raises:
        UsageError: The request cannot be met; the text says what can.
        LockHeld: Another process has this replay.
        BridgeError: Kafka, the registry, the spool or the ledger cannot be used.
    """
    now, archives = outside.clock.now(), [recognise(path) for path in files]
    spool = open_spool(config, outside)
    with ExitStack() as stack:
        stack.enter_context(spool.lock(f"replay-{request.name}").acquire(0, outside.clock))
        replay, asked = unfinished(spool, request.name), _asked(request, archives)
        if replay is not None and dry:
            spool.replays.remove(replay)  # a dry run that was killed has left it
            replay = None
        if replay is not None:
            request = request.begun(replay.record.parameters["asked"])  # type: ignore[arg-type]  # we wrote it
            asked = _asked(request, archives)
            _see_same(replay, asked)
        plan = None if archives else _plan(config, outside, request, replay)
        material: Material
        if plan is None:
            stream = stream_of_archives(config, request.streams)
            material = ArchiveMaterial.of(
                stream, archives, spool.temporary_directory, lambda seconds: _sleep(outside, stop, seconds)
            )
        else:
            registry = Registry(config.schema_registry, outside.clock) if config.schema_registry else None
            if registry is not None:
                stack.callback(registry.close)
            material = TopicMaterial.of(config, plan, registry, outside.clock)
        if not dry:
            with opened_beside(spool, config, outside):
                pass  # there is a ledger from here on: without one, what a replay has sent would not be known
        made = replay or _created(spool, now, request, asked, plan)
        if dry:
            stack.callback(spool.replays.discard, made)
        yield Replaying(
            config=config,
            outside=outside,
            spool=spool,
            replay=made,
            request=request,
            material=material,
            resumed=replay is not None,
            dry=dry,
            tally=Tally(left=None if plan is None else plan.offsets),
        )


def unfinished(spool: Spool, name: str) -> Replay | None:
    """The replay of this name that is not delivered; None: there is none."""
    states = known_states(spool)
    for replay in spool.replays.all():
        if replay.record.name == name:
            reading = replay.record.state is ReplayState.READING
            waits = replay.record.state is ReplayState.READ and bool(unsent(held(replay), states))
            if reading or waits:
                return replay
    return None


def cancel(config: Config, outside: Outside, name: str) -> Replay:
    """No more of this replay is read or sent; what was sent stays history.

    Raises:
        UsageError: No unfinished replay has this name.
        LockHeld: A process is at work on it.
        BridgeError: The spool or the ledger cannot be used.
    """
    spool = open_spool(config, outside)
    with spool.lock(f"replay-{name}").acquire(0, outside.clock):
        replay = unfinished(spool, name)
        if replay is None:
            raise UsageError(
                f"--name {name}: no unfinished replay has this name; s2s-bridge status lists them"
            )
        if replay.record.only_copy:
            raise UsageError(
                f"--name {name}: it has taken dead letters out of their files: go on with it by "
                f"s2s-bridge dead-letters redrive"
            )
        if replay.record.state is ReplayState.READING:
            spool.replays.remove(replay)
        else:
            spool.replays.move_on(replay, ReplayState.CANCELLED)
        return replay


def _asked(request: Request, archives: Sequence[Archive]) -> dict[str, object]:
    return request.parameters() | {
        "files": sorted(f"{archive.digest} {archive.label}" for archive in archives)
    }


def _see_same(replay: Replay, asked: Mapping[str, object]) -> None:
    if replay.record.parameters["asked"] != asked:
        raise UsageError(
            f"--name {replay.record.name}: an unfinished replay of this name was asked for otherwise: go on "
            f"with the same options, take another --name, or end it with --cancel"
        )


def _plan(config: Config, outside: Outside, request: Request, replay: Replay | None) -> Plan:
    """What to read of topics: as it was found when the replay was made."""
    if replay is None:
        with Planner(config, outside.topic_ids, outside.clock) as planner:
            return planner.plan(request)
    fields: Mapping[str, object] = replay.record.parameters["plan"]  # type: ignore[assignment]  # we wrote it
    plan = Plan.from_json(fields)
    if replay.record.state is ReplayState.READING:
        with Planner(config, outside.topic_ids, outside.clock) as planner:
            planner.check(plan)
    return plan


def _created(
    spool: Spool, now: int, request: Request, asked: Mapping[str, object], plan: Plan | None
) -> Replay:
    """`now`: before the plan was made, so that no live event lies between the two."""
    return spool.replays.create(
        name=request.name,
        now=now,
        until=request.bounds.until,
        past_horizon=plan is not None and plan.past_horizon,
        forced=request.force,
        parameters={"asked": asked, "plan": None if plan is None else plan.to_json()},
    )


def _sleep(outside: Outside, stop: threading.Event, seconds: float) -> None:
    outside.clock.wait(stop, round(seconds * SECOND))
