"""The identity table: what mappings take on the disk and in memory, and how fast users are joined to them.

Seeded mappings come in windows, each id once, as the follower would give them; merges go on between them.
Then all ids are joined in sorted ranges, as a delivery to everybody would, and one in a hundred of them; and
messages are decoded. Each part is a process of its own; MB are its peak, of joins what they add. No Kafka.
From the root: python -m bench.identity --mappings 10000000
"""

import json
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import polars as pl

from bench import measure, report
from bench.report import Bar
from bench.scene import temporary
from bridge.audience.uuids import LENGTH, digits
from bridge.clock import SystemClock
from bridge.sync.mapping import Consent, UserSync, encode, key_of
from bridge.sync.table.contents import TopicIdentity
from bridge.sync.table.decoding import take
from bridge.sync.table.table import Table

START = 1_760_000_000_000  # epoch ms
SYNCED = 30 * 86_400_000  # ms over which they came
WINDOW = 500_000  # rows
RANGE = 200_000  # users that a delivery takes at once
SPARSE = 100  # one user of so many
MESSAGES = 50_000  # to decode, of which there are ten times as many
DELIVERY = 13.27 / 4e6  # processor seconds of an event from topic to file, of bench/results/bench.json
CHILD = "import sys; from bench import identity; getattr(identity, sys.argv[1])(*sys.argv[2:])"


def ids(first: int, count: int) -> pl.Series:
    """Ids that look random, in no order; the same number has always the same one."""
    numbers = np.arange(first, first + count, dtype=np.uint64)
    halves = [pl.Series(mixed(numbers + np.uint64(salt << 40))) for salt in (1, 2)]
    texts = digits(*halves).view(f"S{LENGTH}").ravel().astype(f"U{LENGTH}")
    return pl.Series("id", texts, dtype=pl.String)


def mixed(numbers: np.ndarray) -> np.ndarray:
    """SplitMix64: 64 bits that look random, of a number each."""
    for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)):
        numbers = (numbers ^ (numbers >> np.uint64(shift))) * np.uint64(factor)
    return numbers ^ (numbers >> np.uint64(31))


def all_ids(mappings: int) -> pl.Series:
    """The ids of the whole table, ascending."""
    firsts = range(0, mappings, WINDOW)
    return pl.concat(ids(first, min(WINDOW, mappings - first)) for first in firsts).sort()


def windows(mappings: int, seed: int) -> Iterator[pl.DataFrame]:
    """What the follower gives, oldest first."""
    random = np.random.default_rng(seed)
    for first in range(0, mappings, WINDOW):
        count = min(WINDOW, mappings - first)
        yield pl.DataFrame(
            {
                "namespace": pl.repeat("acme", count, eager=True),
                "id": ids(first, count),
                "hi": random.integers(1, 1 << 63, count, dtype=np.uint64),
                "lo": random.integers(1, 1 << 63, count, dtype=np.uint64),
                "forgotten": np.zeros(count, dtype=np.bool_),
                "synced_at": START + random.integers(0, SYNCED, count),
                "data_centre": random.choice(["ewr", "iad"], count),
            }
        )


class Timed:
    """Seconds and processor seconds within `with`, added up."""

    def __init__(self) -> None:
        self.seconds = self.processor = 0.0

    def __enter__(self) -> None:
        self.seconds -= time.monotonic()
        self.processor -= time.process_time()

    def __exit__(self, *_: object) -> None:
        self.seconds += time.monotonic()
        self.processor += time.process_time()


def build(directory: str, mappings: str, seed: str) -> None:
    """In a process of its own: makes the table, and prints what that took."""
    clock, taking, merging, most = SystemClock(), Timed(), Timed(), 0
    with Table.open(Path(directory), clock=clock) as table:
        table.restart(TopicIdentity(cluster_id="c", topic_id="t"), clock.now())
        for offset, window in enumerate(windows(int(mappings), int(seed)), start=1):
            with taking:
                table.append(window, {0: offset}, clock.now())
            most, goes_on = max(most, table.usage()), True
            while goes_on:
                with merging:
                    goes_on = table.merge_step(clock.now())
                most = max(most, table.usage())
        sizes = {"bytes": table.usage(), "most_bytes": most, "layers": len(table.snapshot().layers)}
    print(json.dumps({"taking": vars(taking), "merging": vars(merging), **sizes}))


