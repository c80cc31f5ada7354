"""Dead letters back in (contract.md, `dead-letters redrive`).

1. Look through the files: what is damaged is told and left alone; the letters that are asked for are counted.
2. Decode them again, some at a time. What passes is sealed into a replay, and only then are the files written
   anew without it. A death in between leaves letters whose events are in the replay: the next call goes on
   with the same replay, in which the same event twice is one.
3. Translate what has a partner's user ids: `translation`.
4. Deliver the replay: `delivery`.

A bridge may write letters meanwhile: their files appear whole, and those that came after the first look are
for the next call. The run of a file that is there may not be published yet, and where its bridge dies it
never will: then its offsets are read again, and an event that was redriven comes a second time, with the same
place in the order of writes. That is harmless, as the platform's state is that of one of the two. So is a
file that a starting bridge removes, as it has no run, and that is then written anew without some letters:
what it holds is told twice, as `DeadLetters` allows.
"""

import threading
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from bridge.clock import SECOND, Clock
from bridge.config import Config
from bridge.deliver.waiting import unsent
from bridge.errors import BridgeError, UsageError
from bridge.ingest.dead_letters import DeadLetter, FolderDeadLetters
from bridge.ingest.registry import Registry
from bridge.ingest.window import Window
from bridge.replay.letter_judge import LetterJudge
from bridge.replay.letter_portions import Found, Place, look_through, portions
from bridge.replay.letters import drop_letters
from bridge.replay.reading import Tally
from bridge.service.opening import open_spool
from bridge.service.outside import Outside
from bridge.service.pressure import crowded
from bridge.service.replays.delivery import Delivery, ReplayDelivery, held, known_states
from bridge.service.replays.translation import ReplayTranslation
from bridge.service.taxonomies import judged_beside
from bridge.spool.disk import Disk
from bridge.spool.locks import Lock
from bridge.spool.replays import Replay, ReplayState
from bridge.spool.spool import Spool

_ASKED = "redrive"
"""What tells a redrive among the replays: `asked` has it."""


@dataclass(kw_only=True, slots=True)
class RedriveTally(Tally):
    """What became of letters so far. `refused` counts those that stay, by why they do now."""

    passed: Counter[str] = field(default_factory=Counter)
    """Letters that passed, by the reason that they had been refused for."""


@dataclass(kw_only=True)
class Redriving:
    """One call; it holds the lock `redrive`."""

    config: Config
    """The configuration."""
    outside: Outside
    """What is outside."""
    spool: Spool
    """Where what passes goes."""
    reason: str | None
    """Only letters that were refused for this; None: all."""
    found: Found
    """What the folder holds of them."""
    undelivered: list[Replay]
    """Redrives that are read, the oldest first: this call's too, once all is taken."""
    replay: Replay | None
    """Where what passes goes; None: nothing has passed yet."""
    judge: LetterJudge
    """Decodes."""
    locks: ExitStack
    """Held until the call ends."""
    tally: RedriveTally
    """What became of the letters."""
    disk: Disk = field(default_factory=Disk)
    """The disk port, for the files of letters."""
    _passed: dict[Path, set[int]] = field(default_factory=dict)
    """Lines whose events are sealed, of files that still hold them."""

    @property
    def idle(self) -> bool:
        """There is nothing to do."""
        return not (self.found.files or self.undelivered or self.replay)

    def take(self, stop: threading.Event) -> bool:
        """Bring in what passes; False: stopped before the end, and to be gone on with.

        Raises:
            BridgeError: Kafka, the registry or the disk failed, or there is no room. What was taken is kept:
                the same call goes on with it.
        """
        for portion in portions(self.found.files, self.reason):
            if stop.is_set():
                return False
            self._take(portion.places)
            for path in portion.ended:
                if passed := self._passed.pop(path, None):
                    drop_letters(path, passed, self.spool.temporary_directory, self.disk)
        return self.replay is None or self._conclude(self.replay, stop)

    def deliver(self, replay: Replay, stop: threading.Event, tell: Callable[[Delivery], None]) -> bool:
        """Wait until one of the undelivered is through; as `ReplayDelivery.run`."""
        delivery = ReplayDelivery(config=self.config, outside=self.outside, spool=self.spool, replay=replay)
        return delivery.run(stop, tell)

    def _take(self, places: Sequence[Place]) -> None:
        """Judge some letters, and seal what passes."""
        window, passed, now = Window(self.judge.roster), list[Place](), self.outside.clock.now()
        by_topic: dict[str, list[Place]] = {}
        for place in places:
            by_topic.setdefault(place.letter.topic, []).append(place)
        for some in by_topic.values():
            verdict = self.judge.judge([place.letter for place in some], now)
            for frame in verdict.frames:
                window.add(frame, read_at=now)
            passed += [place for at, place in enumerate(some) if at not in verdict.stays]
            for at, why in verdict.stays.items():
                self._tell_stays(some[at].letter, why.reason, why.detail)
        if passed:
            self._seal(window, now)
        for place in passed:
            self._passed.setdefault(place.path, set()).add(place.line)
            self.tally.passed[place.letter.reason] += 1
        self.tally.events += len(places)
        self.tally.left = max(0, (self.tally.left or 0) - len(places))

    def _seal(self, window: Window, now: int) -> None:
        self._see_room()
        if self.replay is None:
            self.replay = self._created(now)
        self.tally.memberships += window.memberships
        contents = window.drain()
        self.replay.store.seal(
            shards=contents.shards(), oldest_read_at=contents.oldest_read_at, positions=(), now=now
        )

    def _created(self, now: int) -> Replay:
        name = f"redrive-{datetime.fromtimestamp(now // SECOND, UTC):%Y%m%d-%H%M%S}"
        self.locks.enter_context(_own(self.spool, name, self.outside.clock))
        return self.spool.replays.create(
            name=name,
            now=now,
            until=None,
            past_horizon=False,
            parameters={"asked": _request(self.reason), "plan": None},
            only_copy=True,
        )

    def _conclude(self, replay: Replay, stop: threading.Event) -> bool:
        """All is taken: it may be delivered. One that died before it held anything has nothing to deliver.

        False: stopped before, and to be gone on with.
        """
        translation = ReplayTranslation(
            config=self.config, outside=self.outside, spool=self.spool, see_room=self._see_room
        )
        self.tally.translated = translation.run(replay, stop, dry=False)
        if self.tally.translated is None:
            return False
        self.replay = None
        if replay.runs():
            self.spool.replays.move_on(replay, ReplayState.READ)
            self.undelivered.append(replay)
        else:
            self.spool.replays.remove(replay)
        return True

    def _tell_stays(self, letter: DeadLetter, reason: str, detail: str) -> None:
        self.tally.refused[reason] += 1
        place = f"{letter.topic} partition {letter.partition} offset {letter.offset}: {detail}"
        self.tally.first_refused.setdefault(reason, place)

    def _see_room(self) -> None:
        """What passes takes about the room that its letters leave, but in a crowded spool live data waits."""
        if crowded(self.spool.usage(), self.config.spool.max_bytes):
            raise BridgeError(
                f"dead letters: the spool {self.spool.directory} has no room for them beside live data: let "
                f"it deliver or raise spool.max_bytes, then call this again: it goes on where it was"
            )


