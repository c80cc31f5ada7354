from collections import Counter
from dataclasses import dataclass, replace
from datetime import UTC, datetime

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from bridge.clock import DAY, HOUR, MINUTE, SECOND
from bridge.config import QuotaSettings
from bridge.deliver import quota
from bridge.deliver.quota import Attempt, Closed, Reason, Room

MIDNIGHT = int(datetime(2026, 11, 1, tzinfo=UTC).timestamp()) * SECOND
NOON = MIDNIGHT + 12 * HOUR
MB = 1_000_000


def limits(**changes):
    values = {
        "files_per_hour": 3,
        "bytes_per_day": 100 * MB,
        "max_file_bytes": 40 * MB,
        "guard": 30 * SECOND,
        "replay_share": 0.25,
        "removals_reserve": 0.05,
    }
    return QuotaSettings(**(values | changes))


def attempt(start, end, size=MB, **more):
    return Attempt(started_at=start, ended_at=end, bytes=size, replay=more.pop("replay", False), **more)


def test_an_unused_account_has_room_for_all_but_the_reserve():
    """At first the hour's files are there; the largest file is max_file_bytes."""
    room = quota.room(limits(), [], NOON + 5 * MINUTE, 0)
    assert room == Room(
        files=3,
        bytes=40 * MB,
        least=5 * MB,
        removals_bytes=40 * MB,
        removals_least=MB,
        bytes_reset_at=MIDNIGHT + DAY + 30 * SECOND,
    )


@pytest.mark.parametrize("offset", [0, 30 * SECOND - 1, HOUR - 30 * SECOND, HOUR - 1])
def test_no_upload_starts_within_the_guard_of_a_reset(offset):
    """Before and after the hour's reset the account is closed until the guard after it has passed."""
    closed = quota.room(limits(), [], NOON + offset, 0)
    reset = NOON if offset < HOUR // 2 else NOON + HOUR
    assert closed == Closed(until=reset + 30 * SECOND, reason=Reason.GUARD)


@pytest.mark.parametrize("offset", [30 * SECOND, HOUR - 30 * SECOND - 1])
def test_an_upload_may_start_right_outside_the_guard(offset):
    """The guard is no wider than it says."""
    assert isinstance(quota.room(limits(), [], NOON + offset, 0), Room)


@pytest.mark.parametrize("skew", [-2 * MINUTE, 2 * MINUTE])
def test_the_skew_widens_the_guard(skew):
    """A server two minutes off, either way, closes two minutes more around each reset."""
    closed = quota.room(limits(), [], NOON + 2 * MINUTE, skew)
    assert closed == Closed(until=NOON + 2 * MINUTE + 30 * SECOND, reason=Reason.GUARD)


def test_a_server_hours_off_widens_by_five_minutes_only():
    """A skew of hours must not stop us."""
    assert quota.effective_guard(limits(), 7 * HOUR) == 5 * MINUTE + 30 * SECOND
    assert isinstance(quota.room(limits(), [], NOON + 6 * MINUTE, -7 * HOUR), Room)


def test_the_hours_files_close_the_account_until_the_guard_after_the_hour():
    """The fourth file of an hour with three waits for the reset."""
    attempts = [attempt(NOON + at * MINUTE, NOON + at * MINUTE + SECOND) for at in (1, 2, 3)]
    assert isinstance(quota.room(limits(), attempts[:2], NOON + 5 * MINUTE, 0), Room)
    closed = quota.room(limits(), attempts, NOON + 5 * MINUTE, 0)
    assert closed == Closed(until=NOON + HOUR + 30 * SECOND, reason=Reason.FILES)


@pytest.mark.parametrize(
    ("ended", "counts"),
    [(-31 * SECOND, 0), (-30 * SECOND, 1), (-SECOND, 1), (SECOND, 1), (None, 1)],
)
def test_an_upload_that_may_span_a_reset_counts_in_both_hours(ended, counts):
    """It counts in the new hour if it ended within the guard before it, after it, or is in progress."""
    crossing = attempt(NOON - 5 * MINUTE, None if ended is None else NOON + ended)
    assert quota.usage(limits(), [crossing], NOON - MINUTE, 0).files_used == 1
    assert quota.usage(limits(), [crossing], NOON + MINUTE, 0).files_used == counts


def test_an_upload_over_midnight_is_charged_to_both_days():
    """Its bytes count in the day of its start and in the day of its end."""
    crossing = attempt(MIDNIGHT - HOUR, MIDNIGHT + HOUR, 40 * MB)
    assert quota.usage(limits(), [crossing], MIDNIGHT - MINUTE, 0).bytes_used == 40 * MB
    assert quota.usage(limits(), [crossing], MIDNIGHT + 20 * HOUR, 0).bytes_used == 40 * MB


