"""The bridge is killed at each step by which it changes something outside (`tests/parts/crash_points.py`).

Each case has a topic, a spool and a remote folder of its own, on one real Kafka and one real OpenSSH, so that
several die at once. What is left is judged right after the death, and again when a plain start has drained.
"""

import os
import signal
import subprocess
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.parts import events as made
from tests.parts.autopsy import Estate
from tests.parts.bridging import Bridge, configuration, end, produce, stream
from tests.parts.crash_points import CrashPoint as P
from tests.parts.events import Event, Load
from tests.parts.waiting import until

pytestmark = [pytest.mark.kafka, pytest.mark.sshd]

AT_ONCE = 4
"""So many cases run beside each other: much of their time is waiting."""

LOAD = Load(events=300, users=60)


@dataclass(frozen=True, kw_only=True)
class Scene:
    """What a process lives through until it dies."""

    name: str
    """Part of a test's name; empty: the usual one."""
    load: Load = LOAD
    """What is put into the topic; a quarter of it after the death."""
    windows: int | None = None
    """One after the other, in a process without end; None: all at once, up to the end."""
    retention: str = "7d"
    """How long history is kept. Where it goes, only what is newer may come after the death."""


ONCE = Scene(name="")
MERGING = Scene(name="merging", windows=9)
RETIRING = Scene(
    name="retiring", load=Load(events=100, users=60, late=0, duplicates=0), windows=2, retention="1s"
)


@dataclass(frozen=True, kw_only=True)
class Death:
    """Where a process ends."""

    at: P
    nth: int = 1
    by: signal.Signals = signal.SIGKILL

    def __str__(self) -> str:
        by = "" if self.by is signal.SIGKILL else f" {self.by.name}"
        return f"{self.at}{f' {self.nth}' if self.nth > 1 else ''}{by}"

    @property
    def rows(self) -> tuple[int, ...]:
        """Rows of the failure matrix that it shows."""
        return self.at.rows if self.by is signal.SIGKILL else (58,)


@dataclass(frozen=True, kw_only=True)
class Case:
    """Processes that die one after the other, each at a step that the one before did not come to."""

    deaths: tuple[Death, ...]
    scene: Scene = ONCE

    def __str__(self) -> str:
        return ", ".join(str(death) for death in self.deaths) + f" {self.scene.name}".rstrip()

    @property
    def rows(self) -> set[int]:
        """Rows of the failure matrix that it shows."""
        return {row for death in self.deaths for row in death.rows}


def case(*points: P | Death, scene: Scene = ONCE) -> Case:
    deaths = (point if isinstance(point, Death) else Death(at=point) for point in points)
    return Case(deaths=tuple(deaths), scene=scene)


IN_CI = [
    case(P.UPKEEP_RENAMED, P.LEFTOVER_REMOVED, scene=MERGING),  # the longest first: others run beside them
    case(P.RUN_REMOVED, scene=MERGING),
    case(P.HORIZON_RAISED, P.RUN_REMOVED, scene=RETIRING),
    case(P.SEAL_BEGUN, P.QUOTA_RESERVED),
    case(Death(at=P.RUN_WRITING, nth=2), P.CONNECTING),
    case(P.RUN_WRITTEN, P.OPENED),
    case(P.RUN_SYNCED, P.LEFTOVER_REMOVED, P.SKEW_NOTED),
    case(P.RUN_RENAMED, Death(at=P.SENDING, nth=6)),
    case(P.RUN_DURABLE, P.SENT),
    case(P.LETTERS_WRITING, P.RENAMED),
    case(P.LETTERS_DURABLE, P.MARKED),
    case(P.COMMIT_ASKED, P.FILE_NOTED),
    case(P.COMMIT_ANSWERED, P.FILE_DURABLE),
    case(P.NAME_RESERVED, P.FILE_RENAMED),
    case(P.FILE_WRITING, P.FILE_SYNCED),
    *(case(Death(at=at, by=signal.SIGTERM)) for at in (P.SEAL_BEGUN, P.FILE_WRITING, P.OPENED)),
]
"""Two deaths and a plain start take three processes, where each death alone would take two. SIGTERM alone:
how much an orderly end leaves to do is not sure."""

UPKEEP = [point for point in P if point.startswith("upkeep-")] + [P.RUN_REMOVED]
TO_THE_SERVER = list(P)[list(P).index(P.NAME_RESERVED) : list(P).index(P.UPKEEP_WRITING)]
TO_THE_RUN = list(P)[: list(P).index(P.NAME_RESERVED)]
GRID = [
    *(case(point, scene=MERGING) for point in UPKEEP),
    *(case(point, scene=RETIRING) for point in (*UPKEEP, P.HORIZON_RAISED)),
    *(case(point) for point in TO_THE_RUN),
    *(case(Death(at=P.RUN_WRITING, nth=nth)) for nth in (2, 3, 4)),
    case(P.RUN_SYNCED, P.LEFTOVER_REMOVED),
    case(P.UPKEEP_RENAMED, Death(at=P.LEFTOVER_REMOVED, nth=5), scene=MERGING),
    case(Death(at=P.LETTERS_DURABLE, nth=3), Death(at=P.LEFTOVER_REMOVED, nth=2), scene=MERGING),
    *(case(Death(at=point, nth=nth)) for point in TO_THE_SERVER for nth in (1, 2)),
    *(case(Death(at=P.SENDING, nth=nth)) for nth in range(3, 11)),
    *(case(Death(at=point, by=signal.SIGTERM)) for point in (*TO_THE_RUN, *TO_THE_SERVER)),
]
"""Each step alone, those of a second file too, and SIGTERM at each: some minutes (`make crashes`)."""

