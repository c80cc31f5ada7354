"""Files that are sent again, and accounts that wait for the platform's word: the deliverer alone."""

from dataclasses import replace

import pytest
import structlog

from bridge.clock import HOUR, MINUTE, SECOND
from bridge.deliver.file_state import FileState
from bridge.deliver.lanes import look
from bridge.deliver.resending import refusal
from bridge.deliver.schedule import Deliver
from bridge.spool.replays import ReplayState
from tests.parts import oracle
from tests.parts.audiences import DISPLAY
from tests.parts.delivering import EVENT_TIME, Fault, Site, Write
from tests.parts.spools import seal

OTHER = replace(DISPLAY, client="Other")


class LossySite(Site):
    """A site whose platform takes no file of `lost`."""

    def __init__(self, directory, **more):
        super().__init__(directory, **more)
        self.lost = set()

    def state(self):
        return oracle.fold([path for path in self.remote.arrived if path.name not in self.lost])


@pytest.fixture
def site(tmp_path):
    return LossySite(tmp_path)


def sent(site, *writes):
    """The name of the one file that these writes are delivered in."""
    count = len(site.remote.arrived)
    site.give(*writes)
    site.deliver()
    (path,) = site.remote.arrived[count:]
    return path.name


def ask(site, name):
    return site.ledger.ask_resend(name, site.clock.now())


def why_not(site, name):
    file = site.ledger.file(name)
    return refusal(file, site.ledger.audience(file.audience), held=look(site.spool))


def a_replay(site, *writes, **more):
    """A replay of these writes, read."""
    values = {"name": "r", "until": None, "past_horizon": False, "parameters": {"asked": {}, "plan": {}}}
    made = site.spool.replays.create(now=site.clock.now(), **(values | more))
    rows = [(one.user, one.segment, one.timestamp, one.event_time, 0, 0, at) for at, one in enumerate(writes)]
    seal(made.store, {DISPLAY: rows}, now=site.clock.now())
    site.spool.replays.move_on(made, ReplayState.READ)
    return made


@pytest.mark.failure(62)
def test_what_a_rejected_file_held_is_sent_again_and_undoes_nothing(site):
    """Its memberships go with what came later for its users; users that it did not hold are left alone."""
    rejected = sent(site, Write(1, 7), Write(1, 8), Write(2, 7))
    sent(site, Write(1, 8, -1), Write(3, 7))
    site.lost.add(rejected)
    site.ledger.reject(rejected, detail="bad luck")
    assert [site.of(user) for user in (1, 2, 3)] == [set(), set(), {7}]
    assert ask(site, rejected)
    with structlog.testing.capture_logs() as lines:
        site.deliver()
    assert site.differences() == []
    (line,) = [one for one in lines if one["event"] == "file_due_again"]
    assert (line["file"], line["account"], line["runs"], line["memberships"]) == (rejected, "a", 1, 3)
    assert site.ledger.file(rejected).state is FileState.REJECTED


def test_asked_once_it_is_sent_once(site):
    """Asked again while it waits nothing is added; asked again later it is sent again."""
    name = sent(site, Write(1, 7))
    assert ask(site, name)
    asked_at = site.ledger.file(name).resend_asked_at
    site.clock.move(SECOND)
    assert not ask(site, name)
    assert site.ledger.file(name).resend_asked_at == asked_at
    site.deliver()
    site.deliver()
    assert len(site.remote.arrived) == 2
    resent_at = site.ledger.file(name).resent_at
    assert resent_at is not None
    site.clock.move(MINUTE)
    assert ask(site, name)
    assert site.ledger.file(name).resent_at is None
    site.deliver()
    assert len(site.remote.arrived) == 3


def test_a_wish_outlives_the_process(site):
    """What was noted is carried out by the next process."""
    name = sent(site, Write(1, 7))
    ask(site, name)
    site.restart()
    site.deliver()
    assert len(site.remote.arrived) == 2


