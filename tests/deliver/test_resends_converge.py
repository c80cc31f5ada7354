"""Files that the platform rejects and that are sent again, amid all else: it ends in last-write-wins.

As in test_replays_converge, with a platform that rejects files as they come, a log that tells of it at any
time, and an operator who has any file sent again, rejected or not.
"""

from collections import Counter
from contextlib import contextmanager
from pathlib import Path

import pytest
import structlog
from hypothesis import given, settings
from hypothesis import strategies as st

from bridge.deliver.file_state import FileState
from bridge.deliver.lanes import look
from bridge.deliver.resending import refusal
from tests.deliver.test_replays_converge import SECONDS, World, _directory, _of, _says, topic_events
from tests.deliver.test_replays_converge import commands as all_commands
from tests.deliver.test_replays_converge import with_retirement as all_with_retirement
from tests.parts import oracle
from tests.parts.audiences import DISPLAY
from tests.parts.delivering import user_id

EXAMPLES = 300
USERS = SEGMENTS = (1, 2, 3)

fates = st.one_of(
    st.tuples(st.just("lose"), st.lists(topic_events, min_size=1, max_size=4)),
    st.tuples(st.just("lose"), st.lists(topic_events, min_size=1, max_size=4)),
    st.just(("catch_up",)),
    st.tuples(st.just("rejecting"), st.booleans()),
    st.tuples(st.just("resend"), st.integers(0, 3)),
    st.tuples(st.just("resend"), st.integers(0, 3)),
    st.just(("tell",)),
)
commands = st.one_of(all_commands, fates)
with_retirement = st.one_of(all_with_retirement, fates)


