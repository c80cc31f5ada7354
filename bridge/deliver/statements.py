"""The ledger's steps inside a transaction: SQL here, the order and the promises in `ledger`."""

import sqlite3
from collections.abc import Collection
from collections.abc import Set as AbstractSet
from dataclasses import replace

from bridge.audience.audience import Audience
from bridge.audience.frontier import Frontier
from bridge.deliver import ledger_rows
from bridge.deliver.file_state import UNFINISHED, FileEvent, FileState, after
from bridge.deliver.quota import Attempt
from bridge.deliver.records import AudienceState, FileRecord, Outcome, Progress, TriedFile, moving_average

_INSERT_FILE = """
    INSERT INTO files (name, account, audience, state, path, bytes, lines, memberships, sha256, created_at,
        uploaded_at, detail, replay, start, stop, run, newest_event_time, removals_only, reserved_at, runs)
    VALUES (:name, :account, :audience, :state, :path, :bytes, :lines, :memberships, :sha256, :created_at,
        :uploaded_at, :detail, :replay, :start, :stop, :run, :newest_event_time, :removals_only, :reserved_at,
        :runs)"""

_WRITE_AUDIENCE = """
    INSERT INTO audiences (audience, account, fields, frontier, removals, replayed, replayed_again,
        newest_delivered, horizon, foreign_horizon, retired, served_at, bytes_per_membership)
    VALUES (:audience, :account, :fields, :frontier, :removals, :replayed, :replayed_again,
        :newest_delivered, :horizon, :foreign_horizon, :retired, :served_at, :bytes_per_membership)
    ON CONFLICT (audience) DO UPDATE SET frontier = :frontier, removals = :removals, replayed = :replayed,
        replayed_again = :replayed_again, newest_delivered = :newest_delivered, horizon = :horizon,
        foreign_horizon = :foreign_horizon, retired = :retired, served_at = :served_at,
        bytes_per_membership = :bytes_per_membership"""


def close_account(connection: sqlite3.Connection, account: str, until: int) -> None:
    """The account's quota counts as spent until then, or until what was set before."""
    connection.execute("INSERT OR IGNORE INTO accounts (account) VALUES (?)", (account,))
    connection.execute(
        "UPDATE accounts SET closed_until = MAX(closed_until, ?) WHERE account = ?", (until, account)
    )


def set_skew(connection: sqlite3.Connection, account: str, skew: int, attempt: int | None) -> None:
    """The account's skew, and the attempt's that measured it."""
    connection.execute("INSERT OR IGNORE INTO accounts (account) VALUES (?)", (account,))
    connection.execute("UPDATE accounts SET skew = ? WHERE account = ?", (skew, account))
    connection.execute("UPDATE attempts SET skew = ? WHERE attempt = ?", (skew, attempt))


def counted(connection: sqlite3.Connection, account: str, since: int) -> tuple[Attempt, ...]:
    """The account's attempts that count and ended at or after `since`, or are open."""
    rows = connection.execute(
        """SELECT * FROM attempts WHERE account = ? AND outcome IS NOT ?
            AND (ended_at IS NULL OR MAX(started_at, ended_at) >= ?)""",
        (account, Outcome.GIVEN_BACK, since),
    )
    return ledger_rows.attempts(rows)


def audience_state(connection: sqlite3.Connection, audience: Audience) -> AudienceState:
    """What is known of an audience."""
    row = connection.execute("SELECT * FROM audiences WHERE audience = ?", (audience.key,)).fetchone()
    return AudienceState() if row is None else ledger_rows.audience_state(row)


def write_audience(connection: sqlite3.Connection, audience: Audience, state: AudienceState) -> None:
    """What is known of an audience from now on."""
    connection.execute(_WRITE_AUDIENCE, ledger_rows.audience_values(audience, state))


def advanced(state: AudienceState, progress: Progress) -> AudienceState:
    """An audience after what `progress` covers went out. Removals that went ahead stay pending."""
    times = [time for time in (state.newest_delivered, progress.newest_event_time) if time is not None]
    newest = max(times, default=None)
    if progress.replay:
        before = state.replayed.get(progress.replay, Frontier())
        replayed = {**state.replayed, progress.replay: _advance(before, progress)}
        again = {
            replay: _advance(frontier, progress) if replay == progress.replay else frontier
            for replay, frontier in state.again.items()
        }
        return replace(state, replayed=replayed, again=again, newest_delivered=newest)
    if progress.removals_only:
        return replace(state, removals=_advance(state.removals, progress), newest_delivered=newest)
    return replace(state, frontier=_advance(state.frontier, progress), newest_delivered=newest)