def test_a_clock_set_back_keeps_what_was_counted_under_the_measured_skew():
    """Uploads of a clock that ran 5 minutes ahead, into the next hour, still count in the server's hour."""
    early = attempt(NOON + 3 * MINUTE, NOON + 4 * MINUTE, skew=-5 * MINUTE)
    assert quota.usage(limits(), [early], NOON - 2 * MINUTE, 0).files_used == 1


def test_general_files_leave_the_reserve_to_removals():
    """At 95 of 100 MB only removals go, up to the day's last byte."""
    spent = [attempt(MIDNIGHT + at * HOUR, MIDNIGHT + at * HOUR + SECOND, 19 * MB) for at in range(1, 6)]
    room = quota.room(limits(), spent, NOON + MINUTE, 0)
    assert isinstance(room, Room)
    assert (room.bytes, room.removals_bytes) == (0, 5 * MB)


def test_one_byte_below_the_day_is_room_for_one_byte():
    """The day's bytes are used to the last one, and closed then until the guard after midnight."""
    spent = attempt(MIDNIGHT + HOUR, MIDNIGHT + HOUR + SECOND, 100 * MB - 1)
    room = quota.room(limits(), [spent], NOON + MINUTE, 0)
    assert isinstance(room, Room)
    assert (room.bytes, room.removals_bytes) == (0, 1)
    closed = quota.room(limits(), [replace(spent, bytes=100 * MB)], NOON + MINUTE, 0)
    assert closed == Closed(until=MIDNIGHT + DAY + 30 * SECOND, reason=Reason.BYTES)


@pytest.mark.parametrize("size", [4_000_000_000 - 1, 4_000_000_000])
def test_no_file_is_above_max_file_bytes(size):
    """However many bytes are left of the day."""
    room = quota.room(limits(bytes_per_day=5_000_000_000, max_file_bytes=size), [], NOON + MINUTE, 0)
    assert isinstance(room, Room)
    assert (room.bytes, room.removals_bytes) == (size, size)


def test_replays_get_their_share_while_live_data_waits():
    """Of three files an hour at least one, of the day's bytes a quarter; alone, all files."""
    now = NOON + 10 * MINUTE
    room = quota.room(limits(), [], now, 0, replay=True, live_waits=True)
    assert isinstance(room, Room)
    assert (room.files, room.bytes) == (1, 25 * MB)
    replayed = [attempt(NOON + MINUTE, NOON + 2 * MINUTE, replay=True)]
    closed = quota.room(limits(), replayed, now, 0, replay=True, live_waits=True)
    assert closed == Closed(until=NOON + HOUR + 30 * SECOND, reason=Reason.REPLAY_FILES)
    assert isinstance(quota.room(limits(), replayed, now, 0, replay=True), Room)
    assert isinstance(quota.room(limits(), replayed, now, 0, live_waits=True), Room)


def test_replays_share_of_bytes_is_the_days():
    """A quarter of the day replayed: no more replays today while live data waits."""
    replayed = [attempt(MIDNIGHT + HOUR, MIDNIGHT + 2 * HOUR, 25 * MB, replay=True)]
    closed = quota.room(limits(), replayed, NOON + MINUTE, 0, replay=True, live_waits=True)
    assert closed == Closed(until=MIDNIGHT + DAY + 30 * SECOND, reason=Reason.REPLAY_BYTES)


def test_a_replays_file_always_fits_its_share_again():
    """Built while nothing live waits, it is no larger than what it may be once live data waits."""
    room = quota.room(limits(), [], NOON + MINUTE, 0, replay=True)
    assert isinstance(room, Room)
    assert (room.files, room.bytes) == (3, 25 * MB)


def test_a_refusal_closes_the_account_until_its_reset():
    """Closed by the server means closed, whatever we counted; usage shows the window as used up."""
    closed_until = quota.closing(limits(), NOON + 20 * MINUTE, 0, HOUR)
    assert closed_until == NOON + HOUR
    closed = quota.room(limits(), [], NOON + 21 * MINUTE, 0, closed_until)
    assert closed == Closed(until=NOON + HOUR + 30 * SECOND, reason=Reason.REFUSED)
    used = quota.usage(limits(), [], NOON + 21 * MINUTE, 0, closed_until)
    assert (used.files_used, used.bytes_used) == (3, 0)
    assert isinstance(quota.room(limits(), [], NOON + HOUR + 30 * SECOND, 0, closed_until), Room)


