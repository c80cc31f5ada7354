"""What the ledger takes and gives. Instants are epoch milliseconds."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from bridge.audience.audience import Audience
from bridge.audience.frontier import Frontier
from bridge.deliver.file_state import FileState

BYTES_PER_MEMBERSHIP = 8.0
"""Expected of an audience that has delivered nothing yet (facts.md: 30 MB for about 4 M memberships)."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Progress:
    """How far a file brings its audience, once it is uploaded."""

    start: str
    """The first user that it covers, a `rows.user_key`; empty: the first of all."""
    stop: str | None
    """The first user after it; None: it covers the last."""
    run: int
    """It holds all there was of its users up to this run."""
    newest_event_time: int | None
    """Newest event time that it covers; None: it covers no row."""
    removals_only: bool
    """It holds removals alone: their rows stay pending, for a general file to carry in order."""
    replay: str = ""
    """Id of the replay whose runs it is made of; empty: the live ones."""


@dataclass(frozen=True, slots=True)
class RunRange:
    """Runs that a file holds rows of: one, or those that stood merged in one when it was built."""

    low: int
    """The smallest of their numbers."""
    number: int
    """The largest; the run's own number then."""


@dataclass(frozen=True, kw_only=True, slots=True)
class FileRecord:
    """One audience file."""

    name: str
    """Its remote name."""
    audience: Audience
    """Whose it is; its account uploads it."""
    state: FileState
    """Where it is."""
    path: str
    """Where its bytes are kept on our disk until it is uploaded."""
    bytes: int
    """Its size, compressed."""
    lines: int
    """Lines of users in it."""
    memberships: int
    """Memberships in it."""
    sha256: str
    """Of its compressed bytes, in hex."""
    created_at: int
    """When it was built."""
    uploaded_at: int | None
    """When it got its final name."""
    detail: str
    """Why it is where it is, for people; empty: nothing to say."""
    progress: Progress
    """How far it brings its audience."""
    reserved_at: int | None = None
    """When its name was reserved, its header's `DateCreated`; None: an older version built it."""
    runs: tuple[RunRange, ...] | None = None
    """The runs it was made of, ascending; None: an older version built it."""
    processed_at: int | None = None
    """When the platform processed it; None: its log did not say."""
    lines_accepted: int | None = None
    """Lines that the platform took; None: its log did not say."""
    lines_refused: int | None = None
    """Lines that the platform did not take; None: its log did not say."""
    resend_asked_at: int | None = None
    """When somebody last asked to send its memberships again; None: nobody did."""
    resent_at: int | None = None
    """When they became due again, as was last asked; None: not yet, or not asked."""
    settled_at: int | None = None
    """When somebody said that nothing is to be done about it; None: nobody did."""

    @property
    def replay(self) -> str:
        """Id of the replay that it is a file of; empty: it holds live data."""
        return self.progress.replay

    @property
    def first_run(self) -> int | None:
        """The smallest number of a run that it was made of; None: an older version built it."""
        return min((run.low for run in self.runs or ()), default=None)

    @property
    def resend_waits(self) -> bool:
        """It was asked to send its memberships again, and they are not yet due again."""
        return self.resend_asked_at is not None and self.resent_at is None

    @property
    def open(self) -> bool:
        """Whatever the platform says of it, somebody may have to do something: nobody has."""
        return self.resend_asked_at is None and self.settled_at is None


@dataclass(frozen=True, kw_only=True, slots=True)
class AudienceState:
    """What the ledger knows of an audience; the defaults are those of one that it does not know."""

    frontier: Frontier = field(default_factory=Frontier)
    """How far it is delivered."""
    removals: Frontier = field(default_factory=Frontier)
    """How far its removals went ahead in files of removals alone."""
    replayed: Mapping[str, Frontier] = field(default_factory=dict)
    """How far each replay of it is delivered, by id; none of one that is not begun."""
    again: Mapping[str, Frontier] = field(default_factory=dict)
    """How far each replay of which a file was to be sent again is delivered since, by id. What it delivered
    before goes on judging what comes late, as it did before: `replayed` stays."""
    newest_delivered: int | None = None
    """Newest event time among all that was delivered, by replays too."""
    horizon: int | None = None
    """Newest event time in any retired run; None: no run of it was retired."""
    foreign_horizon: int | None = None
    """Newest event time in any retired run of archives or dead letters: what no topic holds."""
    retired: Mapping[str, int] = field(default_factory=dict)
    """The newest run that left the history of each lane, by replay (empty: the live one); none of one that
    is whole."""
    served_at: int | None = None
    """When a file of it was last uploaded."""
    bytes_per_membership: float = BYTES_PER_MEMBERSHIP
    """Moving average over its files."""

    @property
    def removals_run(self) -> int:
        """The removals of every run up to this one went ahead in a file of removals alone; 0: none did."""
        return self.removals.lowest


class Outcome(StrEnum):
    """How an attempt ended."""

    GIVEN_BACK = "given_back"
    """Before the remote file was opened: it does not count."""
    SPENT = "spent"
    """After the remote file was opened: it counts."""
    UNKNOWN = "unknown"
    """Nobody knows: it counts."""
    UPLOADED = "uploaded"
    """The file has its final name."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Try:
    """One attempt of a file."""

    started_at: int
    """Before connecting."""
    ended_at: int | None
    """None: in progress."""
    outcome: Outcome | None
    """None: in progress."""
    reason: str = ""
    """Why it failed, a `remote.Reason`; empty: it did not, or nobody knows."""
    detail: str = ""
    """The same for people."""
    skew: int = 0
    """The server's clock less ours, ms; 0 too where it did not come so far as to measure it."""


@dataclass(frozen=True, kw_only=True, slots=True)
class TriedFile:
    """A file that is not uploaded yet, and its attempts, the oldest first."""

    file: FileRecord
    """The file."""
    tries: tuple[Try, ...]
    """All of them, those given back too."""


def moving_average(average: float, size: int, memberships: int) -> float:
    """Bytes per membership after one more file: a file of 100,000 memberships weighs as much as all before.

    A small one hardly counts: most of its bytes are its header.
    """
    if memberships <= 0:
        return average
    weight = memberships / (memberships + 100_000)
    return average * (1 - weight) + size / memberships * weight
