"""Who is told of translations: the port that metrics implement."""

from collections.abc import Mapping
from typing import Protocol

from bridge.translation.turn import Tally


class TranslationObserver(Protocol):
    """Called from the threads of the translation and of the identity table."""

    def translated(self, stream: str, tally: Tally) -> None:
        """A turn has come to this, of a stream."""
        ...

    def kept(self, stream: str, memberships: int) -> None:
        """So many rows of a stream wait to be translated, or are kept for browsers that are not known yet."""
        ...

    def table(self, size: int, *, caught_up: bool, skipped: Mapping[str, int]) -> None:
        """The identity table: its bytes, whether it holds all of its topic, messages skipped by reason."""
        ...
