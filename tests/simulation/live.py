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
    details: str
    days: float
    """Virtual time, days."""
    files: int
    trace: list[str]


def live(seed: int) -> Verdict:
    """The world of this seed, to its end."""
    plan = draw(seed)
    random.seed(seed)  # pauses after failures have jitter
    memory = SHARED_MEMORY if os.access(SHARED_MEMORY, os.W_OK) else None
    fault, details = None, ""
    with tempfile.TemporaryDirectory(dir=memory) as directory, structlog.testing.capture_logs() as logs:
        world = World(plan=plan, directory=Path(directory))
        try:
            world.run()
        except Exception as failure:  # noqa: BLE001  # whatever it is, the seed has found it
            fault = f"{type(failure).__name__}: {failure}"
            details = traceback.format_exc()
    return Verdict(
        seed=seed,
        fault=fault,
        details=details + "\n".join(str(one) for one in logs[-40:]),
        days=(world.agenda.now - plan.start) / DAY,
        files=len(world.server.arrived),
        trace=world.trace,
    )
