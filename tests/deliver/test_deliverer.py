"""The deliverer alone: what it does with the quota, with failures, and with what it cannot judge."""

import random
import threading
import uuid
from dataclasses import replace
from itertools import pairwise

import polars as pl
import pytest

from bridge.clock import DAY, HOUR, MINUTE, SECOND
from bridge.deliver.file_state import FileState
from tests.parts import oracle
from tests.parts.audiences import DISPLAY
from tests.parts.delivering import EVENT_TIME, START, Fault, Killed, Site, Write, user_id

ACME = replace(DISPLAY, client="Acme")
MOBILE = replace(DISPLAY, mobile=True)


def crowd(count, seed=1):
    """Different users, whose lines do not compress well."""
    rng = random.Random(seed)
    return [rng.getrandbits(62) + 1 for _ in range(count)]


def failing(*faults):
    """The faults of the next uploads, in order; then none."""
    left = list(faults)
    return lambda _: left.pop(0) if left else None


def states(site):
    """State of each file by name."""
    return {file.name: file.state for file in site.ledger.files()}


def test_when_the_days_bytes_are_spent_removals_still_go(tmp_path):
    """Removals alone go from their reserve, the adds follow another day; the state is right after each."""
    site = Site(tmp_path, bytes_per_day="1MB")
    users = sorted(crowd(80_000))
    site.give(*(Write(user, 7) for user in users))
    site.arrives()
    first, last = users[0], users[-1]
    assert site.of(first) == {7}
    assert site.of(last) == set()
    day = site.clock.now() // DAY
    site.give(
        Write(first, 8),
        Write(first, 7, -1),
        Write(users[1], 0),
        Write(users[2], 0),
        Write(users[2], 9),
        Write(last, 6, -1),
    )
    before = site.state()
    site.arrives(2)  # who is behind most goes first: users who found no room, then those who did
    assert site.clock.now() // DAY == day
    (audience,) = before
    gone = {user_id(user) for user in users[:2]}
    expected = {user: held for user, held in before[audience].items() if user not in gone}
    assert site.state() == {audience: expected}
    site.arrives()
    assert site.clock.now() // DAY == day + 1
    site.deliver()
    assert site.of(first) == {8}
    assert site.of(users[2]) == {9}
    assert site.of(last) == {7}
    assert site.differences() == []


def test_removals_go_ahead_once(tmp_path):
    """A removal that went ahead is not sent ahead again; newer ones are, until the reserve is spent."""
    site = Site(tmp_path, bytes_per_day="1MB")
    users = sorted(crowd(80_000))
    site.give(*(Write(user, 7) for user in users))
    site.arrives()
    for user in users[:3]:
        site.give(Write(user, 7, -1))
        site.arrives()
        rows = oracle.read(site.remote.arrived[-1]).rows
        assert rows == [(user_id(user), False, [("7", -1)])]
    assert site.clock.now() < START + DAY // 2
    site.deliver()
    assert site.differences() == []


def test_an_attempt_that_reached_nobody_costs_nothing(tmp_path):
    """Refused connections are given back: the quota stays whole, and the file goes when somebody answers."""
    site = Site(tmp_path, files_per_hour=2)
    site.give(Write(1, 7))
    site.remote.fault = failing(*[Fault.UNREACHABLE] * 5)
    site.until(lambda: len(site.remote.tried) == 5)
    assert site.counted() == ()
    assert set(states(site).values()) == {FileState.BUILT}
    assert len({name for _, name in site.remote.tried}) == 1
    pauses = [later - earlier for (earlier, _), (later, _) in pairwise(site.remote.tried)]
    assert all(later > earlier for earlier, later in pairwise(pauses))
    site.arrives()
    assert len(site.counted()) == 1
    assert site.differences() == []


def test_while_nobody_answers_newer_removals_join(tmp_path):
    """A file that was built and not begun makes way for a delivery that holds what came since."""
    site = Site(tmp_path)
    site.give(Write(1, 7), Write(2, 7))
    site.remote.fault = failing(Fault.UNREACHABLE)
    site.until(lambda: site.remote.tried)
    site.give(Write(1, 7, -1))
    site.deliver()
    assert site.differences() == []
    assert site.of(1) == set()


