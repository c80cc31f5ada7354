"""What an hour's file takes, in bytes and in time, at each level of compression.

The same lines go through other compressors too (isal's if it is installed), and in other orders than the
contract's through zlib. It judges nothing; `roll.compression_level` was chosen by it. The hours before were
delivered, so that late events can be overtaken. From the root: python -m bench.levels
"""

import time
import zlib
from collections.abc import Callable
from functools import partial
from itertools import islice, product

import numpy as np
from zlib_ng import zlib_ng

from bench import report
from bench.delivering import AUDIENCE, PLACEHOLDER, Site, site
from bench.hours import GZIP, HEADER, SIZES, Compressor, Hour, Ideal, compressed, hours, level_nine
from bridge.deliver.build import Recipe, build
from bridge.deliver.gathering import Gathered, gather
from bridge.deliver.lanes import look

try:
    from isal import isal_zlib
except ImportError:
    isal_zlib = None

OTHERS = ((1, 15, 0), (6, 15, 0), (9, 15, 0), (7, 15, zlib.Z_FILTERED), (7, 13, zlib.Z_FILTERED), (6, 9, 0))
ISAL = ((1, 15), (1, 9), (3, 15), (3, 9))  # levels and window bits

Ways = dict[str, Callable[[], int]]  # each gives bytes


def built(place: Site) -> Ways:
    """What waits, as the bridge builds it at each level."""
    gathered = list(gather(AUDIENCE, look(place.spool).view(place.ledger.audience(AUDIENCE), ""), ""))
    return {f"built, level {level}": partial(file_bytes, place, gathered, level) for level in range(1, 10)}


def file_bytes(place: Site, gathered: list[Gathered], level: int) -> int:
    """Bytes of the file."""
    recipe = Recipe(
        audience=AUDIENCE,
        placeholder=PLACEHOLDER,
        new_file=place.spool.new_file,
        directory=place.spool.files_directory,
        level=level,
        max_bytes=10**12,
        removals_only=False,
    )
    return build(recipe, gathered, lambda: HEADER).bytes


def others(text: bytes) -> Ways:
    """Its text in other compressors."""
    return {name: partial(compressed, text, member) for name, member in compressors().items()}


def compressors() -> dict[str, Compressor]:
    """By name: level, window bits, zlib's strategy Z_FILTERED or its usual one."""
    members: dict[str, Compressor] = {}
    for (name, maker), one in product({"zlib": zlib, "zlib-ng": zlib_ng}.items(), OTHERS):
        level, window, strategy = one
        text = f"{name} {level}, window {window}{', filtered' if strategy else ''}"
        members[text] = maker.compressobj(level, zlib.DEFLATED, GZIP + window, 9, strategy)
    for level, window in ISAL if isal_zlib else ():
        member = isal_zlib.compressobj(level, zlib.DEFLATED, GZIP + window, 4)
        members[f"isal {level}, window {window}"] = member
    return members


def orders(ideal: Ideal, events: Hour) -> Ways:
    """The hour's lines in other orders than the contract's, by zlib's level 6."""
    mixed = np.random.default_rng(0).permutation(int(events.user.max()) + 1)[events.user]
    others = {
        "segments descending": (-events.segment, events.user),
        "segments as they came": (events.offset, events.user),
        "users in any order": (events.segment, mixed),
    }
    sorted_otherwise = {name: events.take(np.lexsort(keys)) for name, keys in others.items()}
    return {
        f"order: {name}, zlib 6": partial(compressed, ideal.text(lines), zlib.compressobj(6))
        for name, lines in ({"as sent": events} | sorted_otherwise).items()
    }


def timed(way: Callable[[], int]) -> dict[str, float]:
    """What it takes."""
    began, used = time.monotonic(), time.process_time()
    size = way()
    seconds, cpu = time.monotonic() - began, time.process_time() - used
    return {"bytes": size, "seconds": round(seconds, 3), "cpu_seconds": round(cpu, 3)}


def table(measured: dict[str, dict[str, float]], least: int) -> str:
    rows = []
    for name, each in measured.items():
        sizes = [f"{each['bytes'] / 1e6:.2f}", f"{each['bytes'] / least:.3f}"]
        rows.append([name, *sizes, f"{each['seconds']:.2f}", f"{each['cpu_seconds']:.2f}"])
    return report.table(["", "MB", "to the ideal", "seconds", "CPU s"], rows)


def main() -> None:
    options = report.arguments(__doc__, hours=(3, "hours delivered before"), **SIZES).parse_args()
    users, given = hours(options.events, options.users, options.seed)
    ideal = Ideal(users)
    with site(users) as place:
        for number, events in enumerate(islice(given, options.hours)):
            place.seal(number, events)
            place.deliver()
            ideal.winners(events)
        last = next(given)
        place.seal(options.hours, last)
        waiting = ideal.winners(last)
        text = ideal.text(waiting)
        ways = built(place) | others(text) | orders(ideal, waiting)
        measured = {name: timed(way) for name, way in ways.items()}
    least = level_nine(text)
    print(f"An hour of {options.events:,} events, {len(text) / 1e6:.1f} MB of text; {report.processor()}\n")
    print(table(measured, least))
    figures = {"machine": report.processor(), "text": len(text), "ideal": least, "ways": measured}
    report.save("levels", report.destination(options), figures)


if __name__ == "__main__":
    main()
