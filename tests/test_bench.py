"""The measurements, which no test runs: that what they are made of is still there."""

import importlib
from pathlib import Path

import pytest

BENCH = Path(__file__).parents[1] / "bench"


@pytest.mark.parametrize("name", sorted(path.stem for path in BENCH.glob("*.py")))
def test_it_can_be_imported(name):
    """Whoever moves or renames what it measures sees it here."""
    importlib.import_module(f"bench.{name}")