def test_a_file_is_tried_three_times_an_hour_with_others_between(tmp_path):
    """Cut uploads are spent: three of a file an hour; who is due goes before its next attempt."""
    site = Site(tmp_path, max_age=0, files_per_hour=1000)
    site.give(Write(1, 7, audience=ACME))
    cuts = [4]

    def fault(name):
        if "Acme" not in name or not cuts[0]:
            return None
        cuts[0] -= 1
        return Fault.CUT

    def tries_now():
        hour = site.clock.now() // HOUR
        return sum("Acme" in name and at // HOUR == hour for at, name in site.remote.tried)

    site.remote.fault = fault
    for number in range(1000):
        if not cuts[0]:
            break
        site.give(Write(number + 1, 8))
        while site.deliverer.step() == 0:
            pass
        site.clock.move(4 * SECOND if tries_now() < 3 else 10 * MINUTE)
    site.deliver()
    tries = site.remote.tried
    of_acme = [(at, name) for at, name in tries if "Acme" in name]
    hours = [at // HOUR for at, _ in of_acme]
    assert len(of_acme) == 5
    assert max(map(hours.count, hours)) == 3
    assert len({name for _, name in of_acme}) == 1
    for earlier, later in pairwise(of_acme):
        assert tries.index(later) - tries.index(earlier) > 1
    assert site.differences() == []


@pytest.mark.failure(45)
def test_a_file_whose_reply_was_lost_is_found_and_not_sent_again(tmp_path):
    """Outcome unknown: the slot is spent, the next look finds the file, the audience goes on behind it."""
    site = Site(tmp_path)
    site.give(Write(1, 7))
    site.remote.fault = failing(Fault.REPLY_LOST)
    site.arrives()
    (name,) = states(site)
    assert states(site)[name] is FileState.UPLOADING
    assert len(site.counted()) == 1
    site.until(lambda: states(site)[name] is FileState.UPLOADED)
    assert len(site.remote.arrived) == 1
    assert len(site.counted()) == 1
    site.give(Write(1, 7, -1))
    site.deliver()
    assert len(site.remote.arrived) == 2
    assert site.differences() == []


@pytest.mark.parametrize("harm", ["flipped", "cut", "gone"])
def test_a_damaged_built_file_is_delivered_anew(tmp_path, harm):
    """Its bytes never leave; the same memberships go under another name."""
    site = Site(tmp_path)
    site.give(Write(1, 7), Write(2, 8))
    site.remote.fault = failing(Fault.UNREACHABLE)
    site.until(lambda: site.remote.tried)
    (built,) = site.spool.files_directory.iterdir()
    whole = built.read_bytes()
    if harm == "gone":
        built.unlink()
    else:
        built.write_bytes(whole[:-9] if harm == "cut" else whole[:-9] + b"x" + whole[-8:])
    site.deliver()
    assert states(site)[built.name] is FileState.FAILED
    assert [path.name for path in site.remote.arrived] != [built.name]
    assert site.differences() == []
    assert list(site.spool.files_directory.iterdir()) == []


@pytest.mark.failure(50)
@pytest.mark.parametrize("taken_away", [False, True])
def test_killed_between_upload_and_mark_one_duplicate_at_most(tmp_path, taken_away):
    """The attempt left open counts; the file is found, or, where the platform took it, sent once more."""
    site = Site(tmp_path)
    site.remote.takes_away = taken_away
    site.give(Write(1, 7), Write(2, 0))
    site.remote.fault = failing(Fault.KILLED)
    with pytest.raises(Killed):
        site.arrives()
    assert site.restart() == 1
    site.give(Write(1, 7, -1), Write(1, 8))
    site.deliver()
    arrived = [path.name for path in site.remote.arrived]
    assert len(arrived) == 2 + taken_away
    assert len(site.counted()) == 2 + taken_away
    first = [path.read_bytes() for path in site.remote.arrived if path.name == arrived[0]]
    assert len(set(first)) == 1
    assert site.differences() == []


def test_stamps_never_repeat(tmp_path):
    """Of one series, over audiences, discarded and damaged files and restarts: each name is new."""
    site = Site(tmp_path, files_per_hour=1000)
    dice = random.Random(3)
    for round_ in range(40):
        site.give(*(Write(user, 7 + round_, audience=dice.choice([DISPLAY, MOBILE])) for user in range(1, 5)))
        site.remote.fault = failing(dice.choice([None, None, Fault.UNREACHABLE, Fault.CUT]))
        tried = len(site.remote.tried)
        site.until(lambda tried=tried: len(site.remote.tried) > tried)
        if dice.random() < 0.2:
            for built in site.spool.files_directory.iterdir():
                built.unlink()
        if dice.random() < 0.2:
            site.restart()
    site.deliver()
    assert len(site.remote.arrived) > 10
    assert len({path.name for path in site.remote.arrived}) == len(site.remote.arrived)
    assert max(map(len, site.remote.contents.values())) == 1
    failed = [name for name, state in states(site).items() if state is FileState.FAILED]
    assert failed
    assert site.differences() == []


def beyond(site):
    """User and segment of the events set aside, in order."""
    folder = site.directory / "spool" / "beyond-horizon"
    found = [pl.read_parquet(path) for path in sorted(folder.glob("*.parquet"))]
    return sorted(
        (uuid.UUID(event["user_id"]).int & 2**64 - 1, element["segment_id"])
        for frame in found
        for event in frame.to_dicts()
        for element in event["segments"]
    )


def test_adds_beyond_the_horizon_are_set_aside(tmp_path):
    """They lie in SPOOL/beyond-horizon as Parquet; removals as old as they are sent."""
    site = Site(tmp_path)
    site.give(Write(1, 7), Write(2, 7), Write(3, 7))
    site.deliver()
    site.ledger.raise_horizons({DISPLAY: EVENT_TIME})
    site.give(
        Write(1, 9, event_time=EVENT_TIME),
        Write(2, 7, -1, event_time=EVENT_TIME + 60_000),
        Write(3, 8, -1, event_time=EVENT_TIME - 1),
        Write(4, 7, event_time=EVENT_TIME - 5),
    )
    site.deliver()
    assert [site.of(user) for user in (1, 2, 3, 4)] == [{7}, set(), {7}, set()]
    assert beyond(site) == [(1, 9), (4, 7)]


def test_what_parts_of_one_delivery_set_aside_is_all_kept(tmp_path):
    """Two parts that reach up to the same run set aside different rows: none replaces the other's."""
    site = Site(tmp_path, max_file_bytes=400)
    site.give(Write(1, 7))
    site.deliver()
    site.ledger.raise_horizons({DISPLAY: EVENT_TIME})
    users = sorted(crowd(40))
    late = [Write(user, 9, event_time=EVENT_TIME - 5) for user in users]
    site.give(*late, *(Write(user, 8) for user in users))
    parts = len(site.remote.arrived)
    site.deliver()
    assert len(site.remote.arrived) - parts > 3
    assert beyond(site) == [(user, 9) for user in users]
    assert all(site.of(user) == {8} for user in users)


def test_a_stop_leaves_a_file_that_is_being_built(tmp_path):
    """Told to stop, it builds no further: no file or thread stays, no try is spent, a restart delivers."""
    site = Site(tmp_path)
    site.give(Write(1, 7))
    site.draining = True
    site.deliverer.stop()
    threads = set(threading.enumerate())
    site.deliverer.step()
    assert set(threading.enumerate()) == threads
    assert list(site.spool.files_directory.iterdir()) == []
    assert site.remote.tried == []
    site.restart()
    site.deliver()
    assert site.differences() == []


def test_a_timestamp_of_now_becomes_the_events_time_where_it_is_old(tmp_path):
    """Older than `historical_after` when the file is built: 0 is the event's second; younger: it stays 0."""
    site = Site(tmp_path)
    site.historical_after[DISPLAY] = HOUR
    now = site.clock.now()
    old, young = now - HOUR - SECOND, now - HOUR + MINUTE
    site.give(
        Write(1, 7, event_time=old),
        Write(1, 8, event_time=young),
        Write(1, 9, timestamp=-1, event_time=old),
        Write(1, 10, timestamp=1_400_000_000, event_time=old),
    )
    site.deliver()
    (held,) = (users[user_id(1)] for users in site.state().values())
    assert held == {"7": (old // 1000,), "8": (0,), "10": (1_400_000_000,)}
