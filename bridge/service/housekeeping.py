"""Keeps the spool small: merges runs, retires history, and says which streams must wait."""

import gc
import io
import os
import shutil
import sys
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from itertools import product
from threading import Event, Lock

import polars as pl
import structlog

from bridge.audience.audience import Audience
from bridge.clock import DAY, HOUR, MINUTE, SECOND, Clock
from bridge.config import Config
from bridge.deliver.file_state import FileState
from bridge.deliver.ledger import Ledger
from bridge.deliver.records import AudienceState
from bridge.deliver.waiting import audiences, pending
from bridge.service.pressure import excess, paused_streams
from bridge.service.replays import upkeep
from bridge.service.translating import kept_longer, progress_of
from bridge.service.upkeep_observer import UpkeepObserver
from bridge.spool.disk import SpoolFull
from bridge.spool.run import Run, RunDamaged
from bridge.spool.spool import Spool
from bridge.spool.upkeep import Retirement, Rewrite, plan_merge, plan_retirement, summary
from bridge.stopping import Stopped, leave_if
from bridge.translation.shelf import unresolved

log = structlog.get_logger()

LOOK = SECOND
"""How often it looks, ms."""

TELLING = 10 * SECOND
"""How often it counts the ledger's files and the free room, ms."""

REMEMBERED = 30 * DAY
"""How long the ledger tells of a file, ms."""

COLLECT = MINUTE
"""How often cycles of objects are looked for, ms; Python by itself would hardly ever do it (cli/memory). A
log-in that fails leaves its whole call in one, and so the runs that were at hand, each with a descriptor,
also when they were merged into others since. It takes some 50 ms."""

NICENESS = 10
"""How far its thread stands back where the processor is short: sealing beside a merge keeps three quarters of
its rate, not half (bench/history.py). With 19 a merge hardly moves on a busy machine, and what it holds is
waited for."""


