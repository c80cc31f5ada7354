"""A week of delivered history in small runs, merged by housekeeping as in a bridge.

Seeded hours of ten audiences, 10 M memberships a day, are sealed as if they had been read in the week before,
a run every ten minutes; by the ledger all are delivered. A process of its own merges them: the bar is the
number of runs that are left. Then two spools of a day are merged while windows are sealed as fast as it goes,
the first with no thread standing back, the second as it is. No Kafka, no sshd.
From the root: python -m bench.history
"""

import json
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from itertools import islice, pairwise
from pathlib import Path

import numpy as np
import polars as pl

from bench import measure, report
from bench.hours import START, Hour, hours
from bench.report import Bar
from bench.scene import temporary
from bridge.audience.audience import Audience
from bridge.audience.rows import schema
from bridge.clock import HOUR, SystemClock
from bridge.config import Config
from bridge.deliver.ledger import Ledger
from bridge.deliver.records import Progress
from bridge.observe import log
from bridge.service import housekeeping
from bridge.service.housekeeping import NICENESS, Housekeeping
from bridge.service.opening import LEDGER
from bridge.service.upkeep_observer import SilentUpkeep
from bridge.spool.spool import Spool
from tests.parts.audiences import DISPLAY
from tests.parts.clocks import HandClock

BAR = 64  # runs
AUDIENCES = [replace(DISPLAY, client=f"C{number}") for number in range(10)]
COLUMNS = schema(DISPLAY)
WINDOWS = 6  # an hour
RETENTION = "8d"  # nothing expires meanwhile
ALONE = 5.0  # seconds of sealing before the merging begins, and after it has ended
CHILD = "import sys; from bench.history import merge; merge(*sys.argv[1:])"

Shards = dict[Audience, pl.DataFrame]


def shards(users: np.ndarray, events: Hour) -> Shards:
    """Rows by audience; each user is of one."""
    rows = len(events.user)
    ids = {"hi": users[events.user, 0], "lo": users[events.user, 1], "of": events.user % len(AUDIENCES)}
    place = {"source": np.full(rows, 1 << 63, np.uint64), "partition": np.zeros(rows, np.int32)}
    parts = pl.DataFrame(ids | vars(events) | place).partition_by("of", as_dict=True)
    return {AUDIENCES[of]: part.select(*COLUMNS).cast(COLUMNS) for (of,), part in parts.items()}


def windows(users: np.ndarray, given: Iterable[Hour]) -> Iterator[tuple[int, Shards]]:
    """When each was sealed, and what is in it."""
    for number, events in enumerate(given):
        cuts = np.linspace(0, len(events.user), WINDOWS + 1).astype(int).tolist()
        for window, cut in enumerate(pairwise(cuts), start=1):
            yield START + number * HOUR + window * HOUR // WINDOWS, shards(users, events.take(slice(*cut)))


