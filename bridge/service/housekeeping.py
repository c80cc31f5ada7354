"""Keeps the spool small: merges runs, retires history, and says which streams must wait."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from threading import Event

import structlog

from bridge.audience.audience import Audience
from bridge.clock import SECOND, Clock
from bridge.config import Config
from bridge.deliver.ledger import Ledger
from bridge.deliver.records import AudienceState
from bridge.deliver.waiting import audiences, pending
from bridge.service.pressure import crowded, excess, paused_streams
from bridge.spool.disk import SpoolFull
from bridge.spool.run import Run, RunDamaged
from bridge.spool.spool import Spool
from bridge.spool.upkeep import Rewrite, plan_merge, plan_retirement, summary

log = structlog.get_logger()

LOOK = SECOND
"""How often it looks, ms."""


class Housekeeping:
    """One thread that holds, with the rest of the process, the lock for ingest."""

    def __init__(
        self,
        *,
        config: Config,
        spool: Spool,
        ledger: Ledger,
        clock: Clock,
        spool_bytes: Callable[[int], None],
        beat: Callable[[int], None],
    ) -> None:
        self._config = config
        self._spool = spool
        self._ledger = ledger
        self._clock = clock
        self._spool_bytes = spool_bytes
        self._beat = beat
        self._merging = True
        self.full_streams: frozenset[str] = frozenset()
        """Streams for which the spool has no room now; read by the ingest thread."""

    def run(self, stop: Event) -> None:
        """Work until stopped.

        Raises:
            BridgeError: The disk or the ledger failed.
        """
        while not stop.is_set():
            self._beat(self._clock.now())
            self.step()
            self._clock.wait(stop, LOOK)

    def step(self) -> None:
        """Look once."""
        runs, states = self._spool.runs(), self._ledger.audiences()
        try:
            self._retire(runs, states)
            self._merge()
        except SpoolFull as full:
            log.warning("no_room_for_upkeep", reason=str(full))
        except RunDamaged as damage:
            self._merging = False
            log.error("merging_stopped", reason=str(damage))
        self._press(states)

    def _retire(self, runs: Sequence[Run], states: Mapping[Audience, AudienceState]) -> None:
        settings = self._config.spool
        retirement = plan_retirement(
            [summary(run) for run in runs],
            delivered=lambda audience: states.get(audience, AudienceState()).frontier.lowest,
            now=self._clock.now(),
            retention=settings.retention,
            over_bytes=excess(self._spool.usage(), settings.max_bytes),
        )
        if not retirement.decisions:
            return
        self._ledger.raise_horizons(retirement.horizons)
        by_number = {run.number: run for run in runs}
        for decision in retirement.decisions:
            if isinstance(decision, Rewrite):
                self._spool.rewrite(by_number[decision.number], decision.drop)
            else:
                self._spool.retire(by_number[decision.number])

    def _merge(self) -> None:
        if not self._merging:
            return
        runs = self._spool.runs()
        numbers = plan_merge(
            [summary(run) for run in runs],
            now=self._clock.now(),
            settled_after=2 * self._config.roll.max_age,
            retention=self._config.spool.retention,
        )
        if numbers:
            self._spool.merge([run for run in runs if run.number in numbers])

    def _press(self, states: Mapping[Audience, AudienceState]) -> None:
        """Tell how full the spool is, and who has to wait for that."""
        usage, limit = self._spool.usage(), self._config.spool.max_bytes
        self._spool_bytes(usage)
        held = self._held(states) if crowded(usage, limit) else {}
        full = paused_streams(self._config.streams, held, usage, limit)
        if full != self.full_streams:
            log.warning("spool_pressure", bytes=usage, paused_streams=sorted(full))
        self.full_streams = full

    def _held(self, states: Mapping[Audience, AudienceState]) -> Mapping[str, int]:
        """Undelivered bytes in the spool, by account."""
        held, runs = Counter[str](), self._spool.runs()
        for audience in audiences(runs):
            waits = pending(audience, states.get(audience, AudienceState()), runs)
            held[audience.account] += waits.bytes if waits else 0
        return held
