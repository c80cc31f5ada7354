"""What a batch, a window and a file cost in steps of Python: a check of speed that no clock takes part in.

Counted are calls (of what is written in Python or in C) and bytecode instructions, in all threads, on the
bench's events. Rows are columns all the way, so none of these counts depends on how many events there are:
one step for each event is a multiple of what is recorded.

What C does by itself for each event, as `map` with a C function does, is not seen here; nor is the consumer.
"""

import itertools
import os
import sys
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from types import FrameType, SimpleNamespace

import pytest
import structlog
from confluent_kafka import Message

from bench.produce import SCHEMA, START, messages, names
from bridge.audience.header import Header
from bridge.clock import DAY
from bridge.deliver.build import Recipe, build
from bridge.deliver.gathering import Gathered, gather
from bridge.deliver.lanes import look
from bridge.deliver.records import AudienceState
from bridge.ingest.collector import Collector, CollectorParts
from bridge.ingest.dead_letters import FolderDeadLetters
from bridge.ingest.decode import decoder_for
from bridge.ingest.observer import SilentObserver
from bridge.ingest.positions import Identity
from bridge.ingest.topics import Topics
from bridge.segments.codes import Codes
from bridge.segments.seen import Seen
from bridge.segments.watch import Watch
from bridge.spool.spool import Spool
from tests.parts.clocks import HandClock
from tests.parts.collecting import stream

Work = Callable[[], object]

EVENTS = 50_000
"""The largest batch that the collector asks for."""

USERS = 10_000

MANY = 500
"""Audiences, where there are many."""

VERSION = (3, 11)
"""The Python that `RECORDED` is of, with polars 2.1."""

ROOM = 1.1 if sys.version_info[:2] == VERSION else 1.3
"""How much more is let pass: each Python compiles its own way, patch releases of libraries take others."""

FACTOR = 5
"""A batch of 500 audiences may take so many times what a batch of one takes, whatever the events."""

HOW_TO_RECORD = "S2S_RECORD=1 pytest tests/whole/test_cost.py -s"

HEADER = Header(
    file_identifier="file",
    date_created=START // 1000,
    user_namespace="mm",
    segment_namespace="ep",
    mobile=False,
    hash_segments=False,
)

_WAITING = frozenset({"threading", "concurrent.futures._base", "concurrent.futures.thread"})
"""Modules whose steps are left out: how many there are depends on who waits for whom."""


@dataclass(frozen=True, slots=True)
class Cost:
    """What a piece of work took."""

    calls: int
    steps: int
    """Bytecode instructions."""


RECORDED = {
    "batch": Cost(calls=6383, steps=58960),
    "batch of 500 audiences": Cost(calls=21605, steps=238837),
    "batch of a taxonomy": Cost(calls=6876, steps=63654),
    "batch of unknown segments": Cost(calls=7498, steps=69609),
    "window": Cost(calls=2781, steps=32458),
    "window of 500 audiences": Cost(calls=274625, steps=3048634),
    "file": Cost(calls=4532, steps=44519),
}
"""What each stage took when it was recorded."""


def calls(work: Work) -> int:
    """How many functions are called, in this and all threads that begin meanwhile."""
    ticks = itertools.count()  # two threads that add to one number lose steps

    def profile(frame: FrameType, event: str, _argument: object) -> None:
        if event in ("call", "c_call") and not _waits(frame):
            next(ticks)

    before = sys.getprofile(), threading.getprofile()
    threading.setprofile(profile)
    sys.setprofile(profile)
    try:
        work()
    finally:
        sys.setprofile(before[0])
        threading.setprofile(before[1])
    return next(ticks)