class JudgedWorld(World):
    """A world whose platform rejects files; `site.state` folds those alone that it takes."""

    def __init__(self, directory):
        super().__init__(directory)
        self.accepted = []
        """Those of the files that arrived, in order."""
        self.rejected = set()
        """Names of those that were rejected, and are not sent again yet; of removals alone none, as these
        wait for a general file all the same."""
        self.rejects = False
        """What becomes of the next file."""
        self.sent_again = Counter()
        """How files that were asked for ended: refused or asked."""
        self.told = set()
        """Which runs, of which lane and user, a file held that was accepted."""
        self.reached = dict.fromkeys(USERS, 0)
        """Up to which live run each user was ever delivered."""
        self.floors = {}
        """Of a user and segment the newest write that the platform was surely told."""
        self.site.state = lambda: oracle.fold(self.accepted)

    def rejecting(self, so):
        """From now on."""
        self.rejects = so

    def lose(self, events):
        """These are read live at once, and the platform rejects what they come in."""
        self.produce(events)
        self.rejects = True
        self.catch_up()
        self.rejects = False

    def tell(self):
        """The platform's log is read."""
        taken = {path.name for path in self.accepted}
        for file in self.site.ledger.unconfirmed("a"):
            if file.name in taken:
                self.site.ledger.confirm(file.name)
            else:
                self.site.ledger.reject(file.name, detail="bad luck")

    def resend(self, back):
        """An operator has one of the newest files sent again, and asks twice."""
        if len(self.site.remote.arrived) > back:
            self._ask(self.site.remote.arrived[-1 - back].name)

    def heal(self):
        """All that was rejected is asked for; False: of some of it the runs are gone."""
        self.rejects = False
        self.tell()
        for file in self.site.ledger.files():
            if file.state is FileState.REJECTED and file.name in self.rejected:
                self._ask(file.name)
        with self._watched():
            pass  # what was asked for waits again
        self.deliver()
        return not self.rejected

    def settled(self):
        """Nothing is left out, as it was rejected: neither of live data, nor of replays that judge it."""
        return not self.rejected and self.waits() == (False, False)

    def see_nothing_undone(self):
        """Of each user and segment the platform has the newest write that it was told, or a newer one."""
        (state,) = self.site.state().values() or [{}]
        everything = [event for events in self.topic for event in events]
        for (user, segment), floor in self.floors.items():
            held = set(state.get(user_id(user), {}).get(str(segment), (None,)))
            right = [says for place, says in _says(_of(user, [everything]), segment) if place >= floor]
            assert any(held <= says for says in right), (user, segment, held)

    def _ask(self, name):
        ledger = self.site.ledger
        file = ledger.file(name)
        why = refusal(file, ledger.audience(DISPLAY), held=look(self.site.spool))
        self.sent_again["refused" if why else "asked"] += 1
        if why is None:
            assert ledger.ask_resend(name, self.site.clock.now()) is not file.resend_waits
            assert not ledger.ask_resend(name, self.site.clock.now())
        else:
            assert file.replay or not self.exact, why

    def _step(self):
        with self._watched():
            super()._step()

    def _deliver_removals(self):
        with self._watched():
            super()._deliver_removals()

    @contextmanager
    def _watched(self):
        """What becomes of the file that arrives meanwhile."""
        ledger, arrived = self.site.ledger, self.site.remote.arrived
        asked = {file.name for file in ledger.to_resend("a")}
        self.site.deliverer._resends.carry_out()
        self.rejected -= asked - {file.name for file in ledger.to_resend("a")}
        before, count = ledger.audience(DISPLAY), len(arrived)
        yield
        after = ledger.audience(DISPLAY)
        for user in USERS:
            self.reached[user] = max(self.reached[user], after.frontier.at(_key(user)))
        for path in arrived[count:]:
            file = ledger.file(path.name)
            if not self.rejects:
                self.accepted.append(path)
                self._told(file, before)
            elif not file.progress.removals_only:
                self.rejected.add(file.name)

    def _told(self, file, before):
        """An accepted file holds, of its users, the newest of all that was delivered or is in it.

        Where the newest was in a rejected file alone, nothing is sure.
        """
        progress = file.progress
        for user in USERS:
            key = _key(user)
            if key < progress.start or (progress.stop and key >= progress.stop) or progress.removals_only:
                continue
            lane = before.again.get(file.replay, before.replayed.get(file.replay))
            frontier = before.frontier if not file.replay else lane
            since = frontier.at(key) if frontier else 0
            self.told |= {(file.replay, run, user) for run in range(since + 1, progress.run + 1)}
        for user in USERS:
            for segment in SEGMENTS:
                known = self._known(user, segment)
                newest = max((place for place, _ in known), default=None)
                if any(place == newest and of in self.told for place, of in known):
                    self.floors[user, segment] = newest

    def _known(self, user, segment):
        """What was ever delivered of a user's segment, and in which run of which lane."""
        key, state = _key(user), self.site.ledger.audience(DISPLAY)
        runs = {("", run): events for run, events in self.live_runs.items() if run <= self.reached[user]}
        found = [
            (place, (*of, user))
            for of, events in runs.items()
            for place, _ in self._said(user, events, segment)
        ]
        for replay, frontier in state.replayed.items():
            sent, later = self.replay_runs[replay]
            decides = max((place for place, _ in self._said(user, later, segment)), default=(0,))
            for run, events in sent.items():
                if run <= frontier.at(key):
                    said = self._said(user, events, segment)
                    found += [(place, (replay, run, user)) for place, _ in said if place > decides]
        return found

    def _said(self, user, events, segment):
        return _says(_of(user, [events]), segment)


def _key(user):
    return f"{user // 2:016x}{user:016x}"


@pytest.mark.failure(62)
@settings(max_examples=EXAMPLES, derandomize=True)
@given(st.lists(commands, min_size=4, max_size=16))
def test_whatever_is_rejected_and_sent_again_converges(plan):
    """Live files and a replay's, whole or in parts, among late events, merges, restarts, removals ahead.

    At no step is something undone that the platform was told, whatever else was rejected. Once all that was
    rejected is sent again, the state is right.
    """
    with structlog.testing.capture_logs(), _directory() as directory:
        world = JudgedWorld(Path(directory))
        world.run(plan)
        if world.heal():
            assert oracle.same(world.site.state(), world.truth()) == []
        else:
            assert all(world.site.ledger.file(name).replay for name in world.rejected)


@pytest.mark.failure(62)
@settings(max_examples=EXAMPLES // 2, derandomize=True)
@given(st.lists(with_retirement, min_size=4, max_size=16))
def test_what_is_gone_is_not_sent_again_and_a_replay_makes_it_whole(plan):
    """Where runs of a rejected file are retired it is refused, and a replay of all events is the remedy."""
    with structlog.testing.capture_logs(), _directory() as directory:
        world = JudgedWorld(Path(directory))
        world.run(plan)
        world.heal()
        world.rejected.clear()
        world.replay((0, SECONDS + 1), 2, interrupted=False)
        world.deliver()
        assert oracle.same(world.site.state(), world.truth()) == []