def join(directory: str, mappings: str, every: str) -> None:
    """In a process of its own: joins every n-th id in sorted ranges, and prints what the joins took."""
    wanted = all_ids(int(mappings)).gather_every(int(every))
    before, found, timed = measure.memory(Path("/proc/self").resolve().name), 0, Timed()
    with Table.open(Path(directory), clock=SystemClock()) as table, timed:
        reader = table.snapshot().reader("acme")
        for first in range(0, len(wanted), RANGE):
            found += reader.join(wanted[first : first + RANGE]).height
    if found != len(wanted):
        raise SystemExit(f"bench: {found} of {len(wanted)} were found")
    after = measure.memory(Path("/proc/self").resolve().name)
    print(json.dumps({"rows": found, "most_bytes": after - before, **vars(timed)}))


class Message:
    """What the follower reads."""

    def __init__(self, sync: UserSync) -> None:
        self._key, self._value = key_of(sync), encode(sync)

    def key(self) -> bytes:
        return self._key

    def value(self) -> bytes:
        return self._value


def decode() -> None:
    """In a process of its own: decodes messages of the endpoint's encoder."""
    texts = ids(0, 2 * MESSAGES).to_list()
    syncs = zip(texts[:MESSAGES], texts[MESSAGES:], strict=True)
    common = {"namespace": "acme", "data_centre": "ewr", "synced_at": START, "consent": Consent.TC_STRING}
    messages = [Message(UserSync(partner_id=id_, mm_uuid=uuid, **common)) for id_, uuid in syncs]
    timed, rounds = Timed(), 10
    with timed:
        for _ in range(rounds):
            take(messages, START)
    print(json.dumps({"rows": rounds * MESSAGES, **vars(timed)}))


def in_child(name: str, *arguments: object) -> dict:
    """What a part printed, and its peak memory."""
    usage = measure.run([sys.executable, "-c", CHILD, name, *map(str, arguments)])
    return {**json.loads(usage.output), "peak_bytes": usage.peak}


def main() -> None:
    options = report.arguments(__doc__, mappings=(10_000_000, "mappings in the table")).parse_args()
    count = options.mappings
    with temporary() as folder:
        table = folder / "table"
        built = in_child("build", table, count, options.seed)
        everybody, few = in_child("join", table, count, 1), in_child("join", table, count, SPARSE)
    figures = {"built": built, "everybody": everybody, "few": few, "decoded": in_child("decode")}
    print(f"{count:,} mappings; {report.processor()}\n\n{parts(count, figures)}\n")
    bars = judged(count, built, everybody)
    print(report.verdict(bars))
    report.save("identity", report.destination(options), {"machine": report.processor(), **figures}, bars)


def parts(count: int, figures: dict) -> str:
    """A line a part."""
    built = figures["built"]
    given = {
        "decode": figures["decoded"],
        "take in": {"rows": count, **built["taking"]},
        "merge": {"rows": count, **built["merging"], "most_bytes": built["peak_bytes"]},
        "join everybody": figures["everybody"],
        f"join one of {SPARSE}": figures["few"],
    }
    rows = [
        [
            name,
            f"{part['rows']:,}",
            f"{part['seconds']:.1f}",
            f"{part['processor']:.1f}",
            f"{part['rows'] / part['processor']:,.0f}",
            f"{part['most_bytes'] / 1e6:,.0f}" if "most_bytes" in part else "",
        ]
        for name, part in given.items()
    ]
    return report.table(["", "rows", "seconds", "processor s", "rows/processor s", "MB"], rows)


def judged(count: int, built: dict, everybody: dict) -> list[Bar]:
    disk, memory = built["most_bytes"] / count, built["peak_bytes"] / 1e6
    each = everybody["processor"] / everybody["rows"]
    share = each / (each + DELIVERY)
    return [
        Bar(name="bytes a mapping, at most", goal="80", measured=f"{disk:.1f}", met=disk <= 80),
        Bar(name="peak MB, taking in and merging", goal="500", measured=f"{memory:.0f}", met=memory <= 500),
        Bar(name="a join's share of an event", goal="below 0.3", measured=f"{share:.2f}", met=share < 0.3),
    ]


if __name__ == "__main__":
    main()
