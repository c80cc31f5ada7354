"""What happens in one simulated world, drawn from its seed before anything runs."""

from dataclasses import dataclass
from random import Random

from bridge.clock import DAY, HOUR, MINUTE, SECOND
from tests.parts import events as made
from tests.parts.events import Load

MIDNIGHT = 1_790_000_000_000 // DAY * DAY
"""The first day's beginning."""

GB = 1_000_000_000

ACCOUNTS = ("a", "b")
"""Of cookies, and of device ids."""

TOPICS = {"acme": None, "beta": "Beta"}
"""Topics, and the client of their events."""

WEATHERS = ("crashes", "broker", "group", "server", "disk", "ledger", "clock", "stops", "crowded")
"""What may go wrong in a world."""

BAD = (
    b"",
    b"{",
    b"\xff\xfe",
    b'{"user_id": "x"}',
    b"[" * 40,
    b'{"user_id": 7, "segments": [], "event_time": 1}',
)
"""Values that are no events."""


@dataclass(frozen=True, kw_only=True)
class Produced:
    """A message that comes into a topic."""

    at: int
    """True time, ms."""
    topic: str
    partition: int
    event: made.Event | None
    """None: `value` is no event."""
    value: bytes | None
    """None: a tombstone."""


@dataclass(frozen=True, kw_only=True)
class Incident:
    """Something that befalls the bridge or what is around it."""

    at: int
    """True time, ms."""
    kind: str
    """A method of `world.World`."""
    number: int
    """Decides the details."""


@dataclass(frozen=True, kw_only=True)
class Plan:
    """A world's past and future."""

    seed: int
    weathers: frozenset[str]
    start: int
    end: int
    """When the last event has come and all is well again, ms."""
    partitions: int
    files_per_hour: int
    bytes_per_day: int
    max_file_bytes: int
    guard: int
    skew: int
    """Server's clock less the true time, ms."""
    max_bytes: int
    """Of the spool."""
    window_age: int
    roll_age: int
    produced: tuple[Produced, ...]
    incidents: tuple[Incident, ...]


def small() -> Plan:
    """A world of few steps in which all happens that the bridge does, and nothing befalls it.

    Late events, removals, refused ones, several files, a part and a whole, an hour that ends.
    """
    rng = Random(1)
    start, end = MIDNIGHT + DAY - 90 * MINUTE, MIDNIGHT + DAY + HOUR
    return Plan(
        seed=1,
        weathers=frozenset(),
        start=start,
        end=end,
        partitions=2,
        files_per_hour=2,
        bytes_per_day=5 * GB,
        max_file_bytes=400,
        guard=30 * SECOND,
        skew=5 * SECOND,
        max_bytes=20 * GB,
        window_age=60 * SECOND,
        roll_age=15 * MINUTE,
        produced=tuple(_produced(rng, start, end, 2)[:40]),
        incidents=(),
    )


INCIDENTS = {
    "crashes": ("kill", "kill", "kill_among_runs", "cut_power"),
    "broker": ("broker_down", "commit_trouble", "commit_trouble"),
    "group": ("partitions_leave", "partitions_leave", "partitions_lost", "topic_grows"),
    "server": (
        *("upload_trouble", "upload_trouble", "upload_trouble", "server_down", "platform_loads"),
        *("file_rejected", "file_rejected"),
    ),
    "disk": ("disk_full", "disk_fails"),
    "ledger": ("ledger_fails",),
    "clock": (),
    "stops": ("stop",),
    "crowded": (),
}
"""What each weather brings."""


def draw(seed: int) -> Plan:
    """The plan of a seed."""
    rng = Random(seed)
    weathers = frozenset(rng.sample(WEATHERS, rng.choice([0, 1, 1, 2, 3, 5, len(WEATHERS)])))
    start = MIDNIGHT + rng.randrange(DAY)
    end = start + rng.choice([2, 12, 30, 72, 200]) * HOUR
    partitions = rng.choice([1, 2, 3])
    produced = _produced(rng, start, end, partitions)
    return Plan(
        seed=seed,
        weathers=weathers,
        start=start,
        end=end,
        partitions=partitions,
        files_per_hour=rng.choice([1, 2, 3, 6, 20]),
        bytes_per_day=rng.choice([6_000, 12_000, 40_000, 5 * GB]),
        max_file_bytes=rng.choice([600, 600, 3_000, 4 * GB, 4 * GB]),
        guard=rng.choice([5 * SECOND, 30 * SECOND, 30 * SECOND, 2 * MINUTE]),
        skew=rng.choice([0, 0, 10 * SECOND, -10 * SECOND, 200 * SECOND, -200 * SECOND]),
        max_bytes=200_000 if "crowded" in weathers else 20 * GB,
        window_age=rng.choice([1 * SECOND, 60 * SECOND, 10 * MINUTE]),
        roll_age=rng.choice([1 * MINUTE, 15 * MINUTE, 2 * HOUR]),
        produced=tuple(produced),
        incidents=tuple(_incidents(rng, weathers, produced)),
    )


def _produced(rng: Random, start: int, end: int, partitions: int) -> list[Produced]:
    """Bursts of events, most of them in the order of their event times."""
    load = Load(
        events=rng.choice([30, 100, 200]),
        users=rng.choice([3, 10, 40]),
        segments=rng.choice([2, 8]),
        clients=rng.choice([(None,), (None, "Other")]),
        late=rng.choice([0, 0.1, 0.5]),
        start=start - DAY,
        span=DAY,
    )
    events = made.make(load, rng.getrandbits(32))
    moments = [rng.randrange(start, end) for _ in range(rng.choice([3, 10, 25, 60]))]
    found = []
    for event in events:
        at = rng.choice(moments)
        topic, partition = rng.choice(["acme", "acme", "beta"]), rng.randrange(partitions)
        if rng.random() < 0.04:
            value = rng.choice([*BAD, None])
            found.append(Produced(at=at, topic=topic, partition=partition, event=None, value=value))
        # no audience is fed by two topics: of two writes at one time, which would be the later?
        own = event if topic == "acme" else event | {"client": None}
        value = made.json_text(own)
        found.append(Produced(at=at, topic=topic, partition=partition, event=own, value=value))
    return sorted(found, key=lambda one: one.at)


def _incidents(rng: Random, weathers: frozenset[str], produced: list[Produced]) -> list[Incident]:
    """Soon after events have come; clocks are set in the hours after that, near their ends."""
    kinds = sorted(kind for weather in weathers for kind in INCIDENTS[weather])
    number = rng.choice([1, 4, 12]) * len(weathers) if kinds else 0
    found = []
    for _ in range(number):
        at = rng.choice(produced).at + rng.choice([1, SECOND, 20 * SECOND, MINUTE, 10 * MINUTE, HOUR])
        found.append(Incident(at=at, kind=rng.choice(kinds), number=rng.getrandbits(32)))
    for _ in range(rng.choice([4, 20]) if "clock" in weathers else 0):
        hours = rng.choice(produced).at // HOUR + rng.randint(1, 5)
        at = hours * HOUR - rng.randrange(8 * MINUTE)
        found.append(Incident(at=at, kind="clock_jumps", number=rng.getrandbits(32)))
    return sorted(found, key=lambda one: one.at)
