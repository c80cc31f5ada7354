from collections import Counter
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from itertools import cycle
from math import ceil

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


@pytest.mark.failure(54)
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


@pytest.mark.failure(54)
@pytest.mark.parametrize("skew", [-2 * MINUTE, 2 * MINUTE])
def test_the_skew_widens_the_guard(skew):
    """A server two minutes off, either way, closes two minutes more around each reset."""
    closed = quota.room(limits(), [], NOON + 2 * MINUTE, skew)
    assert closed == Closed(until=NOON + 2 * MINUTE + 30 * SECOND, reason=Reason.GUARD)


@pytest.mark.failure(54)
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


@pytest.mark.failure(55)
@pytest.mark.parametrize(
    ("ended", "counts"),
    [(-31 * SECOND, 0), (-30 * SECOND, 1), (-SECOND, 1), (SECOND, 1), (None, 1)],
)
def test_an_upload_that_may_span_a_reset_counts_in_both_hours(ended, counts):
    """It counts in the new hour if it ended within the guard before it, after it, or is in progress."""
    crossing = attempt(NOON - 5 * MINUTE, None if ended is None else NOON + ended)
    assert quota.usage(limits(), [crossing], NOON - MINUTE, 0).files_used == 1
    assert quota.usage(limits(), [crossing], NOON + MINUTE, 0).files_used == counts


@pytest.mark.failure(55)
def test_an_upload_over_midnight_is_charged_to_both_days():
    """Its bytes count in the day of its start and in the day of its end."""
    crossing = attempt(MIDNIGHT - HOUR, MIDNIGHT + HOUR, 40 * MB)
    assert quota.usage(limits(), [crossing], MIDNIGHT - MINUTE, 0).bytes_used == 40 * MB
    assert quota.usage(limits(), [crossing], MIDNIGHT + 20 * HOUR, 0).bytes_used == 40 * MB


@pytest.mark.failure(54)
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


@pytest.mark.failure(57)
def test_one_byte_below_the_day_is_room_for_one_byte():
    """The day's bytes are used to the last one, and closed then until the guard after midnight."""
    spent = attempt(MIDNIGHT + HOUR, MIDNIGHT + HOUR + SECOND, 100 * MB - 1)
    room = quota.room(limits(), [spent], NOON + MINUTE, 0)
    assert isinstance(room, Room)
    assert (room.bytes, room.removals_bytes) == (0, 1)
    closed = quota.room(limits(), [replace(spent, bytes=100 * MB)], NOON + MINUTE, 0)
    assert closed == Closed(until=MIDNIGHT + DAY + 30 * SECOND, reason=Reason.BYTES)


@pytest.mark.failure(57)
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
    assert (room.files, room.bytes) == (2, 25 * MB)


LATER = NOON + 10 * MINUTE
LONG_AGO = MIDNIGHT - 9 * DAY


def beside(attempts, now=LATER, known_since=LONG_AGO, **changes):
    """What a replay may have at ten past twelve while nothing live waits."""
    account = limits(**({"max_file_bytes": 100 * MB} | changes))
    return quota.room(account, attempts, now, 0, replay=True, known_since=known_since)


def sizes(room):
    assert isinstance(room, Room)
    return room.bytes, room.removals_bytes


@pytest.mark.parametrize(
    ("started", "ended", "kept"),
    [
        (-2 * MINUTE, -30 * SECOND - 1, 0),
        (-2 * MINUTE, -30 * SECOND, 30 * MB),
        (-2 * MINUTE, MINUTE, 30 * MB),
        (HOUR, 2 * HOUR, 30 * MB),
    ],
)
def test_what_live_used_in_the_rest_of_yesterday_is_kept_for_it(started, ended, kept):
    """From this time of the day on, widened by the guard, and beside the reserve; not what replays used."""
    yesterday = attempt(LATER - DAY + started, LATER - DAY + ended, 30 * MB)
    assert sizes(beside([yesterday], replay_share=1)) == (95 * MB - kept, 100 * MB - kept)
    assert sizes(beside([replace(yesterday, replay=True)], replay_share=1)) == (95 * MB, 100 * MB)