class Housekeeping:
    """One thread that holds, with the rest of the process, the lock for ingest."""

    def __init__(
        self,
        *,
        config: Config,
        spool: Spool,
        ledger: Ledger,
        clock: Clock,
        observer: UpkeepObserver,
        beat: Callable[[int], None],
    ) -> None:
        self._config = config
        self._kept_longer = kept_longer(config)
        self._spool = spool
        self._ledger = ledger
        self._clock = clock
        self._observer = observer
        self._beat = beat
        self._merging = True
        self._forgotten_at = 0
        self._told_at = clock.elapsed() - TELLING
        self._collected_at = clock.elapsed()
        self._pressing = Lock()
        self._newest = 0
        self.full_streams: frozenset[str] = frozenset()
        """Streams for which the spool had no room at the last look."""

    def run(self, stop: Event) -> None:
        """Work until stopped: a merge under way is left at its next block, and what it has written goes.

        Raises:
            BridgeError: The disk or the ledger failed.
        """
        _stand_back()
        while not stop.is_set():
            self._beat(self._clock.now())
            self.step(stop)
            self._collect()
            self._clock.wait(stop, LOOK)

    def pressed(self) -> frozenset[str]:
        """Streams for which the spool has no room now, for the ingest thread to ask at each turn.

        It looks itself after each seal: in a second of waiting for the next look many windows would go by.
        """
        runs = self._spool.runs()
        if runs and runs[-1].number > self._newest:
            self._press(runs, self._states(runs))
        return self.full_streams

    def step(self, stop: Event | None = None) -> None:
        """Look once; where `stop` is set meanwhile, what takes long is left."""

        def watch() -> None:
            self._beat(self._clock.now())
            if stop is not None:
                leave_if(stop)

        rewinds = self._ledger.rewinds()
        runs = self._spool.runs()
        states = self._states(runs)
        try:
            self._retire(runs, states, rewinds, watch)
            self._merge(states, watch)
        except Stopped:
            return
        except SpoolFull as full:
            log.warning("no_room_for_upkeep", reason=str(full))
        except RunDamaged as damage:
            self._merging = False
            log.error("merging_stopped", reason=str(damage))
        self._press(self._spool.runs(), states)
        self._forget()
        self._tell()

    def _states(self, runs: tuple[Run, ...]) -> Mapping[Audience, AudienceState]:
        """How far all audiences of the runs are through."""
        return self._ledger.audiences() | progress_of(runs)

    def _collect(self) -> None:
        """What only refers to itself is gone."""
        elapsed = self._clock.elapsed()
        if elapsed - self._collected_at >= COLLECT:
            self._collected_at = elapsed
            gc.collect()

    def _forget(self) -> None:
        """Files that ended long ago leave the ledger."""
        now = self._clock.now()
        if now - self._forgotten_at >= HOUR:
            self._forgotten_at = now
            self._ledger.forget(now - REMEMBERED)
            self._ledger.forget_replays(lambda: {replay.id for replay in self._spool.replays.all()})

    def _tell(self) -> None:
        """What nobody needs to know at each look."""
        elapsed = self._clock.elapsed()
        if elapsed - self._told_at >= TELLING:
            self._told_at = elapsed
            none = dict.fromkeys(product([account.name for account in self._config.accounts], FileState), 0)
            self._observer.files(none | self._ledger.counts())
            with suppress(OSError):  # the spool's own steps tell what is wrong with it
                self._observer.free(shutil.disk_usage(self._spool.directory).free)

    def _retire(
        self,
        runs: Sequence[Run],
        states: Mapping[Audience, AudienceState],
        rewinds: int,
        watch: Callable[[], None],
    ) -> None:
        """Let go what may go; nothing, where since `rewinds` was asked for a file was sent again."""
        settings = self._config.spool
        upkeep.let_go(
            self._spool,
            self._ledger,
            self._clock,
            retention=settings.retention,
            over_bytes=excess(self._spool.usage(), settings.max_bytes),
            longer=self._kept_longer,
        )
        over_bytes = excess(self._spool.usage(), settings.max_bytes)
        kept_since = upkeep.judged_since(self._spool, self._ledger, states)
        retirement = self._retirement(runs, states, over_bytes, kept_since)
        if over_bytes > 0 and not retirement.decisions and kept_since is not None:
            upkeep.leave_to_history(self._spool, self._ledger, states)
            retirement = self._retirement(runs, states, over_bytes, None)
        if not retirement.decisions:
            return
        if not self._ledger.raise_horizons(retirement.horizons, retired=retirement.newest, rewinds=rewinds):
            return
        if over_bytes > 0:
            log.warning("history_given_up", runs=len(retirement.decisions), remedy="raise spool.max_bytes")
        by_number = {run.number: run for run in runs}
        for decision in retirement.decisions:
            if isinstance(decision, Rewrite):
                self._spool.rewrite(by_number[decision.number], decision.drop, watch)
            else:
                self._spool.retire(by_number[decision.number])

    def _retirement(
        self,
        runs: Sequence[Run],
        states: Mapping[Audience, AudienceState],
        over_bytes: int,
        kept_since: int | None,
    ) -> Retirement:
        return plan_retirement(
            [summary(run) for run in runs],
            delivered=lambda audience: states.get(audience, AudienceState()).frontier.lowest,
            now=self._clock.now(),
            retention=self._config.spool.retention,
            over_bytes=over_bytes,
            kept_since=kept_since,
            longer=self._kept_longer,
        )

    def _merge(self, states: Mapping[Audience, AudienceState], watch: Callable[[], None]) -> None:
        if not self._merging:
            return
        runs = self._spool.runs()
        numbers = plan_merge(
            [summary(run) for run in runs],
            now=self._clock.now(),
            settled_after=2 * self._config.roll.max_age,
            retention=self._config.spool.retention,
            frontiers={step.run for state in states.values() for step in state.frontier.steps},
        )
        chosen = [run for run in runs if run.number in (numbers or ())]
        room = self._config.spool.max_bytes - self._spool.usage()
        if chosen and sum(run.size for run in chosen) <= room:  # for a while they are there twice
            self._spool.merge(chosen, watch)

    def _press(self, runs: Sequence[Run], states: Mapping[Audience, AudienceState]) -> None:
        """Tell how full the spool is, and who has to wait for that."""
        max_bytes = self._config.spool.max_bytes
        with self._pressing:
            usage = self._spool.usage()
            self._observer.used(usage)
            held = _held(runs, states)
            kept = usage if usage >= max_bytes else usage - _history(runs, states)
            full = paused_streams(self._config.streams, held, kept, max_bytes)
            if full != self.full_streams:
                log.warning("spool_pressure", bytes=usage, paused_streams=sorted(full))
            self.full_streams = full
            self._observer.paused({stream.name: stream.name in full for stream in self._config.streams})
            self._newest = max((run.number for run in runs), default=0)


def _stand_back() -> None:
    """This thread gets the processor after the others, as its work can wait.

    Threads inherit that from the one that starts them, and polars starts its own, on which all work, when
    Parquet is first written: that is done before.
    """
    if sys.platform != "linux":  # elsewhere it would be the whole process
        return
    pl.DataFrame({"first": [1]}).write_parquet(io.BytesIO())
    os.nice(NICENESS)


def _held(runs: Sequence[Run], states: Mapping[Audience, AudienceState]) -> Counter[str]:
    """Undelivered bytes by account."""
    held: Counter[str] = Counter()
    for audience in [*audiences(runs), *unresolved(runs)]:
        waits = pending(audience, states.get(audience, AudienceState()), runs)
        held[audience.account] += waits.bytes if waits else 0
    return held


def _history(runs: Sequence[Run], states: Mapping[Audience, AudienceState]) -> int:
    """Delivered bytes, which may go."""
    return sum(
        statistics.bytes
        for run in runs
        for audience, statistics in run.audiences.items()
        if states.get(audience, AudienceState()).frontier.lowest >= run.number
    )
