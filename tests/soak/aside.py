"""What the bridge set aside: the judge excuses exactly that.

A soak keeps history for a minute or two. What comes late behind an outage that was longer cannot be judged
any more: an add is kept for the operator then, and not sent (design.md, invariant 1).
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from collections.abc import Set as AbstractSet
from pathlib import Path
from typing import NamedTuple

import polars as pl

from tests.parts import oracle
from tests.parts.events import Event

UNSENT = -2
"""Stands for the timestamp of an add that was set aside: no accepted event has it."""


class Place(NamedTuple):
    """Where an add is to be seen."""

    client: str | None
    mobile: bool
    user: str
    segment: str


class Add(NamedTuple):
    """An add, of an event or of a file of what was set aside."""

    place: Place
    event_time: int
    """Epoch ms."""
    timestamp: int
    """Epoch seconds; of a 0 those of its event time, which it has when it is said again."""


def read(spool: Path) -> frozenset[Add]:
    """All that lies in the spool."""
    frames = [pl.read_parquet(path) for path in (spool / "beyond-horizon").glob("*.parquet")]
    return frozenset(add for frame in frames for row in frame.to_dicts() for add, _ in _adds(row))


def marked(events: Iterable[Event], aside: AbstractSet[Add]) -> Iterator[Event]:
    """The events, each of its own client, with UNSENT as the timestamp of what was set aside."""
    users = {add.place.user for add in aside}
    for event in events:
        if _user(event) not in users:
            yield event
            continue
        unsent = [element for add, element in _adds(event) if add in aside]
        elements = [each | {"timestamp": UNSENT} if each in unsent else each for each in event["segments"]]
        yield event | {"segments": elements}


def excuse(want: oracle.State, held: oracle.State, events: Iterable[Event], aside: AbstractSet[Add]) -> int:
    """Change `want`, of marked events, where the last write of a membership was set aside.

    Of these the files that hold `held` may say nothing, or what an add of any event says.

    Returns:
        How many these are.
    """
    places = {add.place for add in aside}
    unsent = [place for place in places if _stands(want, place) == (UNSENT,)]
    said = _said(events, frozenset(unsent))
    for place in unsent:
        segments, found = want[_audience(place)][place.user], _stands(held, place)
        if found is None:
            del segments[place.segment]
        elif said[place].issuperset(found):
            segments[place.segment] = found
    return len(unsent)


def _said(events: Iterable[Event], places: AbstractSet[Place]) -> dict[Place, set[int]]:
    """The timestamps that adds give to each place."""
    users, said = {place.user for place in places}, defaultdict(set)
    for event in events:
        if _user(event) in users:
            for add, element in _adds(event):
                said[add.place] |= {add.timestamp, element["timestamp"]}
    return said


def _adds(event: Event) -> Iterator[tuple[Add, dict[str, int]]]:
    """Each with its element of the event."""
    for element in event["segments"]:
        if element["timestamp"] != -1:
            place = Place(
                event.get("client"),
                bool(event.get("mobile")),
                _user(event),
                str(element["segment_id"]),
            )
            stamp = element["timestamp"] or event["event_time"] // 1000
            yield Add(place, event["event_time"], stamp), element


def _user(event: Event) -> str:
    return str(event["user_id"]).lower()


def _audience(place: Place) -> oracle.Audience:
    return oracle.Audience(
        client=place.client,
        user_namespace="mm",
        user_table_id=None,
        segment_namespace="ep",
        mobile=place.mobile,
        hashed=False,
    )


def _stands(state: oracle.State, place: Place) -> tuple[int, ...] | None:
    return state.get(_audience(place), {}).get(place.user, {}).get(place.segment)