def test_a_general_files_removals_may_go_ahead_again(site):
    """They went ahead, then in a file that was rejected: neither is counted as sent any more."""
    sent(site, Write(1, 7))
    site.give(Write(1, 7, -1))
    ahead(site)
    site.lost |= {site.remote.arrived[-1].name}
    rejected = sent(site, Write(2, 8))
    site.lost.add(rejected)
    ask(site, rejected)
    site.deliverer._resends.carry_out()
    ahead(site)
    assert site.ledger.file(site.remote.arrived[-1].name).progress.removals_only
    assert site.of(1) == set()


def test_a_file_that_is_begun_is_finished_first(site):
    """Once uploaded it brings the audience forward: only then it goes back."""
    name = sent(site, Write(1, 7))
    site.lost.add(name)
    site.give(Write(1, 8))
    site.remote.fault = lambda _: Fault.CUT
    site.until(lambda: site.remote.tried[1:])
    ask(site, name)
    site.step()
    assert site.ledger.file(name).resend_waits
    site.remote.fault = lambda _: None
    site.deliver()
    assert len(site.remote.arrived) == 3
    assert site.differences() == []


def test_a_file_that_is_built_and_not_begun_makes_way(site):
    """It would bring the audience past what is sent again: that goes with it, in one file."""
    name = sent(site, Write(1, 7))
    site.lost.add(name)
    site.give(Write(2, 7))
    site.remote.fault = lambda _: Fault.UNREACHABLE
    site.until(lambda: site.remote.tried[1:])
    (built,) = site.ledger.unfinished("a")
    ask(site, name)
    site.remote.fault = lambda _: None
    site.deliver()
    assert len(site.remote.arrived) == 2
    assert site.ledger.file(built.file.name) is None
    assert site.differences() == []


@pytest.mark.failure(62)
def test_a_rejected_file_of_removals_alone(site):
    """Its removals go ahead again; the audience's general files stay where they were."""
    sent(site, Write(1, 7), Write(2, 7))
    site.give(Write(1, 7, -1), Write(2, 8))
    ahead(site)
    frontier = site.ledger.audience(DISPLAY).frontier
    rejected = site.remote.arrived[-1].name
    assert site.ledger.file(rejected).progress.removals_only
    assert [site.of(1), site.ledger.audience(DISPLAY).removals_run] == [set(), 2]
    site.lost.add(rejected)
    ask(site, rejected)
    site.deliverer._resends.carry_out()
    assert site.ledger.audience(DISPLAY).frontier == frontier
    ahead(site)
    assert [site.of(1), site.ledger.audience(DISPLAY).removals_run] == [set(), 2]
    site.deliver()
    assert site.differences() == []


def ahead(site):
    """Removals alone, as when the day's bytes are spent."""
    decision = Deliver(audience=DISPLAY, max_bytes=10_000, removals_only=True, replay="")
    site.deliverer._deliver(decision, site.ledger.audience(DISPLAY), look(site.spool))


def test_only_what_has_its_final_name_is_sent_again(site):
    """A file that is not uploaded goes by itself; one that was given up is delivered already."""
    site.give(Write(1, 7))
    site.remote.fault = lambda _: Fault.CUT
    site.until(lambda: site.remote.tried)
    (tried,) = site.ledger.unfinished("a")
    assert "not uploaded yet" in why_not(site, tried.file.name)
    with pytest.raises(ValueError, match="uploading cannot be sent again"):
        ask(site, tried.file.name)
    site.ledger.give_up(tried.file.name, "lost")
    assert "under another name" in why_not(site, tried.file.name)


@pytest.mark.failure(62)
def test_without_its_runs_it_is_refused_with_the_remedy(site):
    """Runs that are retired, or lost, or were never noted: the topics are what is left."""
    name = sent(site, Write(1, 7))
    assert why_not(site, name) is None
    site.ledger.raise_horizons({DISPLAY: EVENT_TIME}, retired={DISPLAY: 1})
    assert "not all of its runs are there any more: s2s-bridge replay --from --to" in why_not(site, name)
    second = sent(site, Write(1, 8))
    assert why_not(site, second) is None
    for run in site.spool.runs():
        site.spool.retire(run)
    assert "not all of its runs" in why_not(site, second)
    with site.ledger._database.transaction() as connection:
        connection.execute("UPDATE files SET runs = NULL")
    assert "an older version built it" in why_not(site, second)


