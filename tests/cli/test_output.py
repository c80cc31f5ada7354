"""What the command does where its output goes nowhere."""

import subprocess
import sys
from pathlib import Path

import pytest

PLAN = ["plan", "--config", str(Path(__file__).parents[2] / "docs/example.yaml"), "--events-per-second", "9"]


@pytest.mark.parametrize(
    "arguments", [["--version"], PLAN, [*PLAN, "--json"]], ids=["version", "page", "json"]
)
def test_a_full_disk_where_stdout_goes_is_one_line(arguments):
    """It is the caller's disk, and no bug of ours; whether the text is short or long."""
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run(
            [sys.executable, "-m", "bridge", *arguments],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    assert done.returncode == 1
    assert done.stderr == (
        "s2s-bridge: No space left on device for what is to be told; make some where stdout goes\n"
    )
