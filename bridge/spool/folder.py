"""Which runs live: the folder's listing is the only list that there is."""

import os
import threading
from collections.abc import Mapping
from pathlib import Path

from bridge.spool.disk import refusals
from bridge.spool.run import Identity, Run, file_name, identity, number_of

_Names = Mapping[int, Identity]


class RunFolder:
    """The runs of a folder, whoever writes them; open runs are kept while their file is the same."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock = threading.Lock()
        self._open: dict[int, Run] = {}

    def live(self) -> tuple[Run, ...]:
        """A snapshot, ascending by number; leftovers of a merge that died are not in it.

        A listing is not atomic: a merge may pass between the reading of two names, and rows be missed that
        are in neither file that was seen. Two equal listings in a row cannot be torn, because a merge changes
        the file of its number before it removes any other.

        Raises:
            RunDamaged: A footer is not what was written; the message names the file.
            SpoolFailed: The folder or a file cannot be read.
        """
        with self._lock:
            seen = self._scan()
            while True:
                opened = self._open_live(seen)
                again = self._scan()
                if opened is not None and again == seen:
                    self._open = opened
                    return tuple(opened[number] for number in sorted(opened))
                seen = again

    def leftovers(self) -> list[Path]:
        """Files whose rows are in a merged run too: a merge died before it removed them.

        Raises:
            RunDamaged: As `live`.
        """
        live = self.live()
        return [
            self.path / file_name(number)
            for number in self.numbers()
            if any(run.low <= number < run.number for run in live)
        ]

    def numbers(self) -> list[int]:
        """The numbers of all files, ascending."""
        return sorted(self._scan())

    def highest(self) -> int:
        """The largest number of any file; 0 without one."""
        return max(self._scan(), default=0)

    def keep(self, run: Run) -> None:
        """A run that was just published need not be opened again."""
        with self._lock:
            self._open[run.number] = run

    def _scan(self) -> dict[int, Identity]:
        """Number and identity of each run's file."""
        while True:
            try:
                with os.scandir(self.path) as entries:
                    numbered = ((number_of(entry.name), entry) for entry in entries)
                    return {
                        number: identity(entry.stat()) for number, entry in numbered if number is not None
                    }
            except FileNotFoundError:
                # A file went between its name and its status. A folder that is gone altogether is an error.
                with refusals(self.path):
                    self.path.stat()

    def _open_live(self, seen: _Names) -> dict[int, Run] | None:
        """The runs among `seen`, less those that are merged into another; None: the folder has changed."""
        opened: dict[int, Run] = {}
        covered_from: int | None = None
        for number in sorted(seen, reverse=True):
            if covered_from is not None and number >= covered_from:
                continue
            run = self._cached(number, seen[number])
            if run is None:
                return None
            opened[number] = run
            covered_from = run.low
        return opened

    def _cached(self, number: int, seen: Identity) -> Run | None:
        """The open run; None where its file is not the one that was seen.

        An inode is not given to a new file while the old one is open: a kept run's identity stays its own.
        """
        kept = self._open.get(number)
        if kept is not None and kept.identity == seen:
            return kept
        path = self.path / file_name(number)
        with refusals(path):
            try:
                run = Run(path)
            except FileNotFoundError:
                return None
        return run if run.identity == seen else None
