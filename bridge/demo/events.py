"""Made-up events of a global and two private clients.

Everything follows from the seed of the random numbers and the start. Of the events

- most are sent as they happen, some up to half an hour later, and some at any time up to the end;
- some are sent twice, some remove, some remove everything;
- some must be refused, at least one for each of `REFUSED`.
"""

import random
import uuid
from collections.abc import Sequence
from dataclasses import dataclass, replace

from bridge.clock import DAY, MINUTE, SECOND

CLIENTS = ("", "Acme", "Globex")
"""The clients; empty: global."""

SEGMENTS = range(1001, 1041)

REFUSED = (
    "undecodable",
    "invalid_user_id",
    "zero_device_id",
    "no_segments",
    "invalid_segment_id",
    "invalid_timestamp",
    "invalid_event_time",
)
"""Reasons of contract.md (Events) that are shown."""

NOBODY = str(uuid.UUID(int=0))


@dataclass(frozen=True, kw_only=True, slots=True)
class Event:
    """One event of the contract's schema, and what is to become of it."""

    client: str
    """Whose topic it goes to."""
    user_id: str
    """A UUID, some in upper case."""
    mobile: bool
    """Device id or cookie."""
    remove_all: bool
    """The user leaves every segment first."""
    segments: tuple[tuple[int, int], ...]
    """(segment, timestamp): 0 now, -1 remove, else epoch seconds."""
    event_time: int
    """Epoch ms; no two good events have the same, but copies of one."""
    sent_at: int
    """Epoch ms."""
    refused: str = ""
    """The reason for which it must be refused; empty: it is good."""

    @property
    def topic(self) -> str:
        """The client's topic."""
        return topic_of(self.client)


def topic_of(client: str) -> str:
    """The topic of a client's events."""
    return f"demo.{(client or 'everyone').lower()}"


def make(count: int, seed: int, *, start: int, span: int) -> list[Event]:
    """`count` events in the order they are sent, from `start` (epoch ms) on for `span` ms.

    Args:
        count: At least 100.
        seed: Of the random numbers.
        start: When the first one happens.
        span: Until the last one is sent, ms; more than `count`.
    """
    dice = random.Random(seed)  # noqa: S311  # made-up data
    users = [_user(dice) for _ in range(max(10, count // 8))]
    copies = count // 50
    times = (start + span * at // count for at in range(count - copies))
    events = [_event(dice, users, at, start + span) for at in times]
    for number, at in enumerate(dice.sample(range(len(events)), max(len(REFUSED), count // 1_000))):
        events[at] = spoilt(events[at], REFUSED[number % len(REFUSED)])
    events[0] = replace(events[0], sent_at=start)
    again = dice.sample(events, copies)
    events += [replace(event, sent_at=dice.randint(event.sent_at, start + span)) for event in again]
    return sorted(events, key=lambda event: event.sent_at)


def spoilt(event: Event, reason: str) -> Event:
    """The event, to be refused for one of the reasons of `REFUSED`."""
    match reason:
        case "invalid_user_id":
            event = replace(event, user_id=event.user_id[:-1])
        case "zero_device_id":
            event = replace(event, user_id=NOBODY, mobile=True)
        case "no_segments":
            event = replace(event, segments=(), remove_all=False)
        case "invalid_segment_id":
            event = replace(event, segments=((0, 0),))
        case "invalid_timestamp":  # milliseconds by mistake
            event = replace(event, segments=((SEGMENTS[0], event.event_time),))
        case "invalid_event_time":
            event = replace(event, event_time=event.event_time + 2 * DAY)
    return replace(event, refused=reason)


def _event(dice: random.Random, users: Sequence[tuple[str, bool, str]], event_time: int, end: int) -> Event:
    user_id, mobile, client = dice.choice(users)
    remove_all = _chance(dice, 0.02)
    chosen = dice.sample(SEGMENTS, dice.choice((1, 1, 1, 2, 3)))
    bare = remove_all and _chance(dice, 0.5)
    return Event(
        client=client,
        user_id=user_id,
        mobile=mobile,
        remove_all=remove_all,
        segments=() if bare else tuple((segment, _timestamp(dice, event_time)) for segment in chosen),
        event_time=event_time,
        sent_at=_sent_at(dice, event_time, end),
    )


def _user(dice: random.Random) -> tuple[str, bool, str]:
    """Id, mobile, client."""
    text = str(uuid.UUID(int=dice.getrandbits(128)))
    return (text.upper() if _chance(dice, 0.1) else text), _chance(dice, 0.4), dice.choice(CLIENTS)


def _timestamp(dice: random.Random, event_time: int) -> int:
    return dice.choice((0, 0, 0, 0, 0, 0, 0, -1, -1, event_time // SECOND + dice.randrange(DAY // SECOND)))


def _sent_at(dice: random.Random, event_time: int, end: int) -> int:
    late = dice.choices((MINUTE, 30 * MINUTE, end - event_time), (70, 20, 10))[0]
    return min(end, event_time + dice.randrange(late + 1))


def _chance(dice: random.Random, probability: float) -> bool:
    return dice.random() < probability
