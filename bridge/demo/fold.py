"""What the platform holds after the files, as the sandbox loads them, and what it should after the events."""

import gzip
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from bridge.demo.events import Event
from bridge.sandbox.loader import load
from bridge.sandbox.platform import Platform
from bridge.sandbox.rules import Rules

PLACEHOLDER = "9999999"
"""Stands in where a user is only removed from everything."""

Membership = tuple[str, bool, str, int]
"""Client, mobile, user, segment."""


@dataclass(frozen=True, kw_only=True, slots=True)
class AudienceText:
    """An audience file, unpacked."""

    name: str
    """Its name on the server."""
    lines: tuple[str, ...]
    """All lines, without their ends."""

    @property
    def client(self) -> str:
        """The private client in the name; empty: global."""
        parts = self.name.split("_")
        return parts[2] if len(parts) == 4 else ""  # noqa: PLR2004  # Agency_Partner_Client_stamp

    @property
    def mobile(self) -> bool:
        """What the header says."""
        return "Mobile: 1" in self.lines[: self.lines.index("")]

    @property
    def rows(self) -> tuple[str, ...]:
        """What stands behind the header and its blank line."""
        return self.lines[self.lines.index("") + 1 :]

    @property
    def memberships(self) -> int:
        """Adds and removals in the rows."""
        return sum(token.count(":") for row in self.rows for token in row.split(" ") if _counts(token))


def read(path: Path) -> AudienceText:
    """Unpack an audience file."""
    with gzip.open(path, "rt", encoding="ascii", newline="\n") as text:
        return AudienceText(name=path.name, lines=tuple(line.removesuffix("\n") for line in text))


@dataclass(frozen=True, kw_only=True, slots=True)
class Loaded:
    """What came of files."""

    held: dict[Membership, int]
    """Who is in which segment, and since when; 0: since it was loaded."""
    faults: tuple[str, ...]
    """What was rejected, refused or warned of: `FILE: reason`."""


def of_files(paths: Iterable[Path]) -> Loaded:
    """The platform, once these files are loaded in the order of their stamps."""
    rules = Rules(account="demo", placeholder=PLACEHOLDER)
    platform = Platform(PLACEHOLDER)
    faults: list[str] = []
    for path in sorted(paths, key=lambda path: path.name.rsplit("_", 1)):
        verdict = load(platform, partial(_content, path), path.name, now=0, rules=rules)
        faults += [f"{path.name}: {remark}" for remark in verdict.remarks]
    return Loaded(held=_memberships(platform), faults=tuple(faults))


def _content(path: Path) -> list[bytes]:
    return [path.read_bytes()]


def _memberships(platform: Platform) -> dict[Membership, int]:
    return {
        (audience.client, audience.mobile, user, int(segment)): since
        for audience in platform.audiences()
        for user in platform.users(audience)
        for segment, since in platform.memberships(audience, user).items()
    }


def of_events(events: Iterable[Event]) -> dict[Membership, tuple[int, ...]]:
    """The same of good events, applied in the order in which they happened; with every right timestamp.

    A 0 (now) that the bridge says again later, behind a remove_all, stands as the time of its event.
    """
    held: dict[tuple[str, bool, str], dict[int, tuple[int, ...]]] = {}
    for event in sorted(events, key=lambda event: event.event_time):
        if event.refused:
            continue
        segments = held.setdefault((event.client, event.mobile, event.user_id.lower()), {})
        if event.remove_all:
            segments.clear()
        for segment, timestamp in event.segments:
            segments.pop(segment, None)
            if timestamp >= 0:
                segments[segment] = (timestamp,) if timestamp else (0, event.event_time // 1000)
    return {(*who, segment): right for who, segments in held.items() for segment, right in segments.items()}


def differences(
    found: Mapping[Membership, int], right: Mapping[Membership, tuple[int, ...]]
) -> Iterator[str]:
    """What the files say otherwise than the events, a line a membership."""
    for membership in sorted(found.keys() | right.keys()):
        have, want = found.get(membership), right.get(membership)
        if have is None or want is None or have not in want:
            client, mobile, user, segment = membership
            where = f"{client or 'global'} {'mobile' if mobile else 'display'} {user} {segment}"
            yield f"{where}: files {_said(have)}, events {_said(want)}"


def _counts(token: str) -> bool:
    return not token.startswith(f"{PLACEHOLDER}:")


def _said(timestamps: int | tuple[int, ...] | None) -> str:
    if timestamps is None:
        return "nothing"
    return str(timestamps) if isinstance(timestamps, int) else " or ".join(map(str, timestamps))