def fill(directory: Path, users: np.ndarray, given: Iterable[Hour]) -> Path:
    """A spool of small runs, by its ledger all delivered."""
    spool = Spool.open(directory, clock=SystemClock())
    for sealed_at, window in windows(users, given):
        read_at = dict.fromkeys(window, sealed_at - HOUR // WINDOWS)
        run = spool.seal(shards=window, oldest_read_at=read_at, positions=(), now=sealed_at)
    newest = max(statistics.max_event_time for statistics in run.audiences.values())
    progress = Progress(start="", stop=None, run=run.number, newest_event_time=newest, removals_only=False)
    with Ledger.create(directory / LEDGER, spool.id, START) as ledger:
        for audience in run.audiences:
            ledger.skip(audience, progress)
    return directory


def contents(directory: Path) -> dict[str, int]:
    """What the spool holds."""
    runs = Spool.open(directory, clock=SystemClock()).runs()
    rows = sum(statistics.rows for run in runs for statistics in run.audiences.values())
    return {"runs": len(runs), "bytes": sum(run.size for run in runs), "memberships": rows}


def merge(directory: str, niceness: str, beside: str) -> None:
    """In a process of its own: merges all there is to merge, and prints what that took.

    Args:
        directory: The spool.
        niceness: How far the thread that merges stands back.
        beside: Where windows are sealed meanwhile; empty: none are.
    """
    log.configure(form="console", level="error", clock=SystemClock())
    housekeeping.NICENESS = int(niceness)
    stop, place, rates = threading.Event(), Path(directory), []
    window = first_window(place)
    with Ledger.open(place / LEDGER) as ledger:
        thread = threading.Thread(target=keeping(place, ledger, stop).run, args=(stop,))
        rates += [sealed(Path(beside), window, for_a_while())] if beside else []
        began = time.monotonic()
        thread.start()
        rates += [sealed(Path(beside), window, thread.is_alive)] if beside else []
        thread.join()
        seconds = time.monotonic() - began
        rates += [sealed(Path(beside), window, for_a_while())] if beside else []
    print(json.dumps({"seconds": round(seconds, 2), "sealed": rates}))


def for_a_while() -> Callable[[], bool]:
    end = time.monotonic() + ALONE
    return lambda: time.monotonic() < end


def keeping(directory: Path, ledger: Ledger, stop: threading.Event) -> Housekeeping:
    """Housekeeping that stops when there is nothing left to merge."""
    spool = Spool.open(directory, clock=SystemClock())
    runs = [len(spool.runs())]

    class Looked(SilentUpkeep):
        def used(self, size: int) -> None:  # noqa: ARG002  # it is told that there was a look
            runs.append(len(spool.runs()))
            if runs[-1] == runs[-2]:
                stop.set()

    sftp = {"host": "localhost", "username": "nobody"}
    return Housekeeping(
        config=Config(
            kafka={"bootstrap_servers": "localhost:9092"},
            spool={"directory": directory, "retention": RETENTION},
            accounts=[{"name": "a", "agency": "Agency", "partner": "Partner", "sftp": sftp}],
            streams=[
                {"name": "a", "topics": ["a"], "format": "json", "account": "a", "segment_namespace": "ep"}
            ],
            dead_letters={},
        ),
        spool=spool,
        ledger=ledger,
        clock=HandClock(spool.runs()[-1].footer.sealed_at + HOUR),
        observer=Looked(),
        beat=lambda _: None,
    )


def first_window(directory: Path) -> Shards:
    """The rows of the spool's first run, in no order."""
    run = Spool.open(directory, clock=SystemClock()).runs()[0]
    return {
        audience: run.read(audience).select(*COLUMNS).sample(fraction=1.0, shuffle=True, seed=1)
        for audience in run.audiences
    }


def sealed(directory: Path, window: Shards, goes_on: Callable[[], bool]) -> float:
    """Memberships a second, sealed as long as `goes_on`."""
    spool, rows, began = Spool.open(directory, clock=SystemClock()), 0, time.monotonic()
    while goes_on():
        run = spool.seal(shards=window, oldest_read_at=dict.fromkeys(window, START), positions=(), now=START)
        rows += sum(part.height for part in window.values())
        spool.retire(run)
    return round(rows / (time.monotonic() - began))


def merged(directory: Path, niceness: int, beside: str = "") -> dict[str, object]:
    """What the process of `merge` found, its memory, and what it left."""
    before = contents(directory)
    usage = measure.run([sys.executable, "-c", CHILD, str(directory), str(niceness), beside])
    found = {"niceness": niceness, **json.loads(usage.output), "peak_bytes": usage.peak}
    return found | {"before": before, "after": contents(directory)}


def main() -> None:
    sizes = {
        "days": (7, "of history"),
        "events": (260_000, "events an hour, of 1.6 memberships"),
        "users": (1_000_000, "users that they are of"),
    }
    options = report.arguments(__doc__, **sizes).parse_args()
    log.configure(form="console", level="error", clock=SystemClock())
    users, given = hours(options.events, options.users, options.seed)
    with temporary() as folder:
        week = merged(fill(folder / "week", users, islice(given, 24 * options.days)), NICENESS)
        days = [
            merged(fill(folder / f"{niceness}", users, islice(given, 24)), niceness, str(folder / "beside"))
            for niceness in (0, NICENESS)
        ]
    print(f"{options.days} days of history; {report.processor()}\n\n{runs_left(week)}\n\n{rates(days)}\n")
    left = week["after"]["runs"]
    bar = Bar(name="runs left", goal=f"below {BAR}", measured=f"{left}", met=left < BAR)
    print(report.verdict([bar]))
    figures = {"machine": report.processor(), "week": week, "beside": days}
    report.save("history", report.destination(options), figures, [bar])


def runs_left(week: dict) -> str:
    """The week as a table."""
    rows = [
        [
            when,
            f"{week[when]['runs']:,}",
            f"{week[when]['bytes'] / 1e6:,.0f}",
            f"{week[when]['memberships']:,}",
        ]
        for when in ("before", "after")
    ]
    table = report.table(["", "runs", "MB", "memberships"], rows)
    return f"{table}\n\nmerged in {week['seconds']:.0f} s, peak memory {week['peak_bytes'] / 1e6:.0f} MB"


def rates(days: list[dict]) -> str:
    """What merging and sealing leave each other, as a table."""
    rows = []
    for day in days:
        before, meanwhile, after = day["sealed"]
        rate = f"{2 * meanwhile / (before + after):.2f}"
        rows.append([f"{day['niceness']}", rate, f"{day['seconds']:.1f}"])
    return report.table(["niceness", "sealing beside / alone", "merging a day s"], rows)


if __name__ == "__main__":
    main()
