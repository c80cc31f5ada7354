"""What an audience asks for: how many memberships come, and how many bytes their files have.

Files hold merged memberships, a line a user: who comes again and again costs less within one file. How many
memberships and users are left of those that come in a time is told from a sample, as if each was drawn evenly
from so many different ones: of n drawn from s, s * (1 - exp(-n / s)) differ. Real ones come less evenly, so
that times like the sample's own are told best.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from math import exp, expm1

from bridge.audience.audience import Audience
from bridge.clock import SECOND
from bridge.config import Config
from bridge.errors import UsageError

HEADER = 200
"""Bytes of a file beside its memberships, about: its header, compressed, and gzip's frame."""

MEMBERSHIPS_PER_EVENT = 1.6
"""Of the events that `make bench-day` makes."""

BYTES_PER_MEMBERSHIP = 10.4
"""Of them, in its hourly files: 8.29 MB of gzip for 500,000 events (bench/results/day.json)."""

_MANY = 10**15
"""Different memberships: as many as none of them ever comes twice."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Demand:
    """What comes of an audience."""

    audience: Audience
    """Whose it is."""
    events: float
    """Events a second that have a membership of it."""
    memberships: float
    """Memberships a second, before they are merged."""
    bytes_per_membership: float
    """Of a file, for each membership that is left when they are merged."""
    different: float | None
    """How many different memberships they seem to be drawn from; None: none came twice."""
    bytes_per_user: float = 0
    """Of a file, for each user in it, besides; 0: it is in those of the memberships."""
    users: float | None = None
    """How many different users the events seem to be of; None: none came twice."""

    def merged(self, duration: float) -> float:
        """How many are left of the memberships of so many ms."""
        return _left(self.memberships * duration / SECOND, self.different)

    def left(self, duration: float) -> float:
        """The part of the memberships of so many ms that is left when they are merged."""
        return self.merged(duration) * SECOND / duration / self.memberships

    def file_bytes(self, duration: float) -> float:
        """Size of a file with the memberships of so many ms."""
        users = _left(self.events * duration / SECOND, self.users)
        return HEADER + self.merged(duration) * self.bytes_per_membership + users * self.bytes_per_user

    def pause(self) -> float:
        """Milliseconds from a file to the next event, in the mean: before that nothing waits."""
        return SECOND / self.events if self.events else float("inf")

    def times(self, factor: float) -> "Demand":
        """So many times as much, of the same memberships."""
        return replace(self, events=self.events * factor, memberships=self.memberships * factor)


@dataclass(frozen=True, kw_only=True, slots=True)
class Demands:
    """What comes, and how that is known."""

    each: tuple[Demand, ...]
    """One an audience, in the order of audiences."""
    basis: tuple[str, ...]
    """What it was told from, and what is not known; for people."""


def _left(come: float, drawn_from: float | None) -> float:
    """How many are different of those that come."""
    if drawn_from is None or come == 0:
        return come
    return -drawn_from * expm1(-come / drawn_from)


def different(come: int, left: int) -> float | None:
    """From how many different ones so many were drawn, if merging left so many; None: all differ."""
    if left >= come:
        return None
    low, high = float(left), float(_MANY)
    for _ in range(100):
        middle = (low * high) ** 0.5
        if middle * (1 - exp(-come / middle)) < left:
            low = middle
        else:
            high = middle
    return high


def together(demands: Iterable[Demand]) -> tuple[Demand, ...]:
    """One demand an audience, where several streams have the same."""
    found: dict[Audience, list[Demand]] = {}
    for demand in demands:
        found.setdefault(demand.audience, []).append(demand)
    return tuple(_sum(found[audience]) for audience in sorted(found))


def _sum(parts: list[Demand]) -> Demand:
    memberships, events = sum(part.memberships for part in parts), sum(part.events for part in parts)
    size = sum(part.memberships * part.bytes_per_membership for part in parts)
    of_users = sum(part.events * part.bytes_per_user for part in parts)
    return Demand(
        audience=parts[0].audience,
        events=events,
        memberships=memberships,
        bytes_per_membership=size / memberships if memberships else parts[0].bytes_per_membership,
        different=_sum_or_none([part.different for part in parts]),
        bytes_per_user=of_users / events if events else parts[0].bytes_per_user,
        users=_sum_or_none([part.users for part in parts]),
    )


def _sum_or_none(each: list[float | None]) -> float | None:
    known = [one for one in each if one is not None]
    return sum(known) if len(known) == len(each) else None


def given(config: Config, events_per_second: float) -> Demands:
    """So many events a second, spread evenly over the streams, and over each stream's audiences.

    Raises:
        UsageError: No stream has an audience.
    """
    each = [
        Demand(
            audience=audience,
            events=events_per_second * share,
            memberships=events_per_second * share * MEMBERSHIPS_PER_EVENT,
            bytes_per_membership=BYTES_PER_MEMBERSHIP,
            different=None,
        )
        for audience, share in _shares(config).items()
    ]
    return Demands(
        each=together(each),
        basis=(
            f"{events_per_second:g} events a second, as given, evenly over the streams and their audiences",
            f"{MEMBERSHIPS_PER_EVENT} memberships an event of {BYTES_PER_MEMBERSHIP} bytes: make bench-day",
            "what merging saves beyond that is not counted: --from-topics measures it",
        ),
    )


def scaled(demands: Demands, events_per_second: float, total: float) -> Demands:
    """The same, as if there were so many events a second instead of `total`."""
    basis = f"{events_per_second:g} events a second, as given, spread as those of the topics"
    factor = events_per_second / total
    return Demands(each=tuple(demand.times(factor) for demand in demands.each), basis=(basis, *demands.basis))


def _shares(config: Config) -> Mapping[Audience, float]:
    found: dict[Audience, float] = {}
    for stream in config.streams:
        audiences = list(stream.audiences())
        for audience in audiences:
            share = 1 / len(config.streams) / len(audiences)
            found[audience] = found.get(audience, 0) + share
    if not found:
        raise UsageError("the configuration has no stream with an audience: nothing can be planned")
    return found
