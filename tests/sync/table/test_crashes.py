"""The table's process is killed at each step on the way to the disk."""

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.parts.dying_table import BATCHES, POINTS
from tests.parts.identity import Model, joined, opened, window

IDS = [f"u{at}" for at in range(7)]


def live_after(batches: int) -> dict:
    """What is true by the first batches."""
    return Model({one for batch in BATCHES[:batches] for one in batch}).live("acme")


@pytest.mark.failure(69)
@pytest.mark.parametrize("point", POINTS)
def test_a_killed_table_is_that_of_its_offsets(tmp_path, point):
    """SIGKILL: rows and offsets are of the same batches. What is read from there on makes the table whole."""
    command = [sys.executable, "-m", "tests.parts.dying_table", tmp_path, point]
    done = subprocess.run(command, cwd=Path(__file__).parents[3], check=False)
    assert done.returncode == -signal.SIGKILL
    with opened(tmp_path) as table:
        taken = table.positions.get(0, 0)
        assert joined(table, IDS) == live_after(taken)
        for number, batch in enumerate(BATCHES[taken:], start=taken + 1):
            table.append(window(batch), {0: number}, number)
            table.merge_step(number)
        assert joined(table, IDS) == live_after(len(BATCHES))
        slabs = {part.slab for layer in table.snapshot().layers for part in layer}
        assert len([*tmp_path.glob("*.slab")]) == len(slabs)
        assert not [*(tmp_path / "tmp").iterdir()]