CASES = GRID if os.environ.get("CRASHES") == "grid" else IN_CI


@pytest.fixture(scope="module")
def played(request, kafka, shared_sshd, tmp_path_factory):
    """What was wrong in each case, once it is played; only those that were asked for are."""
    asked = [
        item.callspec.params["case"]
        for item in request.session.items
        if item.path == request.path and "played" in item.fixturenames
    ]
    with ThreadPoolExecutor(AT_ONCE) as pool:
        yield {
            case: pool.submit(play, case, kafka, shared_sshd, tmp_path_factory.mktemp("crash"))
            for case in dict.fromkeys(asked)
        }
        pool.shutdown(cancel_futures=True)


@pytest.mark.parametrize(
    "case",
    [pytest.param(case, id=str(case), marks=pytest.mark.failure(*sorted(case.rows))) for case in CASES],
)
def test_nothing_is_lost_torn_or_sent_twice(played: dict[Case, Future], case: Case):
    """What a death leaves is whole; a plain start delivers the rest, older events too; nothing lies about."""
    assert played[case].result() == []


def test_each_step_is_one_to_die_at():
    """No label is forgotten, and whoever runs the tests sees the process die at almost each of them."""
    assert {death.at for one in GRID for death in one.deaths} == set(P)
    assert len({death.at for one in IN_CI for death in one.deaths}) >= len(P) - 10


def play(case: Case, kafka, sshd, directory: Path) -> list[str]:
    """The deaths, then more events and a plain start; what was wrong, at the first time."""
    topic, own = f"crash.{directory.name}", sshd.apart(directory.name)
    kafka.create_topic(topic, 2)
    config = configuration(kafka, own, directory, [stream(topic)])
    config["spool"]["retention"] = case.scene.retention
    config["window"]["max_age"] = "200ms"
    estate, bridge = Estate(kafka=kafka, sshd=own, config=config, topic=topic), Bridge(directory, config)
    *pieces, rest = shares(case.scene)
    for death in case.deaths:
        faults = die(death, bridge, estate, pieces, lasting=case.scene.windows is not None)
        if faults:
            return faults
        pieces = []
    feed(estate, rest)
    bridge.drain()
    killed = sum(death.by is signal.SIGKILL for death in case.deaths)
    return estate.in_the_end(killed)


def shares(scene: Scene) -> list[list[Event]]:
    """The events of each window, and last those that come after the deaths."""
    events = made.make(scene.load, 1)
    count, quarter = scene.windows or 1, len(events) // 4
    rest = events[-quarter:] if scene is RETIRING else events[quarter : 2 * quarter]
    living = [event for event in events if event not in rest]
    return [living[len(living) * n // count : len(living) * (n + 1) // count] for n in range(count)] + [rest]


def feed(estate: Estate, events: list[Event]) -> None:
    """The events, and some that are to be refused."""
    broken = [event | {"user_id": "nobody", "mobile": False} for event in events[::10]]
    placed = produce(estate.kafka, estate.topic, [*events, *broken], partitions=2)
    estate.accepted += placed[: len(events)]
    estate.refused += placed[len(events) :]


def die(
    death: Death, bridge: Bridge, estate: Estate, pieces: list[list[Event]], *, lasting: bool
) -> list[str]:
    """A process that dies; what is wrong right after."""
    arguments = ["--at", death.at, "--nth", str(death.nth), "--by", death.by.name]
    if not lasting:
        for events in pieces:
            feed(estate, events)
    told = len(bridge.events("death"))
    process = bridge.start(*arguments, *[] if lasting else ["--until-end"], program="tests.parts.dying")
    try:
        if lasting:
            feed_windows(estate, bridge, process, pieces)
        code = process.wait(60)
    finally:
        end(process)
    faults = estate.after_death()
    if code != (0 if death.by is signal.SIGTERM else -death.by):
        faults.append(f"it ended with {code}: {bridge.tail()}")
    if len(bridge.events("death")) != told + 1:
        faults.append("it did not come to this")
    return [f"{death}: {fault}" for fault in faults]


def feed_windows(
    estate: Estate, bridge: Bridge, process: subprocess.Popen, pieces: list[list[Event]]
) -> None:
    """A window of each, as long as the process lives."""
    for number, events in enumerate(pieces, start=1):
        feed(estate, events)
        until(
            lambda number=number: process.poll() is not None or len(bridge.events("run_sealed")) >= number,
            f"window {number}",
        )
