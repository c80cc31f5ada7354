"""Worlds of many seeds: `make simulate SEEDS=1000 FIRST=0`, `python -m tests.simulation --help`."""

import argparse
import os
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor

from tests.simulation.live import Verdict, live


def verdicts(seeds: range, jobs: int) -> Iterator[Verdict]:
    """The verdicts, in the order of the seeds."""
    if jobs == 1:
        yield from map(live, seeds)
        return
    with ProcessPoolExecutor(jobs) as pool:
        yield from pool.map(live, seeds)
        pool.shutdown(cancel_futures=True)


def main() -> int:
    """Live through worlds; the first that breaks ends it."""
    parser = argparse.ArgumentParser(prog="tests.simulation", description=__doc__)
    parser.add_argument("--seeds", type=int, default=100, help="how many worlds")
    parser.add_argument("--first", type=int, default=0, help="the first one's seed")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="processes")
    parser.add_argument("--trace", action="store_true", help="tell what happens")
    parser.add_argument("--all", action="store_true", help="go on after a world that broke")
    given = parser.parse_args()
    began, worlds, days, files, lives, broken = time.monotonic(), 0, 0.0, 0, 0, 0
    for verdict in verdicts(range(given.first, given.first + given.seeds), given.jobs):
        worlds, days, files = worlds + 1, days + verdict.days, files + verdict.files
        lives += verdict.lives
        if given.trace:
            print(*verdict.trace, sep="\n")
        if verdict.fault:
            broken += 1
            print(f"seed {verdict.seed}: {verdict.fault}", flush=True)
            if not given.all:
                print(verdict.details)
                print(f"once more: make simulate SEEDS=1 FIRST={verdict.seed}", flush=True)
                break
    took = time.monotonic() - began
    print(
        f"{worlds} worlds, {broken} broken: {days:.0f} days in {took:.0f} s ({days / took:.1f} a second), "
        f"{lives} lives of the bridge, {files} files"
    )
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
