"""What there is to see of a demo, while it runs and at its end."""

from collections.abc import Mapping
from dataclasses import dataclass

from bridge.demo.fold import AudienceText


@dataclass(frozen=True, kw_only=True, slots=True)
class File:
    """A file that arrived on the server."""

    text: AudienceText
    """What is in it."""
    at: int
    """When it got its name there, by the demo's clock, epoch ms."""
    bytes: int
    """Its size, compressed."""

    @property
    def name(self) -> str:
        """Its name on the server."""
        return self.text.name

    @property
    def audience(self) -> str:
        """Whose it is, in two words."""
        return f"{self.text.client or 'global'} {'mobile' if self.text.mobile else 'display'}"


@dataclass(frozen=True, kw_only=True, slots=True)
class Look:
    """How far it is."""

    now: int
    """By the demo's clock, epoch ms."""
    events: int
    """How many there are in all."""
    sent: int
    """Of them, to the broker."""
    read: int
    """Of them, by the bridge."""
    refused: int
    """Of those, to the dead letters."""
    pending: int
    """Memberships that wait for delivery."""
    slots: int
    """Files an hour."""
    slots_left: int
    """Of them, in this hour, as the bridge counts."""
    files: tuple[File, ...]
    """What has arrived, in that order."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Outcome:
    """What came of it, once all is delivered."""

    files: tuple[File, ...]
    """What arrived, in that order."""
    memberships: int
    """Who is in which segment at the end, by the events: how many."""
    users: int
    """How many users that are."""
    differences: tuple[str, ...]
    """What the files say otherwise; empty: all is well."""
    faults: tuple[str, ...]
    """Where files break the rules of the format: `FILE:LINE: reason`."""
    refused: Mapping[str, int]
    """Events in the dead letters, by reason."""
    meant_refused: Mapping[str, int]
    """Events that had to be refused, by reason."""
    busiest_hour: int
    """Most files that the server counted in an hour."""
    slots: int
    """Files an hour that it takes."""
    violations: tuple[str, ...]
    """What it refused for quota."""

    @property
    def good(self) -> bool:
        """All is as it should be."""
        wrong = self.differences or self.faults or self.violations
        return not wrong and self.refused == self.meant_refused
