"""`python -m tests.soak --minutes M [--seed S] [--rate R]`: one soak; 0: every invariant holds."""

import argparse
import shutil
import sys
import tempfile
import time
from pathlib import Path

from tests.parts import kafka, openssh
from tests.soak.soak import Soak, soak


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.soak")
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--seed", type=int, default=int(time.time()))
    parser.add_argument("--rate", type=int, default=1000, help="events a second")
    given = parser.parse_args()
    if missing := kafka.missing() or openssh.missing():
        parser.error(f"{missing}; tests/parts/install.sh installs it")
    directory = Path(tempfile.mkdtemp(prefix="s2s-soak-"))
    print(
        f"soak: seed {given.seed}, {given.minutes:g} minutes, {given.rate} events/s, in {directory}",
        flush=True,
    )
    asked = Soak(seconds=60 * given.minutes, seed=given.seed, rate=given.rate)
    broken = True
    try:
        findings = soak(asked, directory, lambda line: print(line, flush=True))
        broken = any(one.faults for one in findings)
    finally:
        if broken:
            print(f"soak: seed {given.seed} is BROKEN; what it left is in {directory}", flush=True)
        else:
            shutil.rmtree(directory)
    return int(broken)


sys.exit(main())
