"""Worlds of many seeds: `make simulate SEEDS=1000 FIRST=0`; `python -m tests.simulation --help`."""

import argparse
import os
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass

from tests.simulation.live import Verdict, of_seed, of_step


@dataclass
class Sum:
    """Of many worlds."""

    worlds: int = 0
    broken: int = 0
    days: float = 0
    files: int = 0
    lives: int = 0

    def add(self, verdict: Verdict) -> None:
        """One more."""
        self.worlds += 1
        self.broken += verdict.fault is not None
        self.days += verdict.days
        self.files += verdict.files
        self.lives += verdict.lives


def verdicts(world: Callable[[int], Verdict], numbers: Iterable[int], jobs: int) -> Iterator[Verdict]:
    """The verdicts, in the order of the numbers."""
    if jobs == 1:
        yield from map(world, numbers)
        return
    with ProcessPoolExecutor(jobs) as pool:
        yield from pool.map(world, numbers)
        pool.shutdown(cancel_futures=True)


def arguments() -> argparse.Namespace:
    """What is asked for."""
    parser = argparse.ArgumentParser(prog="tests.simulation", description=__doc__)
    parser.add_argument("--seeds", type=int, default=100, help="how many worlds")
    parser.add_argument("--first", type=int, default=0, help="the first one's seed")
    parser.add_argument("--steps", type=int, metavar="N", help="cut the power before every N-th step instead")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="processes")
    parser.add_argument("--trace", action="store_true", help="tell what happens")
    parser.add_argument("--all", action="store_true", help="go on after a world that broke")
    return parser.parse_args()


def main() -> int:
    """Live through worlds; the first that breaks ends it."""
    given, began, found = arguments(), time.monotonic(), Sum()
    world, numbers = of_seed, range(given.first, given.first + given.seeds)
    if given.steps:
        world, numbers = of_step, range(given.first, sys.maxsize, given.steps)
    for verdict in verdicts(world, numbers, 1 if given.steps else given.jobs):
        if given.steps and not any(" died " in line for line in verdict.trace):
            break  # there are no further steps
        found.add(verdict)
        if given.trace:
            print(*verdict.trace, sep="\n")
        if verdict.fault:
            print(f"{verdict.name}: {verdict.fault}", flush=True)
            if not given.all:
                print(verdict.details)
                kind, number = verdict.name.split()
                more = "--seeds 1" if kind == "seed" else "--steps 1000000"
                print(f"once more: python -m tests.simulation --first {number} {more}", flush=True)
                break
    took = time.monotonic() - began
    print(
        f"{found.worlds} worlds, {found.broken} broken: {found.days:.0f} days in {took:.0f} s "
        f"({found.days / took:.1f} a second), {found.lives} lives of the bridge, {found.files} files"
    )
    return 1 if found.broken else 0


if __name__ == "__main__":
    sys.exit(main())
