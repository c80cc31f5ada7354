"""The whole bridge, simulated."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.simulation.mutants import MUTANTS, Mutant, hunted, stale, verdict

ROOT = Path(__file__).parents[2]
SEEDS = 300


def simulate(*arguments: str, **environment: str) -> subprocess.CompletedProcess:
    """`python -m tests.simulation`, to its end."""
    return subprocess.run(
        [sys.executable, "-m", "tests.simulation", *arguments],
        cwd=ROOT,
        env=os.environ | environment,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.timeout(1200)
@pytest.mark.failure(
    *(1, 2, 3, 4, 6, 8, 9, 18, 20, 29, 30, 31),
    *(39, 41, 42, 43, 44, 45, 46, 50, 51, 52, 54, 55, 58),
)
def test_whatever_befalls_the_bridge_the_oracle_holds():
    """Crashes and power cuts at any step, failing disks, ledgers, brokers and servers, clocks that jump."""
    done = simulate("--seeds", str(SEEDS))
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.timeout(600)
@pytest.mark.failure(1, 2, 3, 4, 6, 50)
def test_the_power_may_be_cut_before_any_step():
    """Of a small world in which all happens that the bridge does: here every 20th; `--steps 1` is all."""
    done = simulate("--steps", "20")
    assert done.returncode == 0, done.stdout + done.stderr


def test_a_seed_is_the_same_world_every_time():
    """To the byte: names, hashes and times of all that arrives, and every incident."""
    traces = [
        simulate("--first", "2", "--seeds", "1", "--trace", PYTHONHASHSEED=seed).stdout.splitlines()[:-1]
        for seed in ("1", "2")
    ]
    assert len(traces[0]) > 10
    assert traces[0] == traces[1]


def test_planted_bugs_still_have_a_place_in_the_product():
    """A mutant that no longer applies proves nothing."""
    assert stale() == []


def test_a_planted_bug_is_found():
    """Of the list, the one that nobody would see otherwise; `make mutants` hunts all of them."""
    (mutant,) = [one for one in MUTANTS if one.name == "the folder is not synced after a rename"]
    result = hunted(mutant, seeds=20, first=0)
    assert verdict(result) == "found"
    assert "I2" in (result or "")


@pytest.mark.parametrize("new", ["            self.nobody()\n", "            (\n"])
def test_a_mutant_that_falls_over_by_itself_is_not_found(new):
    """It calls what the product does not have any more, or is no Python: that shows nothing of the oracle."""
    old = next(one.old for one in MUTANTS if one.name == "the folder is not synced after a rename")
    fallen = hunted(Mutant("falls over", "spool/disk.py", old, new), seeds=1, first=0)
    assert verdict(fallen) == "FELL OVER"
