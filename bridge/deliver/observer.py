"""What the deliverers tell about themselves: the port that metrics and the progress line implement."""

from typing import Protocol


class DeliverObserver(Protocol):
    """Called from the thread of each account's deliverer: it returns at once and never raises."""

    def uploaded(self, account: str, size: int, seconds: float) -> None:
        """A file of `size` bytes has its final name, `seconds` after its attempt began."""
        ...

    def failed(self, account: str, reason: str) -> None:
        """An upload failed, for one of a few fixed reasons."""
        ...

    def served(self, account: str, instant: int) -> None:
        """When (epoch ms) a file of the account last arrived; told again and again, once one has."""
        ...

    def quota(self, account: str, files_remaining: int, bytes_remaining: int) -> None:
        """What the hour's files and the day's bytes still allow."""
        ...

    def resets(self, account: str, files: int, size: int) -> None:
        """When (epoch ms) the hour of files and the day of bytes end."""
        ...

    def replayed(self, account: str, size: int) -> None:
        """How many of the day's bytes went to replays."""
        ...

    def skew(self, account: str, skew: int) -> None:
        """The server's clock less ours, ms; 0: it was never measured."""
        ...

    def pending(self, account: str, audience: str, memberships: int, oldest_seconds: float) -> None:
        """What waits of an audience (its label), and the age of the oldest of it; zeros: nothing waits."""
        ...

    def replay_pending(self, account: str, audience: str, memberships: int) -> None:
        """What waits of an audience's replays, at most; zero: nothing waits."""
        ...

    def superseded(self, audience: str, memberships: int) -> None:
        """Memberships left out of a delivery, as something newer was delivered."""
        ...

    def beyond_horizon(self, audience: str, memberships: int) -> None:
        """Adds set aside, as history does not reach back to them."""
        ...

    def horizon(self, account: str, audience: str, instant: int) -> None:
        """Events of an audience newer than this (epoch ms) are judged exactly; told where it is bounded."""
        ...

    def beat(self, account: str, now: int) -> None:
        """The account's deliverer works; epoch milliseconds."""
        ...


class SilentObserver:
    """Tells nobody."""

    def uploaded(self, account: str, size: int, seconds: float) -> None:
        """Nothing happens."""

    def failed(self, account: str, reason: str) -> None:
        """Nothing happens."""

    def served(self, account: str, instant: int) -> None:
        """Nothing happens."""

    def quota(self, account: str, files_remaining: int, bytes_remaining: int) -> None:
        """Nothing happens."""

    def resets(self, account: str, files: int, size: int) -> None:
        """Nothing happens."""

    def replayed(self, account: str, size: int) -> None:
        """Nothing happens."""

    def skew(self, account: str, skew: int) -> None:
        """Nothing happens."""

    def pending(self, account: str, audience: str, memberships: int, oldest_seconds: float) -> None:
        """Nothing happens."""

    def replay_pending(self, account: str, audience: str, memberships: int) -> None:
        """Nothing happens."""

    def superseded(self, audience: str, memberships: int) -> None:
        """Nothing happens."""

    def beyond_horizon(self, audience: str, memberships: int) -> None:
        """Nothing happens."""

    def horizon(self, account: str, audience: str, instant: int) -> None:
        """Nothing happens."""

    def beat(self, account: str, now: int) -> None:
        """Nothing happens."""