def test_a_refusal_near_a_reset_closes_the_servers_hour():
    """The server may be in the next hour already: that one is closed."""
    assert quota.closing(limits(), NOON - 10 * SECOND, 0, HOUR) == NOON + HOUR


def test_a_day_that_counts_as_spent_shows_no_bytes_left():
    """After a lost ledger both windows are used up until midnight."""
    closed_until = quota.closing(limits(), NOON, 0, DAY)
    used = quota.usage(limits(), [], NOON, 0, closed_until)
    assert (used.files_used, used.bytes_used) == (3, 100 * MB)


@dataclass(frozen=True)
class Server:
    """Counts an upload in every window that any moment of it lies in, by a clock of its own."""

    skew: int

    def worst(self, attempts, length):
        """The most files and the most bytes of any one window of `length`."""
        files, size = Counter(), Counter()
        for one in attempts:
            first = (one.started_at + self.skew) // length
            last = (one.ended_at + self.skew) // length
            files.update(range(first, last + 1))
            size.update(dict.fromkeys(range(first, last + 1), one.bytes))
        return max(files.values(), default=0), max(size.values(), default=0)


STEP = st.tuples(
    st.sampled_from([0, 0, SECOND, MINUTE, 20 * MINUTE]),  # until the next try
    st.integers(0, 3 * HOUR)
    | st.integers(0, MINUTE)
    | st.integers(-MINUTE, -1),  # how long; below 0: see `ends`
    st.booleans(),  # of removals alone
    st.booleans(),  # replayed
)


def ends(now, lasting):
    """When an upload of this length ends; a negative one ends so long around the next reset."""
    if lasting >= 0:
        return now + lasting
    return max(now, (now // HOUR + 1) * HOUR + 2 * lasting + MINUTE)


@settings(max_examples=100, deadline=None)
@given(
    start=st.integers(20 * HOUR, DAY),
    skew=st.sampled_from([-30 * SECOND, 30 * SECOND]) | st.integers(-30 * SECOND, 30 * SECOND),
    measured=st.sampled_from([0, 0, 0, 20 * SECOND, -9 * HOUR]),
    files=st.integers(1, 4),
    parallel=st.integers(1, 3),
    part=st.sampled_from([0, 0.01, 1]),  # of the room that each file uses
    steps=st.lists(STEP, min_size=20, max_size=120),
)
def test_whatever_starts_in_its_room_the_servers_count_stays_within_the_limits(
    *, start, skew, measured, files, parallel, part, steps
):
    """Greedy uploads of any length, any moment of counting, a server's clock off by up to the guard."""
    account = limits(files_per_hour=files)
    now = MIDNIGHT + start
    done = []
    for pause, lasting, removals, replayed in steps:
        replay = replayed
        now += pause
        busy = sorted(one.ended_at for one in done if one.ended_at > now)
        now = busy[-parallel] if len(busy) >= parallel else now
        seen = [one if one.ended_at <= now else replace(one, ended_at=None) for one in done]
        room = quota.room(account, seen, now, measured, replay=replay, live_waits=True)
        if replay and isinstance(room, Closed):
            replay, room = False, quota.room(account, seen, now, measured)
        if isinstance(room, Closed):
            assert room.until > now
            now = room.until
            continue
        size = int((room.removals_bytes if removals else room.bytes) * part)
        done.append(attempt(now, ends(now, lasting), size, replay=replay))
    server = Server(skew)
    assert server.worst(done, HOUR)[0] <= files
    assert server.worst(done, DAY)[1] <= account.bytes_per_day


@settings(max_examples=100, deadline=None)
@given(
    now=st.integers(MIDNIGHT, MIDNIGHT + 2 * DAY),
    skew=st.integers(-10 * MINUTE, 10 * MINUTE),
    spent=st.lists(
        st.tuples(st.integers(-DAY, DAY), st.integers(0, HOUR), st.integers(0, 40 * MB)), max_size=12
    ),
)
def test_asking_again_when_told_always_leads_to_room(now, skew, spent):
    """An account that uploads nothing opens within a day and its guard, in a few askings."""
    attempts = [attempt(now + at - HOUR, now + at - HOUR + lasting, size) for at, lasting, size in spent]
    assume(all(one.ended_at <= now for one in attempts))
    begun = now
    for _ in range(30):
        room = quota.room(limits(), attempts, now, skew)
        if isinstance(room, Room):
            break
        assert room.until > now
        now = room.until
    assert isinstance(room, Room)
    assert now - begun <= DAY + 6 * MINUTE