def steps(work: Work) -> int:
    """How many bytecode instructions run, in this and all threads that begin meanwhile."""
    ticks = itertools.count()

    def enter(frame: FrameType, _event: str, _argument: object) -> Callable[..., object] | None:
        if _waits(frame):
            return None
        frame.f_trace_lines, frame.f_trace_opcodes = False, True
        return step

    def step(_frame: FrameType, event: str, _argument: object) -> Callable[..., object]:
        if event == "opcode":
            next(ticks)
        return step

    before = sys.gettrace(), threading.gettrace()
    sys._getframe().f_trace_opcodes = True  # Python 3.12 looks whether any frame asks when tracing begins
    threading.settrace(enter)
    sys.settrace(enter)
    try:
        work()
    finally:
        sys.settrace(before[0])
        threading.settrace(before[1])
    return next(ticks)


def _waits(frame: FrameType) -> bool:
    return frame.f_globals.get("__name__") in _WAITING


class Bench:
    """The real way of the events, without Kafka; each of its stages gives the work that is to be counted.

    A stage may be given other parts `instead` of the collector's.
    """

    def __init__(self, directory: Path, *, audiences: int = 1, codes: range = range(0)) -> None:
        """`codes`: those of the stream's taxonomy; the events' are 10,000 to 19,999."""
        self._directory = directory
        self._codes = Codes(map(str, codes), hashed=False)
        self._spools = itertools.count()
        self._clock = HandClock(START + DAY)
        self._stream = stream(format="avro-confluent", schema=SCHEMA, clients=names(audiences))
        self.decoder = decoder_for(self._stream, None)
        (values,) = messages(EVENTS, USERS, seed=1, audiences=audiences)
        self._batch = [
            Message("acme", at % 4, at // 4, key=b"k", value=value) for at, value in enumerate(values)
        ]

    def batch(self, **instead: object) -> Work:
        """Take a batch: decode it, judge it, and bring it into the window."""
        collector = Collector(replace(self._parts(), **instead))
        return lambda: collector._take(self._batch)

    def window(self, **instead: object) -> Work:
        """Seal a window, in the thread that does so."""
        collector = Collector(replace(self._parts(), **instead))
        collector._take(self._batch)
        return lambda: collector._sealing.finish(collector._window)

    def file(self, way: Callable[[Iterable[Gathered]], Iterable[Gathered]] = iter) -> Work:
        """Build the file of a run; what is gathered, in the thread that does so, goes some `way`."""
        parts = self._parts()
        collector = Collector(parts)
        collector._take(self._batch)
        collector._sealing.finish(collector._window)
        (audience,) = parts.spool.runs()[0].audiences
        view = look(parts.spool).view(AudienceState(), "")
        recipe = Recipe(
            audience=audience,
            placeholder="9999999",
            new_file=parts.spool.new_file,
            directory=parts.spool.files_directory,
            level=1,
            max_bytes=30_000_000,
            removals_only=False,
        )
        return lambda: build(recipe, way(gather(audience, view, "")), lambda: HEADER)

    def _parts(self) -> CollectorParts:
        """Those of a collector with a new spool: what a seal takes depends on the runs that are there."""
        spool = Spool.open(self._directory / f"spool-{next(self._spools)}", clock=self._clock)
        identity = Identity(cluster_id="cluster", group="bridge")
        identity.topic_ids["acme"] = "topic"
        source = SimpleNamespace(identity=identity, commit=lambda _offsets, _run: None)
        return CollectorParts(
            connect=lambda _: source,
            topics=Topics((self._stream,)),
            decoders={self._stream.name: self.decoder},
            spool=spool,
            dead_letters=FolderDeadLetters(spool.directory / "dead-letters", spool.temporary_directory),
            clock=self._clock,
            observer=SilentObserver(),
            max_age=DAY,
            max_bytes=1 << 30,
            full_streams=frozenset,
            until_end=False,
            watches={self._stream.name: Watch(Seen.nothing(1, hashed=False).knowing(self._codes, 1))},
        )


def cost(stage: Callable[[], Work]) -> Cost:
    """What the stage takes once everything is warm."""
    stage()()
    return Cost(calls(stage()), steps(stage()))


def risen(stage: str, found: Cost) -> str:
    """A line that says what is above its record; empty: nothing is."""
    recorded = RECORDED[stage]
    rises = [
        f"{now:,} {what}, recorded {then:,}"
        for now, then, what in (
            (found.calls, recorded.calls, "calls"),
            (found.steps, recorded.steps, "steps"),
        )
        if now > then * ROOM
    ]
    return f"{stage}: {' and '.join(rises)}; if that is meant: {HOW_TO_RECORD}" if rises else ""


@pytest.fixture(scope="module")
def costs(tmp_path_factory) -> Iterator[Callable[[str], Cost]]:
    """What a stage of `RECORDED` takes, measured when it is first asked for."""
    one = Bench(tmp_path_factory.mktemp("one"))
    many = Bench(tmp_path_factory.mktemp("many"), audiences=MANY)
    sold = Bench(tmp_path_factory.mktemp("sold"), codes=range(10_000, 20_000))
    unsold = Bench(tmp_path_factory.mktemp("unsold"), codes=range(10_000, 15_000))
    stages = {
        "batch": one.batch,
        "batch of 500 audiences": many.batch,
        "batch of a taxonomy": sold.batch,
        "batch of unknown segments": unsold.batch,
        "window": one.window,
        "window of 500 audiences": many.window,
        "file": one.file,
    }
    with quiet_log():
        yield cache(lambda stage: cost(stages[stage]))


@contextmanager
def quiet_log() -> Iterator[None]:
    """The log set up in one way, whatever other tests have done: what a line takes depends on it."""
    before = structlog.get_config()
    structlog.reset_defaults()
    structlog.configure(logger_factory=structlog.ReturnLoggerFactory())
    try:
        yield
    finally:
        structlog.configure(**before)


@pytest.mark.parametrize("stage", RECORDED)
def test_no_stage_takes_more_than_recorded(costs, stage):
    """Calls and steps of each stage stay what they were, or fall."""
    found = costs(stage)
    if os.environ.get("S2S_RECORD"):
        sys.stdout.write(f'\n    "{stage}": {found},')
    else:
        assert not risen(stage, found)


def test_a_batch_of_many_audiences_takes_a_few_times_one_of_one(costs):
    """500 audiences in a batch cost steps for each audience, and none for each event of each."""
    one, many = costs("batch"), costs("batch of 500 audiences")
    assert many.calls <= FACTOR * one.calls
    assert many.steps <= FACTOR * one.steps


class LoopingDecoder:
    """A decoder with one step of Python for each event."""

    def __init__(self, decoder):
        self._decoder = decoder

    def decode(self, values):
        return self._decoder.decode([value for value in values])  # noqa: C416  # the step


class LoopingDeadLetters:
    """Called in the thread that seals, where it takes one step of Python for each event."""

    def write(self, _number, _letters):
        loop(EVENTS)


def looping(gathered):
    """What was gathered, after one step of Python for each row, in the thread that gathers."""
    for each in gathered:
        loop(len(each.settled.send))
        yield each


def loop(rounds):
    for _ in range(rounds):
        pass


@pytest.mark.parametrize("stage", ["batch", "window", "file"])
def test_one_step_for_each_event_is_seen(tmp_path, stage):
    """It rises above the record, in whichever thread it is; the line names the stage, and how to record."""
    bench = Bench(tmp_path)
    stages = {
        "batch": lambda: bench.batch(decoders={"acme": LoopingDecoder(bench.decoder)}),
        "window": lambda: bench.window(dead_letters=LoopingDeadLetters()),
        "file": lambda: bench.file(looping),
    }
    with quiet_log():
        line = risen(stage, cost(stages[stage]))
    assert line.startswith(f"{stage}: ")
    assert f"steps, recorded {RECORDED[stage].steps:,}" in line
    assert line.endswith(HOW_TO_RECORD)
