"""What is expected of the coming hours: when each audience is served, and whether the day's bytes last.

Pure: what `status` tells in, expectations out, for the instant at which it was asked (`Status.at`). The queue
is the deliverer's own: `schedule.decide` is asked as the deliverer asks it, with the room that `quota.room`
gives, on a clock that jumps from one decision to the next. Stated simplifications:

- uploads succeed and take no time, and files are as large as the schedule expects; the platform confirms
  them at once, but for those that it is asked about now: when it does is not known;
- what is read later is not counted: an audience that is served goes behind all that wait now, and what is
  read later is not due by age before any of them is. It may go earlier only where it is due by size.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum

from bridge.audience.audience import Audience
from bridge.clock import DAY, HOUR
from bridge.config import Config, QuotaSettings, RollSettings
from bridge.deliver import quota
from bridge.deliver.quota import Attempt, Closed, Room, general_bytes, of_day, room
from bridge.deliver.schedule import (
    Deliver,
    Retry,
    Rooms,
    Unfinished,
    Wait,
    Waiting,
    decide,
    due_at,
    live_waits,
    ready_at,
)
from bridge.service.telling.status import AccountStatus, Status

AHEAD = 36 * HOUR
"""How far is looked: a reset of the day's bytes is in it, and half a day after it."""


class Hold(StrEnum):
    """What an audience waits for until its slot."""

    AGE = "age"
    """Its memberships are to be older, or its file larger: it is not due before."""
    GUARD = "guard"
    """A reset is too near."""
    FILES = "files"
    """The hour's files are used."""
    BYTES = "bytes"
    """The day's bytes are used, or too few are left for its file."""
    REFUSED = "refused"
    """The account counts as spent, by the server's word or a lost ledger."""
    PAUSE = "pause"
    """A file of it failed, and is tried again."""
    CONFIRMATION = "confirmation"
    """Its last file is neither confirmed nor rejected, and its account waits for that."""
    NO_ACCOUNT = "no_account"
    """Its account is configured no more: nobody delivers it."""


_HOLDS = {
    quota.Reason.GUARD: Hold.GUARD,
    quota.Reason.REFUSED: Hold.REFUSED,
    quota.Reason.FILES: Hold.FILES,
    quota.Reason.BYTES: Hold.BYTES,
    quota.Reason.REPLAY_FILES: Hold.FILES,
    quota.Reason.REPLAY_BYTES: Hold.BYTES,
}


@dataclass(frozen=True, kw_only=True, slots=True)
class Slot:
    """When an audience that waits is served."""

    at: int | None
    """When its file is expected to be uploaded, epoch ms; None: not within `AHEAD`."""
    hold: Hold
    """What it waits for until then."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Point:
    """A point of a curve of bytes by time."""

    at: int
    """Epoch ms."""
    bytes: int
    """Of the day, up to then."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Outlook:
    """An account's day."""

    account: str
    """Its name."""
    sent: tuple[Point, ...]
    """What was used so far: from the day's start on, a point at the end of each attempt, the last one now."""
    ahead: tuple[Point, ...]
    """What is expected: from now to the reset, flat from `exhausted_at` on."""
    limit: int
    """The day's bytes."""
    general: int
    """Those of them that are for general files; the others are kept for removals."""
    resets_at: int
    """The day's end, epoch ms."""
    rate: int
    """Bytes an hour of live data, over `basis`."""
    basis: int
    """How long the rate was measured: the day so far as far as it is on record, at least an hour; ms."""
    expected: int
    """Bytes that will be asked for by the reset, whatever the limit is: those used; as many more as the rate
    gives, or as wait now, whichever is more; and what waits of replays, up to their share."""
    exhausted_at: int | None
    """When the bytes for general files are used up, epoch ms; None: not before the reset."""


def slots(status: Status, config: Config) -> dict[Audience, Slot]:
    """When each audience that waits is expected to be served."""
    found: dict[Audience, Slot] = {}
    for account in status.accounts:
        found |= _Queue.of(account, status, config).slots()
    return {
        one.audience: found.get(one.audience, Slot(at=None, hold=Hold.NO_ACCOUNT)) for one in status.audiences
    }


def rest_of_day(status: Status, config: Config) -> tuple[Outlook, ...]:
    """What each account is expected to use of its day, in the order of the configuration."""
    return tuple(_outlook(account, status, config) for account in status.accounts)


