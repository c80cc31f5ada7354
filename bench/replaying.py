"""The replay of the whole topic as a program of the bench: into a fresh spool, or beside a large history.

Its time runs from `replay_begun` of its log, just before its first message, to the final name of its last
file. The delivered memberships are of the load's users and of the same time as its events, so that nearly
every replayed user has to be looked up.
"""

from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import polars as pl

from bench import child
from bench.measure import run
from bench.produce import START, removed
from bench.result import Load, Result
from bench.scene import configuration, server, temporary
from bench.watching import Watch
from bridge.audience.audience import Audience
from bridge.audience.rows import schema
from bridge.clock import SystemClock
from bridge.deliver.ledger import Ledger
from bridge.deliver.records import Progress
from bridge.observe import log
from bridge.service.opening import LEDGER
from bridge.spool.spool import Spool
from tests.parts.kafka import Kafka
from tests.parts.waiting import free_port

AUDIENCE = Audience(
    account="bench",
    client="",
    user_namespace="mm",
    user_table_id="",
    segment_namespace="ep",
    mobile=False,
    hashed=False,
)
RUN_ROWS = 1_500_000


def replay(kafka: Kafka, load: Load, name: str, history: int = 0) -> Result:
    """`s2s-bridge replay` of all that the topic holds, which delivers by itself."""
    with server() as sshd, temporary() as folder:
        settings, said = configuration(kafka, sshd, folder, free_port()), folder / "replay.log"
        if history:
            deliver(folder / "spool", load, history)
        watch = Watch(address=settings["http"]["listen"], root=sshd.root)
        usage = run(_command(settings, folder, load), watch=watch, stderr=said)
        begun = child.logged(said, "replay_begun")[0]
        uploaded = child.logged(said, "file_uploaded")
        size = sum(path.stat().st_size for path in sshd.files())
    if not watch.landed:
        raise SystemExit("bench: the replay ended without a file on the server")
    ready = _instant(begun) - usage.started
    return Result(
        name=name,
        events=load.events,
        seconds=max(watch.landed.values()) - ready,
        usage=usage,
        size=size,
        uploads=sum(line["seconds"] for line in uploaded),
        memberships=sum(line["memberships"] for line in uploaded),
    )


def deliver(directory: Path, load: Load, rows: int) -> None:
    """A spool with so many delivered memberships, on average ten for each user of a million."""
    log.configure(form="console", level="error", clock=SystemClock())
    rng, now = np.random.default_rng(load.seed + 1), SystemClock().now()
    spool = Spool.open(directory, clock=SystemClock())
    for start in range(0, rows, RUN_ROWS):
        window = _window(load, min(RUN_ROWS, rows - start), rng)
        spool.seal(shards={AUDIENCE: window}, oldest_read_at={AUDIENCE: now}, positions=(), now=now)
    progress = Progress(
        start="",
        stop=None,
        run=spool.runs()[-1].number,
        newest_event_time=START + load.events,
        removals_only=False,
    )
    with Ledger.create(directory / LEDGER, spool.id, now) as ledger:
        ledger.skip(AUDIENCE, progress)


def _window(load: Load, rows: int, rng: np.random.Generator) -> pl.DataFrame:
    """Memberships of the load's users; the pool is drawn as `produce.users` does."""
    ids = np.random.default_rng(load.seed).integers(0, 256, (load.users, 16), dtype=np.uint8)
    halves = ids.view(">u8").astype(np.uint64)[rng.integers(0, load.users, rows)]
    columns = {
        "hi": halves[:, 0],
        "lo": halves[:, 1],
        "segment": rng.integers(10_000, 20_000, rows),
        "timestamp": np.where(removed(rows, rng), -1, 0),
        "event_time": START + rng.integers(0, load.events, rows),
        "source": np.full(rows, 1 << 63, np.uint64),
        "partition": rng.integers(0, load.partitions, rows),
        "offset": rng.integers(0, rows, rows),
    }
    return pl.DataFrame(columns).cast(schema(AUDIENCE))


def _command(settings: dict[str, object], folder: Path, load: Load) -> list[str]:
    start, *_, option, config = child.command(settings, folder)
    since, until = (datetime.fromtimestamp(at / 1000, UTC).isoformat() for at in (START, START + load.events))
    return [start, "-m", "bridge", "replay", option, config, "--from", since, "--to", until]


def _instant(line: dict[str, str]) -> float:
    return datetime.fromisoformat(line["timestamp"]).timestamp()
