"""Who is in which segment, and since when."""

from dataclasses import dataclass
from sys import intern

from bridge.audience.audience import Audience
from bridge.sandbox.statements import REMOVE, Statements


@dataclass(frozen=True, kw_only=True, slots=True)
class Held:
    """What is held of an audience, in numbers."""

    audience: Audience
    users: int
    """In at least one segment."""
    memberships: int
    future: int
    """Of them, such as begin later than now."""
    segments: int
    """Different ones."""


class Platform:
    """The state that files are applied to; some 0.5 kB of memory a user.

    A user that is in no segment is not kept.
    """

    def __init__(self, placeholder: str) -> None:
        """Hold nothing yet.

        Args:
            placeholder: The segment that does not exist.
        """
        self._placeholder = placeholder
        self._held: dict[Audience, dict[str, dict[str, int]]] = {}

    def apply(self, audience: Audience, row: Statements, now: int) -> None:
        """One row, at its moment of processing (epoch seconds): a 0, or no timestamp, becomes that."""
        users = self._held.setdefault(audience, {})
        segments = {} if row.remove_all else users.get(row.user, {})
        for code, timestamp in row.segments:
            if timestamp == REMOVE:
                segments.pop(code, None)
            elif code != self._placeholder:
                segments[intern(code)] = timestamp or now
        if segments:
            users[row.user] = segments
        else:
            users.pop(row.user, None)

    def memberships(self, audience: Audience, user: str) -> dict[str, int]:
        """Segments of a user, and since when, epoch seconds."""
        return dict(self._held.get(audience, {}).get(user, {}))

    def audiences(self) -> tuple[Audience, ...]:
        """Those that something was applied to."""
        return tuple(sorted(self._held))

    def users(self, audience: Audience) -> tuple[str, ...]:
        """Those in at least one segment."""
        return tuple(self._held.get(audience, {}))

    def held(self, audience: Audience, now: int) -> Held:
        """In numbers, at `now` (epoch seconds); takes as long as there are memberships."""
        users = self._held.get(audience, {})
        codes: set[str] = set()
        memberships = future = 0
        for segments in users.values():
            codes.update(segments)
            memberships += len(segments)
            future += sum(since > now for since in segments.values())
        return Held(
            audience=audience, users=len(users), memberships=memberships, future=future, segments=len(codes)
        )