@dataclass(kw_only=True, slots=True)
class _Queue:
    """An account's deliverer, on a clock of its own."""

    settings: QuotaSettings
    roll: RollSettings
    skew: int
    closed_until: int
    known_since: int | None
    asked_at: int
    now: int
    waiting: dict[tuple[Audience, str], Waiting]
    """By audience and replay."""
    unfinished: dict[str, Unfinished]
    attempts: list[Attempt]
    found: dict[Audience, Slot] = field(default_factory=dict)
    holds: dict[Audience, Hold] = field(default_factory=dict)

    @classmethod
    def of(cls, account: AccountStatus, status: Status, config: Config) -> "_Queue":
        live = [one.waiting for one in status.audiences if one.audience.account == account.name]
        since = 0 if account.replays else status.at - status.at % DAY - HOUR  # yesterday matters to replays
        return cls(
            settings=config.account(account.name).quota,
            roll=config.roll,
            skew=account.skew,
            closed_until=account.closed_until or 0,
            known_since=account.known_since,
            asked_at=status.at,
            now=status.at,
            waiting={(one.audience, one.replay): one for one in (*live, *account.replays)},
            unfinished={one.name: one for one in account.unfinished},
            attempts=[one for one in account.attempts if _ended(one) >= since],
        )

    def slots(self) -> dict[Audience, Slot]:
        """The first slot of each audience's live data."""
        wanted = {audience: one for (audience, replay), one in self.waiting.items() if not replay}
        while len(self.found) < len(wanted):
            rooms = self._rooms()
            match decide(self.now, [*self.waiting.values()], [*self.unfinished.values()], rooms, self.roll):
                case Deliver() as decision:
                    self._deliver(decision)
                case Retry(name=name):
                    self._retry(self.unfinished.pop(name))
                case Wait(until=until):
                    if until is not None and isinstance(rooms.live, Closed):
                        until = max(until, rooms.live.until)  # nothing can go before
                    self._hold(rooms.live, self.now if until is None else until)
                    if until is None or until > self.asked_at + AHEAD:
                        break
                    self._pass(max(until, self.now + 1))
        return {audience: self.found.get(audience, self._slot(audience, None)) for audience in wanted}

    def _pass(self, now: int) -> None:
        """Time passes; with a new hour files have their attempts again."""
        if now // HOUR > self.now // HOUR:
            self.unfinished = {
                name: replace(file, attempts_this_hour=0) for name, file in self.unfinished.items()
            }
        self.now = now

    def _rooms(self) -> Rooms:
        live = self._room(replay=False)
        replays = any(replay for _, replay in self.waiting) or any(
            one.replay for one in self.unfinished.values()
        )
        return Rooms(live=live, replay=self._room(replay=True) if replays else live)

    def _room(self, *, replay: bool) -> Room | Closed:
        return room(
            self.settings,
            self.attempts,
            self.now,
            self.skew,
            self.closed_until,
            replay=replay,
            live_waits=live_waits([*self.waiting.values()], [*self.unfinished.values()]),
            known_since=self.known_since,
        )

    def _deliver(self, decision: Deliver) -> None:
        """A file, or the first of several; one of the audience that was not begun is discarded."""
        whose = (decision.audience, decision.replay)
        waiting = self.waiting[whose]
        self._discard(decision.audience)
        size = max(1, min(waiting.expected_bytes, decision.max_bytes))
        left = replace(waiting, expected_bytes=waiting.expected_bytes - size, served_at=self.now)
        if decision.removals_only:  # what else waits of the audience goes on waiting
            self.waiting[whose] = replace(waiting, has_removals=False, served_at=self.now)
        elif left.expected_bytes > 0:
            self.waiting[whose] = left
        else:
            del self.waiting[whose]
        self._spend(size, replay=bool(decision.replay))
        if not (decision.replay or decision.removals_only):
            self._note(waiting.audience)

    def _retry(self, file: Unfinished) -> None:
        """The file arrives, and takes with it what waits: how much came after it is not known."""
        self._spend(file.bytes, replay=bool(file.replay))
        if file.removals_only:
            return
        waiting = self.waiting.pop((file.audience, file.replay), None)
        if waiting is not None and not file.replay:
            self._note(waiting.audience)

    def _discard(self, audience: Audience) -> None:
        for name in [one.name for one in self.unfinished.values() if one.audience == audience]:
            del self.unfinished[name]

    def _spend(self, size: int, *, replay: bool) -> None:
        self.attempts.append(
            Attempt(started_at=self.now, ended_at=self.now, bytes=size, replay=replay, skew=self.skew)
        )

    def _note(self, audience: Audience) -> None:
        """The audience's slot, if it had none before."""
        self.found.setdefault(audience, self._slot(audience, self.now))

    def _slot(self, audience: Audience, at: int | None) -> Slot:
        return Slot(at=at, hold=self.holds.get(audience, Hold.AGE))

    def _hold(self, live: Room | Closed, until: int) -> None:
        """Nothing goes before `until`: why not, for each audience that would.

        The guard only lengthens another wait.
        """
        paused = {file.audience for file in self.unfinished.values() if ready_at(self.now, file) > self.now}
        closed = _HOLDS[live.reason] if isinstance(live, Closed) else Hold.BYTES
        for (audience, replay), one in self.waiting.items():
            if replay or not (audience in paused or one.unconfirmed or due_at(one, self.roll) < until):
                continue
            hold = Hold.PAUSE if audience in paused else Hold.CONFIRMATION if one.unconfirmed else closed
            if hold is not Hold.GUARD or audience not in self.holds:
                self.holds[audience] = hold


