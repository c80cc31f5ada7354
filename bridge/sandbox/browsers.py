"""Browsers that the sync tags have brought, since the start."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

MOST = 1_000
"""That are remembered: those that were synced last."""

SHOWN = 8
"""Digits of an MM UUID, by which people tell browsers apart."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Browser:
    """One of them."""

    mm_uuid: str
    """The platform's id of it, which is its cookie."""
    endpoint: str
    """The host that it was brought to last."""
    first_synced_at: int
    """Epoch ms, as the next."""
    synced_at: int
    """The last time."""
    synced: int
    """How often it was brought to an endpoint, and not what came of it there."""

    @property
    def label(self) -> str:
        """The beginning of its id."""
        return f"{self.mm_uuid[:SHOWN]}…"


class Browsers:
    """What is remembered of them, and of tags that were refused; in the server's loop alone."""

    def __init__(self) -> None:
        self._known: dict[str, Browser] = {}
        self._refusals: dict[str, int] = {}

    def synced(self, mm_uuid: str, endpoint: str, now: int) -> None:
        """It is brought to an endpoint's host, at `now` (epoch ms)."""
        before = self._known.pop(mm_uuid, None) or Browser(
            mm_uuid=mm_uuid, endpoint=endpoint, first_synced_at=now, synced_at=now, synced=0
        )
        self._known[mm_uuid] = replace(before, endpoint=endpoint, synced_at=now, synced=before.synced + 1)
        if len(self._known) > MOST:
            del self._known[next(iter(self._known))]

    def refused(self, reason: str) -> None:
        """A tag, or a browser, was: one of few reasons."""
        self._refusals[reason] = self._refusals.get(reason, 0) + 1

    @property
    def all(self) -> Sequence[Browser]:
        """The one that was synced last comes first."""
        return tuple(reversed(self._known.values()))

    @property
    def refusals(self) -> Sequence[tuple[str, int]]:
        """Reasons, and how often each."""
        return tuple(self._refusals.items())
