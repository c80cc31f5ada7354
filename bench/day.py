"""Bytes of a day's hourly deliveries against the ideal, and what each level of compression takes.

A real spool, ledger and deliverer send hours of seeded memberships to a folder, on a clock moved by hand.
The ideal is made of the same memberships with nothing of the bridge: the last write of each user's each
segment, less what a newer delivered one has overtaken, sorted, a line a user, by zlib's level 9. The lines
must be the same; of the bytes the bar is 1.05. From the root: python -m bench.day
"""

import argparse
import gzip
import tempfile
import time
import zlib
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from itertools import groupby, pairwise, product
from operator import itemgetter
from pathlib import Path
from typing import Protocol

import numpy as np
import polars as pl
from zlib_ng import zlib_ng

from bench.scene import machine, save
from bridge.audience.audience import Audience
from bridge.audience.header import Header
from bridge.audience.rows import schema
from bridge.clock import DAY, HOUR, MINUTE, SystemClock
from bridge.config import Account, RollSettings
from bridge.deliver.build import Recipe, build
from bridge.deliver.deliverer import Deliverer, DelivererParts
from bridge.deliver.folder import FolderRemote
from bridge.deliver.gathering import Gathered, gather
from bridge.deliver.ledger import Ledger
from bridge.deliver.observer import SilentObserver
from bridge.observe import log
from bridge.spool.spool import Spool
from tests.parts.clocks import HandClock

try:
    from isal import isal_zlib
except ImportError:
    isal_zlib = None

BAR = 1.05
START = 1_790_000_000_000 // DAY * DAY
WINDOWS = 6  # an hour, sealed every 9 minutes
PLACEHOLDER = "9999999"
GZIP = 16  # window bits: added to the size, gzip's frame
PIECE = 1 << 20  # bytes of text that a compressor is given at once
OTHERS = ((1, 15, 0), (6, 15, 0), (9, 15, 0), (7, 15, zlib.Z_FILTERED), (7, 13, zlib.Z_FILTERED), (6, 9, 0))
AUDIENCE = Audience(
    account="bench",
    client="",
    user_namespace="mm",
    user_table_id="",
    segment_namespace="ep",
    mobile=False,
    hashed=False,
)
HEADER = Header(
    file_identifier="Agency_Partner_202609210105.log.gz",
    date_created=START // 1000,
    user_namespace="mm",
    segment_namespace="ep",
    mobile=False,
    hash_segments=False,
)


class Compressor(Protocol):
    """What zlib and its like give."""

    def compress(self, data: bytes, /) -> bytes: ...

    def flush(self) -> bytes: ...


@dataclass(frozen=True, kw_only=True)
class Hour:
    """An hour's memberships: columns of one length, in the order in which they were read."""

    user: np.ndarray
    """Places in the sorted list of users."""
    segment: np.ndarray
    timestamp: np.ndarray
    event_time: np.ndarray
    """Epoch ms."""
    offset: np.ndarray
    """One a membership."""

    def take(self, places: np.ndarray | slice) -> "Hour":
        return Hour(**{name: column[places] for name, column in vars(self).items()})

    def windows(self) -> list["Hour"]:
        cuts = np.linspace(0, len(self.user), WINDOWS + 1).astype(int).tolist()
        return [self.take(slice(*cut)) for cut in pairwise(cuts)]


def sorted_users(number: int, rng: np.random.Generator) -> np.ndarray:
    """That many UUIDs as halves."""
    halves = rng.integers(0, 1 << 64, (number, 2), dtype=np.uint64)
    return halves[np.lexsort((halves[:, 1], halves[:, 0]))]


