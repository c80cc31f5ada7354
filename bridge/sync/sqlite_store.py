"""Mappings in a SQLite file, for one machine without Kafka: keys and values are those of the topic.

One thread writes. All that has come while it was at a transaction goes into the next one: at any load a
transaction is as large as it has to be, and one fsync makes many mappings durable.
"""

import asyncio
import os
import sqlite3
import threading
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from queue import SimpleQueue

from bridge.errors import BridgeError
from bridge.sync.mapping import UserSync, encode, key_of
from bridge.sync.store import StoreObserver

_TABLE = "CREATE TABLE IF NOT EXISTS user_sync (key BLOB PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID"
_REPLACE = "INSERT INTO user_sync VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET value = excluded.value"

_CLOSING = 3.0
"""Seconds that what was handed over has at the end."""


@dataclass(frozen=True, slots=True)
class _Handed:
    """A mapping on its way to the disk."""

    key: bytes
    value: bytes
    answer: "asyncio.Future[bool]"


class SqliteStore:
    """One file, with its write-ahead log beside it."""

    def __init__(self, path: Path, *, patience: float, most: int, observer: StoreObserver) -> None:
        """Make the file where it is missing, readable by its owner alone.

        Args:
            path: The file.
            patience: Seconds that a mapping may take.
            most: How many mappings may wait.
            observer: Hears when the disk fails, and when it works again.

        Raises:
            BridgeError: The file cannot be made, or is no database.
        """
        self._path = path
        self._patience = patience
        self._most = most
        self._observer = observer
        self._failing = False
        self._handed_over = 0
        self._queue: SimpleQueue[_Handed | None] = SimpleQueue()
        try:
            os.close(os.open(path, os.O_CREAT | os.O_WRONLY, 0o600))
            self._connection = self._open()
        except (OSError, sqlite3.Error) as error:
            raise BridgeError(
                f"user_sync.sqlite_file: {path} cannot be used ({error}); "
                "name a file in a folder that we may write"
            ) from error
        self._thread = threading.Thread(target=self._work, name="user sync", daemon=True)
        self._thread.start()

    async def keep(self, sync: UserSync) -> bool:
        """As the port has it."""
        if self._handed_over >= self._most:
            return False
        answer: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        self._handed_over += 1
        self._queue.put(_Handed(key_of(sync), encode(sync), answer))
        try:
            return await asyncio.wait_for(asyncio.shield(answer), self._patience)
        except TimeoutError:
            return False

    def close(self) -> None:
        """As the port has it."""
        self._queue.put(None)
        self._thread.join(_CLOSING)

    def _open(self) -> sqlite3.Connection:
        connection = sqlite3.connect(
            self._path, timeout=self._patience, isolation_level=None, check_same_thread=False
        )
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute(_TABLE)
        return connection

    def _work(self) -> None:
        ended = False
        while not ended:
            batch = [self._queue.get()]
            while not self._queue.empty():
                batch.append(self._queue.get())
            ended = None in batch
            handed = [one for one in batch if one is not None]
            if handed:
                self._tell(handed, durable=self._write(handed))
        self._connection.close()

    def _write(self, batch: list[_Handed]) -> bool:
        """Whether all are durable."""
        try:
            self._connection.execute("BEGIN IMMEDIATE")
            self._connection.executemany(_REPLACE, [(one.key, one.value) for one in batch])
            self._connection.execute("COMMIT")
        except sqlite3.Error as error:
            with suppress(sqlite3.Error):
                self._connection.execute("ROLLBACK")
            if not self._failing:
                self._observer.failed(error.sqlite_errorname)
            self._failing = True
            return False
        if self._failing:
            self._observer.recovered()
        self._failing = False
        return True

    def _tell(self, batch: list[_Handed], *, durable: bool) -> None:
        with suppress(RuntimeError):  # the loop has ended: nobody waits for the answer
            batch[0].answer.get_loop().call_soon_threadsafe(self._answer, batch, durable)

    def _answer(self, batch: list[_Handed], durable: bool) -> None:  # noqa: FBT001  # call_soon takes no names
        self._handed_over -= len(batch)
        for one in batch:
            if not one.answer.done():
                one.answer.set_result(durable)