def _advance(frontier: Frontier, progress: Progress) -> Frontier:
    return frontier.advance(progress.start, progress.stop, progress.run)


def rewound(state: AudienceState, progress: Progress, run: int) -> AudienceState:
    """An audience as if of the users of a file no more than up to `run` had gone out.

    What it has is not forgotten: `newest_delivered` stays, so that what is sent again is judged as late rows.
    """
    start, stop = progress.start, progress.stop
    if progress.replay:
        before = state.again.get(progress.replay, state.replayed[progress.replay])
        return replace(state, again={**state.again, progress.replay: before.rewind(start, stop, run)})
    removals = state.removals.rewind(start, stop, run)
    if progress.removals_only:
        return replace(state, removals=removals)
    return replace(state, frontier=state.frontier.rewind(start, stop, run), removals=removals)


def rewinds(connection: sqlite3.Connection) -> int:
    """How often a frontier was set back."""
    return int(connection.execute("SELECT rewinds FROM ledger").fetchone()["rewinds"])


def write_resend_asked(connection: sqlite3.Connection, file: FileRecord, asked_at: int | None) -> None:
    """Somebody wants what a file held to be sent again; None: nobody does any more."""
    connection.execute(
        "UPDATE files SET resend_asked_at = ?, resent_at = NULL WHERE name = ?", (asked_at, file.name)
    )


def write_settled(connection: sqlite3.Connection, file: FileRecord, now: int) -> None:
    """Nothing is to be done about a file any more."""
    connection.execute("UPDATE files SET settled_at = ? WHERE name = ?", (now, file.name))


def write_resent(connection: sqlite3.Connection, file: FileRecord, run: int, now: int) -> None:
    """What a file held is due again: of its users no more than up to `run` is delivered."""
    connection.execute("UPDATE files SET resent_at = ? WHERE name = ?", (now, file.name))
    state = audience_state(connection, file.audience)
    write_audience(connection, file.audience, rewound(state, file.progress, run))
    connection.execute("UPDATE ledger SET rewinds = rewinds + 1")


def files_to_resend(connection: sqlite3.Connection, account: str) -> tuple[FileRecord, ...]:
    """Files of an account that are asked to be sent again and are not due again yet; the oldest first."""
    rows = connection.execute(
        """SELECT files.*, audiences.fields FROM files JOIN audiences USING (audience)
        WHERE files.account = ? AND resend_asked_at IS NOT NULL AND resent_at IS NULL ORDER BY file""",
        (account,),
    )
    return tuple(ledger_rows.file_record(row) for row in rows)


def awaited_audiences(connection: sqlite3.Connection, account: str) -> frozenset[Audience]:
    """Audiences of an account with a file that is uploaded and nothing else: not sent again, not settled."""
    rows = connection.execute(
        """SELECT fields FROM audiences WHERE audience IN (
            SELECT audience FROM files
            WHERE account = ? AND state = ? AND resend_asked_at IS NULL AND settled_at IS NULL)""",
        (account, FileState.UPLOADED),
    )
    return frozenset(ledger_rows.audience(row) for row in rows)


def insert_file(connection: sqlite3.Connection, file: FileRecord) -> None:
    """A new file, its audience known from now on."""
    write_audience(connection, file.audience, audience_state(connection, file.audience))
    connection.execute(_INSERT_FILE, ledger_rows.file_values(file))


def find_file(connection: sqlite3.Connection, name: str) -> FileRecord | None:
    """The file of this name."""
    row = _file_row(connection, name)
    return None if row is None else ledger_rows.file_record(row)


def known_file(connection: sqlite3.Connection, name: str) -> FileRecord:
    """The file of this name.

    Raises:
        ValueError: There is none.
    """
    file = find_file(connection, name)
    if file is None:
        raise ValueError(f"the ledger knows no file {name}")
    return file


