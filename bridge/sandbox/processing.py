"""The platform's processing: what was received is loaded, each file when it is due, in a thread."""

import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from bridge.clock import HOUR, SECOND, Clock
from bridge.errors import BridgeError
from bridge.sandbox.journal import Journal, Record
from bridge.sandbox.loader import load
from bridge.sandbox.order import Order
from bridge.sandbox.platform import Held, Platform
from bridge.sandbox.rules import Rules
from bridge.sandbox.verdict import Status, Verdict, rejected

PIECE = 1 << 20
"""Bytes that are read of a file at a time."""


def sound(name: str) -> bool:
    """Whether a file may be called so: printable ASCII, as what stands in a log and on a page must be."""
    return name.isascii() and name.isprintable()


class Abandoned(Exception):  # noqa: N818  # it tells what became of the file under way
    """The process ends: what was applied of the file goes with it, and the next start loads it anew."""


class Processing:
    """From its entry to its exit it works; `hear` of files, and look at `records` and `held` at any time."""

    def __init__(self, files: Path, journal: Journal, *, rules: Rules, order: Order, clock: Clock) -> None:
        """Nothing is read yet.

        Args:
            files: Where received files lie, and stay.
            journal: What was processed.
            rules: The loader's.
            order: When a file is due.
            clock: The platform's.
        """
        self.platform = Platform(rules.placeholder)
        self.fault: BridgeError | None = None
        """Why nothing is processed any more."""
        self._files = files
        self._journal = journal
        self._rules = rules
        self._order = order
        self._clock = clock
        self._lock = threading.Lock()
        """Of all that follows."""
        self._arrivals = 0
        self._done: list[Record] = []
        self._waiting: dict[str, Record] = {}
        self._loaded: set[str] = set()
        self._current: str | None = None
        self._held: dict[str, Held] = {}
        """By the audience's label."""
        self._suspended = ""
        self._wake = threading.Event()
        self._over = False
        self._thread = threading.Thread(target=self._work, name="processing", daemon=True)

    def restore(self, suffix: str) -> None:
        """Load again what an earlier process loaded, as of then, and find what it had not come to.

        Args:
            suffix: Of names of files that have not arrived.

        Raises:
            BridgeError: A file that was loaded is not there as it was, or the rules are others.
        """
        for record in self._journal.records():
            self._again(record)
        ended = {record.name: record.processed_at or 0 for record in self._done}
        for path in sorted(self._files.iterdir()):
            here = path.is_file() and sound(path.name) and not path.name.endswith(suffix)
            if not here or path.name in self._loaded:
                continue
            found = path.stat()
            received_at = found.st_ctime_ns // 1_000_000
            if received_at > ended.get(path.name, 0):  # as one of a rejected file's name, put there again
                self.hear(path.name, found.st_size, received_at)

    def start(self) -> None:
        """Begin to process."""
        self._thread.start()

    def stop(self) -> None:
        """End, in the middle of a file too; it waits, as the others that do, for the next start."""
        self._over = True
        self._wake.set()
        if self._thread.ident is not None:
            self._thread.join()

    def hear(self, name: str, size: int, received_at: int) -> None:
        """A file has arrived; one of this name that waits has been replaced."""
        with self._lock:
            self._arrivals += 1
            self._waiting[name] = Record(
                number=self._arrivals, name=name, bytes=size, received_at=received_at
            )
        self._wake.set()

    def taken(self, name: str) -> bool:
        """Whether a name may not be written any more: its file is loaded, or about to be."""
        with self._lock:
            return name in self._loaded or name == self._current

    def records(self) -> tuple[Record, ...]:
        """All files in the order of their arrival, whatever the order of processing."""
        with self._lock:
            known = [*self._done, *self._waiting.values()]
        return tuple(sorted(known, key=lambda one: one.number))

    def held(self) -> tuple[Held, ...]:
        """What the platform holds, an audience each; as of each one's last file."""
        with self._lock:
            return tuple(self._held[label] for label in sorted(self._held))

    @property
    def suspended(self) -> str:
        """Why automatic processing is suspended; empty: it is not."""
        return self._suspended

    def resume(self) -> None:
        """The partner has mended it: process what waits."""
        with self._lock:
            self._suspended = ""
        self._wake.set()

    def _again(self, record: Record) -> None:
        if record.verdict.status is Status.LOADED:
            verdict = self._load(record.name, record.processed_at or 0)
            if verdict != record.verdict:
                raise BridgeError(
                    f"{self._files / record.name} was loaded, and is not there as it was "
                    f"({verdict.reason or 'other lines'}): put it back, start with the options of then, or "
                    f"begin in a new --directory"
                )
        self._note(record)

    def _work(self) -> None:
        try:
            while not self._over:
                wait = self._step()
                if wait:
                    self._clock.wait(self._wake, wait)
                    self._wake.clear()
        except Abandoned:
            return
        except BridgeError as error:
            self.fault = error
        except Exception as error:  # noqa: BLE001  # else a thread is gone, and nobody is told
            self.fault = BridgeError(f"processing ended with {type(error).__name__}: please report it")

    def _step(self) -> int:
        """Process what is due first; how long there is nothing to do, ms."""
        with self._lock:
            if self._suspended or not self._waiting:
                return HOUR
            record = min(self._waiting.values(), key=lambda one: (self._due(one), one.number))
            wait = self._due(record) - self._clock.now()
            if wait > 0:
                return wait
            self._current = record.name
        self._process(record)
        return 0

    def _due(self, record: Record) -> int:
        return self._order.due_at(record.name, record.received_at)

    def _process(self, waiting: Record) -> None:
        now = self._clock.now()
        verdict = self._load(waiting.name, now)
        record = replace(waiting, processed_at=now, verdict=verdict)
        self._journal.add(record)
        self._note(record)

    def _load(self, name: str, now: int) -> Verdict:
        def content() -> Iterator[bytes]:
            with (self._files / name).open("rb") as file:
                while piece := file.read(PIECE):
                    if self._over:
                        raise Abandoned
                    yield piece

        try:
            return load(self.platform, content, name, now=now // SECOND, rules=self._rules)
        except OSError as error:
            return rejected(f"the file cannot be read ({error.strerror})")

    def _note(self, record: Record) -> None:
        counts = self._counts(record.verdict)
        with self._lock:
            self._done.append(record)
            self._held.update({one.audience.label: one for one in counts})
            self._arrivals = max(self._arrivals, record.number)
            if record.number == self._number_waiting(record.name):  # and not replaced in the meantime
                del self._waiting[record.name]
            self._current = None
            if record.verdict.status is Status.LOADED:
                self._loaded.add(record.name)
            limit = self._rules.suspend_above
            if limit is not None and record.verdict.inefficiency > limit:
                self._suspended = f"{record.name}: {record.verdict.warnings[0]}"

    def _number_waiting(self, name: str) -> int | None:
        waiting = self._waiting.get(name)
        return waiting.number if waiting else None

    def _counts(self, verdict: Verdict) -> list[Held]:
        """Anew, of the audience that a verdict is about; only the one thread changes the platform."""
        return [
            self.platform.held(audience, self._clock.now() // SECOND)
            for audience in self.platform.audiences()
            if audience.label == verdict.audience
        ]