def hour(number: int, events: int, users: int, rng: np.random.Generator) -> Hour:
    """Events of 1.6 memberships in the mean, half of them of a tenth of the users.

    A user comes into 25 segments of its own, so that much is said again, or taken back: 3 % of the
    memberships are removals. 1 % are up to three hours late.
    """
    drawn = rng.integers(0, users, events)
    drawn = np.where(rng.random(events) < 0.5, drawn // 10 * 10, drawn)
    user = np.repeat(drawn, rng.choice([1, 2, 3], events, p=[0.5, 0.4, 0.1]))
    rows = len(user)
    own = rng.integers(0, 25, rows)
    late = np.where(rng.random(rows) < 0.01, rng.integers(1, 3 * HOUR, rows), 0)
    return Hour(
        user=user,
        segment=10_000 + (user * 7919 + own * 104_729) % 10_000,
        timestamp=np.where(rng.random(rows) < 0.03, -1, 0),
        event_time=START + number * HOUR + np.arange(rows) * HOUR // rows - late,
        offset=number * 100_000_000 + np.arange(rows),
    )


class Site:
    """The deliver side of one account, its server a folder."""

    def __init__(self, directory: Path) -> None:
        self.clock = HandClock(START)
        self.spool = Spool.open(directory / "spool", clock=self.clock)
        self.ledger = Ledger.create(directory / "spool" / "ledger.sqlite", self.spool.id, START)
        self.remote = directory / "remote"
        self.remote.mkdir()
        sftp = {"host": "localhost", "username": "nobody"}
        self.deliverer = Deliverer(
            DelivererParts(
                account=Account(name="bench", agency="Agency", partner="Partner", sftp=sftp),
                roll=RollSettings(max_age=HOUR),
                spool=self.spool,
                ledger=self.ledger,
                remote=FolderRemote(self.remote, temporary_suffix=".part", clock=self.clock),
                clock=self.clock,
                observer=SilentObserver(),
                placeholders={AUDIENCE: PLACEHOLDER},
                fallback_placeholder=PLACEHOLDER,
                file_room=lambda: 10**12,
                drain=lambda: False,
            )
        )

    def seal(self, number: int, events: Hour, halves: np.ndarray) -> None:
        """The hour's windows become runs."""
        for window, part in enumerate(events.windows(), start=1):
            self.clock.move_to(START + number * HOUR + window * 9 * MINUTE)
            now, rows = self.clock.now(), len(part.user)
            columns = {name: column for name, column in vars(part).items() if name != "user"}
            ids = {"hi": halves[part.user, 0], "lo": halves[part.user, 1]}
            ranks = {"source": np.full(rows, 1 << 63, np.uint64), "partition": np.zeros(rows, np.int32)}
            frame = pl.DataFrame(ids | columns | ranks).select(
                pl.col(name).cast(dtype) for name, dtype in schema(AUDIENCE).items()
            )
            self.spool.seal(shards={AUDIENCE: frame}, oldest_read_at={AUDIENCE: now}, positions=(), now=now)

    def deliver(self) -> Path:
        """The file of what waits, once it has arrived."""
        before = set(self.remote.iterdir())
        while not (arrived := set(self.remote.glob("*.log.gz")) - before):
            self.clock.move(self.deliverer.step() or 0)
        return arrived.pop()

    def gathered(self) -> list[Gathered]:
        """What waits, as a delivery gathers it."""
        return list(gather(AUDIENCE, self.ledger.audience(AUDIENCE), self.spool.runs(), ""))

    def built(self, level: int, gathered: list[Gathered]) -> int:
        """Bytes of its file at that level."""
        recipe = Recipe(
            audience=AUDIENCE,
            placeholder=PLACEHOLDER,
            directory=self.spool.files_directory,
            level=level,
            max_bytes=10**12,
            removals_only=False,
        )
        return build(recipe, gathered, lambda: HEADER).bytes


class Ideal:
    """Last write wins, in numpy and plain Python."""

    def __init__(self, halves: np.ndarray) -> None:
        texts = (f"{high:016x}{low:016x}" for high, low in halves.tolist())
        self._ids = ["-".join((t[:8], t[8:12], t[12:16], t[16:20], t[20:])) for t in texts]
        self._sent: list[tuple[np.ndarray, np.ndarray]] = []

    def winners(self, events: Hour) -> Hour:
        """What is to be sent of the hour, sorted; it counts as sent from now on."""
        key = events.user << 32 | events.segment
        rank = events.event_time - START + DAY << 32 | events.offset
        order = np.lexsort((rank, key))
        last = order[np.append(key[order][1:] != key[order][:-1], True)]
        overtaken = np.zeros(len(last), bool)
        for keys, ranks in self._sent:
            at = np.minimum(np.searchsorted(keys, key[last]), len(keys) - 1)
            overtaken |= (keys[at] == key[last]) & (ranks[at] > rank[last])
        kept = last[~overtaken]
        self._sent.append((key[kept], rank[kept]))
        return events.take(kept)

    def text(self, events: Hour) -> bytes:
        """The header, and a line for each run of one user."""
        columns = (column.tolist() for column in (events.user, events.segment, events.timestamp))
        lines = (
            f"{self._ids[user]} {' '.join(f'{segment}:{at}' for _, segment, at in group)}\n"
            for user, group in groupby(zip(*columns, strict=True), itemgetter(0))
        )
        return HEADER.render() + "".join(lines).encode()


def day(site: Site, ideal: Ideal, hours: Iterable[Hour], halves: np.ndarray) -> tuple[list[int], list[int]]:
    """Bytes of each hour's delivered file, and of its ideal."""
    sent, smallest = [], []
    with ThreadPoolExecutor() as threads:
        for number, events in enumerate(hours):
            site.seal(number, events, halves)
            file, text = site.deliver(), ideal.text(ideal.winners(events))
            if body(gzip.decompress(file.read_bytes())) != body(text):
                raise SystemExit(f"day: the file of hour {number} has other lines than its ideal")
            sent.append(file.stat().st_size)
            member = zlib.compressobj(9, zlib.DEFLATED, GZIP + 15)
            smallest.append(threads.submit(compressed, text, member))
    return sent, [future.result() for future in smallest]


def body(text: bytes) -> bytes:
    """What stands behind the header."""
    return text.partition(b"\n\n")[2]


def compressed(text: bytes, member: Compressor) -> int:
    """Bytes of one gzip member of the text."""
    pieces = (member.compress(text[at : at + PIECE]) for at in range(0, len(text), PIECE))
    return sum(map(len, pieces)) + len(member.flush())


def others() -> dict[str, Compressor]:
    """Other compressors by name: level, window bits, F for zlib's strategy Z_FILTERED."""
    members: dict[str, Compressor] = {}
    for (name, maker), (level, window, strategy) in product(
        {"zlib": zlib, "zlib-ng": zlib_ng}.items(), OTHERS
    ):
        text = f"{name} {level}, window {window}{', filtered' if strategy else ''}"
        members[text] = maker.compressobj(level, zlib.DEFLATED, GZIP + window, 9, strategy)
    for level, window in product((1, 3), (15, 9)) if isal_zlib else ():
        members[f"isal {level}, window {window}"] = isal_zlib.compressobj(
            level, zlib.DEFLATED, GZIP + window, 4
        )
    return members


def levels(site: Site, text: bytes) -> list[dict[str, object]]:
    """What waits, built by the bridge at each level; and its text in other compressors."""
    gathered = site.gathered()
    ways: dict[str, Callable[[], int]] = {
        f"built, level {level}": partial(site.built, level, gathered) for level in range(1, 10)
    }
    ways |= {name: partial(compressed, text, member) for name, member in others().items()}
    return [timed(name, way) for name, way in ways.items()]


def orders(ideal: Ideal, events: Hour) -> list[dict[str, object]]:
    """The hour's lines in other orders than the contract's, by zlib's level 6."""
    mixed = np.random.default_rng(0).permutation(int(events.user.max()) + 1)[events.user]
    ways = {
        "segments descending": (-events.segment, events.user),
        "segments as they came": (events.offset, events.user),
        "users in any order": (events.segment, mixed),
    }
    texts = {"as sent": ideal.text(events)} | {
        name: ideal.text(events.take(np.lexsort(way))) for name, way in ways.items()
    }
    return [
        timed(f"order: {name}, zlib 6", partial(compressed, text, zlib.compressobj(6)))
        for name, text in texts.items()
    ]


def timed(name: str, way: Callable[[], int]) -> dict[str, object]:
    began, used = time.monotonic(), time.process_time()
    size = way()
    seconds, cpu = time.monotonic() - began, time.process_time() - used
    return {"name": name, "bytes": size, "seconds": round(seconds, 3), "cpu_seconds": round(cpu, 3)}


def table(ways: list[dict[str, object]], ideal: int) -> str:
    lines = ["| | MB | to the ideal | seconds | CPU s |", "|---|--:|--:|--:|--:|"]
    for way in ways:
        size, seconds, cpu = way["bytes"], way["seconds"], way["cpu_seconds"]
        lines.append(f"| {way['name']} | {size / 1e6:.2f} | {size / ideal:.3f} | {seconds:.2f} | {cpu:.2f} |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--hours", type=int, default=24)
    parser.add_argument("--events", type=int, default=500_000, help="an hour")
    parser.add_argument("--users", type=int, default=1_000_000)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    log.configure(form="console", level="error", clock=SystemClock())
    rng = np.random.default_rng(options.seed)
    halves = sorted_users(options.users, rng)
    ideal = Ideal(halves)
    hours = (hour(number, options.events, options.users, rng) for number in range(options.hours))
    with tempfile.TemporaryDirectory(prefix="s2s-bench-") as name:
        site = Site(Path(name))
        sent, smallest = day(site, ideal, hours, halves)
        last = hour(options.hours, options.events, options.users, rng)
        site.seal(options.hours, last, halves)
        waiting = ideal.winners(last)
        text = ideal.text(waiting)
        least = compressed(text, zlib.compressobj(9, zlib.DEFLATED, GZIP + 15))
        ways = levels(site, text) + orders(ideal, waiting)
    ratio = sum(sent) / sum(smallest)
    print(f"{options.hours} hourly files of {options.events:,} events; {machine()}\n")
    print("| delivered MB | ideal MB | ratio | bar | met |\n|--:|--:|--:|--:|---|")
    print(
        f"| {sum(sent) / 1e6:.1f} | {sum(smallest) / 1e6:.1f} | {ratio:.3f} "
        f"| at most {BAR} | {'yes' if ratio <= BAR else 'no'} |\n"
    )
    print(f"One hour more, {len(text) / 1e6:.1f} MB of text:\n\n{table(ways, least)}")
    figures = {
        "delivered": sent,
        "ideal": smallest,
        "ratio": round(ratio, 4),
        "bar": BAR,
        "met": ratio <= BAR,
    }
    save("day", figures | {"hour": {"text": len(text), "ideal": least, "ways": ways}})


if __name__ == "__main__":
    main()
