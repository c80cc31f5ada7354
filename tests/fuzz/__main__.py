"""Fuzzing for as long as wanted: `python -m tests.fuzz --minutes 10`. What it finds is told with its seed.

A find is looked at again with `--target NAME --seed N`, and kept as a file in tests/fuzz/corpus/.
"""

import argparse
import itertools
import random
import subprocess
import sys
import time

from tests.fuzz.targets import TARGETS

TURN = 10
"""Seconds of one target before it is another's turn; fewer where the time is short."""


def main():
    arguments = _arguments()
    names = [arguments.target] if arguments.target else list(TARGETS)
    if arguments.minutes is None:
        TARGETS[names[0]].run(arguments.seed)
        return 0
    seeds = dict.fromkeys(names, arguments.seed)
    print(f"{len(names)} targets, {arguments.minutes:g} minutes, from seed {arguments.seed}", flush=True)
    ends, found = time.monotonic() + 60 * arguments.minutes, 0
    turn = min(TURN, 60 * arguments.minutes / len(names))
    further = itertools.takewhile(lambda _: time.monotonic() < ends, itertools.cycle(names))
    for name in itertools.chain(names, further):
        seeds[name], whole = _turn(name, seeds[name], turn)
        found += not whole
    print(*(f"{name}: {seeds[name] - arguments.seed} tries" for name in names), sep="\n")
    print(f"{found} found")
    return 1 if found else 0


def _turn(name, seed, seconds):
    """The next seed, and whether nothing was found."""
    command = [sys.executable, "-m", "tests.fuzz.tries", name, str(seed), str(seconds)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    last = int(done.stdout.split()[-1]) if done.stdout.split() else seed
    if done.returncode:
        print(
            f"FOUND target {name}, seed {last}, exit {done.returncode}\n{done.stderr[-20_000:]}", flush=True
        )
        return last + 1, False
    return last, True


def _arguments():
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("--minutes", type=float, help="without it, one seed of one target is tried once")
    parser.add_argument("--target", choices=list(TARGETS))
    parser.add_argument("--seed", type=int, default=random.randrange(10**9))
    arguments = parser.parse_args()
    if arguments.minutes is None and arguments.target is None:
        parser.error("give --minutes, or --target and --seed")
    return arguments


if __name__ == "__main__":
    sys.exit(main())
