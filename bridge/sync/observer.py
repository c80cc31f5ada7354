"""What the endpoint reports."""

from typing import Protocol

from bridge.sync.outcome import Outcome


class SyncObserver(Protocol):
    """Hears of visits."""

    def came(self) -> None:
        """A visit has begun."""
        ...

    def went(self, outcome: Outcome, data_centre: str, seconds: float) -> None:
        """It is answered: what came of it, of which data centre (empty: not known), and how long it took."""
        ...

    def opted_out(self, outcome: Outcome) -> None:
        """Somebody has asked to be forgotten, and what came of it."""
        ...
