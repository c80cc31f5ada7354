"""What `status --file` tells: one file's whole way, from the offsets it came from to its last attempt.

All of it is from the ledger and the footers of runs, read only, so it may be asked beside a running bridge.
Instants are epoch milliseconds in the records, ISO 8601 UTC in the JSON (docs/logging.md).
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum

from bridge.audience.audience import Audience
from bridge.audience.header import Header
from bridge.clock import SECOND, Clock
from bridge.config import Config, Stream
from bridge.deliver.ledger import Ledger
from bridge.deliver.records import FileRecord, RunRange, TriedFile, Try
from bridge.ingest.topics import Topics
from bridge.service.opening import known_ledger
from bridge.service.telling.next_step import next_step
from bridge.service.telling.status import FileStatus, file_json, overdue
from bridge.service.telling.unknown_file import unknown_file
from bridge.spool.footer import Position
from bridge.spool.run import Run
from bridge.spool.spool import Spool
from bridge.translation.progress import TRANSLATION
from bridge.units import iso, iso_or_none


class RunState(StrEnum):
    """What became of a run since a file was made of it."""

    LIVE = "live"
    """It stands as it did: its offsets are known exactly."""
    MERGED = "merged"
    """It stands in a larger one, whose offsets are those of all its runs."""
    RETIRED = "retired"
    """It is gone, and its offsets with it."""


@dataclass(frozen=True, kw_only=True, slots=True)
class RunWay:
    """One run that a file is made of."""

    made_of: RunRange
    """Its numbers when the file was built."""
    state: RunState
    """What became of it."""
    now: RunRange | None
    """The numbers of the run that it is, or is in; None: it is retired."""
    oldest_sealed_at: int | None
    """When the first window in that run was sealed; None: it is retired."""
    sealed_at: int | None
    """When the last one was; None: it is retired."""
    offsets: tuple[Position, ...]
    """What that run has taken of the topics that may fill the file's audience, for whatever audience."""


@dataclass(frozen=True, kw_only=True, slots=True)
class FileWay:
    """All that is known of one file."""

    at: int
    """When it was asked."""
    tried: TriedFile
    """What the ledger says of it, and its attempts."""
    runs: tuple[RunWay, ...] | None
    """What it is made of, ascending; None: an older version built it, and did not note that."""
    overdue: bool
    """The platform should have told by now what became of it."""
    to_do: str
    """What somebody is to do about it; empty: nothing, it has arrived."""

    @property
    def file(self) -> FileRecord:
        """What the ledger says of it."""
        return self.tried.file

    @property
    def header(self) -> dict[str, str]:
        """The fields of its header; of a file of an older version without `DateCreated`."""
        fields = _header(self.file).fields()
        if self.file.reserved_at is None:
            fields.pop("DateCreated")
        return fields

    def to_json(self) -> dict[str, object]:
        """The object of `status --file --json`."""
        file = FileStatus(file=self.file, attempts=len(self.tried.tries))
        return {
            "at": iso(self.at),
            "file": {
                **file_json(file),
                "reserved_at": iso_or_none(self.file.reserved_at),
                "overdue": self.overdue,
            },
            "header": self.header,
            "run": self.file.progress.run,
            "runs": None if self.runs is None else [_run_json(run) for run in self.runs],
            "attempts": [_attempt_json(*one) for one in enumerate(self.tried.tries, start=1)],
            "to_do": self.to_do,
        }


def follow(config: Config, clock: Clock, name: str) -> FileWay:
    """The way of the file of this name.

    Raises:
        UsageError: The ledger does not know it; the text says why, as far as that can be told.
        BridgeError: There is no ledger yet, or the spool or the ledger cannot be read.
    """
    directory, now = config.spool.directory, clock.now()
    asked = f"--file {name}"
    with Ledger.read_only(known_ledger(config, asked)) as ledger:
        tried = ledger.tried(name) if name.isascii() else None  # SQLite takes no broken text
        if tried is None:
            raise unknown_file(asked, name, ledger, directory / "files", now)
        to_do = next_step(tried, config, ledger, now)
    spool = Spool.open(directory, clock=clock)
    return FileWay(
        at=now,
        tried=tried,
        runs=_runs(config, spool, tried.file),
        overdue=overdue(tried.file, config, now),
        to_do=to_do,
    )


