"""From a plan to a verdict."""

import os
import random
import tempfile
import traceback
from dataclasses import dataclass
from pathlib import Path

import structlog

from bridge.clock import DAY
from tests.simulation.plan import Plan, draw, small
from tests.simulation.world import World

SHARED_MEMORY = Path("/dev/shm")


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """What became of a world."""

    name: str
    """Which one it was."""
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


def of_seed(seed: int) -> Verdict:
    """The world of this seed."""
    return live(f"seed {seed}", draw(seed))


def of_step(step: int) -> Verdict:
    """A small world in which the power is cut before this step of the bridge's (the first is 0)."""
    return live(f"step {step}", small(), first_death=step)


def live(name: str, plan: Plan, first_death: int | None = None) -> Verdict:
    """A world, to its end."""
    random.seed(plan.seed)  # the pauses after failures have jitter
    memory = SHARED_MEMORY if os.access(SHARED_MEMORY, os.W_OK) else None
    fault, details = None, ""
    with tempfile.TemporaryDirectory(dir=memory) as directory, structlog.testing.capture_logs() as logs:
        world = World(plan=plan, directory=Path(directory), first_death=first_death)
        try:
            world.run()
            world.judge.silent(str(logs), {event["user_id"] for event in world.accepted})
        except Exception as failure:  # noqa: BLE001  # whatever it is, this world has found it
            fault = f"{type(failure).__name__}: {failure}"
            details = traceback.format_exc() + "\n".join(map(str, logs[-40:]))
    return Verdict(
        name=name,
        fault=fault,
        details=details,
        trace=world.trace,
        days=(world.agenda.now - plan.start) / DAY,
        files=len(world.server.arrived),
        lives=sum(line.endswith(" start") for line in world.trace),
    )