def test_runs_that_go_after_it_was_asked_are_told(site):
    """The deliverer refuses it: the log says why, nothing goes back, and it is not asked any more."""
    name = sent(site, Write(1, 7))
    before = site.ledger.audience(DISPLAY)
    ask(site, name)
    site.ledger.raise_horizons({DISPLAY: EVENT_TIME}, retired={DISPLAY: 1})
    with structlog.testing.capture_logs() as lines:
        site.deliver()
    (line,) = [one for one in lines if one["event"] == "file_not_due_again"]
    assert "replay --from --to" in line["reason"]
    assert site.ledger.file(name).resend_asked_at is None
    assert site.ledger.audience(DISPLAY).frontier == before.frontier


def test_a_run_that_its_audience_left_is_not_there_though_it_was_merged_since(site):
    """A merge with a run that holds the audience makes a run that seems to hold all of it."""
    site.give(Write(1, 7), Write(1, 7, audience=OTHER))
    site.deliver()
    (name,) = [file.name for file in site.ledger.files() if file.audience == DISPLAY]
    sent(site, Write(2, 7))
    site.ledger.raise_horizons({DISPLAY: EVENT_TIME}, retired={DISPLAY: 1})
    site.spool.rewrite(site.spool.runs()[0], frozenset({DISPLAY}))
    site.spool.merge(site.spool.runs())
    (run,) = site.spool.runs()
    assert DISPLAY in run.audiences
    assert "not all of its runs" in why_not(site, name)


def test_nothing_is_retired_that_became_due_again_meanwhile(site):
    """Who decided what may go looked before the file went back: nothing is noted, and nothing may go."""
    name = sent(site, Write(1, 7))
    rewinds = site.ledger.rewinds()
    ask(site, name)
    site.deliverer._resends.carry_out()
    assert not site.ledger.raise_horizons({DISPLAY: EVENT_TIME}, retired={DISPLAY: 1}, rewinds=rewinds)
    assert site.ledger.audience(DISPLAY).horizon is None
    assert site.ledger.raise_horizons({DISPLAY: 1}, retired={DISPLAY: 0}, rewinds=site.ledger.rewinds())


def test_a_file_of_a_replay_goes_again_in_its_replay(site):
    """Live data does not wait for it, and what the replay delivered judges what comes late meanwhile."""
    sent(site, Write(1, 8))
    a_replay(site, Write(1, 7, event_time=EVENT_TIME + 20 * SECOND))
    site.arrives()
    name = site.remote.arrived[-1].name
    assert site.ledger.file(name).replay
    ask(site, name)
    site.deliverer._resends.carry_out()
    sent(site, Write(1, 7, -1, event_time=EVENT_TIME + 10 * SECOND), Write(2, 7))
    assert site.of(1) == {7, 8}
    site.arrives()
    assert site.ledger.file(site.remote.arrived[-1].name).replay
    assert site.of(1) == {7, 8}
    site.clock.move(HOUR)
    count = len(site.remote.arrived)
    site.step()
    assert len(site.remote.arrived) == count


@pytest.mark.parametrize("how", ["cancelled", "gone", "forgotten"])
def test_a_file_of_a_replay_that_is_no_more_is_refused(site, how):
    """The remedy is another replay."""
    made = a_replay(site, Write(1, 7, event_time=EVENT_TIME))
    site.arrives()
    name = site.remote.arrived[-1].name
    assert why_not(site, name) is None
    if how == "cancelled":
        site.spool.replays.move_on(made, ReplayState.CANCELLED)
    elif how == "gone":
        site.spool.replays.discard(made)
    else:
        site.ledger.forget_replays(frozenset)
    assert "its replay is gone, or was cancelled" in why_not(site, name)


