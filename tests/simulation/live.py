"""From a seed to a verdict."""

import os
import random
import tempfile
import traceback
from dataclasses import dataclass
from pathlib import Path

import structlog

from bridge.clock import DAY
from tests.simulation.plan import draw
from tests.simulation.world import World

SHARED_MEMORY = Path("/dev/shm")


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """What became of a world."""

    seed: int
    fault: str | None
    """The invariant that did not hold, or what went wrong otherwise; None: all is well."""
    details: str
    """Where that was, and the last lines of the log."""
    trace: list[str]
    """What happened, in order."""
    days: float
    """Virtual time that passed."""
    files: int
    """Files that arrived."""
    lives: int
    """Processes of the bridge."""


def live(seed: int) -> Verdict:
    """The world of this seed, to its end."""
    plan = draw(seed)
    random.seed(seed)  # the pauses after failures have jitter
    memory = SHARED_MEMORY if os.access(SHARED_MEMORY, os.W_OK) else None
    fault, details = None, ""
    with tempfile.TemporaryDirectory(dir=memory) as directory, structlog.testing.capture_logs() as logs:
        world = World(plan=plan, directory=Path(directory))
        try:
            world.run()
            world.judge.silent(str(logs), {event["user_id"] for event in world.accepted})
        except Exception as failure:  # noqa: BLE001  # whatever it is, the seed has found it
            fault = f"{type(failure).__name__}: {failure}"
            details = traceback.format_exc() + "\n".join(map(str, logs[-40:]))
    return Verdict(
        seed=seed,
        fault=fault,
        details=details,
        trace=world.trace,
        days=(world.agenda.now - plan.start) / DAY,
        files=len(world.server.arrived),
        lives=sum(line.endswith(" start") for line in world.trace),
    )
