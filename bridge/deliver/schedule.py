"""Which audience of an account delivers next (design.md, invariants 4 and 7).

Pure: what waits and what room there is in, a decision out; the deliverer carries it out and asks again.

1. An audience is due when its oldest undelivered membership was read `roll.max_age` ago, or its file is
   expected to reach `roll.max_bytes`; when draining, all are.
2. Who has waited longest goes first: since its oldest membership was read, or since its last turn. A failed
   attempt is a turn, so others go between two attempts of one file, and none goes twice before each that
   was due by then has gone once.
3. Live data is never behind a replay: a replay goes where nothing live may go now, within its share of the
   quota. It is due as soon as all of it is read.
4. A file that was begun is finished before its audience delivers anything else. One that was built and not
   begun is uploaded too, but where it does not fit, its audience delivers anew; and a replay's makes way for
   live data of its audience that is due.
5. Where the account waits for confirmation, an audience begins nothing new while one of its files is neither
   confirmed nor rejected: on a platform that loads out of order it could undo something newer.
6. No slot is spent on a sliver: a delivery begins when there is room for twice what is expected of it, or
   for a part worth a slot (`Room.least`). Where there is not, its removals go alone, as far as bytes are
   kept for them.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from bridge.audience.audience import Audience
from bridge.clock import HOUR, SECOND
from bridge.config import RollSettings
from bridge.deliver.quota import Closed, Room

ATTEMPTS = 3
"""Attempts a file an hour, without those given back: they reached nothing."""

SMALLEST = 16 * 1024
"""Room that any small delivery is given: bytes for a header, gzip's frame and one long user."""

PAUSES = (5 * SECOND, 20 * SECOND, 80 * SECOND, 320 * SECOND)
"""Milliseconds after the first, second, third and each further failure in a row, before jitter."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Waiting:
    """An audience with undelivered memberships: live ones, or those of one replay."""

    audience: Audience
    """Whose they are."""
    memberships: int
    """How many rows of runs wait."""
    expected_bytes: int
    """Size of their file, estimated."""
    oldest_read_at: int
    """When the oldest of them was read; of a replay, when it was made."""
    served_at: int | None
    """When a file of the audience was last uploaded; None: never."""
    replay: str
    """Id of their replay; empty: they are live."""
    has_removals: bool
    """Among them are removals that no file of removals alone has carried yet."""
    unconfirmed: bool = False
    """An earlier file of the audience has to be confirmed or rejected first."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Unfinished:
    """A file that is built and not yet uploaded."""

    name: str
    """Its remote name."""
    audience: Audience
    """Whose it is."""
    bytes: int
    """Its size."""
    begun: bool
    """Some of it may have reached the server: its bytes and name are frozen."""
    replay: str
    """Id of the replay that it is a file of; empty: it holds live data."""
    removals_only: bool
    """It holds removals alone."""
    built_at: int
    """When it was built."""
    tried_at: int | None
    """When its last attempt ended; None: never tried."""
    attempts_this_hour: int
    """Its attempts in this UTC hour, without those given back."""
    next_try_at: int
    """No attempt before this; `retry_at` gives it."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Rooms:
    """What the account's quota allows now: `quota.room`, asked for both kinds."""

    live: Room | Closed
    """For live data."""
    replay: Room | Closed
    """For replays."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Deliver:
    """Build an audience's next file and upload it; one of it that was not begun is discarded first."""

    audience: Audience
    """Whose turn it is."""
    max_bytes: int
    """The file may not be larger."""
    removals_only: bool
    """Only its removals."""
    replay: str
    """Id of the replay whose memberships these are; empty: the live ones."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Retry:
    """Upload a file that is built."""

    name: str
    """Its remote name."""


class Reason(StrEnum):
    """Why nothing is delivered now."""

    NOTHING = "nothing"
    """Nothing waits, or what waits has no time yet at which it can go."""
    NOT_DUE = "not_due"
    """The next audience is not due yet."""
    PAUSE = "pause"
    """A file that failed is in its pause."""
    QUOTA = "quota"
    """The account's quota is closed; `quota.Closed` says why."""
    DAY = "day"
    """The bytes left of the day are too few for what waits."""
    CONFIRMATION = "confirmation"
    """The audience's last file is neither confirmed nor rejected."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Wait:
    """Nothing can be delivered now."""

    until: int | None
    """Ask again then, or when something new waits; None: only when something new waits."""
    reason: Reason
    """What the wait is for."""


@dataclass(frozen=True, kw_only=True, slots=True)
class _Turn:
    """A place in the queue: an audience's live data, one of its replays, or its file."""

    since: int
    replay: bool
    waiting: Waiting | None
    file: Unfinished | None


def live_waits(waiting: Sequence[Waiting], unfinished: Sequence[Unfinished]) -> bool:
    """Live data waits: replays get no more than their share."""
    return any(not one.replay for one in waiting) or any(not one.replay for one in unfinished)


def due_at(waiting: Waiting, roll: RollSettings) -> int:
    """When an audience is due: at once by size or as a replay, else by age."""
    if waiting.replay or waiting.expected_bytes >= roll.max_bytes:
        return waiting.oldest_read_at
    return waiting.oldest_read_at + roll.max_age


