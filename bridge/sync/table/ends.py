"""Where the topic ended when that was asked, and so: at what instant the table held all of it.

A topic that is written to is never read to its end for good, and one that is not tells nobody that it is
still there. So the ends are asked for, again and again; once the table holds all up to them, it holds all
that there was at that instant, which is written beside the contents for who only tells of the table.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from bridge.clock import MINUTE
from bridge.spool.disk import refusals

BEHIND_AFTER = 2 * MINUTE
"""A table that held all of its topic so long ago, ms, is behind; it is asked each `follower.LOOK`."""

FILE_NAME = "complete_at"
"""Of the file with the instant, in the table's folder."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Ends:
    """How far the topic went."""

    asked_at: int
    """When that was asked, epoch ms: all that was written before is below the offsets."""
    offsets: Mapping[int, int]
    """Of each partition the offset after its last message."""

    def reached(self, positions: Mapping[int, int]) -> bool:
        """Who has read up to these offsets has all of it."""
        return all(positions.get(at, 0) >= end for at, end in self.offsets.items())


def is_behind(complete_at: int | None, now: int) -> bool:
    """The table does not hold what its topic had `BEHIND_AFTER` ago; None: it never held all of it."""
    return complete_at is None or now - complete_at > BEHIND_AFTER


def encode(complete_at: int) -> bytes:
    """The file's bytes."""
    return b"%d\n" % complete_at


def read(directory: Path) -> int | None:
    """When the table of this folder last held all of its topic, epoch ms; None: nobody has written it.

    Raises:
        SpoolFailed: It cannot be read.
    """
    path = directory / FILE_NAME
    with refusals(path):
        try:
            return int(path.read_bytes())
        except (FileNotFoundError, ValueError):  # what it is worth is known anew within seconds
            return None
