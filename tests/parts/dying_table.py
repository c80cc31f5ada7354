"""An identity table in a process that kills itself: `python -m tests.parts.dying_table FOLDER POINT`.

A point is `PHASE FILE STEP`: while a batch is taken in (append) or layers are merged (merge), at a slab or at
the contents, in the middle of a write (writing), before its sync (written), behind it (synced), renamed,
durable; or a slab that is not needed any more was removed.
"""

import os
import signal
import sys
from pathlib import Path

from bridge.spool.disk import Disk
from tests.parts.identity import Told, opened, window

BATCHES = [
    [Told(f"u{at % 7}", 1 + at % 3, 10 * number + at) for at in range(12)]
    + [Told("u3", 0, 10 * number + 5), Told("u4", 1, 10 * number + 8, forgotten=True)]
    for number in range(8)
]
"""What is told to the table; the number of a batch, from 1 on, is its offset."""

STEPS = ("writing", "written", "synced", "renamed", "durable")
FILES = ("append slab", "append contents", "merge slab", "merge contents")
POINTS = (*(f"{file} {step}" for file in FILES for step in STEPS), "merge slab removed")


class DyingDisk(Disk):
    """Kills the process at a point."""

    def __init__(self, point: str) -> None:
        self._point = point
        self._file = ""
        self.phase = ""

    def write(self, descriptor: int, data: bytes | memoryview) -> int:
        self._file = "slab" if bytes(data[:4]) == b"PAR1" else "contents"
        if self._point == f"{self.phase} {self._file} writing":
            super().write(descriptor, data[: len(data) // 2])
        self._come("writing")
        return super().write(descriptor, data)

    def fsync(self, descriptor: int) -> None:
        self._come("written")
        super().fsync(descriptor)
        self._come("synced")

    def rename(self, source: Path, target: Path) -> None:
        super().rename(source, target)
        self._come("renamed")

    def fsync_folder(self, folder: Path) -> None:
        super().fsync_folder(folder)
        self._come("durable")

    def unlink(self, path: Path) -> None:
        super().unlink(path)
        self._file = path.suffix.removeprefix(".")
        self._come("removed")

    def _come(self, step: str) -> None:
        if self._point == f"{self.phase} {self._file} {step}":
            os.kill(os.getpid(), signal.SIGKILL)


def main() -> None:
    disk = DyingDisk(sys.argv[2])
    table = opened(Path(sys.argv[1]), disk=disk)
    for number, batch in enumerate(BATCHES, start=1):
        disk.phase = "append"
        table.append(window(batch), {0: number}, number)
        disk.phase = "merge"
        table.merge_step(number)


if __name__ == "__main__":
    main()