def newest_files(
    connection: sqlite3.Connection, account: str | None, states: Collection[FileState], limit: int
) -> tuple[FileRecord, ...]:
    """Files of an account, or of all, in these states; the newest first."""
    rows = connection.execute(
        """SELECT files.*, audiences.fields FROM files JOIN audiences USING (audience)
        WHERE (:account IS NULL OR files.account = :account)
            AND instr(:states, ' ' || state || ' ')
        ORDER BY created_at DESC, file DESC LIMIT :limit""",
        {"account": account, "states": f" {' '.join(states)} ", "limit": limit},
    )
    return tuple(ledger_rows.file_record(row) for row in rows)


def file_counts(connection: sqlite3.Connection) -> dict[tuple[str, str], int]:
    """How many files there are, by account and state."""
    rows = connection.execute("SELECT account, state, COUNT(*) AS files FROM files GROUP BY account, state")
    return {(str(row["account"]), str(row["state"])): int(row["files"]) for row in rows}


def files_of_replay(connection: sqlite3.Connection, replay: str) -> tuple[FileRecord, ...]:
    """Files of a replay, the oldest first."""
    rows = connection.execute(
        """SELECT files.*, audiences.fields FROM files JOIN audiences USING (audience)
        WHERE replay = ? ORDER BY file""",
        (replay,),
    )
    return tuple(ledger_rows.file_record(row) for row in rows)


def delete_replays(connection: sqlite3.Connection, replays: AbstractSet[str]) -> None:
    """No audience knows of these replays any more, but of those with files that may yet arrive."""
    rows = connection.execute("SELECT DISTINCT replay FROM files WHERE state IN (?, ?)", UNFINISHED)
    gone = replays - {row["replay"] for row in rows}
    for row in connection.execute("SELECT * FROM audiences").fetchall():
        state = ledger_rows.audience_state(row)
        left = {replay: frontier for replay, frontier in state.replayed.items() if replay not in gone}
        if left != state.replayed:
            again = {replay: frontier for replay, frontier in state.again.items() if replay in left}
            retired = {lane: run for lane, run in state.retired.items() if lane not in gone}
            write_audience(
                connection,
                ledger_rows.audience(row),
                replace(state, replayed=left, again=again, retired=retired),
            )


def unfinished_files(connection: sqlite3.Connection, account: str) -> tuple[TriedFile, ...]:
    """Files of an account that are built or uploading, the oldest first."""
    rows = connection.execute(
        """SELECT files.*, audiences.fields FROM files JOIN audiences USING (audience)
        WHERE files.account = ? AND state IN (?, ?) ORDER BY file""",
        (account, *UNFINISHED),
    ).fetchall()
    return tuple(_tried(connection, row) for row in rows)


def tried_file(connection: sqlite3.Connection, name: str) -> TriedFile | None:
    """The file of this name, and its attempts."""
    row = _file_row(connection, name)
    return None if row is None else _tried(connection, row)


def _file_row(connection: sqlite3.Connection, name: str) -> sqlite3.Row | None:
    row: sqlite3.Row | None = connection.execute(
        "SELECT files.*, audiences.fields FROM files JOIN audiences USING (audience) WHERE name = ?", (name,)
    ).fetchone()
    return row


def _tried(connection: sqlite3.Connection, row: sqlite3.Row) -> TriedFile:
    attempts = connection.execute("SELECT * FROM attempts WHERE file = ? ORDER BY attempt", (row["file"],))
    return TriedFile(file=ledger_rows.file_record(row), tries=ledger_rows.tries(attempts))


def write_state(connection: sqlite3.Connection, file: FileRecord, event: FileEvent, detail: str) -> None:
    """What happens to a file.

    Raises:
        ValueError: It cannot happen in the file's state.
    """
    state = after(file.state, event)
    connection.execute("UPDATE files SET state = ?, detail = ? WHERE name = ?", (state, detail, file.name))


def write_processed(
    connection: sqlite3.Connection,
    file: FileRecord,
    event: FileEvent,
    *,
    processed_at: int | None,
    lines_accepted: int | None,
    lines_refused: int | None,
    detail: str,
) -> None:
    """What the platform's processing log says of a file: its newest word counts, whole.

    Raises:
        ValueError: It cannot be said of a file in this state.
    """
    write_state(connection, file, event, detail)
    connection.execute(
        "UPDATE files SET processed_at = ?, lines_accepted = ?, lines_refused = ? WHERE name = ?",
        (processed_at, lines_accepted, lines_refused, file.name),
    )


