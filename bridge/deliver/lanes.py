"""What of the spool a delivery takes, and what judges it.

Live runs and each replay are delivered apart, so that live data never waits behind a replay: each is a lane
with a frontier of its own. A lane's pending rows are judged by all that was delivered, of any lane.
"""

from dataclasses import dataclass, replace

from bridge.audience.audience import Audience
from bridge.audience.frontier import Frontier, Step
from bridge.deliver.records import AudienceState
from bridge.spool.replays import ReplayRecord, ReplayState
from bridge.spool.run import Run
from bridge.spool.spool import Spool

_BEHIND_ALL = Frontier((Step("", 2**32),))
"""Every row of every run counts as delivered."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Lane:
    """Some runs, and how far they are delivered."""

    runs: tuple[Run, ...]
    """Ascending by number."""
    frontier: Frontier
    """Rows of a user in runs up to this are delivered."""
    until: int | None = None
    """Rows of events from this instant on (epoch ms) are never sent, but decide about this lane's others;
    None: there are none such."""


@dataclass(frozen=True, kw_only=True, slots=True)
class View:
    """One audience, seen by a delivery of one lane."""

    own: Lane
    """What it takes."""
    removals: Frontier
    """How far removals of this lane went ahead in files of removals alone."""
    others: tuple[Lane, ...]
    """What else was delivered: it judges."""
    newest_delivered: int | None
    """Newest event time among all that was delivered; None: nothing was."""
    horizon: int | None
    """Adds of events up to this instant cannot be judged; None: all can."""


@dataclass(frozen=True, kw_only=True, slots=True)
class HeldReplay:
    """A replay that is read."""

    record: ReplayRecord
    """What it is."""
    runs: tuple[Run, ...]
    """All of its runs."""

    def lane(self, state: AudienceState) -> Lane:
        """The replay as a lane of an audience: what of it waits, what is to be sent again too."""
        return self._lane(state.again.get(self.record.id, self._replayed(state)))

    def judge(self, state: AudienceState) -> Lane:
        """The replay as other lanes have to see it: all that it ever delivered."""
        return self._lane(self._replayed(state))

    def _replayed(self, state: AudienceState) -> Frontier:
        return state.replayed.get(self.record.id, Frontier())

    def _lane(self, frontier: Frontier) -> Lane:
        return Lane(runs=self.runs, frontier=frontier, until=self.record.until)


@dataclass(frozen=True, kw_only=True, slots=True)
class Held:
    """What the spool holds, at one look."""

    runs: tuple[Run, ...]
    """The live runs."""
    replays: tuple[HeldReplay, ...]
    """The replays that are read, the oldest first; cancelled ones for what was delivered of them."""

    @property
    def cancelled(self) -> frozenset[str]:
        """Ids of the replays of which no more is to be delivered."""
        return frozenset(one.record.id for one in self.replays if one.record.state is ReplayState.CANCELLED)

    @property
    def due_replays(self) -> tuple[HeldReplay, ...]:
        """The replays that may be delivered."""
        return tuple(one for one in self.replays if one.record.state is ReplayState.READ)

    def view(self, state: AudienceState, replay: str) -> View:
        """An audience as a delivery of live data (`replay` is empty) or of this replay sees it.

        A replay is judged by live data too that is yet to be delivered: of that, removals may have gone
        ahead, and the rest will follow.
        """
        own = next((one for one in self.replays if one.record.id == replay), None)
        others = [one.judge(state) for one in self.replays if one is not own]
        if own is None:
            return View(
                own=Lane(runs=self.runs, frontier=state.frontier),
                removals=state.removals,
                others=tuple(others),
                newest_delivered=state.newest_delivered,
                horizon=state.horizon,
            )
        return View(
            own=own.lane(state),
            removals=Frontier(),
            others=(Lane(runs=self.runs, frontier=_BEHIND_ALL), *others),
            newest_delivered=state.newest_delivered,
            horizon=_horizon(own.record, state),
        )


def _horizon(record: ReplayRecord, state: AudienceState) -> int | None:
    """What limits the adds of a replay: of topics read to their ends only what never stood in them."""
    if record.forced:
        return None
    return state.foreign_horizon if record.past_horizon else state.horizon


def look(spool: Spool) -> Held:
    """What the spool holds now.

    Raises:
        BridgeError: A run or a replay's record cannot be read.
    """
    read = [one for one in spool.replays.all() if one.record.state is not ReplayState.READING]
    return Held(
        runs=spool.runs(),
        replays=tuple(HeldReplay(record=one.record, runs=one.runs()) for one in read),
    )


def holding(audience: Audience, lane: Lane) -> Lane:
    """The lane with those of its runs alone that hold the audience."""
    return replace(lane, runs=tuple(run for run in lane.runs if audience in run.audiences))


def starts(view: View) -> set[str]:
    """Where any lane's progress steps; users between two of these are alike."""
    frontiers = (view.own.frontier, view.removals, *(lane.frontier for lane in view.others))
    return {step.start for frontier in frontiers for step in frontier.steps}
