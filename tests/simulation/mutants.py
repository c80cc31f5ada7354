"""Bugs planted one at a time in a copy of the product; the simulation has to find each: `make mutants`.

A mutant whose text is not in the product any more is out of date, and told as such; so is one that falls over
by itself, as it calls what is not there.
"""

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from tests.simulation.judge import BrokenError

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True)
class Mutant:
    """One bug."""

    name: str
    """What is wrong with it."""
    file: str
    """Where, below bridge/."""
    old: str
    """What stands there once, in the product."""
    new: str
    """What stands there instead."""


MUTANTS = (
    Mutant(
        "offsets are committed when the seal begins, not when it is durable",
        "ingest/sealing.py",
        "        self._begun_at = self._clock.now()\n",
        "        self._begun_at = self._clock.now()\n"
        "        self._source.commit(self._drained[0].offsets, 0)\n",
    ),
    Mutant(
        "a run's data is not synced",
        "spool/disk.py",
        "            self._disk.fsync(self._open())\n",
        "            self._open()\n",
    ),
    Mutant(
        "the folder is not synced after a rename",
        "spool/disk.py",
        "            self._disk.fsync_folder(target.parent)\n",
        "            pass\n",
    ),
    Mutant(
        "a write that took a part of the data counts as whole",
        "spool/disk.py",
        "                rest = rest[written:]\n",
        "                rest = rest[len(rest) :]\n",
    ),
    Mutant(
        "a window that found no room is dropped",
        "ingest/sealing.py",
        "            self._refused.failed(self._clock.now())\n",
        "            self._drained.popleft()\n",
    ),
    Mutant(
        "dead letters are written after their run is there",
        "spool/store.py",
        "                    with refusals(self._folder.path):\n"
        "                        publish_dead_letters(number)\n"
        "                run = self._publish(writer, number)\n",
        "                    run = self._publish(writer, number)\n"
        "                    with refusals(self._folder.path):\n"
        "                        publish_dead_letters(number)\n"
        "                else:\n"
        "                    run = self._publish(writer, number)\n",
    ),
    Mutant(
        "a topic's partition without a commit is taken at its end",
        "ingest/resume.py",
        "    if case.commit is None and case.low == 0:\n        return Start(0)\n",
        "    if case.commit is None and case.low == 0:\n        return Start(case.high)\n",
    ),
    Mutant(
        "what was read of partitions that go is dropped, not sealed",
        "ingest/collector.py",
        "        self._sealing.finish(self._window)\n        self._sealing.bar(partitions)\n",
        "        self._window.drain()\n        self._sealing.bar(partitions)\n",
    ),
    Mutant(
        "a merge removes the old runs before the new one is there",
        "spool/store.py",
        "            merged = self._publish(writer, number)\n            self._remove_covered(merged)\n",
        "            for run in runs:\n                self._tools.unlink(run.path)\n"
        "            self.sync()\n"
        "            merged = self._publish(writer, number)\n",
    ),
    Mutant(
        "history goes and no horizon is noted",
        "service/housekeeping.py",
        "        if not self._ledger.raise_horizons(retirement.horizons, retired=retirement.newest, "
        "rewinds=rewinds):\n",
        "        if False:\n",
    ),
    Mutant(
        "late rows are not held against what was delivered",
        "audience/late.py",
        '    return pending.filter(pl.col("event_time") <= newest_delivered)\n',
        "    return pending.clear()\n",
    ),
    Mutant(
        "an upload whose end is unknown costs nothing",
        "deliver/uploading.py",
        "    RemoteOutcome.UNKNOWN: Outcome.UNKNOWN,\n",
        "    RemoteOutcome.UNKNOWN: Outcome.GIVEN_BACK,\n",
    ),
    Mutant(
        "an upload that failed half way costs nothing",
        "deliver/uploading.py",
        "    RemoteOutcome.SPENT: Outcome.SPENT,\n",
        "    RemoteOutcome.SPENT: Outcome.GIVEN_BACK,\n",
    ),
    Mutant(
        "the quota is spent after the upload",
        "deliver/uploading.py",
        "        if attempt is None:\n            return\n",
        "        if attempt is None:\n            return\n"
        "        self._ledger.end_attempt(attempt, now, Outcome.GIVEN_BACK)\n"
        "        self._remote.upload(Path(file.path), name, self._progress)\n"
        "        attempt = self._ledger.begin_attempt(name, now, counted_since(now), admits)\n"
        "        if attempt is None:\n            return\n",
    ),
    Mutant(
        "an upload that a crash left open costs nothing",
        "deliver/ledger.py",
        "                (now, Outcome.UNKNOWN, account),\n",
        "                (now, Outcome.GIVEN_BACK, account),\n",
    ),
    Mutant(
        "uploads start right at a reset",
        "deliver/quota.py",
        "    return settings.guard + min(abs(skew), WIDEST)\n",
        "    return 0\n",
    ),
    Mutant(
        "nobody looks whether our clock was set",
        "deliver/server_clock.py",
        "        set_by = offset - self._reference\n",
        "        set_by = 0\n",
    ),
    Mutant(
        "a start goes on one offset behind what the spool holds",
        "ingest/resume.py",
        "    return Start(taken.next_offset, f",
        "    return Start(taken.next_offset + 1, f",
    ),
    Mutant(
        "what a dead process renamed last is committed before it is synced",
        "spool/spool.py",
        "            self.sync()\n",
        "",
    ),
    Mutant(
        "an upload that failed half way counts as done",
        "deliver/uploading.py",
        "        if failure.quota:\n",
        "        if outcome is Outcome.SPENT:\n"
        "            self._ledger.found_uploaded(trial.file.name, now)\n"
        "        if failure.quota:\n",
    ),
    Mutant(
        "an upload counts in the hour of its start alone",
        "deliver/quota.py",
        "        reach = max(guard, effective_guard(settings, attempt.skew))\n",
        "        reach = max(guard, effective_guard(settings, attempt.skew))\n"
        "        attempt = replace(attempt, ended_at=attempt.started_at)\n",
    ),
    Mutant(
        "a part of a delivery counts as the whole",
        "deliver/deliverer.py",
        "            stop=built.stop,\n",
        "            stop=None,\n",
    ),
    Mutant(
        "built files that a crash left stay for ever",
        "service/opening.py",
        "            spool.remove(path)\n",
        "",
    ),
)


