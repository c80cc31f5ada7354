"""What the platform's processing log says of files, by the configured fields. Pure.

Nothing of its form is published (domain.md). So it is read with care: what is not understood is pending or
skipped, never success; a page that repeats is the end; in which order it lists files is not relied on.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from http import HTTPStatus

from bridge.clock import SECOND
from bridge.config import ProcessingLogSettings
from bridge.errors import BridgeError
from bridge.platform.api import CallFailed, Json
from bridge.platform.quoting import printable

MOST_PAGES = 1_000
"""Of one reading; the next goes on behind them, so that a log without an end costs only so much at a time."""

MOST_WORDS = 20
"""So many unknown statuses of a reading are remembered."""

_NOT_THERE = (HTTPStatus.NOT_FOUND, HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE)
"""How a page behind the last one may be answered."""

_LARGEST = 2**63 - 1
"""Of what the ledger keeps."""

_MILLISECONDS = 10**11
"""From here on a number is an instant in ms; as seconds it would be in the year 5138."""

_LONGEST_REASON = 10_000
"""Characters of a reason that are looked through; fewer are kept."""

_USER = re.compile(r"[0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}")

_A_USER = "(a user)"
"""Stands where a reason may quote a user id: no log or page of ours shows one (design.md, invariant 9)."""

_END_OF_TIME = 4_102_444_800_000
"""Epoch ms, the year 2100: a later instant is none."""


class NoPage(BridgeError):  # noqa: N818  # it says what was found
    """An answer is no page of a processing log."""


class Status(StrEnum):
    """What became of a file."""

    CONFIRMED = "confirmed"
    """It was processed."""
    REJECTED = "rejected"
    """It was refused."""
    PENDING = "pending"
    """Neither is said yet."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Entry:
    """What the log says of one file, once: a file may have several."""

    file: str
    """Its name; a folder that the log writes before it is left out."""
    status: Status
    """What that means."""
    said: str
    """Its status in the log's own word, printable."""
    known: bool
    """The settings name that word."""
    processed_at: int | None
    """When it was processed, epoch ms; None: the log does not say."""
    lines_accepted: int | None
    """Lines that were taken; None: the log does not say."""
    lines_refused: int | None
    """Lines that were not; None: the log does not say."""
    reason: str
    """Why it was refused, printable; empty: the log does not say."""


@dataclass(kw_only=True, slots=True)
class Reading:
    """What was read of the log so far: it may hold years, so of other files only what concerns us is kept."""

    names: Callable[[], AbstractSet[str]]
    """Of our files; asked behind each page, as what is on it may have been uploaded a moment ago."""
    end: int
    """The offset behind the last entry."""
    entries: list[tuple[int, Entry]] = field(default_factory=list)
    """Offset and entry, of our files, in the log's order."""
    skipped: int = 0
    """Entries that lack a file or a status."""
    unknown: set[str] = field(default_factory=set)
    """Statuses that the settings do not name, printable."""

    def take(self, entry: Entry | None, ours: AbstractSet[str]) -> None:
        """The entry at `end`; None: it lacks what it must have."""
        if entry is None:
            self.skipped += 1
        elif entry.file in ours:
            self.entries.append((self.end, entry))
        if entry is not None and not entry.known and len(self.unknown) < MOST_WORDS:
            self.unknown.add(entry.said)
        self.end += 1


def read(
    ask: Callable[[int], Json], settings: ProcessingLogSettings, reading: Reading, pages: int = MOST_PAGES
) -> None:
    """Read on from `reading.end`; `ask` gives the page at an offset.

    It ends at an empty page, at one that is not there behind another, at one that says what the one before it
    said, or behind so many `pages`.

    Raises:
        CallFailed: As `ask`; what came before it is in `reading`.
        NoPage: An answer is none; likewise.
    """
    before = list[object]()
    for _ in range(pages):
        try:
            answer = ask(reading.end)
        except CallFailed as failure:
            if before and not_there(failure):
                return
            raise
        records = _records(answer, settings)
        entries = [_entry(record, settings) for record in records]
        pairs = zip(entries, records, strict=True)
        page = [(entry.file, entry.said) if entry else record for entry, record in pairs]
        if not page or page == before:
            return
        ours = reading.names()
        for entry in entries:
            reading.take(entry, ours)
        before = page


def not_there(failure: BridgeError) -> bool:
    """Whether the log says that it has no page at the offset."""
    return isinstance(failure, CallFailed) and failure.status in _NOT_THERE


def newest(entries: Iterable[Entry]) -> Mapping[str, Entry]:
    """The newest entry of each file: by when it was processed, else the later of them in the log."""
    found = dict[str, Entry]()
    for entry in entries:
        other = found.get(entry.file)
        if other is None or not _older(entry, other):
            found[entry.file] = entry
    return found


def _older(one: Entry, other: Entry) -> bool:
    known = one.processed_at is not None and other.processed_at is not None
    return known and (one.processed_at or 0) < (other.processed_at or 0)


def _records(answer: Json, settings: ProcessingLogSettings) -> list[object]:
    records = _at(answer, settings.records)
    if not isinstance(records, list):
        raise NoPage(
            f"the processing log at {settings.url} answers with no list of entries: see that "
            f"platform.processing_log.records names it"
        )
    return records


def _entry(record: object, settings: ProcessingLogSettings) -> Entry | None:
    fields = settings.fields
    file, status = _at(record, fields.file), _at(record, fields.status)
    if not (isinstance(file, str) and isinstance(status, str | int)):
        return None
    said = str(status)
    return Entry(
        file=file.rpartition("/")[2],
        status=_status(said, settings),
        said=printable(said),
        known=said in (*settings.confirmed, *settings.rejected, *settings.pending),
        processed_at=_instant(_at(record, fields.processed_at)),
        lines_accepted=_count(_at(record, fields.lines_accepted)),
        lines_refused=_count(_at(record, fields.lines_refused)),
        reason=_reason(_at(record, fields.reason)),
    )


def _reason(said: object) -> str:
    return printable(_USER.sub(_A_USER, said[:_LONGEST_REASON])) if isinstance(said, str) else ""


def _status(said: str, settings: ProcessingLogSettings) -> Status:
    if said in settings.rejected:
        return Status.REJECTED
    return Status.CONFIRMED if said in settings.confirmed else Status.PENDING


def _at(value: object, path: str) -> object:
    """What stands at a path of keys with dots between them; None: nothing does."""
    for key in path.split("."):
        value = value.get(key) if isinstance(value, dict) else None
    return value


def _count(value: object) -> int | None:
    if isinstance(value, bool) or not isinstance(value, int):
        return None
    return value if 0 <= value <= _LARGEST else None


def _instant(value: object) -> int | None:
    """Epoch ms of ISO 8601 (UTC, where it names no zone), or of epoch seconds or milliseconds."""
    try:
        instant = _of_text(value) if isinstance(value, str) else _of_number(value)
    except (ValueError, TypeError, OverflowError):
        return None
    return instant if 0 < instant < _END_OF_TIME else None


def _of_text(text: str) -> int:
    moment = datetime.fromisoformat(text)
    return round((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp() * SECOND)


def _of_number(value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TypeError("no instant")
    return round(value if value >= _MILLISECONDS else value * SECOND)
