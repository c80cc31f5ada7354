"""What the page shows, ready to be laid out: every number that needs judgement or words is a text here."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from bridge.audience.audience import Audience
from bridge.service.page.chart import Chart
from bridge.service.page.words import Moment
from bridge.service.telling.forecast import Outlook, Slot
from bridge.service.telling.status import Status


class Tone(StrEnum):
    """How something is; the page gives each a mark and a colour."""

    WELL = "well"
    """As it should be."""
    LOOK = "look"
    """Worth a look, today."""
    ILL = "ill"
    """Somebody has to act."""
    PLAIN = "plain"
    """Neither good nor bad."""


@dataclass(frozen=True, kw_only=True, slots=True)
class StreamCounts:
    """A stream since the process began."""

    stream: str
    """Its name."""
    events: int
    """Read from Kafka."""
    rate: float | None
    """Events a second, lately; None: nobody has looked long enough."""
    behind: int
    """Not read yet."""
    memberships: int
    """In sealed runs."""
    refused: Mapping[str, int]
    """Events that went to the dead letters, by reason."""
    paused: bool
    """It waits for room in the spool."""
    translated: Mapping[str, int]
    """Memberships by partner ids, by what became of them (`s2s_bridge_identify_memberships_total`)."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Seen:
    """All that one look has found."""

    status: Status
    """Of the ledger and the runs, as it was at `status.at`."""
    slots: Mapping[Audience, Slot]
    """Of the audiences that wait."""
    outlooks: Mapping[str, Outlook]
    """The day of each account."""
    flows: tuple[StreamCounts, ...]
    """In the order of the configuration."""
    faults: tuple[str, ...]
    """Threads that are silent, of which `/healthz` complains, or have stopped."""
    not_ready: tuple[str, ...]
    """What `/readyz` complains of."""
    working: bool
    """The process has the spool's locks."""
    spool_bytes: int
    """What the spool takes; 0: not measured yet."""
    began_at: int
    """When the process began, epoch ms."""
    unasked: tuple[str, ...] = ()
    """Accounts whose processing log did not answer when it was last asked."""
    trouble: str = ""
    """Why `status` is an old one, or empty; empty: it is not."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Remark:
    """One sentence of what needs somebody's eyes."""

    tone: Tone
    """LOOK or ILL."""
    text: str
    """It, for people."""
    where: str = ""
    """The id of the part of the page that tells more; empty: none does."""
    link: str = ""
    """What the link to it says."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Bar:
    """A part of a limit."""

    label: str
    """Of what: `Files this hour`."""
    text: str
    """`12 of 20`."""
    used: int
    """The part."""
    limit: int
    """The whole."""
    percent: int
    """Of the whole, cut at 0 and 100: how long the bar is."""
    share: str
    """`60 %`; above 100 where more is used."""
    tone: Tone
    """WELL, LOOK (short) or ILL (spent)."""
    resets: Moment | None
    """When it is empty again; None: never by itself."""


@dataclass(frozen=True, kw_only=True, slots=True)
class AccountView:
    """An account."""

    name: str
    """Its name."""
    files: Bar
    """Of the hour."""
    bytes: Bar
    """Of the day."""
    closed: Moment | None
    """Until when it counts as spent; None: it does not."""
    clock: str
    """The server's clock against ours, in words."""
    uploaded: Moment | None
    """When a file was last uploaded; None: none is known."""
    waiting: str
    """`3 audiences, 1,204 memberships`."""
    chart: Chart
    """The day's bytes."""
    limit: str
    """Bytes a day, in words."""
    half: str
    """Half of that."""
    outlook: str
    """How the day is expected to end, a sentence."""


@dataclass(frozen=True, kw_only=True, slots=True)
class WaitingView:
    """An audience with undelivered memberships."""

    account: str
    """Its account."""
    audience: str
    """Its label."""
    memberships: int
    """How many wait."""
    age: str
    """Of the oldest of them."""
    due: Moment
    """When it is due."""
    slot: Moment | None
    """When its file is expected to go; None: not within the coming day or so."""
    unconfirmed: bool
    """It waits for the platform's word on its last file; when that comes is not known."""
    why: str
    """What it waits for until then."""


