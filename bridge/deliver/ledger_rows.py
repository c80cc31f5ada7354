"""Between the ledger's rows and its records."""

import json
import sqlite3
from collections.abc import Iterable, Mapping

from bridge.audience.audience import Audience
from bridge.audience.frontier import Frontier
from bridge.deliver.file_state import FileState
from bridge.deliver.quota import Attempt
from bridge.deliver.records import AudienceState, FileRecord, Outcome, Progress, RunRange, Try


def file_record(row: sqlite3.Row) -> FileRecord:
    """A row of files joined with its audience's `fields`."""
    return FileRecord(
        name=row["name"],
        audience=audience(row),
        state=FileState(row["state"]),
        path=row["path"],
        bytes=row["bytes"],
        lines=row["lines"],
        memberships=row["memberships"],
        sha256=row["sha256"],
        created_at=row["created_at"],
        uploaded_at=row["uploaded_at"],
        detail=row["detail"],
        progress=Progress(
            start=row["start"],
            stop=row["stop"],
            run=row["run"],
            newest_event_time=row["newest_event_time"],
            removals_only=bool(row["removals_only"]),
            replay=row["replay"],
        ),
        reserved_at=row["reserved_at"],
        runs=None if row["runs"] is None else tuple(RunRange(*pair) for pair in json.loads(row["runs"])),
        processed_at=row["processed_at"],
        lines_accepted=row["lines_accepted"],
        lines_refused=row["lines_refused"],
        resend_asked_at=row["resend_asked_at"],
        resent_at=row["resent_at"],
        settled_at=row["settled_at"],
    )


def file_values(file: FileRecord) -> dict[str, object]:
    """The columns of a file's row, without its own key."""
    progress = file.progress
    return {
        "name": file.name,
        "account": file.audience.account,
        "audience": file.audience.key,
        "state": str(file.state),
        "path": file.path,
        "bytes": file.bytes,
        "lines": file.lines,
        "memberships": file.memberships,
        "sha256": file.sha256,
        "created_at": file.created_at,
        "uploaded_at": file.uploaded_at,
        "detail": file.detail,
        "replay": file.replay,
        "start": progress.start,
        "stop": progress.stop,
        "run": progress.run,
        "newest_event_time": progress.newest_event_time,
        "removals_only": int(progress.removals_only),
        "reserved_at": file.reserved_at,
        "runs": None if file.runs is None else json.dumps([(run.low, run.number) for run in file.runs]),
    }


def audience(row: sqlite3.Row) -> Audience:
    """The audience in a row's `fields`."""
    return Audience.from_json(json.loads(row["fields"]))


def audience_state(row: sqlite3.Row) -> AudienceState:
    """A row of audiences."""
    return AudienceState(
        frontier=Frontier.from_json(json.loads(row["frontier"])),
        removals=Frontier.from_json(json.loads(row["removals"])),
        replayed=_frontiers(row["replayed"]),
        again=_frontiers(row["replayed_again"]),
        newest_delivered=row["newest_delivered"],
        horizon=row["horizon"],
        foreign_horizon=row["foreign_horizon"],
        retired=json.loads(row["retired"]),
        served_at=row["served_at"],
        bytes_per_membership=row["bytes_per_membership"],
    )


def _frontiers(text: str) -> dict[str, Frontier]:
    """Frontiers of replays, by id."""
    return {replay: Frontier.from_json(steps) for replay, steps in json.loads(text).items()}


def _frontiers_json(frontiers: Mapping[str, Frontier]) -> str:
    """Inverse of `_frontiers`."""
    return json.dumps({replay: frontier.to_json() for replay, frontier in frontiers.items()})


def audience_values(whose: Audience, state: AudienceState) -> dict[str, object]:
    """The columns of an audience's row."""
    return {
        "audience": whose.key,
        "account": whose.account,
        "fields": json.dumps(whose.to_json()),
        "frontier": json.dumps(state.frontier.to_json()),
        "removals": json.dumps(state.removals.to_json()),
        "replayed": _frontiers_json(state.replayed),
        "replayed_again": _frontiers_json(state.again),
        "newest_delivered": state.newest_delivered,
        "horizon": state.horizon,
        "foreign_horizon": state.foreign_horizon,
        "retired": json.dumps(dict(state.retired)),
        "served_at": state.served_at,
        "bytes_per_membership": state.bytes_per_membership,
    }


def attempts(rows: Iterable[sqlite3.Row]) -> tuple[Attempt, ...]:
    """Rows of attempts as the quota counts them."""
    return tuple(
        Attempt(
            started_at=row["started_at"],
            ended_at=row["ended_at"],
            bytes=row["bytes"],
            replay=bool(row["replay"]),
            skew=row["skew"],
        )
        for row in rows
    )


def tries(rows: Iterable[sqlite3.Row]) -> tuple[Try, ...]:
    """Rows of attempts as a file's history."""
    return tuple(
        Try(
            started_at=row["started_at"],
            ended_at=row["ended_at"],
            outcome=None if row["outcome"] is None else Outcome(row["outcome"]),
            reason=row["reason"],
            detail=row["detail"],
            skew=row["skew"],
        )
        for row in rows
    )
