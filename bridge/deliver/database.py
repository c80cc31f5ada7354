"""The ledger's SQLite file: connections, transactions, and what is wrong with it.

The journal is a rollback journal that is truncated, no write-ahead log: everything committed is in one
file, so that a ledger cut short is seen to be damaged, where a lost write-ahead log would be a ledger of
an hour ago; a commit is durable when it returns; and a reader needs no file beside it.
"""

import os
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from urllib.parse import quote

from bridge.clock import SECOND
from bridge.deliver.ledger_schema import MIGRATIONS, VERSION
from bridge.errors import BridgeError
from bridge.spool.disk import Disk

PATIENCE = 10 * SECOND
"""Milliseconds that a connection waits for another's transaction."""


class LedgerFailed(BridgeError):  # noqa: N818  # it names a state, as people say it
    """The ledger could not be read or written, and it is unknown what of a transaction is durable.

    Nothing may be uploaded any more: the process ends, and the next one recovers.
    """


class LedgerDamaged(LedgerFailed):
    """The ledger is missing, cut short or no ledger: start with `--adopt`."""


class Database:
    """One SQLite file; each thread has its own connection."""

    def __init__(self, path: Path, *, read_only: bool = False) -> None:
        self.path = path
        self._read_only = read_only
        self._thread = threading.local()
        self._opened: list[sqlite3.Connection] = []

    @contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """A connection to read from, outside a transaction.

        Raises:
            LedgerFailed: SQLite gave up.
        """
        with self._failing_closed():
            yield self._connection()

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """A connection inside a transaction that no other writer enters; durable when the block has ended.

        Raises:
            LedgerFailed: SQLite gave up; what the block did is undone, or, after a failed commit, unknown.
        """
        with self._failing_closed():
            connection = self._connection()
            connection.execute("BEGIN IMMEDIATE")
            try:
                yield connection
                connection.execute("COMMIT")
            except BaseException:
                with suppress(sqlite3.Error):
                    connection.execute("ROLLBACK")
                raise

    def verify(self) -> None:
        """See that the file is a whole ledger of this program's version, older ones being brought up to it.

        Raises:
            LedgerDamaged: It is not whole, or no ledger.
            LedgerFailed: A newer program wrote it, or an older one and this is read-only.
        """
        if not self.path.is_file():
            raise LedgerDamaged(f"{self.path}: there is no ledger; {_ADOPT}")
        try:
            version, fault = self._examined()
        except (OSError, sqlite3.OperationalError) as error:
            if "no such table" not in str(error):
                raise LedgerFailed(
                    f"{self.path}: the ledger cannot be opened ({error}); {_REPAIR}"
                ) from error
            raise LedgerDamaged(f"{self.path}: this is no ledger; {_ADOPT}") from error
        except sqlite3.Error as error:
            raise LedgerDamaged(f"{self.path}: the ledger is damaged ({error}); {_ADOPT}") from error
        if fault is not None:
            raise LedgerDamaged(f"{self.path}: the ledger is damaged or cut short ({fault}); {_ADOPT}")
        if version > VERSION:
            raise LedgerFailed(
                f"{self.path}: a newer s2s-bridge wrote this ledger; run that version or a later one"
            )
        if version < VERSION and self._read_only:
            raise LedgerFailed(
                f"{self.path}: an older s2s-bridge wrote this ledger: ask with that one, or start this one's "
                f"bridge once"
            )
        self.migrate()

    def _examined(self) -> tuple[int, str | None]:
        """As `_examine`, but a fault is found twice: SQLite also calls it one that a page cannot be read."""
        version, fault = self._examine(self._connection())
        if fault is None:
            return version, None
        self.close()
        self.path.read_bytes()  # a disk that cannot be read is no damage: `--adopt` would give the file up
        return self._examine(self._connection())

    def _examine(self, connection: sqlite3.Connection) -> tuple[int, str | None]:
        """The version of the tables, and what is wrong with the file."""
        connection.execute("BEGIN")
        try:
            version = int(connection.execute("PRAGMA user_version").fetchone()[0])
            if version == 0:
                return version, "it has no tables"
            # a page that is cut short is read as if zeros followed, and may pass the check
            pages = int(connection.execute("PRAGMA page_count").fetchone()[0])
            if self.path.stat().st_size < pages * int(connection.execute("PRAGMA page_size").fetchone()[0]):
                return version, "its last page is cut"
            fault = str(connection.execute("PRAGMA integrity_check(1)").fetchone()[0])
            connection.execute("SELECT spool_id FROM ledger")
            return version, None if fault == "ok" else "its pages do not fit together"
        finally:
            with suppress(sqlite3.Error):  # where SQLite has ended it already
                connection.execute("ROLLBACK")

    def migrate(self) -> None:
        """Bring the tables up to this program's version; nothing happens where they are."""
        with self.reading() as connection:
            version = int(connection.execute("PRAGMA user_version").fetchone()[0])
        if version == VERSION:
            return
        with self.transaction() as connection:
            for statements in MIGRATIONS[version:]:
                for statement in statements:
                    connection.execute(statement)
            connection.execute(f"PRAGMA user_version = {VERSION:d}")

    def close(self) -> None:
        """Close the connections of all threads; none may be in use."""
        while self._opened:
            self._opened.pop().close()
        self._thread = threading.local()

    def _connection(self) -> sqlite3.Connection:
        """This thread's connection."""
        held: sqlite3.Connection | None = getattr(self._thread, "connection", None)
        if held is None:
            held = self._connect()
            self._thread.connection = held
        return held

    def _connect(self) -> sqlite3.Connection:
        # mode=rw for readers too: only who may write can undo what a killed process left half-done
        connection = sqlite3.connect(
            f"file:{quote(str(self.path.absolute()))}?mode=rw",
            uri=True,
            timeout=PATIENCE / SECOND,
            isolation_level=None,
            check_same_thread=False,  # close() closes what ended threads have left
        )
        self._opened.append(connection)
        connection.row_factory = sqlite3.Row
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("PRAGMA foreign_keys = ON")
        if self._read_only:
            connection.execute("PRAGMA query_only = ON")
        else:
            connection.execute("PRAGMA journal_mode = TRUNCATE")
        return connection

    @contextmanager
    def _failing_closed(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            raise LedgerFailed(f"{self.path}: the ledger cannot be used ({error}); {_REPAIR}") from error


_REPAIR = "see that its disk has room and is writable, then start again"
_ADOPT = "restore it, or start with --adopt: all runs are delivered again and today's quota counts as spent"


def reserve_file(path: Path) -> None:
    """An empty file for a new database, readable by its owner alone, in place of any that lies there.

    Raises:
        OSError: The folder cannot be written.
    """
    for left in (path, _journal(path)):
        left.unlink(missing_ok=True)
    os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))


def publish(new: Path, path: Path, now: int) -> None:
    """Move a finished database to its place; what lies there is kept beside it, with its journal.

    Raises:
        OSError: The folder cannot be written.
    """
    aside = path.with_name(f"{path.name}.{now}.damaged")
    for old, kept in ((_journal(path), _journal(aside)), (path, aside)):
        if old.exists():  # a journal left here would be played into the new file
            old.replace(kept)
    new.replace(path)
    _journal(new).unlink(missing_ok=True)
    Disk().fsync_folder(path.parent)


def _journal(path: Path) -> Path:
    """Where SQLite keeps the journal of a database."""
    return path.with_name(f"{path.name}-journal")