@pytest.mark.failure(55)
@pytest.mark.parametrize("ended", [MIDNIGHT + HOUR, None])
def test_a_live_upload_over_midnight_is_kept_for_too(ended):
    """It counts today, and it counted yesterday: as much may go over the next midnight."""
    crossing = attempt(MIDNIGHT - HOUR, ended, 30 * MB)
    assert sizes(beside([crossing], replay_share=1)) == (35 * MB, 40 * MB)


@pytest.mark.parametrize(("since", "known"), [(LATER - DAY, True), (LATER - DAY + 1, False), (None, False)])
def test_yesterday_is_known_from_a_day_after_the_first_attempt(since, known):
    """Before that, and where there was none, replays get their share of the day and no more."""
    replayed = [attempt(MIDNIGHT + HOUR, MIDNIGHT + HOUR + SECOND, 25 * MB, replay=True)]
    assert sizes(beside([], known_since=since)) == (25 * MB, 25 * MB)
    more = beside(replayed, known_since=since)
    if known:
        assert sizes(more) == (25 * MB, 25 * MB)
    else:
        assert more == Closed(until=MIDNIGHT + DAY + 30 * SECOND, reason=Reason.REPLAY_BYTES)


@pytest.mark.parametrize(
    ("lived", "room"),
    [(0, (20 * MB, 20 * MB)), (60 * MB, (20 * MB, 20 * MB)), (80 * MB, (10 * MB, 15 * MB))],
)
def test_of_an_unknown_day_live_keeps_its_part_until_it_has_used_it(lived, room):
    """Of the day's 75 MB; 5 MB are replayed. Once live has had more, all that is left is there for both."""
    attempts = [
        attempt(MIDNIGHT + HOUR, MIDNIGHT + HOUR + SECOND, 5 * MB, replay=True),
        attempt(MIDNIGHT + HOUR, MIDNIGHT + HOUR + SECOND, lived),
    ]
    found = beside(attempts, known_since=None)
    assert sizes(found) == room
    assert found.least == 5 * MB


@pytest.mark.parametrize(("files", "replays"), [(1, 1), (2, 1), (20, 19)])
def test_one_file_of_the_hour_is_kept_for_live(files, replays):
    """Unless there is only one; while none waits it is a further one, however many live has had."""
    room = beside([], files_per_hour=files)
    assert isinstance(room, Room)
    assert room.files == replays
    uploads = [attempt(NOON + MINUTE, NOON + 2 * MINUTE, MB, replay=bool(at % 2)) for at in range(replays)]
    closed = beside(uploads, files_per_hour=files)
    reason = Reason.FILES if files == 1 else Reason.REPLAY_FILES
    assert closed == Closed(until=NOON + HOUR + 30 * SECOND, reason=reason)


def test_where_live_leaves_less_than_is_worth_a_slot_this_is_worth_one():
    """Live used 92 of 100 MB yesterday: the 3 that it leaves may go, or a replay would wait for ever."""
    yesterday = [attempt(LATER - DAY, LATER - DAY + SECOND, 92 * MB)]
    fresh = beside(yesterday, MIDNIGHT + MINUTE)
    assert isinstance(fresh, Room)
    assert (fresh.bytes, fresh.least, fresh.removals_bytes) == (3 * MB, 3 * MB, 8 * MB)
    evening = beside([replace(yesterday[0], started_at=NOON, ended_at=NOON)])
    assert isinstance(evening, Room)
    assert (evening.bytes, evening.least) == (3 * MB, 5 * MB)
    same = attempt(NOON - HOUR, NOON, 46 * MB)
    halves = [same] + [replace(same, started_at=at, ended_at=at) for at in (NOON - DAY, LATER - DAY)]
    half_over = beside(halves)
    assert isinstance(half_over, Room)
    assert (half_over.bytes, half_over.least) == (3 * MB, 3 * MB)
    full = beside([replace(yesterday[0], bytes=95 * MB - 1)], MIDNIGHT + MINUTE)
    assert isinstance(full, Room)
    assert (full.bytes, full.least) == (1, MB)  # a sliver is worth none


