"""When the processing log is asked, from where on, and what its entries mean for our files. Pure."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from bridge.clock import HOUR, MINUTE, SECOND
from bridge.deliver.file_state import FileState
from bridge.deliver.records import FileRecord
from bridge.platform.processing_log import Entry, Reading, Status, newest

SOON = 30 * SECOND
"""After an upload the log is asked so soon, ms; sooner where `poll` is shorter."""

LOST = 15 * MINUTE
"""A file that the log does not have so long after its upload is looked for from the log's beginning, ms."""

WHOLE = HOUR
"""And that no more often than this, ms: the log may hold years."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Looks:
    """What is remembered of when a log was asked. A restart forgets it, which costs one whole read."""

    last_at: int | None = None
    """When it was last asked, epoch ms; None: never."""
    failed: bool = False
    """It gave no answer then."""
    not_before: int = 0
    """When it may be asked again, as it said itself, epoch ms."""
    whole_at: int | None = None
    """When it was last read from its beginning; None: never."""
    resume: int = 0
    """The offset before which nothing about our files can change."""
    lost: bool = False
    """A file that should have been there was not."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Confirm:
    """The platform has processed a file."""

    file: FileRecord
    entry: Entry


@dataclass(frozen=True, kw_only=True, slots=True)
class Reject:
    """The platform has refused a file."""

    file: FileRecord
    entry: Entry


@dataclass(frozen=True, kw_only=True, slots=True)
class Overdue:
    """A file should have been processed by now."""

    file: FileRecord
    said: str
    """Its status in the log's own word; empty: the log does not have it, as far as it was read."""


Decision: TypeAlias = Confirm | Reject | Overdue


def due_at(looks: Looks, unconfirmed: Sequence[FileRecord], poll: int, now: int) -> int | None:
    """When the log is to be asked (epoch ms, perhaps past); None: there is nothing to ask."""
    if not unconfirmed:
        return None
    if looks.last_at is None or looks.last_at > now:  # the clock was set back
        return now
    due = looks.last_at + poll
    if not looks.failed:
        fresh = [at for file in unconfirmed if (at := file.uploaded_at or 0) > looks.last_at]
        due = min([due, *(at + min(SOON, poll) for at in fresh)])
    return max(due, looks.not_before)


def start(looks: Looks, now: int) -> int:
    """The offset to read from."""
    whole = looks.whole_at is None or (looks.lost and not 0 <= now - looks.whole_at < WHOLE)
    return 0 if whole else looks.resume


def after(looks: Looks, reading: Reading, files: Sequence[FileRecord], begun: int, now: int) -> Looks:
    """What is remembered after a good look, which read from the offset `begun` on.

    `files` are those that had their final names behind it.
    """
    known = newest(entry for _, entry in reading.entries)
    states = {file.name: file.state for file in files}
    waiting = (at for at, entry in reading.entries if _waits(entry, known, states.get(entry.file)))
    return Looks(
        last_at=now,
        whole_at=now if begun == 0 else looks.whole_at,
        # the last entry is read again: some logs have no page behind their end, not even an empty one
        resume=min(waiting, default=max(0, reading.end - 1)),
        lost=any(is_overdue(file, LOST, now) for file in files if file.name not in known),
    )


def _waits(entry: Entry, known: Mapping[str, Entry], state: FileState | None) -> bool:
    """It is wanted again: it may change where it stands, or its file's upload is not noted yet (None)."""
    pending = entry.status is Status.PENDING and known[entry.file].status is Status.PENDING
    return state is None or (pending and state is not FileState.CONFIRMED)


def decide(
    files: Iterable[FileRecord], known: Mapping[str, Entry], overdue_after: int, now: int
) -> Iterator[Decision]:
    """What is to be written down of files that have their final names.

    Args:
        files: Those that were looked for.
        known: The newest entry of each that the log has (`processing_log.newest`).
        overdue_after: After its upload a file should be confirmed or rejected, ms.
        now: The present.
    """
    for file in files:
        entry = known.get(file.name)
        if entry is not None and entry.status is Status.CONFIRMED and _news(file, FileState.CONFIRMED, entry):
            yield Confirm(file=file, entry=entry)
        elif entry is not None and entry.status is Status.REJECTED and _news(file, FileState.REJECTED, entry):
            yield Reject(file=file, entry=entry)
        elif is_overdue(file, overdue_after, now):
            yield Overdue(file=file, said=entry.said if entry else "")


def _news(file: FileRecord, state: FileState, entry: Entry) -> bool:
    """An entry brings a file to another state; one that is no newer than what is noted of it does not."""
    if file.state is state:
        return False
    return entry.processed_at is None or file.processed_at is None or entry.processed_at > file.processed_at


def is_overdue(file: FileRecord, limit: int, now: int) -> bool:
    """Whether a file was uploaded so long ago (ms), and is neither confirmed nor rejected.

    One that is asked to be sent again or is settled is not: nobody waits for the platform's word any more.
    """
    return (
        file.state is FileState.UPLOADED
        and file.open
        and file.uploaded_at is not None
        and now - file.uploaded_at >= limit
    )
