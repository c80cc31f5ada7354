"""Broken bytes, a few seconds of them; `make fuzz MINUTES=10` tries as many as wanted."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.fuzz.targets import TARGETS

CORPUS = Path(__file__).parent / "corpus"
PRODUCT = "the product's"
OF_FOLDER = {
    "json": f"json, {PRODUCT}",
    "avro": f"avro, {PRODUCT}",
    "avro-confluent": f"avro-confluent, {PRODUCT}",
    "avro-single-object": f"avro-single-object, {PRODUCT}",
    "schemas": "schemas",
    "letters": "letters",
    "footers": "footers",
    "audience-files": "audience files",
}
"""The targets that the corpus' folders are for."""

TRIES = 12
"""Of each target; what is longer is for `make fuzz`."""

LARGEST_PEAK = 1_000_000_000
"""Bytes of memory of a process in which all the bombs go off."""

ROWS = {
    "runs": (12, 13),
    "footers": (5,),
    "schemas": (34, 35),
    "letters": (33,),
    "audience files": (33,),
}
"""Rows of the failure matrix, where they are not those of events."""


def _marked(name):
    return pytest.param(name, marks=pytest.mark.failure(*ROWS.get(name, (33, 34, 36))), id=name)


@pytest.mark.parametrize("name", [_marked(name) for name in TARGETS])
def test_mutated_bytes(name):
    """Good neighbours are kept, bad input is refused with a reason of the contract, and nothing crashes."""
    for seed in range(TRIES):
        TARGETS[name].run(seed)


@pytest.mark.failure(5, 33, 34, 35, 36)
@pytest.mark.parametrize("folder", OF_FOLDER)
def test_crafted_bytes(folder):
    """Each file of the corpus, named for what it is, does no more harm than any other bad input."""
    files = sorted((CORPUS / folder).iterdir())
    assert files
    for path in files:
        TARGETS[OF_FOLDER[folder]].run_file(path)


def test_every_folder_of_the_corpus_is_tried():
    """A case that is put into a new folder is not forgotten."""
    assert sorted(path.name for path in CORPUS.iterdir()) == sorted(OF_FOLDER)


@pytest.mark.failure(34, 36)
def test_bombs():
    """Small inputs that would be large, and the largest events: one process takes them all within bounds."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.fuzz.bombs"],
        capture_output=True,
        text=True,
        check=False,
        timeout=200,
        cwd=Path(__file__).parents[2],
        env=os.environ | {"RUST_BACKTRACE": "0"},
    )
    assert done.returncode == 0, done.stdout + done.stderr[-4000:]
    assert int(done.stdout.split()[-1]) < LARGEST_PEAK, done.stdout