def test_a_replay_that_live_history_judges_needs_that_history(site):
    """What was sealed live since the replay began decides about it, and may be retired once it is through."""
    site.give(Write(9, 9))
    site.deliver()
    site.clock.move(SECOND)
    a_replay(site, Write(1, 7, event_time=EVENT_TIME), past_horizon=True)
    site.arrives()
    name = site.remote.arrived[-1].name
    site.clock.move(SECOND)
    sent(site, Write(1, 7, -1))
    assert why_not(site, name) is None
    newest = site.spool.runs()[-1]
    site.ledger.raise_horizons({DISPLAY: EVENT_TIME + SECOND}, retired={DISPLAY: newest.number})
    site.spool.retire(newest)
    assert "live history that judges its replay is retired" in why_not(site, name)


@pytest.fixture
def waiting_site(tmp_path):
    return Site(tmp_path, wait_for_confirmation=True)


def holds(site):
    """Nothing goes, however long it is looked."""
    count = len(site.remote.tried)
    for _ in range(30):
        site.step()
        site.clock.move(MINUTE)
    return len(site.remote.tried) == count


@pytest.mark.failure(63)
@pytest.mark.parametrize("word", ["confirmed", "rejected", "asked to be sent again"])
def test_the_next_file_waits_for_the_platforms_word(waiting_site, word):
    """Until the last one is confirmed, or rejected, or asked to be sent again; other audiences go on."""
    site = waiting_site
    name = sent(site, Write(1, 7))
    site.give(Write(1, 8), Write(1, 8, audience=OTHER))
    site.arrives()
    assert site.ledger.file(site.remote.arrived[-1].name).audience == OTHER
    assert holds(site)
    if word == "confirmed":
        site.ledger.confirm(name)
    elif word == "rejected":
        site.ledger.reject(name, detail="bad luck")
    else:
        ask(site, name)
    site.arrives()
    assert site.of(1) >= {7, 8}


def test_a_replays_file_waits_and_is_waited_for_too(waiting_site):
    """The platform loads files of both lanes."""
    site = waiting_site
    name = sent(site, Write(1, 7))
    a_replay(site, Write(1, 8, event_time=EVENT_TIME))
    assert holds(site)
    site.ledger.confirm(name)
    site.arrives()
    replayed = site.remote.arrived[-1].name
    assert site.ledger.file(replayed).replay
    site.give(Write(1, 9))
    assert holds(site)
    site.ledger.confirm(replayed)
    site.arrives()


def test_a_file_of_an_earlier_life_is_waited_for(site):
    """The setting counts for what was uploaded before it was switched on; switched off it holds nothing."""
    sent(site, Write(1, 7))
    site.account = site.account.model_copy(update={"wait_for_confirmation": True})
    site.restart()
    site.give(Write(1, 8))
    assert holds(site)
    site.account = site.account.model_copy(update={"wait_for_confirmation": False})
    site.restart()
    site.arrives()


def test_a_retry_does_not_wait(waiting_site):
    """A file that is begun is finished, whatever its audience's earlier files are."""
    site = waiting_site
    name = sent(site, Write(1, 7))
    site.ledger.confirm(name)
    site.give(Write(1, 8))
    site.remote.fault = lambda _: Fault.CUT
    site.until(lambda: site.remote.tried[1:])
    with site.ledger._database.transaction() as connection:
        connection.execute("UPDATE files SET state = 'uploaded' WHERE name = ?", (name,))
    site.remote.fault = lambda _: None
    site.arrives()


def test_draining_waits_for_the_platforms_word(waiting_site):
    """`--until-end` does not end while an audience is held."""
    site = waiting_site
    name = sent(site, Write(1, 7))
    site.give(Write(1, 8))
    site.draining = True
    assert holds(site)
    assert site.deliverer.step() is not None
    site.ledger.confirm(name)
    site.deliver()
    assert site.differences() == []