def ready_at(now: int, file: Unfinished) -> int:
    """When a file's next attempt is allowed: after its pause, in an hour that has attempts left for it."""
    hour_end = now - now % HOUR + HOUR
    return max(file.next_try_at, hour_end if file.attempts_this_hour >= ATTEMPTS else 0)


def retry_at(failures: Sequence[int], jitter: float) -> int:
    """When a file whose attempts failed at these ascending times, at least one, may be tried again.

    Pauses grow, each by up to a half longer by `jitter` (0 to 1).
    """
    pause = PAUSES[min(len(failures), len(PAUSES)) - 1]
    return failures[-1] + pause + int(pause * jitter / 2)


def decide(
    now: int,
    waiting: Sequence[Waiting],
    unfinished: Sequence[Unfinished],
    rooms: Rooms,
    roll: RollSettings,
    *,
    drain: bool = False,
) -> Deliver | Retry | Wait:
    """What the account does next.

    An audience has at most one unfinished file, and waits at most once with live data and with each replay.
    """
    files = {one.audience: one for one in unfinished}
    waits: list[Wait] = []
    for turn in sorted(_turns(waiting, files), key=_place):
        action = _attempt(now, turn, rooms, roll, drain=drain)
        if not isinstance(action, Wait):
            return action
        waits.append(action)
    timed = [wait for wait in waits if wait.until is not None]
    confirmation = any(wait.reason is Reason.CONFIRMATION for wait in waits)
    untimed = Wait(until=None, reason=Reason.CONFIRMATION if confirmation else Reason.NOTHING)
    return min(timed, key=lambda wait: wait.until or 0, default=untimed)


def _turns(waiting: Sequence[Waiting], files: Mapping[Audience, Unfinished]) -> list[_Turn]:
    """A turn for all that waits and for each file, but for what has to wait for another's file."""
    turns: list[_Turn] = []
    taken: set[str] = set()
    for one in waiting:
        file = files.get(one.audience)
        if file is not None and file.replay != one.replay:
            if one.replay:
                continue
            if not file.begun:  # it makes way for live data, which goes first
                file = None
        if file is not None:
            taken.add(file.name)
        since = max(one.oldest_read_at, one.served_at or one.oldest_read_at)
        turns.append(_Turn(since=_since(since, file), replay=bool(one.replay), waiting=one, file=file))
    return turns + [
        _Turn(since=_since(file.built_at, file), replay=bool(file.replay), waiting=None, file=file)
        for file in files.values()
        if file.name not in taken
    ]


def _since(since: int, file: Unfinished | None) -> int:
    """Since when an audience waits for its turn: the last attempt of its file was one."""
    return since if file is None or file.tried_at is None else max(since, file.tried_at)


def _place(turn: _Turn) -> tuple[bool, int, Audience]:
    """The order of the queue; the audience only breaks ties."""
    holder = turn.waiting or turn.file
    assert holder is not None
    return (turn.replay, turn.since, holder.audience)


def _attempt(
    now: int, turn: _Turn, rooms: Rooms, roll: RollSettings, *, drain: bool
) -> Deliver | Retry | Wait:
    """What an audience does when it is asked in its turn."""
    room = rooms.replay if turn.replay else rooms.live
    if turn.file is None:
        assert turn.waiting is not None
        return _fresh(now, turn.waiting, room, roll, drain=drain)
    retry = _again(now, turn.file, room)
    if isinstance(retry, Retry) or turn.file.begun or turn.waiting is None or retry.reason is not Reason.DAY:
        return retry
    return _fresh(now, turn.waiting, room, roll, drain=drain)


def _again(now: int, file: Unfinished, room: Room | Closed) -> Retry | Wait:
    """Upload a built file, if it may be tried and fits."""
    ready = ready_at(now, file)
    if now < ready:
        return Wait(until=ready, reason=Reason.PAUSE)
    if isinstance(room, Closed):
        return Wait(until=room.until, reason=Reason.QUOTA)
    if file.bytes > (room.removals_bytes if file.removals_only else room.bytes):
        return Wait(until=room.bytes_reset_at, reason=Reason.DAY)
    return Retry(name=file.name)


def _fresh(
    now: int, waiting: Waiting, room: Room | Closed, roll: RollSettings, *, drain: bool
) -> Deliver | Wait:
    """Begin a delivery or its next part, if the audience is due and the room is worth a slot."""
    due = due_at(waiting, roll)
    if now < due and not drain:
        return Wait(until=due, reason=Reason.NOT_DUE)
    if waiting.unconfirmed:
        return Wait(until=None, reason=Reason.CONFIRMATION)
    if isinstance(room, Closed):
        return Wait(until=room.until, reason=Reason.QUOTA)
    enough = max(2 * waiting.expected_bytes, SMALLEST)
    if room.bytes > 0 and room.bytes >= min(enough, room.least):
        return Deliver(
            audience=waiting.audience, max_bytes=room.bytes, removals_only=False, replay=waiting.replay
        )
    kept = room.removals_bytes
    if waiting.has_removals and kept > 0 and kept >= min(enough, room.removals_least):
        return Deliver(audience=waiting.audience, max_bytes=kept, removals_only=True, replay="")
    return Wait(until=room.bytes_reset_at, reason=Reason.DAY)
