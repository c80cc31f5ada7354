"""Spools, windows for them, and a disk that fails when it is told to."""

import os

from hypothesis import strategies as st

from bridge.clock import SystemClock
from bridge.spool.disk import Disk
from bridge.spool.footer import Position
from bridge.spool.spool import Sizes, Spool
from tests.parts.audiences import DISPLAY, HASHED, frame

SMALL = Sizes(block_rows=4, range_rows=6)

writes = st.lists(
    st.tuples(
        st.integers(0, 12),  # user
        st.integers(0, 3),  # segment; 0 is a remove_all
        st.sampled_from([0, -1, 1_400_000_000]),
        st.integers(1, 9),  # event time
        st.integers(0, 1),  # source
        st.integers(0, 1),  # partition
        st.integers(0, 99),  # offset
    ),
    max_size=40,
    unique_by=lambda row: (row[0], row[1], *row[3:]),
)

windows = st.fixed_dictionaries({DISPLAY: writes, HASHED: writes})


def new_spool(directory, disk=None, sizes=SMALL):
    return Spool.open(directory, clock=SystemClock(), disk=disk, sizes=sizes)


def seal(spool, window, *, now=1000, positions=(), **more):
    """Seals the rows of each audience, read at `now`."""
    shards = {audience: frame(audience, rows) for audience, rows in window.items()}
    return spool.seal(
        shards=shards, oldest_read_at=dict.fromkeys(shards, now), positions=positions, now=now, **more
    )


def one(user=1, segment=1, event_time=5, offset=0):
    """A window of one membership."""
    return {DISPLAY: [(user, segment, 0, event_time, 0, 0, offset)]}


def position(partition=0, next_offset=1, **more):
    """How far a partition of a topic was taken."""
    fields = {"cluster_id": "c", "topic_id": "t", "topic": "acme", "group": "g"}
    return Position(**fields | more, partition=partition, next_offset=next_offset)


class QuickDisk(Disk):
    """Nothing is synced: no power is cut here."""

    def fsync(self, descriptor):
        """Nothing."""

    def fsync_folder(self, folder):
        """Nothing."""


class FailingDisk(Disk):
    """Fails the n-th operation (the first is 1) with an error number; from then on it works again."""

    def __init__(self, at, number, only=None):
        self.left = at
        self.number = number
        self.only = only
        self.failed_in = None

    def _count(self, operation):
        if self.only not in (None, operation):
            return
        self.left -= 1
        if self.left == 0:
            self.failed_in = operation
            raise OSError(self.number, os.strerror(self.number))

    def open(self, path):
        self._count("open")
        return super().open(path)

    def write(self, descriptor, data):
        self._count("write")
        return super().write(descriptor, data[: max(1, len(data) // 2)])

    def fsync(self, descriptor):
        self._count("fsync")
        super().fsync(descriptor)

    def rename(self, source, target):
        self._count("rename")
        super().rename(source, target)

    def fsync_folder(self, folder):
        self._count("fsync_folder")
        super().fsync_folder(folder)

    def unlink(self, path):
        self._count("unlink")
        super().unlink(path)