def arrived_files(connection: sqlite3.Connection, account: str, state: FileState) -> tuple[FileRecord, ...]:
    """Files of an account that are in a state of files with their final names, the oldest upload first."""
    rows = connection.execute(
        """SELECT files.*, audiences.fields FROM files JOIN audiences USING (audience)
        WHERE files.account = ? AND state = ? ORDER BY uploaded_at, file""",
        (account, state),
    )
    return tuple(ledger_rows.file_record(row) for row in rows)


def file_names(connection: sqlite3.Connection, account: str) -> frozenset[str]:
    """Of an account's files but those that were given up."""
    rows = connection.execute(
        "SELECT name FROM files WHERE account = ? AND state <> ?", (account, FileState.FAILED)
    )
    return frozenset(str(row["name"]) for row in rows)


def delete_built(connection: sqlite3.Connection, file: FileRecord) -> None:
    """Forget a file that was never begun.

    Raises:
        ValueError: It was begun.
    """
    if file.state is not FileState.BUILT:
        raise ValueError(f"a file that is {file.state} cannot be discarded")
    connection.execute("DELETE FROM files WHERE name = ?", (file.name,))


def delete_finished(connection: sqlite3.Connection, before: int) -> int:
    """Forget the finished files made and uploaded before this; how many those were."""
    return connection.execute(
        "DELETE FROM files WHERE created_at < ? AND COALESCE(uploaded_at, 0) < ? AND state NOT IN (?, ?)",
        (before, before, *UNFINISHED),
    ).rowcount


def insert_attempt(connection: sqlite3.Connection, file: FileRecord, now: int) -> int:
    """An open attempt of a file; its id."""
    write_state(connection, file, FileEvent.BEGIN, file.detail)
    cursor = connection.execute(
        """INSERT INTO attempts (file, account, bytes, replay, started_at, skew)
        SELECT file, account, bytes, replay <> '', ?, 0 FROM files WHERE name = ?""",
        (now, file.name),
    )
    assert cursor.lastrowid is not None
    return cursor.lastrowid


def close_attempt(
    connection: sqlite3.Connection, attempt: int, now: int, outcome: Outcome, *, reason: str, detail: str
) -> FileRecord:
    """End an open attempt; its file.

    Raises:
        ValueError: It is not open.
    """
    row = connection.execute(
        "SELECT name FROM files JOIN attempts USING (file) WHERE attempt = ? AND ended_at IS NULL", (attempt,)
    ).fetchone()
    if row is None:
        raise ValueError(f"attempt {attempt} is not open")
    connection.execute(
        "UPDATE attempts SET ended_at = ?, outcome = ?, reason = ?, detail = ? WHERE attempt = ?",
        (now, outcome, reason, detail, attempt),
    )
    return known_file(connection, str(row["name"]))


def failure(connection: sqlite3.Connection, file: FileRecord) -> FileEvent:
    """What a failed attempt means for its file: never begun, if all its attempts were given back."""
    spent = connection.execute(
        "SELECT COUNT(*) AS spent FROM attempts JOIN files USING (file) WHERE name = ? AND outcome IS NOT ?",
        (file.name, Outcome.GIVEN_BACK),
    ).fetchone()
    return FileEvent.BREAK if int(spent["spent"]) else FileEvent.GIVE_BACK


def write_uploaded(connection: sqlite3.Connection, file: FileRecord, now: int, detail: str) -> None:
    """A file has its final name: its audience has had its turn and is that much further.

    Raises:
        ValueError: The file is finished.
    """
    write_state(connection, file, FileEvent.DONE, detail)
    connection.execute("UPDATE files SET uploaded_at = ? WHERE name = ?", (now, file.name))
    known = audience_state(connection, file.audience)
    average = known.bytes_per_membership
    if not file.progress.removals_only:
        average = moving_average(average, file.bytes, file.memberships)
    served = replace(advanced(known, file.progress), served_at=now, bytes_per_membership=average)
    write_audience(connection, file.audience, served)