def test_replays_wait_where_all_that_is_left_is_kept_for_live():
    """Today's reset is the latest: as the day goes on, less is kept."""
    yesterday = [attempt(LATER - DAY, LATER - DAY + SECOND, 100 * MB)]
    closed = beside(yesterday, MIDNIGHT + MINUTE)
    assert closed == Closed(until=MIDNIGHT + DAY + 30 * SECOND, reason=Reason.REPLAY_BYTES)
    assert sizes(beside(yesterday, LATER + MINUTE)) == (25 * MB, 25 * MB)


def test_where_live_leaves_the_reserve_a_replays_removals_go():
    """Live used 97 of 100 MB yesterday: the 3 that it leaves lie in the reserve."""
    yesterday = [attempt(LATER - DAY, LATER - DAY + SECOND, 97 * MB)]
    assert sizes(beside(yesterday, MIDNIGHT + MINUTE)) == (0, 3 * MB)


def test_a_share_of_nothing_goes_only_while_no_live_data_waits():
    """In files of the least that is worth a slot; of an unknown day that is all, of a known one not."""
    account = limits(replay_share=0)
    closed = quota.room(account, [], LATER, 0, replay=True, live_waits=True, known_since=LONG_AGO)
    assert closed == Closed(until=MIDNIGHT + DAY + 30 * SECOND, reason=Reason.REPLAY_BYTES)
    replayed = [attempt(MIDNIGHT + HOUR, MIDNIGHT + HOUR + SECOND, 5 * MB, replay=True)]
    assert sizes(beside([], known_since=None, replay_share=0)) == (5 * MB, 5 * MB)
    assert sizes(beside(replayed, replay_share=0)) == (5 * MB, 5 * MB)
    assert isinstance(beside(replayed, known_since=None, replay_share=0), Closed)


@pytest.mark.parametrize("waits", [True, False])
def test_a_share_of_all_leaves_live_a_file_and_the_reserve(waits):
    """Replays may have the day's bytes; the hour's files but one."""
    account = limits(replay_share=1, max_file_bytes=100 * MB)
    room = quota.room(account, [], LATER, 0, replay=True, live_waits=waits)
    assert isinstance(room, Room)
    assert (room.files, room.bytes) == (2, 95 * MB)


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


@pytest.mark.failure(53)
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


@pytest.mark.failure(54, 55)
@settings(max_examples=100)
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


@settings(max_examples=100)
@given(
    now=st.integers(MIDNIGHT, MIDNIGHT + 2 * DAY),
    skew=st.integers(-10 * MINUTE, 10 * MINUTE),
    spent=st.lists(
        st.tuples(st.integers(-DAY, DAY), st.integers(0, HOUR), st.integers(0, 40 * MB)), max_size=12
    ),
    replay=st.booleans(),
    since=st.none() | st.integers(LONG_AGO, MIDNIGHT),
)
def test_asking_again_when_told_always_leads_to_room(*, now, skew, spent, replay, since):
    """An account that uploads nothing opens within a day and its guard, in a few askings.

    To replays within two: live may have used all of the first, and as much is kept for it on the next.
    """
    attempts = [attempt(now + at - HOUR, now + at - HOUR + lasting, size) for at, lasting, size in spent]
    assume(all(one.ended_at <= now for one in attempts))
    begun = now
    for _ in range(30):
        room = quota.room(limits(), attempts, now, skew, replay=replay, known_since=since)
        if isinstance(room, Room):
            break
        assert room.until > now
        now = room.until
    assert isinstance(room, Room)
    assert now - begun <= (2 if replay else 1) * DAY + 6 * MINUTE


