"""The name of a partition."""

from typing import NamedTuple


class Partition(NamedTuple):
    """One partition of one topic."""

    topic: str
    """Name of the topic."""
    number: int
    """Number of the partition within it."""
