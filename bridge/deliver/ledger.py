"""The ledger: how far each audience is delivered, which files were made of it, what was spent of the quota.

Every method that writes is one transaction, durable when it returns (SQLite, synchronous=FULL). Where
SQLite gives up it raises `LedgerFailed`, and nothing may be uploaded: what is not written down is not
done. A ledger may be used from several threads. Instants are epoch milliseconds.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Self

from bridge.audience import names
from bridge.audience.audience import Audience
from bridge.audience.names import FileName
from bridge.clock import HOUR, MINUTE
from bridge.deliver import ledger_rows, statements
from bridge.deliver.database import Database, LedgerDamaged, LedgerFailed, publish, reserve_file
from bridge.deliver.file_state import ARRIVED, FileEvent, FileState
from bridge.deliver.quota import Attempt
from bridge.deliver.records import AudienceState, FileRecord, Outcome, Progress, TriedFile

__all__ = ["Ledger", "LedgerDamaged", "LedgerFailed"]


RAN_AHEAD = 2 * HOUR
"""How far the stamps of a lost ledger are taken to have run ahead of the clock, ms. They are kept in no other
place, and a name that came again would be another file's (design.md, invariant 10). They run ahead where a
series has more than 60 files in an hour: not with the platform's 20. And an adopted account uploads nothing
before the next day, so that only what ran ahead over midnight matters."""


class Ledger:
    """The deliver room's memory. See the module's text for what its methods promise."""

    database = Database
    """What keeps it."""

    def __init__(self, database: Database) -> None:
        self._database = database

    @classmethod
    def open(cls, path: Path) -> Self:
        """The ledger in this file, whole and of this program's version.

        Raises:
            LedgerDamaged: There is none, or it is cut short or garbage; `--adopt` is the remedy.
            LedgerFailed: It cannot be opened.
        """
        return cls._verified(cls.database(path))

    @classmethod
    def read_only(cls, path: Path) -> Self:
        """As `open`, to look at beside a running bridge: nothing can be written."""
        return cls._verified(cls.database(path, read_only=True))

    @classmethod
    def create(cls, path: Path, spool_id: str, now: int, charged: Mapping[str, int] | None = None) -> Self:
        """A new ledger, in one step; one that lies there is kept beside it as `NAME.NOW.damaged`.

        Args:
            path: Its file.
            spool_id: The spool that it belongs to.
            now: The present.
            charged: Where runs exist already (`--adopt`): accounts whose windows count as spent, and until
                when (`quota.closing` with DAY: no byte of the day is left, and so no file).

        Raises:
            LedgerFailed: The disk or SQLite refused.
        """
        new = path.with_name(f"{path.name}.new")
        try:
            reserve_file(new)
            database = cls.database(new)
            try:
                database.migrate()
                with database.transaction() as connection:
                    connection.execute("INSERT INTO ledger (spool_id) VALUES (?)", (spool_id,))
                    for account, until in (charged or {}).items():
                        statements.close_account(connection, account, until)
                    if charged:
                        stamp = now - now % MINUTE + RAN_AHEAD
                        connection.execute("INSERT INTO series VALUES ('', ?)", (stamp,))
            finally:
                database.close()
            publish(new, path, now)
        except OSError as error:
            raise LedgerFailed(f"{path}: the ledger cannot be created ({error}); check its folder") from error
        return cls.open(path)

    @classmethod
    def _verified(cls, database: Database) -> Self:
        try:
            database.verify()
        except BaseException:
            database.close()
            raise
        return cls(database)

    def close(self) -> None:
        """Close it for all threads; none may be using it."""
        self._database.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def spool_id(self) -> str:
        """The spool that it belongs to."""
        with self._database.reading() as connection:
            return str(connection.execute("SELECT spool_id FROM ledger").fetchone()["spool_id"])

    # Names

    def reserve_name(self, series: str, now: int) -> FileName:
        """The next name of a series (`names.series_of`): no other call ever gives it again."""
        with self._database.transaction() as connection:
            last = connection.execute(
                "SELECT MAX(stamp) AS stamp FROM series WHERE series IN (?, '')", (series,)
            ).fetchone()["stamp"]
            stamp = names.next_stamp(None if last is None else int(last), now)
            connection.execute("INSERT OR REPLACE INTO series VALUES (?, ?)", (series, stamp))
        return replace(names.parse(f"{series}_197001010000.log.gz"), stamp=stamp)

    # Accounts

    def skew(self, account: str) -> int:
        """Server's clock minus ours, in ms, as last measured; 0: never."""
        return self._of_account(account)[0]

    def set_skew(self, account: str, skew: int, attempt: int | None = None) -> None:
        """The skew that was measured, during this attempt if it is given."""
        with self._database.transaction() as connection:
            statements.set_skew(connection, account, skew, attempt)

    def closed_until(self, account: str) -> int:
        """Until when the account's quota counts as spent; 0: it does not."""
        return self._of_account(account)[1]

    def close_account(self, account: str, until: int) -> None:
        """The quota counts as spent until then, or until a later moment that was set before."""
        with self._database.transaction() as connection:
            statements.close_account(connection, account, until)

    def attempts(self, account: str, since: int) -> tuple[Attempt, ...]:
        """The attempts that count (all but those given back) and ended at or after `since`, or are open."""
        with self._database.reading() as connection:
            return statements.counted(connection, account, since)

    def known_since(self, account: str) -> int | None:
        """When the account's first attempt on record began; None: there is none, or it was long ago."""
        with self._database.reading() as connection:
            row = connection.execute(
                "SELECT MIN(started_at) AS first FROM attempts WHERE account = ?", (account,)
            ).fetchone()
        return None if row["first"] is None else int(row["first"])

    # Audiences

    def audience(self, audience: Audience) -> AudienceState:
        """What is known of an audience; the defaults, if nothing is."""
        with self._database.reading() as connection:
            return statements.audience_state(connection, audience)

    def audiences(self, account: str | None = None) -> dict[Audience, AudienceState]:
        """What is known of the audiences of an account, or of all."""
        with self._database.reading() as connection:
            rows = connection.execute(
                "SELECT * FROM audiences WHERE :account IS NULL OR account = :account ORDER BY audience",
                {"account": account},
            ).fetchall()
        return {ledger_rows.audience(row): ledger_rows.audience_state(row) for row in rows}

    def rewinds(self) -> int:
        """How often a frontier was set back: while it stays the same, what was delivered stays delivered."""
        with self._database.reading() as connection:
            return statements.rewinds(connection)

    def raise_horizons(
        self,
        horizons: Mapping[Audience, int],
        *,
        retired: Mapping[Audience, int] | None = None,
        replay: str = "",
        rewinds: int | None = None,
        foreign: bool = False,
    ) -> bool:
        """Runs are about to be retired. Horizons never sink.

        False: none may be, as a file was sent again since it was decided; nothing is noted.

        Args:
            horizons: The newest event time in these runs, by audience.
            retired: The newest of the runs, by audience; None: it is not known.
            replay: Id of the replay that they are runs of; empty: they are live ones.
            rewinds: As `rewinds` told before what is delivered was asked for; None: they go in any case.
            foreign: They came from archives or dead letters, so that no topic holds what they hold.
        """
        with self._database.transaction() as connection:
            if rewinds is not None and rewinds != statements.rewinds(connection):
                return False
            for audience, horizon in horizons.items():
                known = statements.audience_state(connection, audience)
                raised = replace(known, horizon=_later(known.horizon, horizon))
                if foreign:
                    raised = replace(raised, foreign_horizon=_later(known.foreign_horizon, horizon))
                if retired is not None:
                    newest = _later(known.retired.get(replay), retired[audience])
                    raised = replace(raised, retired={**known.retired, replay: newest})
                statements.write_audience(connection, audience, raised)
        return True

    def forget_replays(self, there: Callable[[], AbstractSet[str]]) -> None:
        """Of replays that are gone nobody asks any more how far they were delivered.

        `there`: the ids of those that are there, asked for once those that are known have been read.
        """
        known = {replay for state in self.audiences().values() for replay in state.replayed}
        gone = known - there()
        if not gone:
            return
        with self._database.transaction() as connection:
            statements.delete_replays(connection, gone)

    def skip(self, audience: Audience, progress: Progress) -> None:
        """All rows have lost: the audience advances without a file, and without a turn."""
        with self._database.transaction() as connection:
            known = statements.audience_state(connection, audience)
            statements.write_audience(connection, audience, statements.advanced(known, progress))

    # Files

    def add_file(self, file: FileRecord) -> None:
        """A file that is built: complete on our disk, and synced.

        Raises:
            ValueError: Its state is not `built`.
            LedgerFailed: Its name is taken, or its audience has an unfinished file.
        """
        if file.state is not FileState.BUILT:
            raise ValueError(f"a new file is built, not {file.state}")
        with self._database.transaction() as connection:
            statements.insert_file(connection, file)

    def discard(self, name: str) -> None:
        """Forget a file that was never begun; its name stays used.

        Raises:
            ValueError: It was begun.
        """
        with self._database.transaction() as connection:
            statements.delete_built(connection, statements.known_file(connection, name))

    def give_up(self, name: str, detail: str) -> None:
        """Its bytes are lost or cannot be uploaded: what it holds is to be delivered anew."""
        self._happen(name, FileEvent.GIVE_UP, detail)

    def confirm(
        self,
        name: str,
        *,
        processed_at: int | None = None,
        lines_accepted: int | None = None,
        lines_refused: int | None = None,
        detail: str = "",
    ) -> bool:
        """The platform has processed it, by its log's newest word; None: the log does not say.

        Said again it changes nothing but these; said of a file that was rejected it counts as well.
        False: there is no such file (any more), and nothing is noted: files are forgotten in time.

        Raises:
            ValueError: It has not got its final name.
        """
        return self._process(
            name,
            FileEvent.CONFIRM,
            processed_at=processed_at,
            lines_accepted=lines_accepted,
            lines_refused=lines_refused,
            detail=detail,
        )

    def reject(
        self,
        name: str,
        *,
        processed_at: int | None = None,
        lines_accepted: int | None = None,
        lines_refused: int | None = None,
        detail: str,
    ) -> bool:
        """The platform has refused it; as `confirm`, also where it was confirmed before.

        Raises:
            ValueError: It has not got its final name.
        """
        return self._process(
            name,
            FileEvent.REJECT,
            processed_at=processed_at,
            lines_accepted=lines_accepted,
            lines_refused=lines_refused,
            detail=detail,
        )

    def unconfirmed(self, account: str) -> tuple[FileRecord, ...]:
        """The files of an account that are uploaded, and neither confirmed nor rejected; the oldest first."""
        with self._database.reading() as connection:
            return statements.arrived_files(connection, account, FileState.UPLOADED)

    def rejected(self, account: str) -> tuple[FileRecord, ...]:
        """The files of an account that the platform's log has last said to be refused; as `unconfirmed`."""
        with self._database.reading() as connection:
            return statements.arrived_files(connection, account, FileState.REJECTED)

    def names_of(self, account: str) -> frozenset[str]:
        """The names of an account's files that have arrived, or may yet."""
        with self._database.reading() as connection:
            return statements.file_names(connection, account)

    def awaited(self, account: str) -> frozenset[Audience]:
        """The audiences of an account of which a file is `unconfirmed`, and not asked to be sent again."""
        with self._database.reading() as connection:
            return statements.awaited_audiences(connection, account)

    def ask_resend(self, name: str, now: int) -> bool:
        """What a file held is to be sent again, by its account's deliverer; False: it was asked, and waits.

        Raises:
            ValueError: There is no such file, or it has not got its final name.
        """
        with self._database.transaction() as connection:
            file = statements.known_file(connection, name)
            if file.state not in ARRIVED:
                raise ValueError(f"a file that is {file.state} cannot be sent again")
            if file.resend_waits:
                return False
            statements.write_resend_asked(connection, file, now)
            return True

    def settle(self, name: str, now: int) -> None:
        """Nothing is to be done about a file: nothing is waited for, and nobody is told, on its account.

        Raises:
            ValueError: There is no such file, or it has not got its final name.
        """
        with self._database.transaction() as connection:
            file = statements.known_file(connection, name)
            if file.state not in ARRIVED:
                raise ValueError(f"a file that is {file.state} cannot be settled")
            statements.write_settled(connection, file, now)

    def to_resend(self, account: str) -> tuple[FileRecord, ...]:
        """The files of an account of which it is asked, and not done; the oldest first."""
        with self._database.reading() as connection:
            return statements.files_to_resend(connection, account)

    def resend(
        self, name: str, now: int, refusal: Callable[[FileRecord, AudienceState], str | None]
    ) -> str | None:
        """What a file held is due again: its audience's frontier goes back to before its runs.

        To be called by who delivers the audience, while it has no unfinished file.

        Args:
            name: A file that `to_resend` told.
            now: The present.
            refusal: Why it cannot be, asked inside the transaction, so that no run is retired meanwhile that
                it needs; None: it can.

        Returns:
            What `refusal` said; then it is not asked any more.
        """
        with self._database.transaction() as connection:
            file = statements.known_file(connection, name)
            reason = refusal(file, statements.audience_state(connection, file.audience))
            if reason is None:
                assert file.first_run is not None
                statements.write_resent(connection, file, file.first_run - 1, now)
            else:
                statements.write_resend_asked(connection, file, None)
        return reason

    def file(self, name: str) -> FileRecord | None:
        """The file of this name; None: none, or forgotten."""
        with self._database.reading() as connection:
            return statements.find_file(connection, name)

    def files(
        self, account: str | None = None, limit: int = 100, states: Collection[FileState] = ()
    ) -> tuple[FileRecord, ...]:
        """The newest files of an account, or of all, in these states, or in any; the newest first."""
        with self._database.reading() as connection:
            return statements.newest_files(connection, account, states or tuple(FileState), limit)

    def counts(self) -> dict[tuple[str, str], int]:
        """How many files it knows, by account and state."""
        with self._database.reading() as connection:
            return statements.file_counts(connection)

    def of_replay(self, replay: str) -> tuple[FileRecord, ...]:
        """The files of a replay, the oldest first."""
        with self._database.reading() as connection:
            return statements.files_of_replay(connection, replay)

    def unfinished(self, account: str) -> tuple[TriedFile, ...]:
        """The files of an account that are built or uploading, the oldest first, with their attempts."""
        with self._database.reading() as connection:
            return statements.unfinished_files(connection, account)

    def tried(self, name: str) -> TriedFile | None:
        """The file of this name with its attempts, whatever became of it; None: none, or forgotten."""
        with self._database.reading() as connection:
            return statements.tried_file(connection, name)

    def names(self) -> tuple[str, ...]:
        """The names of all files, the newest first."""
        with self._database.reading() as connection:
            rows = connection.execute("SELECT name FROM files ORDER BY file DESC")
            return tuple(str(row["name"]) for row in rows)

    def last_stamp(self, series: str) -> int | None:
        """The newest stamp that was reserved in a series (`names.series_of`), epoch ms; None: none was."""
        with self._database.reading() as connection:
            row = connection.execute("SELECT stamp FROM series WHERE series = ?", (series,)).fetchone()
        return None if row is None else int(row["stamp"])

    def forget(self, before: int) -> int:
        """Delete the finished files made before this instant, and their attempts; how many those were.

        `before` lies more than two days back: the attempts of yesterday's day may still count.
        """
        with self._database.transaction() as connection:
            return statements.delete_finished(connection, before)

    # Attempts

    def begin_attempt(
        self, name: str, now: int, since: int, admits: Callable[[Sequence[Attempt]], bool]
    ) -> int | None:
        """Reserve the quota for an upload, before connecting; the attempt's id.

        None: `admits` refused, given the account's counted attempts since `since`. It is asked inside the
        transaction, so that of two that race for the last slot one gets it.
        """
        with self._database.transaction() as connection:
            file = statements.known_file(connection, name)
            if not admits(statements.counted(connection, file.audience.account, since)):
                return None
            return statements.insert_attempt(connection, file, now)

    def end_attempt(
        self, attempt: int, now: int, outcome: Outcome, detail: str = "", *, reason: str = ""
    ) -> None:
        """How an attempt ended; UPLOADED brings its audience forward in the same transaction.

        Raises:
            ValueError: It has ended before.
        """
        with self._database.transaction() as connection:
            file = statements.close_attempt(connection, attempt, now, outcome, reason=reason, detail=detail)
            if outcome is Outcome.UPLOADED:
                statements.write_uploaded(connection, file, now, detail)
            else:
                statements.write_state(connection, file, statements.failure(connection, file), detail)

    def found_uploaded(self, name: str, now: int, detail: str = "") -> None:
        """An attempt of unknown outcome has in fact given the file its final name: no other is needed."""
        with self._database.transaction() as connection:
            statements.write_uploaded(connection, statements.known_file(connection, name), now, detail)

    def recover(self, account: str, now: int) -> int:
        """End the attempts that a crash left open, as unknown; how many those were.

        To be called under the account's lock, before its first decision: an open attempt counts in every
        window until it ends.
        """
        with self._database.transaction() as connection:
            return connection.execute(
                "UPDATE attempts SET ended_at = MAX(?, started_at), outcome = ?"
                " WHERE account = ? AND ended_at IS NULL",
                (now, Outcome.UNKNOWN, account),
            ).rowcount

    def _happen(self, name: str, event: FileEvent, detail: str) -> None:
        with self._database.transaction() as connection:
            statements.write_state(connection, statements.known_file(connection, name), event, detail)

    def _process(
        self,
        name: str,
        event: FileEvent,
        *,
        processed_at: int | None,
        lines_accepted: int | None,
        lines_refused: int | None,
        detail: str,
    ) -> bool:
        with self._database.transaction() as connection:
            file = statements.find_file(connection, name)
            if file is not None:
                statements.write_processed(
                    connection,
                    file,
                    event,
                    processed_at=processed_at,
                    lines_accepted=lines_accepted,
                    lines_refused=lines_refused,
                    detail=detail,
                )
        return file is not None

    def _of_account(self, account: str) -> tuple[int, int]:
        with self._database.reading() as connection:
            row = connection.execute(
                "SELECT skew, closed_until FROM accounts WHERE account = ?", (account,)
            ).fetchone()
        return (0, 0) if row is None else (int(row["skew"]), int(row["closed_until"]))


def _later(one: int | None, other: int) -> int:
    return other if one is None else max(one, other)
