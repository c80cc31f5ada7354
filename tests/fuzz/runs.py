"""Runs with faults: told by name, or read as if there were none."""

import functools
import json
import tempfile
from pathlib import Path
from zlib import crc32

import polars as pl

from bridge.spool.footer import TRAILER
from bridge.spool.run import Run, RunDamaged
from tests.fuzz.mutator import mutated
from tests.fuzz.target import Target
from tests.parts.audiences import DISPLAY, HASHED
from tests.parts.spools import new_spool, position, seal

NAME = "000000000001.run"


@functools.cache
def sealed():
    """The bytes of a run of several blocks and two audiences, and its rows."""
    with tempfile.TemporaryDirectory() as directory:
        rows = [(user, 1 + user % 3, 0, 1 + user % 9, 0, 0, user) for user in range(20)]
        run = seal(
            new_spool(Path(directory)), {DISPLAY: rows, HASHED: rows}, positions=[position(0, 42, run=1)]
        )
        return run.path.read_bytes(), run.footer.end, _rows(run)


def _rows(run):
    return [run.read(audience) for audience in (DISPLAY, HASHED)]


def make(rng):
    content, _, _ = sealed()
    return [mutated(rng, content)]


def check(inputs):
    """RunDamaged names the file and a remedy, or all rows are the same."""
    _, _, rows = sealed()
    for content in inputs:
        found = _read(content)
        assert found is None or all(map(pl.DataFrame.equals, found, rows))


def _read(content):
    """The rows; None where it is damaged."""
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / NAME
        path.write_bytes(content)
        try:
            with Run(path) as run:
                repr(run)
                return _rows(run)
        except RunDamaged as damage:
            told = str(damage)
        assert told.startswith(f"run {path} ")
        assert "bring the file back" in told or "check the disk" in told
        assert "\n" not in told
        return None


VALUES = (-1, 0, 1, 2**31, 2**62, 2**63, 2**64, 10**30, 1.5, None, "", "x", True, [], [1], {}, {"a": 1})
"""What is set into a footer."""


def make_footer(rng):
    """The footer of a sealed run, with one value another, or as a text with faults."""
    content, end, _ = sealed()
    text = content[end : -TRAILER.size]
    if rng.randrange(3) == 0:
        return [mutated(rng, text)]
    footer = json.loads(text)
    part = rng.choice(list(footer))
    if isinstance(footer[part], dict) and rng.randrange(8):
        column = rng.choice(list(footer[part]))
        if rng.randrange(4):
            place = rng.randrange(len(footer[part][column]))
            footer[part][column][place] = rng.choice(VALUES)
        elif rng.randrange(2):
            del footer[part][column]
        else:
            footer[part][column] = rng.choice(VALUES)
    else:
        footer[part] = rng.choice(VALUES)
    return [json.dumps(footer).encode()]


def check_footer(inputs):
    """A footer whose checksum holds, but that another version or a mistake wrote: told, and no crash."""
    content, end, _ = sealed()
    for text in inputs:
        _read(content[:end] + text + TRAILER.pack(crc32(text), len(text), content[:8]))


TARGETS = [
    Target(name="runs", make=make, check=check),
    Target(name="footers", make=make_footer, check=check_footer),
]
