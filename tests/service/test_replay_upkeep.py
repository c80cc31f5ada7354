"""Which replays go, and what the horizon learns of it."""

from dataclasses import replace

import pytest

from bridge.audience.frontier import Frontier
from bridge.clock import DAY, SECOND
from bridge.deliver.records import AudienceState, Progress
from bridge.service.replays.upkeep import (
    ReplaySummary,
    horizons,
    judged_since,
    leave_to_history,
    let_go,
    plan_removal,
)
from bridge.spool.replays import ReplayState
from tests.parts.audiences import DISPLAY, frame
from tests.parts.delivering import EVENT_TIME, START, Site, Write
from tests.parts.meanwhile import ChangingLedger

NOW = START
RETENTION = 7 * DAY


def replay(**more):
    values = {"id": "r", "reading": False, "waiting": False, "judged_since": None, "since": NOW - DAY}
    return ReplaySummary(**values | {"bytes": 100} | more)


@pytest.mark.parametrize(
    ("one", "over_bytes", "oldest_live", "goes"),
    [
        pytest.param(replay(), 0, None, False, id="history within the retention"),
        pytest.param(replay(since=NOW - 8 * DAY), 0, None, True, id="history beyond it"),
        pytest.param(replay(since=NOW - 8 * DAY, longer=30 * DAY), 0, None, False, id="users may be parked"),
        pytest.param(
            replay(since=NOW - 8 * DAY, waiting=True), 0, None, False, id="what is to be sent stays"
        ),
        pytest.param(
            replay(since=NOW - 8 * DAY, waiting=True, reading=True), 0, None, True, id="it was left"
        ),
        pytest.param(replay(waiting=True, reading=True), 9, None, False, id="it is being read"),
        pytest.param(replay(), 9, None, True, id="to make room"),
        pytest.param(replay(), 9, NOW, True, id="to make room, older than live history"),
        pytest.param(replay(), 9, NOW - 2 * DAY, False, id="older live history goes first"),
        pytest.param(replay(waiting=True), 9, None, False, id="not to make room, if it waits"),
    ],
)
def test_which_replays_go(one, over_bytes, oldest_live, goes):
    """By the retention, and to make room; never what is to be sent, never before older live history."""
    plan = plan_removal([one], now=NOW, retention=RETENTION, over_bytes=over_bytes, oldest_live=oldest_live)
    assert plan == (("r",) if goes else ())


def made(site, *writes, until=None, plan=None, **more):
    """A replay of these writes, read."""
    one = site.spool.replays.create(
        name="r", now=site.clock.now(), until=until, parameters={"asked": {}, "plan": plan}, **more
    )
    rows = [(w.user, w.segment, w.timestamp, w.event_time, 1 << 63, 0, n) for n, w in enumerate(writes)]
    one.store.seal(
        shards={DISPLAY: frame(DISPLAY, rows)},
        oldest_read_at={DISPLAY: site.clock.now()},
        positions=(),
        now=site.clock.now(),
    )
    site.spool.replays.move_on(one, ReplayState.READ)
    return one


def pass_by(site, *, over_bytes=0, days=8, **more):
    """The retention passes, and housekeeping looks."""
    site.clock.move(days * DAY)
    let_go(site.spool, site.ledger, site.clock, retention=RETENTION, over_bytes=over_bytes, **more)


def test_a_topic_replay_does_not_undo_what_archives_alone_held(tmp_path):
    """An archive's removal is delivered and retired, and no topic holds it: an older add is set aside."""
    site = Site(tmp_path)
    site.give(Write(1, 7, event_time=EVENT_TIME))
    site.deliver()
    made(site, Write(1, 7, timestamp=-1, event_time=EVENT_TIME + 2 * SECOND), past_horizon=False)
    site.arrives()
    pass_by(site)
    assert site.spool.replays.all() == ()
    assert site.of(1) == set()
    made(site, Write(1, 7, event_time=EVENT_TIME + SECOND), plan={"topics": {}}, past_horizon=True)
    site.until(lambda: any((tmp_path / "spool" / "beyond-horizon").iterdir()))
    assert site.of(1) == set()


def test_a_topic_replay_that_goes_limits_no_other(tmp_path):
    """What it held stands in the topics: a later replay of them is judged by these."""
    site = Site(tmp_path)
    made(site, Write(1, 7, event_time=EVENT_TIME), plan={"topics": {}}, past_horizon=True)
    site.arrives()
    pass_by(site)
    assert site.ledger.audience(DISPLAY).horizon == EVENT_TIME
    made(site, Write(1, 8, event_time=EVENT_TIME), plan={"topics": {}}, past_horizon=True)
    site.arrives()
    assert site.of(1) == {7, 8}


