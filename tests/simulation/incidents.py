"""What may befall the bridge and its neighbours: each a function of the world and of chance."""

import errno
from collections.abc import Callable
from random import Random
from typing import TYPE_CHECKING

from bridge.clock import HOUR, MINUTE, SECOND
from bridge.deliver import quota
from bridge.ingest.partition import Partition
from tests.simulation.plan import ACCOUNTS
from tests.simulation.server import Trouble

if TYPE_CHECKING:
    from tests.simulation.world import World


STEPS = ("", "disk", "disk write", "disk fsync", "disk rename", "disk unlink", "ledger", "remote", "commit")
"""How the names of steps begin that a process may die before."""

STEPS_AMONG_RUNS = ("disk rename runs", "disk fsync_folder runs", "disk unlink runs")
"""Those by which a run comes, lasts and goes."""


def kill(world: "World", rng: Random) -> None:
    """The process dies at one of its next steps."""
    world.reasons += 1
    if world.life:
        world.life.process.die(rng.choice(STEPS), rng.choice([0, 0, 1, 3, 10, 30]))


def kill_among_runs(world: "World", rng: Random) -> None:
    """It dies where a run is about to come, to last or to go: such steps are few, and all rests on them."""
    world.reasons += 1
    if world.life:
        world.life.process.die(rng.choice(STEPS_AMONG_RUNS), rng.choice([0, 1, 3]))


def cut_power(world: "World", rng: Random) -> None:
    """It dies, and what was not synced may be gone."""
    kill(world, rng)
    if world.life:
        world.faults["power"] = [True]


def stop(world: "World", _rng: Random) -> None:
    """SIGTERM."""
    if world.life:
        world.life.stop.set()
        world.life.wake()


def broker_down(world: "World", rng: Random) -> None:
    """Nobody answers for a while."""
    world.cluster.down = True
    world.agenda.after(rng.choice([SECOND, MINUTE, HOUR]), lambda: setattr(world.cluster, "down", False))


def commit_trouble(world: "World", rng: Random) -> None:
    """Some commits fail, each in its way."""
    kinds = rng.choices(["refused", "unheard", "unanswered"], k=rng.choice([1, 3, 10]))
    world.faults.setdefault("commit", []).extend(kinds)


def partitions_leave(world: "World", rng: Random) -> None:
    """A member of another program takes some partitions for a while, and commits nothing."""
    taken = set(rng.sample(sorted(world.cluster.logs), rng.randint(1, len(world.cluster.logs))))
    world.cluster.elsewhere |= taken
    back = rng.choice([SECOND, MINUTE, HOUR])
    world.agenda.after(back, lambda: world.cluster.elsewhere.difference_update(taken))


def partitions_lost(world: "World", rng: Random) -> None:
    """The group gave partitions away, as we did not answer; we have them back at once."""
    world.cluster.lost |= set(rng.sample(sorted(world.cluster.logs), 1))


def topic_grows(world: "World", _rng: Random) -> None:
    """A new partition."""
    at = Partition("acme", sum(one.topic == "acme" for one in world.cluster.logs))
    world.cluster.logs[at], world.cluster.ends[at] = [], 0


def upload_trouble(world: "World", rng: Random) -> None:
    """Some uploads fail, each in its way."""
    kinds = rng.choices(list(Trouble), k=rng.choice([1, 2, 5]))
    world.reasons += sum(kind in (Trouble.REPLY_LOST, Trouble.TAKEN) for kind in kinds)
    world.faults.setdefault("upload", []).extend(kinds)


def server_down(world: "World", rng: Random) -> None:
    """Nobody answers for a while."""
    world.server_is_down = True
    back = rng.choice([MINUTE, HOUR, 5 * HOUR])
    world.agenda.after(back, lambda: setattr(world, "server_is_down", False))


def platform_loads(world: "World", _rng: Random) -> None:
    """The platform takes away what is there."""
    world.server.load()


def file_rejected(world: "World", rng: Random) -> None:
    """The platform rejects a file after all, and somebody has it sent again."""
    world.reject(rng)


def disk_full(world: "World", rng: Random) -> None:
    """There is no room for a while."""
    world.disk_is_full = True
    back = rng.choice([SECOND, MINUTE, HOUR])
    world.agenda.after(back, lambda: setattr(world, "disk_is_full", False))


def disk_fails(world: "World", rng: Random) -> None:
    """One operation fails for good."""
    wait = rng.choice([0, 2, 10])
    world.faults.setdefault("disk", []).extend([None] * wait + [errno.EIO])


def ledger_fails(world: "World", rng: Random) -> None:
    """One transaction fails."""
    wait = rng.choice([0, 1, 2, 5])
    world.faults.setdefault("ledger", []).extend([None] * wait + [rng.choice(["begin", "unknown"])])


def clock_jumps(world: "World", rng: Random) -> None:
    """Somebody sets our clock; deliverers look every few seconds.

    It is never further off the server's than the guard is widened: beyond that nothing is promised.
    """
    most = quota.WIDEST - abs(world.plan.skew) - 2 * SECOND
    world.clock.off = rng.choice([-most, 0, most])
    if world.life is None:
        world.judge.excused = True
    else:
        world.life.unseen = set(ACCOUNTS)
        world.life.look()


KINDS: dict[str, Callable[["World", Random], None]] = {
    one.__name__: one
    for one in (
        kill,
        kill_among_runs,
        cut_power,
        stop,
        broker_down,
        commit_trouble,
        partitions_leave,
        partitions_lost,
        topic_grows,
        upload_trouble,
        server_down,
        platform_loads,
        file_rejected,
        disk_full,
        disk_fails,
        ledger_fails,
        clock_jumps,
    )
}
"""By the names that plans use."""