ACCOUNTS = st.builds(
    limits,
    files_per_hour=st.integers(1, 30),
    bytes_per_day=st.integers(MB, 5_000 * MB),
    max_file_bytes=st.integers(1, 4_000 * MB),
    guard=st.integers(0, 19 * MINUTE),
    replay_share=st.sampled_from([0, 0.25, 1]) | st.floats(0, 1),
    removals_reserve=st.sampled_from([0, 0.05]) | st.floats(0, 1, exclude_max=True),
)

ATTEMPTS = st.lists(
    st.builds(
        attempt,
        st.integers(LATER - 40 * HOUR, LATER),
        st.none() | st.integers(LATER - 39 * HOUR, LATER),
        st.integers(0, 20 * MB) | st.integers(0, 2_000 * MB),
        replay=st.booleans(),
        skew=st.sampled_from([0, 0, MINUTE]),
    ),
    max_size=30,
)

MOMENTS = st.integers(MIDNIGHT, LATER)
RECORDS = st.none() | st.integers(LONG_AGO, LATER)


def used_by_live(attempts, since, until, reach):
    """Bytes of the live attempts that any moment from `since` to `until` may have seen, off by `reach`."""
    return sum(
        one.bytes
        for one in attempts
        if not one.replay
        and min(one.started_at, one.ended_at or LATER) - reach < until
        and max(one.started_at, one.ended_at or LATER) + reach >= since
    )


@settings(max_examples=200)
@given(account=ACCOUNTS, attempts=ATTEMPTS, now=MOMENTS, waits=st.booleans(), since=RECORDS)
def test_a_replay_never_gets_more_than_there_is(*, account, attempts, now, waits, since):
    """Whatever live data may not have now, no replay has; nor a room that holds less than it says."""
    whole = quota.room(account, attempts, now, 0)
    room = quota.room(account, attempts, now, 0, replay=True, live_waits=waits, known_since=since)
    if isinstance(whole, Closed):
        assert room == whole
    elif isinstance(room, Closed):
        assert now < room.until <= whole.bytes_reset_at
    else:
        assert 1 <= room.files <= whole.files
        assert 0 <= room.bytes <= whole.bytes
        assert max(1, room.bytes) <= room.removals_bytes <= whole.removals_bytes


@settings(max_examples=200)
@given(account=ACCOUNTS, attempts=ATTEMPTS, now=MOMENTS, since=RECORDS)
def test_attempts_that_ended_before_they_count_change_no_room(*, account, attempts, now, since):
    """The ledger is asked for those since `counted_since` alone."""
    told = [
        one
        for one in attempts
        if one.ended_at is None or max(one.started_at, one.ended_at) >= quota.counted_since(now)
    ]
    for more in ({}, {"replay": True, "known_since": since}, {"replay": True, "live_waits": True}):
        assert quota.room(account, told, now, 0, **more) == quota.room(account, attempts, now, 0, **more)


@pytest.mark.parametrize("ended", [LATER - DAY, MIDNIGHT - SECOND])
def test_yesterdays_attempts_are_asked_for(ended):
    """They have no part in what is used today; what a replay leaves is counted by them."""
    assert quota.counted_since(LATER) <= ended


@settings(max_examples=200)
@given(account=ACCOUNTS, attempts=ATTEMPTS, now=MOMENTS, since=st.integers(LONG_AGO, MIDNIGHT - DAY))
def test_what_live_used_in_the_rest_of_yesterday_fits_beside_a_replay(*, account, attempts, now, since):
    """In general files too, if it fitted before the replay had its room; where it did not, no replay goes."""
    room = quota.room(account, attempts, now, 0, replay=True, known_since=since)
    assume(isinstance(room, Room))
    left = account.bytes_per_day - quota.usage(account, attempts, now, 0).bytes_used
    rest = used_by_live(attempts, now - DAY, MIDNIGHT, 0)
    assert rest <= left - room.removals_bytes
    if room.bytes:
        assert rest <= left - room.bytes - account.bytes_per_day * account.removals_reserve


