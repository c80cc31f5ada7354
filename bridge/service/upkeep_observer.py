"""What housekeeping tells about the spool: the port that metrics implement."""

from collections.abc import Mapping
from typing import Protocol


class UpkeepObserver(Protocol):
    """Called from the housekeeping thread, and `used` and `paused` from the ingest thread too."""

    def used(self, size: int) -> None:
        """The bytes that the spool takes."""
        ...

    def free(self, size: int) -> None:
        """The bytes that are free on its file system."""
        ...

    def paused(self, streams: Mapping[str, bool]) -> None:
        """Each stream, and whether it has to wait as the spool has no room for it."""
        ...

    def files(self, counts: Mapping[tuple[str, str], int]) -> None:
        """How many files the ledger knows, by account and state; zeros too."""
        ...


class SilentUpkeep:
    """Tells nobody."""

    def used(self, size: int) -> None:
        """Nothing happens."""

    def free(self, size: int) -> None:
        """Nothing happens."""

    def paused(self, streams: Mapping[str, bool]) -> None:
        """Nothing happens."""

    def files(self, counts: Mapping[tuple[str, str], int]) -> None:
        """Nothing happens."""
