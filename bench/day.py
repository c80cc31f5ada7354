"""Bytes of a day's hourly deliveries against the ideal.

A real spool, ledger and deliverer send hours of seeded memberships to a folder, on a clock moved by hand.
The lines must be those of the ideal (bench/hours.py), which owes nothing to the bridge and is compressed by
zlib's level 9; of the bytes the bar is 1.05. From the root: python -m bench.day
"""

import gzip
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from itertools import islice

from bench import report
from bench.delivering import Site, site
from bench.hours import SIZES, Hour, Ideal, hours, level_nine
from bench.report import Bar

BAR = 1.05


def day(place: Site, ideal: Ideal, given: Iterable[Hour]) -> tuple[list[int], list[int]]:
    """Bytes of each hour's delivered file, and of its ideal."""
    sent, least = [], []
    with ThreadPoolExecutor() as threads:
        for number, events in enumerate(given):
            place.seal(number, events)
            file, text = place.deliver(), ideal.text(ideal.winners(events))
            if body(gzip.decompress(file.read_bytes())) != body(text):
                raise SystemExit(f"day: the file of hour {number} has other lines than its ideal")
            sent.append(file.stat().st_size)
            least.append(threads.submit(level_nine, text))
    return sent, [future.result() for future in least]


def body(text: bytes) -> bytes:
    """What stands behind the header."""
    return text.partition(b"\n\n")[2]


def main() -> None:
    options = report.arguments(__doc__, hours=(24, "hours delivered"), **SIZES).parse_args()
    users, given = hours(options.events, options.users, options.seed)
    with site(users) as place:
        sent, least = day(place, Ideal(users), islice(given, options.hours))
    ratio = sum(sent) / sum(least)
    title = "bytes of the hourly files / ideal"
    bar = Bar(name=title, goal=f"at most {BAR}", measured=f"{ratio:.3f}", met=ratio <= BAR)
    print(f"{options.hours} hourly files of {options.events:,} events; {report.processor()}\n")
    print(report.table(["delivered MB", "ideal MB"], [[f"{sum(sent) / 1e6:.1f}", f"{sum(least) / 1e6:.1f}"]]))
    print(f"\n{report.verdict([bar])}")
    figures = {"machine": report.processor(), "delivered": sent, "ideal": least}
    report.save("day", report.destination(options), figures, [bar])


if __name__ == "__main__":
    main()
