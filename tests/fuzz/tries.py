"""Some seeds of a target, in a process whose memory is bounded: what ends a process is found there too.

Run as `python -m tests.fuzz.tries TARGET FIRST_SEED SECONDS`; the last line on stdout is the next seed.
"""

import resource
import sys
import time

from tests.fuzz.targets import TARGETS

MEMORY = 4_000_000_000
"""Bytes of address space: what asks for more than any input here may cost is ended."""


def main(name, first, seconds):
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    until, seed = time.monotonic() + float(seconds), int(first)
    while time.monotonic() < until:
        print(seed, flush=True)
        TARGETS[name].run(seed)
        seed += 1
    print(seed)


if __name__ == "__main__":
    main(*sys.argv[1:])
