"""From the start of the process to the first event consumed, with a large spool.

A first bridge reads the topic's beginning, so that the ledger and the group's commit are real. Then runs of
random users are sealed beside its own, as if in the hours before. By the ledger all but the last ones are
delivered: history, some of which can be merged, while the last ones are due. All of that begins as the
measured bridge starts. The page cache is asked to let the runs go (posix_fadvise), no more can be done
without root. The bar is 5 s. From the root: python -m bench.opening
"""

import os
import shutil
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import polars as pl

from bench import measure, report
from bench.child import Bridge, command, running
from bench.produce import PARTITIONS, TOPIC, counts, produce, removed
from bench.report import Bar
from bench.scene import broker, configuration, machine, server, temporary
from bridge.audience.audience import Audience
from bridge.audience.rows import schema, source_rank
from bridge.clock import MINUTE, SECOND, SystemClock
from bridge.deliver.ledger import Ledger
from bridge.deliver.records import Progress
from bridge.observe import log
from bridge.service.opening import LEDGER
from bridge.spool.spool import Spool
from tests.parts.waiting import free_port, until

BAR = 5.0  # seconds
AFTER = 10.0  # seconds that memory is watched for
ROWS = 3_400_000  # of a run
RUN = 75_000_000  # bytes that they take
EVERY = 150 * SECOND  # a run was sealed
PENDING = 8  # runs that are not delivered: 20 minutes, more than roll.max_age
EVENTS = 10_000  # in the topic, before and after
SPARE = 2_000_000_000  # bytes for the rest of the bench


def memberships(audience: Audience, source: int, at: int, rng: np.random.Generator) -> pl.DataFrame:
    """A window of random users, 1.6 rows each, sorted."""
    numbers = counts(int(ROWS / 1.6), rng)
    users, rows = len(numbers), int(numbers.sum())
    of = np.repeat(np.arange(users), numbers)
    starts, steps = np.cumsum(numbers) - numbers, np.cumsum(rng.integers(1, 3_000, rows))
    columns = {
        "hi": np.sort(rng.integers(0, 1 << 64, users, dtype=np.uint64))[of],
        "lo": rng.integers(0, 1 << 64, users, dtype=np.uint64)[of],
        "segment": rng.integers(10_000, 14_000, users)[of] + steps - steps[starts][of],
        "timestamp": np.where(removed(rows, rng), -1, 0),
        "event_time": at - rng.integers(0, MINUTE, rows),
        "source": np.full(rows, source, np.uint64),
        "partition": rng.integers(0, PARTITIONS, rows),
        "offset": rng.integers(0, rows, rows),
    }
    return pl.DataFrame(columns).cast(schema(audience))


def fill(directory: Path, size: int, rng: np.random.Generator) -> dict[str, int]:
    """Seals runs of about `size` bytes beside the bridge's own; by the ledger most are delivered."""
    spool, now = Spool.open(directory, clock=SystemClock()), SystemClock().now()
    own = spool.runs()[-1]
    (audience,), positions = own.audiences, own.footer.positions
    source = source_rank(positions[0].cluster_id, positions[0].topic_id)
    runs = size // RUN
    pending = min(PENDING, runs // 2)
    for left in range(runs, 0, -1):
        sealed_at = now - left * EVERY
        rows = memberships(audience, source, sealed_at, rng)
        run = spool.seal(
            shards={audience: rows},
            oldest_read_at={audience: sealed_at - MINUTE},
            positions=positions,
            now=sealed_at,
        )
        if left == pending + 1:
            deliver(directory, audience, run.number, sealed_at)
        if sys.stderr.isatty():
            print(f"\ropening: {left - 1} runs to seal ", end="\r", file=sys.stderr, flush=True)
    for path in directory.glob("runs/*.run"):
        forget(path)
    return {"spool_bytes": spool.usage(), "runs": len(spool.runs()), "pending_runs": pending}


def deliver(directory: Path, audience: Audience, run: int, newest: int) -> None:
    """The ledger has all runs up to this one as delivered."""
    progress = Progress(start="", stop=None, run=run, newest_event_time=newest, removals_only=False)
    with Ledger.open(directory / LEDGER) as ledger:
        ledger.skip(audience, progress)


def forget(path: Path) -> None:
    """The file's pages leave the cache; it is synced already."""
    descriptor = os.open(path, os.O_RDONLY)
    os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
    os.close(descriptor)


def opening(bridge: Bridge) -> dict[str, float]:
    """Seconds from the start of a bridge to its being ready and to its first event, and its memory."""
    until(lambda: bridge.page("/readyz"), "the bridge to be ready")
    ready = time.monotonic() - bridge.started
    until(lambda: bridge.metrics()["events_consumed_total"], "the first event")
    first, memory = time.monotonic() - bridge.started, bridge.memory()
    time.sleep(AFTER)
    bridge.check()
    return {
        "ready_seconds": round(ready, 3),
        "first_event_seconds": round(first, 3),
        "memory_bytes": memory,
        "peak_bytes": bridge.peak(),
        "merged": len(bridge.logged("runs_merged")),
    }


def check_room(size: int) -> None:
    """Ends the bench where the disk is too small for it."""
    place, needed = tempfile.gettempdir(), (1.5 * size + SPARE) / 1e9
    free = shutil.disk_usage(place).free / 1e9
    if free < needed:
        raise SystemExit(f"opening: {place} has {free:.0f} GB free; {needed:.0f} are needed")


def measured(size: int, seed: int) -> dict[str, float]:
    """The spool, and how a bridge starts on it."""
    with broker() as kafka, server() as sshd, temporary() as folder:
        kafka.create_topic(TOPIC, PARTITIONS)
        produce(kafka.bootstrap, EVENTS, EVENTS, seed)
        settings = configuration(kafka, sshd, folder, free_port(), spool={"max_bytes": str(4 * size + SPARE)})
        measure.run([*command(settings, folder), "--until-end"], stderr=folder / "first.log")
        spool = fill(folder / "spool", size, np.random.default_rng(seed))
        produce(kafka.bootstrap, EVENTS, EVENTS, seed + 1)
        with running(settings, folder) as bridge:
            return spool | opening(bridge)


def main() -> None:
    options = report.arguments(__doc__, gigabytes=(10.0, "size of the spool")).parse_args()
    size = int(options.gigabytes * 1e9)
    check_room(size)
    log.configure(form="console", level="error", clock=SystemClock())
    figures = measured(size, options.seed)
    first = figures["first_event_seconds"]
    bar = Bar(name="first event, s", goal=f"below {BAR:.0f}", measured=f"{first:.1f}", met=first < BAR)
    sizes = [f"{figures['spool_bytes'] / 1e9:.1f}", f"{figures['runs']}", f"{figures['ready_seconds']:.1f}"]
    memory = [f"{figures[name] / 1e6:.0f}" for name in ("memory_bytes", "peak_bytes")]
    head = ["spool GB", "runs", "ready s", "memory at the first event MB", f"peak {AFTER:.0f} s later MB"]
    print(f"{machine()}\n\n{report.table(head, [[*sizes, *memory]])}\n\n{report.verdict([bar])}")
    report.save("opening", report.destination(options), {"machine": machine()} | figures, [bar])


if __name__ == "__main__":
    main()