def test_a_cancelled_replay_of_which_nothing_was_sent_leaves_the_horizon(tmp_path):
    """It never was history."""
    site = Site(tmp_path)
    one = made(site, Write(1, 7, event_time=EVENT_TIME), past_horizon=False)
    site.spool.replays.move_on(one, ReplayState.CANCELLED)
    assert horizons(one, site.ledger.audiences()) == {}
    begun = {DISPLAY: AudienceState(replayed={one.id: Frontier()})}
    assert horizons(one, begun) == {DISPLAY: EVENT_TIME}
    pass_by(site)
    assert site.ledger.audience(DISPLAY).horizon is None


def test_only_what_was_to_be_sent_raises_the_horizon(tmp_path):
    """What only decided was delivered, if at all, by live runs."""
    site = Site(tmp_path)
    until = EVENT_TIME + SECOND
    one = made(
        site,
        Write(1, 7, event_time=EVENT_TIME),
        Write(1, 8, event_time=until),
        until=until,
        past_horizon=True,
    )
    begun = {DISPLAY: AudienceState(replayed={one.id: Frontier()})}
    assert horizons(one, begun) == {DISPLAY: until - 1}


def test_a_dry_run_that_was_killed_goes_at_once(tmp_path):
    """Nobody can go on with it; one whose process lives stays."""
    site = Site(tmp_path)
    plain = {"until": None, "past_horizon": True, "parameters": {"asked": {}, "plan": None}}
    site.spool.replays.create(name="dry_run-a", now=NOW, **plain)
    lives = site.spool.replays.create(name="dry_run-b", now=NOW, **plain)
    with site.spool.lock("replay-dry_run-b").acquire(0, site.clock):
        pass_by(site, days=0)
    assert [one.id for one in site.spool.replays.all()] == [lives.id]


def test_a_replay_that_waits_keeps_its_history_until_room_is_needed(tmp_path):
    """Then the horizon limits it: durably, also for the process that reads it."""
    site = Site(tmp_path)
    one = made(site, Write(1, 7, event_time=EVENT_TIME), past_horizon=True)
    assert judged_since(site.spool, site.ledger, {}) == one.record.created_at
    leave_to_history(site.spool, site.ledger, {})
    assert judged_since(site.spool, site.ledger, {}) is None
    one.record = replace(one.record, past_horizon=True)  # another process has not seen it
    site.spool.replays.move_on(one, ReplayState.READ)
    assert not site.spool.replays.all()[0].record.past_horizon


def test_the_ledger_forgets_replays_that_are_gone(tmp_path):
    """But of none that is there, or has a file that may yet arrive."""
    site = Site(tmp_path)
    for replay_ in ("there", "gone"):
        progress = Progress(
            start="", stop=None, run=1, newest_event_time=1, removals_only=False, replay=replay_
        )
        site.ledger.skip(DISPLAY, progress)
    site.ledger.forget_replays(lambda: {"there"})
    assert set(site.ledger.audience(DISPLAY).replayed) == {"there"}


def test_a_replay_that_became_due_again_since_it_was_looked_at_stays(tmp_path):
    """A file of it is sent again between the look at the ledger and the decision; afterwards it waits."""
    site = Site(tmp_path)
    made(site, Write(1, 7, event_time=EVENT_TIME), past_horizon=False)
    site.arrives()
    name = site.remote.arrived[-1].name
    site.clock.move(8 * DAY)
    site.ledger.ask_resend(name, site.clock.now())
    with ChangingLedger.open(tmp_path / "spool" / "ledger.sqlite") as ledger:
        ledger.meanwhile = lambda: ledger.resend(name, site.clock.now(), lambda *_: None)
        let_go(site.spool, ledger, site.clock, retention=RETENTION, over_bytes=0)
        assert ledger.meanwhile is None
    let_go(site.spool, site.ledger, site.clock, retention=RETENTION, over_bytes=0)
    assert len(site.spool.replays.all()) == 1
    site.arrives()
    let_go(site.spool, site.ledger, site.clock, retention=RETENTION, over_bytes=0)
    assert site.spool.replays.all() == ()


def test_history_that_parked_users_are_judged_by_stays_longer(tmp_path):
    """Else the horizon would rise above what is found of them later."""
    site = Site(tmp_path)
    made(site, Write(1, 7, event_time=EVENT_TIME), past_horizon=False)
    site.arrives()
    pass_by(site, longer={DISPLAY: 30 * DAY})
    assert len(site.spool.replays.all()) == 1
    pass_by(site, longer={DISPLAY: 30 * DAY}, days=23)
    assert site.spool.replays.all() == ()
