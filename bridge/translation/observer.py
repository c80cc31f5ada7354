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

    def table(
        self, size: int, *, complete_at: int | None, caught_up: bool, skipped: Mapping[str, int]
    ) -> None:
        """The identity table.

        Args:
            size: Its bytes.
            complete_at: When it last held all of its topic, epoch ms; None: it never did.
            caught_up: It was read to its topic's end since the start, and not long ago.
            skipped: Messages that were not taken, by reason.
        """
        ...