def stale() -> list[str]:
    """Mutants that do not apply to the product as it is."""
    return [
        mutant.name
        for mutant in MUTANTS
        if (ROOT / "bridge" / mutant.file).read_text().count(mutant.old) != 1
    ]


def planted(mutant: Mutant, directory: Path) -> None:
    """A copy of the product with this bug, and the simulation beside it."""
    shutil.copytree(ROOT / "bridge", directory / "bridge", ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("tests", "schemas"):
        (directory / name).symlink_to(ROOT / name)
    file = directory / "bridge" / mutant.file
    file.write_text(file.read_text().replace(mutant.old, mutant.new))


def hunted(mutant: Mutant, seeds: int, first: int) -> str | None:
    """What the simulation says of it; None: all worlds are well."""
    with tempfile.TemporaryDirectory() as directory:
        planted(mutant, Path(directory))
        command = [sys.executable, "-m", "tests.simulation", "--jobs", "1"]
        done = subprocess.run(
            [*command, "--seeds", str(seeds), "--first", str(first)],
            cwd=directory,
            env=os.environ | {"PYTHONDONTWRITEBYTECODE": "1"},
            capture_output=True,
            text=True,
            check=False,
        )
    found = next((line for line in done.stdout.splitlines() if line.startswith("seed ")), None)
    return found or (None if done.returncode == 0 else done.stderr[-500:])


def verdict(result: str | None) -> str:
    """Of a hunt: only what the oracle says counts. A mutant that falls over by itself is nobody's bug."""
    if result is None:
        return "MISSED"
    return "found" if f": {BrokenError.__name__}: " in result else "FELL OVER"


def main() -> int:
    """Hunt each of them."""
    parser = argparse.ArgumentParser(prog="tests.simulation.mutants", description=__doc__)
    parser.add_argument("--seeds", type=int, default=300, help="how many worlds each may take")
    parser.add_argument("--first", type=int, default=0, help="the first one's seed")
    parser.add_argument("--only", default="", help="those with this in their names")
    given = parser.parse_args()
    for name in stale():
        print(f"OUT OF DATE  {name}")
    chosen = [mutant for mutant in MUTANTS if given.only in mutant.name]
    found = 0
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        results = pool.map(lambda mutant: hunted(mutant, given.seeds, given.first), chosen)
        for mutant, result in zip(chosen, results, strict=True):
            found += verdict(result) == "found"
            print(f"{verdict(result):9}  {mutant.name}", flush=True)
            print(f"           {result or f'{given.seeds} worlds are well'}"[:160], flush=True)
    print(f"{found} of {len(chosen)} found")
    return 1 if found < len(chosen) or stale() else 0


if __name__ == "__main__":
    sys.exit(main())
