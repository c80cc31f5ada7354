"""A partition, and a stretch of it."""

from typing import NamedTuple


class Partition(NamedTuple):
    """One partition of one topic."""

    topic: str
    """Name of the topic."""
    number: int
    """Number of the partition within it."""


class Span(NamedTuple):
    """Offsets from `first` up to but without `next`; some of them may never have been."""

    first: int
    """The first offset that was read."""
    next: int
    """The offset after the last one that was read."""
