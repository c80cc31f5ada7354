"""How much an account may upload now: files by the UTC hour, bytes by the UTC day (design.md, invariant 4).

Pure: settings, attempts and the time in, a decision out. The server's clock is the judge, and ours differs
from it by at most the effective guard: the configured one, widened by the skew that was measured. So

- no upload starts within the guard of a reset, on either side;
- an attempt counts in every window that it touches when it is widened by the guard at both ends: whatever
  moment between its start and its end the server counts a file by, it is counted in that window here.

Instants are epoch milliseconds, durations milliseconds.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from math import ceil

from bridge.clock import DAY, HOUR, MINUTE
from bridge.config import QuotaSettings

WIDEST = 5 * MINUTE
"""A skew widens the guard by no more: a server whose clock is hours off must not stop us."""

WORTHWHILE = 20
"""No slot for a part of a general file smaller than one in so many of the day's bytes."""

WORTHWHILE_REMOVALS = 100
"""The same for files of removals alone."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Attempt:
    """One attempt to upload a file that counts: those given back are not handed in."""

    started_at: int
    """Before connecting."""
    ended_at: int | None
    """After the last answer; None: in progress."""
    bytes: int
    """Size of the file, counted in full however far the attempt came."""
    replay: bool
    """The file held replayed data alone."""
    skew: int = 0
    """Server's clock minus ours as this attempt measured it: it outlives a later measurement."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Usage:
    """What an account has used of its windows."""

    files_used: int
    """Attempts that count in this hour."""
    files_limit: int
    """Files an hour."""
    files_reset_at: int
    """End of this UTC hour."""
    bytes_used: int
    """Bytes of the attempts that count in this day."""
    bytes_limit: int
    """Bytes a day."""
    bytes_reset_at: int
    """End of this UTC day."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Room:
    """One upload may start now, of these sizes."""

    files: int
    """Uploads left in this hour; at least 1."""
    bytes: int
    """Largest file that may go; 0: none but removals."""
    least: int
    """A part of a larger delivery is worth a slot from this size on."""
    removals_bytes: int
    """Largest file of removals alone; at least `bytes`, and at least 1."""
    removals_least: int
    """`least` for files of removals alone."""
    bytes_reset_at: int
    """When the day's bytes are there again, the guard after the reset included."""


class Reason(StrEnum):
    """Why no upload may start."""

    GUARD = "guard"
    """A reset is too near."""
    REFUSED = "refused"
    """The server refused for quota, or the ledger was lost: the window counts as spent."""
    FILES = "files"
    """The hour's files are used."""
    BYTES = "bytes"
    """The day's bytes are used."""
    REPLAY_FILES = "replay_files"
    """Replays have had their share of the hour's files while live data waits, or the last one is live's."""
    REPLAY_BYTES = "replay_bytes"
    """Replays have had their share of the day's bytes while live data waits, or the rest is kept for it."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Closed:
    """No upload may start."""

    until: int
    """Ask again then; the guard after a reset is included. REPLAY_BYTES may end earlier."""
    reason: Reason
    """What closed it."""


@dataclass(frozen=True, kw_only=True, slots=True)
class _Kept:
    """What a replay leaves live data of the day's bytes while none waits."""

    bytes: int
    """No file of a replay goes into so many of the bytes left."""
    general: int
    """The same for general files."""
    of_day: int
    """`general` as it is when the day begins."""


def effective_guard(settings: QuotaSettings, skew: int) -> int:
    """The guard, widened by the skew (server's clock minus ours), by at most `WIDEST`."""
    return settings.guard + min(abs(skew), WIDEST)


def guarded_until(settings: QuotaSettings, now: int, skew: int) -> int | None:
    """When the guard around a reset ends; None: no reset is near.

    Ask again once the skew of an upload just begun is known: it may show that a reset is near after all.
    """
    guard = effective_guard(settings, skew)
    hour = _start(now, HOUR)
    if now < hour + guard:
        return hour + guard
    if now + guard >= hour + HOUR:
        return hour + HOUR + guard
    return None


def closing(settings: QuotaSettings, now: int, skew: int, window: int) -> int:
    """Until when a refusal at `now` closes the account; `window` is HOUR (files) or DAY (bytes).

    The server may be in the next window already: its clock is up to the guard ahead of ours.
    """
    return _start(now + effective_guard(settings, skew), window) + window


def counted_since(now: int) -> int:
    """Attempts that ended before this count in no window that matters at `now`: to replays yesterday does."""
    return _start(now, DAY) - DAY - HOUR


