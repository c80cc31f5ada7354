"""`python -m tests.simulation --seeds N [--first S]`: worlds, one after the other; the first that breaks ends it."""

import argparse
import sys
import tempfile
import time
import traceback
from pathlib import Path

import structlog

from tests.simulation.live import live


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--trace", action="store_true")
    given = parser.parse_args()
    for seed in range(given.first, given.first + given.seeds):
        began = time.perf_counter()
        outcome = live(seed)
        took = time.perf_counter() - began
        print(
            f"seed {seed} {took:.2f} s days {outcome.days:.1f} files {outcome.files} {outcome.fault or 'ok'}",
            flush=True,
        )
        if given.trace:
            print("\n".join(outcome.trace))
        if outcome.fault and given.trace:
            print(outcome.details)


main()