def _outlook(account: AccountStatus, status: Status, config: Config) -> Outlook:
    settings, used, at = config.account(account.name).quota, account.usage, status.at
    day, general = used.bytes_reset_at - DAY, general_bytes(settings)
    since = min(max(day, account.known_since or day), at - HOUR)
    live = sum(one.bytes for one in account.attempts if not one.replay and since < _ended(one) <= at)
    rate = live * HOUR // (at - since)
    more = max(rate * (used.bytes_reset_at - at) // HOUR, _live_bytes(account.name, status))
    expected = used.bytes_used + more + _replay_bytes(account, settings, at)
    start = Point(at=at, bytes=used.bytes_used)
    exhausted_at = _crossing(start, Point(at=used.bytes_reset_at, bytes=expected), general)
    return Outlook(
        account=account.name,
        sent=(*_curve(of_day(settings, account.attempts, at, account.skew), day, at), start),
        ahead=_ahead(start, used.bytes_reset_at, expected, general, exhausted_at),
        limit=settings.bytes_per_day,
        general=general,
        resets_at=used.bytes_reset_at,
        rate=rate,
        basis=at - since,
        expected=expected,
        exhausted_at=exhausted_at,
    )


def _live_bytes(account: str, status: Status) -> int:
    """What waits of live data."""
    return sum(one.waiting.expected_bytes for one in status.audiences if one.audience.account == account)


def _replay_bytes(account: AccountStatus, settings: QuotaSettings, at: int) -> int:
    """What waits of replays, up to what is left of their share while live data waits."""
    replayed = [one for one in account.attempts if one.replay]
    used = sum(one.bytes for one in of_day(settings, replayed, at, account.skew))
    left = max(0, int(settings.bytes_per_day * settings.replay_share) - used)
    return min(left, sum(one.expected_bytes for one in account.replays))


def _curve(attempts: Sequence[Attempt], day: int, at: int) -> Iterator[Point]:
    """The bytes used, from the day's start on."""
    total = 0
    yield Point(at=day, bytes=0)
    for attempt in sorted(attempts, key=_ended):
        total += attempt.bytes
        yield Point(at=min(max(_ended(attempt), day), at), bytes=total)


def _ended(attempt: Attempt) -> int:
    """When it counts: at its end, or, while it goes on, its start."""
    return attempt.started_at if attempt.ended_at is None else max(attempt.started_at, attempt.ended_at)


def _crossing(start: Point, end: Point, limit: int) -> int | None:
    """When the straight line reaches the limit; None: not before its end."""
    if start.bytes >= limit:
        return start.at
    if end.bytes <= limit:
        return None
    return start.at + (end.at - start.at) * (limit - start.bytes) // (end.bytes - start.bytes)


def _ahead(
    start: Point, resets_at: int, expected: int, general: int, exhausted_at: int | None
) -> tuple[Point, ...]:
    if exhausted_at is None:
        return (start, Point(at=resets_at, bytes=expected))
    top = max(general, start.bytes)
    return (start, Point(at=exhausted_at, bytes=top), Point(at=resets_at, bytes=top))