def of_day(settings: QuotaSettings, attempts: Iterable[Attempt], now: int, skew: int) -> list[Attempt]:
    """The attempts whose bytes count in the day of `now`."""
    guard = effective_guard(settings, skew)
    return _touching(settings, attempts, now, guard, start=_start(now, DAY), length=DAY)


def general_bytes(settings: QuotaSettings) -> int:
    """The day's bytes that are for general files; the others are kept for files of removals alone."""
    return settings.bytes_per_day - _reserve(settings)


def usage(
    settings: QuotaSettings, attempts: Iterable[Attempt], now: int, skew: int, closed_until: int = 0
) -> Usage:
    """What is used of the hour and the day of `now`; a closed window counts as used up."""
    hour, day = _start(now, HOUR), _start(now, DAY)
    guard = effective_guard(settings, skew)
    counted = list(attempts)
    files = len(_touching(settings, counted, now, guard, start=hour, length=HOUR))
    size = sum(attempt.bytes for attempt in of_day(settings, counted, now, skew))
    if closed_until >= hour + HOUR:
        files = max(files, settings.files_per_hour)
    if closed_until >= day + DAY:
        size = max(size, settings.bytes_per_day)
    return Usage(
        files_used=files,
        files_limit=settings.files_per_hour,
        files_reset_at=hour + HOUR,
        bytes_used=size,
        bytes_limit=settings.bytes_per_day,
        bytes_reset_at=day + DAY,
    )


def room(
    settings: QuotaSettings,
    attempts: Sequence[Attempt],
    now: int,
    skew: int,
    closed_until: int = 0,
    *,
    replay: bool = False,
    live_waits: bool = False,
    known_since: int | None = None,
) -> Room | Closed:
    """What may be uploaded now.

    Of the day's bytes the part `removals_reserve` is for files of removals alone. A replay gets, while live
    data waits, at most the part `replay_share` of the hour's files, at least one, and of the day's bytes.
    While none waits, it leaves live data one more file of the hour, and the bytes that live used in the rest
    of the day yesterday, or, where that is unknown, what live has not used yet of the day's other part. One
    file of each hour is live's, unless the hour has a single one. No file of a replay is larger than its
    part of the day, or a begun one might never fit again once live data waits.

    A `replay_share` of 0 gives replays nothing while live data waits. While none waits their part is then
    the least that is worth a slot, or an account that only replays would never send anything.

    Args:
        settings: What the account is allowed.
        attempts: Those since `counted_since`.
        now: The time.
        skew: Server's clock minus ours.
        closed_until: Until when the account counts as spent.
        replay: Asked for a replay.
        live_waits: Live data waits in the account.
        known_since: When its first attempt on record began; None: there is none. Yesterday is known if that
            was a day ago.
    """
    guard = effective_guard(settings, skew)
    nearest = guarded_until(settings, now, skew)
    if closed_until > now:
        return Closed(until=closed_until + guard, reason=Reason.REFUSED)
    if nearest is not None:
        return Closed(until=nearest, reason=Reason.GUARD)
    used = usage(settings, attempts, now, skew)
    whole = _whole(settings, used, guard)
    if isinstance(whole, Closed) or not replay:
        return whole
    if live_waits:
        replayed = usage(settings, [attempt for attempt in attempts if attempt.replay], now, skew)
        return _share(settings, whole, replayed, guard)
    live = [attempt for attempt in attempts if not attempt.replay]
    if known_since is not None and known_since <= now - DAY:
        kept = _kept_as_yesterday(settings, live, now, guard)
    else:
        kept = _kept_unknown(settings, usage(settings, live, now, skew))
    return _beside(settings, whole, used, kept, guard)