def _runs(config: Config, spool: Spool, file: FileRecord) -> tuple[RunWay, ...] | None:
    if file.runs is None:
        return None
    live = spool.runs()
    if file.replay:
        live = next((one.runs() for one in spool.replays.all() if one.id == file.replay), ())
    topics, ways = Topics(config.streams), []
    for made_of in file.runs:
        run = next((one for one in live if one.low <= made_of.low and made_of.number <= one.number), None)
        ways.append(_run_way(made_of, run, tuple(_filling(file.audience, run, topics)) if run else ()))
    return tuple(ways)


def _run_way(made_of: RunRange, run: Run | None, offsets: tuple[Position, ...]) -> RunWay:
    now = None if run is None else RunRange(run.low, run.number)
    state = RunState.RETIRED if now is None else RunState.LIVE if now == made_of else RunState.MERGED
    return RunWay(
        made_of=made_of,
        state=state,
        now=now,
        oldest_sealed_at=run.footer.oldest_sealed_at if run else None,
        sealed_at=run.footer.sealed_at if run else None,
        offsets=offsets,
    )


def _filling(audience: Audience, run: Run, topics: Topics) -> Iterator[Position]:
    """How far the run took the topics that may fill the audience; those of no stream (any more) may.

    How far partner ids were translated stands among the positions, and is of no topic.
    """
    for position in run.footer.positions:
        if position.cluster_id == TRANSLATION:
            continue
        stream = topics.stream_of(position.topic)
        if stream is None or _fills(stream, audience):
            yield position


def _fills(stream: Stream, audience: Audience) -> bool:
    return any(one == audience for one in stream.audiences())


def _header(file: FileRecord) -> Header:
    audience = file.audience
    return Header(
        file_identifier=file.name,
        date_created=(file.reserved_at or 0) // SECOND,
        user_namespace=audience.user_namespace,
        user_table_id=audience.user_table_id,
        segment_namespace=audience.segment_namespace,
        mobile=audience.mobile,
        hash_segments=audience.hashed,
    )


def spans(runs: Sequence[RunWay]) -> dict[tuple[str, int], tuple[int | None, int]]:
    """Of each topic and partition the first offset (None: not known) and the one behind the last."""
    found: dict[tuple[str, int], tuple[int | None, int]] = {}
    for position in (position for run in runs for position in run.offsets):
        key = (position.topic, position.partition)
        first, behind = found.get(key, (position.first_offset, position.next_offset))
        known = None if first is None or position.first_offset is None else min(first, position.first_offset)
        found[key] = (known, max(behind, position.next_offset))
    return dict(sorted(found.items()))


def _run_json(run: RunWay) -> dict[str, object]:
    return {
        "low": run.made_of.low,
        "run": run.made_of.number,
        "state": str(run.state),
        "now": None if run.now is None else {"low": run.now.low, "run": run.now.number},
        "oldest_sealed_at": iso_or_none(run.oldest_sealed_at),
        "sealed_at": iso_or_none(run.sealed_at),
        "offsets": [
            {
                "topic": position.topic,
                "partition": position.partition,
                "first_offset": position.first_offset,
                "next_offset": position.next_offset,
            }
            for position in run.offsets
        ],
    }


def _attempt_json(number: int, attempt: Try) -> dict[str, object]:
    return {
        "attempt": number,
        "started_at": iso(attempt.started_at),
        "ended_at": iso_or_none(attempt.ended_at),
        "outcome": None if attempt.outcome is None else str(attempt.outcome),
        "reason": attempt.reason or None,
        "detail": attempt.detail,
        "skew_ms": attempt.skew,
    }