@contextmanager
def redriving(config: Config, outside: Outside, reason: str | None) -> Iterator[Redriving]:
    """A redrive of the dead letters: a new one, or the one that an earlier call has left.

    Args:
        config: The configuration.
        outside: What is outside.
        reason: Only letters that were refused for this; None: all.

    Raises:
        UsageError: Dead letters go to a topic, or an unfinished redrive was asked for otherwise.
        LockHeld: Another process redrives.
        BridgeError: The folder, the spool, the ledger or the configuration's schemas cannot be used.
    """
    directory = letters_directory(config)
    spool = open_spool(config, outside)
    with ExitStack() as stack:
        stack.enter_context(spool.lock("redrive").acquire(0, outside.clock))
        replay, undelivered = _left(spool, reason)
        for one in [*undelivered, *([replay] if replay else [])]:
            stack.enter_context(_own(spool, one.record.name, outside.clock))
        found = look_through(directory, reason)
        if found.files:  # they can be replaced in one step, or this raises
            FolderDeadLetters(directory, spool.temporary_directory)
        registry = Registry(config.schema_registry, outside.clock) if config.schema_registry else None
        if registry is not None:
            stack.callback(registry.close)
        yield Redriving(
            config=config,
            outside=outside,
            spool=spool,
            reason=reason,
            found=found,
            undelivered=undelivered,
            replay=replay,
            judge=LetterJudge(config, registry, outside.topic_ids, judged_beside(config)),
            locks=stack,
            tally=RedriveTally(left=found.letters),
        )


def _own(spool: Spool, name: str, clock: Clock) -> Lock:
    """The lock of a replay: no `replay --cancel` takes it away meanwhile."""
    return spool.lock(f"replay-{name}").acquire(0, clock)


def letters_directory(config: Config) -> Path:
    """The folder of dead letters.

    Raises:
        UsageError: They go to a topic.
    """
    settings = config.dead_letters
    if settings.topic is not None:
        raise UsageError(
            f"dead_letters.topic {settings.topic}: dead letters are in this topic: read it with Kafka's own "
            f"tools, and produce its events to their own topics again"
        )
    return settings.directory


def _left(spool: Spool, reason: str | None) -> tuple[Replay | None, list[Replay]]:
    """What earlier calls have left: the redrive to go on with, and those that are read and not delivered.

    Raises:
        UsageError: The one to go on with was asked for otherwise: letters that it has taken may be in their
            files still, and would be taken again.
    """
    states = known_states(spool)
    redrives = [one for one in spool.replays.all() if _ASKED in _asked(one)]
    reading = next((one for one in redrives if one.record.state is ReplayState.READING), None)
    if reading is not None and _asked(reading) != _request(reason):
        raise UsageError(
            f"{reading.record.name}: an earlier redrive is not finished: first call it as it was, "
            f"{_options(reading)}"
        )
    read = [one for one in redrives if one.record.state is ReplayState.READ]
    return reading, [one for one in read if unsent(held(one), states)]


def _asked(replay: Replay) -> Mapping[str, object]:
    asked = replay.record.parameters["asked"]
    return asked if isinstance(asked, dict) else {}


def _request(reason: str | None) -> dict[str, object]:
    return {_ASKED: {"reason": reason}}


def _options(replay: Replay) -> str:
    asked = _asked(replay)[_ASKED]
    reason = asked.get("reason") if isinstance(asked, dict) else None
    return "without --reason" if reason is None else f"with --reason {reason}"