@settings(max_examples=200)
@given(account=ACCOUNTS, attempts=ATTEMPTS, now=MOMENTS, waits=st.booleans(), since=RECORDS)
def test_one_file_of_the_hour_is_lives(*, account, attempts, now, waits, since):
    """Replays never come to all of an hour's files, but where it has one alone."""
    assume(account.files_per_hour > 1)
    room = quota.room(account, attempts, now, 0, replay=True, live_waits=waits, known_since=since)
    assume(isinstance(room, Room))
    replayed = quota.usage(account, [one for one in attempts if one.replay], now, 0).files_used
    assert replayed + room.files < account.files_per_hour
    if not waits:
        used = quota.usage(account, attempts, now, 0).files_used
        assert used + room.files < account.files_per_hour


@settings(max_examples=200)
@given(account=ACCOUNTS, attempts=ATTEMPTS, offset=st.integers(0, 20 * MINUTE), since=RECORDS)
def test_an_empty_day_has_room_for_a_replay(*, account, attempts, offset, since):
    """All that live and the reserve leave of it: no setting shuts replays out, nor makes them wait for more.

    What is begun then always fits its share again.
    """
    now = MIDNIGHT + account.guard + offset
    yesterday = [one for one in attempts if one.ended_at and max(one.started_at, one.ended_at) < MIDNIGHT]
    assume(not quota.usage(account, yesterday, now, 0).bytes_used)
    room = quota.room(account, yesterday, now, 0, replay=True, known_since=since)
    known = since is not None and since <= now - DAY
    kept = used_by_live(yesterday, MIDNIGHT - DAY, MIDNIGHT, MINUTE + account.guard) if known else 0
    spare = account.bytes_per_day - ceil(account.bytes_per_day * account.removals_reserve) - kept
    assume(spare > 0)
    assert isinstance(room, Room)
    assert room.bytes > 0
    assert room.bytes >= room.least or spare < room.removals_least
    if int(account.bytes_per_day * account.replay_share):
        waits = quota.room(account, [], now, 0, replay=True, live_waits=True)
        assert isinstance(waits, Room)
        assert room.bytes <= waits.bytes
        assert room.removals_bytes <= waits.removals_bytes


@settings(max_examples=100)
@given(
    hours=st.lists(
        st.tuples(st.integers(0, 49), st.integers(0, 9), st.integers(0, 7 * MB)), min_size=24, max_size=24
    ),
    share=st.floats(0, 1),
    part=st.floats(0.1, 1),
    pauses=st.lists(st.integers(10 * MINUTE, HOUR), min_size=1, max_size=9),
)
def test_a_day_of_live_data_like_yesterday_fits_beside_greedy_replays(*, hours, share, part, pauses):
    """Whatever replays take while nothing live waits, each live file of yesterday goes again at its time."""
    account = limits(replay_share=share)
    assume(sum(size for _, _, size in hours) <= 95 * MB)
    live = [
        attempt(
            MIDNIGHT + hour * HOUR + (5 + at) * MINUTE,
            MIDNIGHT + hour * HOUR + (5 + at + lasting) * MINUTE,
            size,
        )
        for hour, (at, lasting, size) in enumerate(hours)
    ]
    done = [replace(one, started_at=one.started_at - DAY, ended_at=one.ended_at - DAY) for one in live]
    now, waits = MIDNIGHT, cycle(pauses)
    for one in live:
        now += next(waits)
        while now < one.started_at:
            room = quota.room(account, done, now, 0, replay=True, known_since=LONG_AGO)
            if isinstance(room, Room):
                done.append(attempt(now, now, int(room.bytes * part), replay=True))
            now += next(waits)
        room = quota.room(account, done, one.started_at, 0)
        assert isinstance(room, Room)
        assert room.bytes >= one.bytes
        done.append(one)
        now = one.ended_at
