"""Made-up events of a global and two private clients, and what they should come to.

Everything follows from the seed of the random numbers. The events are shuffled, so that many come late; some
are repeated, some remove users, some are refused.
"""

import io
import random
import uuid
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import fastavro

from bridge.clock import HOUR, MINUTE

CLIENTS = ("", "Acme", "Globex")
"""The clients; empty: global."""

PARTITIONS = 2

SEGMENTS = 40

Membership = tuple[str, bool, str, int]
"""Client, mobile, user, segment."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Event:
    """One event of the contract's schema, and its topic."""

    client: str
    """Whose topic it goes to."""
    user_id: str
    """A UUID; of a refused event something else."""
    mobile: bool
    """Device id or cookie."""
    remove_all: bool
    """The user leaves every segment first."""
    segments: tuple[tuple[int, int], ...]
    """(segment, timestamp): 0 now, -1 remove."""
    event_time: int
    """Epoch ms; no two good events have the same."""

    @property
    def topic(self) -> str:
        """The client's topic."""
        return f"demo.{(self.client or 'everyone').lower()}"


def make(count: int, seed: int, now: int) -> list[Event]:
    """`count` events of the hour before `now` (epoch ms), in the order they are sent."""
    dice = random.Random(seed)  # noqa: S311  # made-up data
    users = [str(uuid.UUID(int=dice.getrandbits(128))) for _ in range(max(10, count // 8))]
    start = now - HOUR - MINUTE
    events = [_event(dice, users, start + HOUR * at // count) for at in range(count)]
    events += dice.sample(events, count // 50)
    dice.shuffle(events)
    return events[:count]


def encode(events: Sequence[Event], schema: Path) -> Iterator[tuple[str, int, bytes]]:
    """(topic, partition, bare Avro body) of each event."""
    parsed = fastavro.schema.load_schema(str(schema))
    for number, event in enumerate(events):
        body = io.BytesIO()
        fastavro.schemaless_writer(body, parsed, _record(event))
        yield event.topic, number % PARTITIONS, body.getvalue()


def last_write_wins(events: Sequence[Event]) -> set[Membership]:
    """Who is in which segment when all events are applied in the order of their times."""
    held: dict[tuple[str, bool, str], set[int]] = {}
    for event in sorted(events, key=lambda event: event.event_time):
        if len(event.user_id) != len(str(uuid.NAMESPACE_DNS)):
            continue
        segments = held.setdefault((event.client, event.mobile, event.user_id), set())
        if event.remove_all:
            segments.clear()
        for segment, timestamp in event.segments:
            (segments.discard if timestamp < 0 else segments.add)(segment)
    return {(*where, segment) for where, segments in held.items() for segment in segments}


def _event(dice: random.Random, users: Sequence[str], event_time: int) -> Event:
    chosen = dice.sample(range(1001, 1001 + SEGMENTS), dice.choice((1, 1, 1, 2, 3)))
    remove_all = _chance(dice, 0.02)
    bare = remove_all and _chance(dice, 0.5)
    return Event(
        client=dice.choice(CLIENTS),
        user_id="not-a-uuid" if _chance(dice, 0.001) else dice.choice(users),
        mobile=_chance(dice, 0.4),
        remove_all=remove_all,
        segments=() if bare else tuple((segment, -1 if _chance(dice, 0.1) else 0) for segment in chosen),
        event_time=event_time,
    )


def _chance(dice: random.Random, probability: float) -> bool:
    return dice.random() < probability


def _record(event: Event) -> dict[str, object]:
    return {
        "user_id": event.user_id,
        "mobile": event.mobile,
        "remove_all": event.remove_all,
        "segments": [{"segment_id": segment, "timestamp": at} for segment, at in event.segments],
        "event_time": event.event_time,
    }