def _whole(settings: QuotaSettings, used: Usage, guard: int) -> Room | Closed:
    """What is left of the hour and the day."""
    files = settings.files_per_hour - used.files_used
    left = settings.bytes_per_day - used.bytes_used
    if files <= 0:
        return Closed(until=used.files_reset_at + guard, reason=Reason.FILES)
    if left <= 0:
        return Closed(until=used.bytes_reset_at + guard, reason=Reason.BYTES)
    reserve = _reserve(settings)
    largest = min(settings.max_file_bytes, settings.bytes_per_day)
    return Room(
        files=files,
        bytes=max(0, min(left - reserve, largest)),
        least=min(settings.bytes_per_day // WORTHWHILE, settings.bytes_per_day - reserve, largest),
        removals_bytes=min(left, largest),
        removals_least=min(settings.bytes_per_day // WORTHWHILE_REMOVALS, largest),
        bytes_reset_at=used.bytes_reset_at + guard,
    )


def _share(settings: QuotaSettings, whole: Room, replayed: Usage, guard: int) -> Room | Closed:
    """What of the whole room a replay may have while live data waits."""
    part = min(int(settings.files_per_hour * settings.replay_share), settings.files_per_hour - 1)
    files = max(1, part) - replayed.files_used
    if files <= 0:
        return Closed(until=replayed.files_reset_at + guard, reason=Reason.REPLAY_FILES)
    ceiling = int(settings.bytes_per_day * settings.replay_share)
    left = ceiling - replayed.bytes_used
    if left <= 0:
        return Closed(until=whole.bytes_reset_at, reason=Reason.REPLAY_BYTES)
    return replace(_capped(_capped(whole, ceiling), left, least=False), files=min(files, whole.files))


def _beside(settings: QuotaSettings, whole: Room, used: Usage, kept: _Kept, guard: int) -> Room | Closed:
    """What of the whole room a replay may have while no live data waits.

    A part is worth a slot if it is all that the day began with: on days of much live data none is larger.
    """
    files = whole.files if settings.files_per_hour == 1 else whole.files - 1
    left = settings.bytes_per_day - used.bytes_used
    if files <= 0:
        return Closed(until=used.files_reset_at + guard, reason=Reason.REPLAY_FILES)
    if left <= kept.bytes:
        return Closed(until=whole.bytes_reset_at, reason=Reason.REPLAY_BYTES)
    capped = _capped(whole, _replays_part(settings))
    return replace(
        capped,
        files=files,
        bytes=max(0, min(capped.bytes, left - kept.general)),
        least=min(capped.least, max(settings.bytes_per_day - kept.of_day, capped.removals_least)),
        removals_bytes=min(capped.removals_bytes, left - kept.bytes),
    )


def _kept_as_yesterday(settings: QuotaSettings, live: Sequence[Attempt], now: int, guard: int) -> _Kept:
    """The bytes of the live attempts that counted yesterday, from this time of the day on.

    They may go in general files again, which have no use of the reserve for removals: it is kept beside them.
    """
    day, reserve = _start(now, DAY), _reserve(settings)

    def counted(start: int) -> int:
        touching = _touching(settings, live, now, guard, start=start, length=day - start)
        return sum(attempt.bytes for attempt in touching)

    rest = counted(now - DAY)
    return _Kept(bytes=rest, general=rest + reserve, of_day=counted(day - DAY) + reserve)


def _kept_unknown(settings: QuotaSettings, lived: Usage) -> _Kept:
    """What live has not used yet of the day less the replays' part; the reserve for removals is in it."""
    part = settings.bytes_per_day - _replays_part(settings)
    rest = max(0, part - lived.bytes_used)
    return _Kept(bytes=rest, general=rest, of_day=part)


def _reserve(settings: QuotaSettings) -> int:
    """The day's bytes that are kept for files of removals alone."""
    return ceil(settings.bytes_per_day * settings.removals_reserve)


def _replays_part(settings: QuotaSettings) -> int:
    """The day's bytes that are the replays' while no live data waits, and the largest file of one."""
    return int(settings.bytes_per_day * settings.replay_share) or settings.bytes_per_day // WORTHWHILE


def _capped(whole: Room, ceiling: int, *, least: bool = True) -> Room:
    """The room for files up to `ceiling` bytes, and, if asked, with what is worth a slot capped too."""
    return replace(
        whole,
        bytes=min(whole.bytes, ceiling),
        removals_bytes=min(whole.removals_bytes, ceiling),
        least=min(whole.least, ceiling) if least else whole.least,
        removals_least=min(whole.removals_least, ceiling) if least else whole.removals_least,
    )


def _touching(
    settings: QuotaSettings, attempts: Iterable[Attempt], now: int, guard: int, *, start: int, length: int
) -> list[Attempt]:
    """The attempts that count in the window from `start`."""
    touching: list[Attempt] = []
    for attempt in attempts:
        reach = max(guard, effective_guard(settings, attempt.skew))
        ended = max(now, attempt.started_at) if attempt.ended_at is None else attempt.ended_at
        first, last = sorted((attempt.started_at, ended))  # a clock that was set back ends before it starts
        if first - reach < start + length and last + reach >= start:
            touching.append(attempt)
    return touching


def _start(now: int, window: int) -> int:
    """Start of the UTC hour or day of `now`."""
    return now - now % window
