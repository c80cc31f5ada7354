"""What reconcilers tell about themselves: the port that metrics implement."""

from typing import Protocol


class ReconcileObserver(Protocol):
    """Called from the thread of each account's reconciler: it returns at once and never raises."""

    def confirmed(self, account: str, accepted: int, refused: int) -> None:
        """A file was processed; so many of its lines were taken and refused, as far as the log says."""
        ...

    def rejected(self, account: str, accepted: int, refused: int) -> None:
        """A file was refused; lines as above."""
        ...

    def unconfirmed(self, account: str, files: int, overdue: int) -> None:
        """So many files are neither confirmed nor rejected, so many of them for too long."""
        ...

    def not_resent(self, account: str, files: int) -> None:
        """So many files were refused, and nobody has asked to send their memberships again."""
        ...

    def looked(self, account: str, now: int) -> None:
        """The log has answered, at `now` (epoch ms), or there was nothing to ask."""
        ...

    def reachable(self, account: str, *, value: bool) -> None:
        """Whether it answered when it was last asked; also, that there is nothing to ask."""
        ...

    def skipped(self, account: str, entries: int) -> None:
        """So many entries of the log lack what they must have."""
        ...

    def looking(self, account: str, now: int) -> None:
        """The account's reconciler works; epoch milliseconds."""
        ...


class Unobserved:
    """Tells nobody."""

    def confirmed(self, account: str, accepted: int, refused: int) -> None:
        """Nothing happens."""

    def rejected(self, account: str, accepted: int, refused: int) -> None:
        """Nothing happens."""

    def unconfirmed(self, account: str, files: int, overdue: int) -> None:
        """Nothing happens."""

    def not_resent(self, account: str, files: int) -> None:
        """Nothing happens."""

    def looked(self, account: str, now: int) -> None:
        """Nothing happens."""

    def reachable(self, account: str, *, value: bool) -> None:
        """Nothing happens."""

    def skipped(self, account: str, entries: int) -> None:
        """Nothing happens."""

    def looking(self, account: str, now: int) -> None:
        """Nothing happens."""