@dataclass(frozen=True, kw_only=True, slots=True)
class FileView:
    """A file of the ledger."""

    name: str
    """Its remote name."""
    account: str
    """Its account."""
    audience: str
    """Its audience's label."""
    state: str
    """The contract's word."""
    tone: Tone
    """What that means."""
    kind: str
    """`replay`, `removals`, or empty."""
    built: Moment
    """When its name was reserved."""
    uploaded: Moment | None
    """When it got its final name."""
    size: str
    """Bytes, in words."""
    memberships: int
    """How many are in it."""
    attempts: int
    """How often it was tried, while it is not uploaded."""
    why: str
    """Why it is where it is."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ReplayView:
    """A replay that the spool holds."""

    name: str
    """Its name."""
    state: str
    """Where it is."""
    tone: Tone
    """What that means."""
    since: Moment | None
    """First event time asked for."""
    until: Moment | None
    """Event time before which it was asked for."""
    memberships: int
    """How many wait, at most."""
    files: int
    """How many have arrived."""


@dataclass(frozen=True, kw_only=True, slots=True)
class StreamView:
    """A stream since the process began."""

    name: str
    """Its name."""
    events: int
    """Read."""
    rate: str
    """A second, lately."""
    behind: int
    """Not read yet."""
    memberships: int
    """In sealed runs."""
    refused: int
    """To the dead letters."""
    paused: bool
    """It waits for room in the spool."""


@dataclass(frozen=True, kw_only=True, slots=True)
class TranslationView:
    """A stream whose users are translated."""

    name: str
    """Its name."""
    namespace: str
    """Whose ids its events carry."""
    match_rate: str
    """`61.2 %` of its memberships since the process began were of known users; empty: there were none."""
    matched: int
    """How many those were."""
    found: int
    """How many more for browsers that became known later."""
    waiting: int
    """Not translated yet."""
    age: str
    """Of the oldest of them; empty: none wait."""
    kept: int
    """Kept for users who are not known yet."""


@dataclass(frozen=True, kw_only=True, slots=True)
class LettersView:
    """Dead letters of one reason, since the process began."""

    reason: str
    """The contract's word."""
    meaning: str
    """What it says of an event."""
    events: int
    """How many."""
    streams: str
    """Of which streams."""


@dataclass(frozen=True, kw_only=True, slots=True)
class SegmentView:
    """A segment that nobody can buy."""

    code: str
    """As events have it."""
    stream: str
    """Of which stream."""
    memberships: int
    """How many came."""
    first: str
    """The day on which it was first seen."""
    last: str
    """The day on which it was last seen."""


@dataclass(frozen=True, kw_only=True, slots=True)
class View:
    """The whole page."""

    at: Moment
    """As of when."""
    clock: str
    """The same to the second."""
    tone: Tone
    """The worst of the remarks."""
    verdict: str
    """`All well`, or how much there is to look at."""
    remarks: tuple[Remark, ...]
    """The worst first."""
    accounts: tuple[AccountView, ...]
    """In the order of the configuration."""
    waiting: tuple[WaitingView, ...]
    """The longest first."""
    more_waiting: str
    """How many more there are; empty: none."""
    unfinished: tuple[FileView, ...]
    """The newest first."""
    more_unfinished: str
    """How many more there are; empty: none."""
    delivered: tuple[FileView, ...]
    """The newest first, those that are not uploaded yet left out."""
    replays: tuple[ReplayView, ...]
    """The newest first."""
    streams: tuple[StreamView, ...]
    """In the order of the configuration."""
    translations: tuple[TranslationView, ...]
    """Of the streams whose users are translated, in the order of the configuration."""
    translation: str
    """How far that is, and how the identity table is, in sentences."""
    letters: tuple[LettersView, ...]
    """The most first."""
    segments: tuple[SegmentView, ...]
    """Those that nobody can buy, the most frequent first."""
    more_segments: str
    """Where there are more; empty: there are not."""
    spool: Bar | None
    """What is used of `spool.max_bytes`; None: not measured yet."""
    began: Moment
    """When the process began."""
    refresh: int
    """Seconds after which the page asks again."""
