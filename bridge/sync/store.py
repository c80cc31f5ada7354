"""The port to where mappings are kept."""

from typing import Protocol

from bridge.sync.mapping import UserSync


class Store(Protocol):
    """Keeps mappings.

    Contract: `keep` is True only when the mapping is durable, and later ones of its key take its place. It
    never raises, and answers within its patience, whatever the store's state is: False means that the mapping
    is not known to be durable; it may still become so. What waits is bounded. A store that was out of reach
    is used again by itself. `keep` is called in one event loop; `close` after that loop has ended.
    """

    async def keep(self, sync: UserSync) -> bool:
        """Whether it is durable now."""
        ...

    def close(self) -> None:
        """Nothing is kept any more; what was handed over is given a few seconds."""
        ...


class StoreObserver(Protocol):
    """Hears of a store's state."""

    def failed(self, reason: str) -> None:
        """A mapping could not be stored, after the last one could."""
        ...

    def recovered(self) -> None:
        """The first one since `failed` is durable."""
        ...
