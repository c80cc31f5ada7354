"""The table as another process writes it, for one that only joins, or tells of it."""

from pathlib import Path

from bridge.sync.table.contents import Contents, read
from bridge.sync.table.layer import Part
from bridge.sync.table.slab import Slab, TableDamaged, file_name
from bridge.sync.table.snapshot import Snapshot

_REMEDY = "the identity table is made anew from its topic"

_TRIES = 20
"""A slab may be merged away before it is opened; then the contents are new ones."""


def look(directory: Path) -> Snapshot | None:
    """The table as it is now; it stays readable. None: there is none, or it does not hold all of its topic.

    Raises:
        TableDamaged: It is not what was written. Who writes it makes it anew once it finds out.
        SpoolFailed: It cannot be read.
    """
    tries = 0
    while True:
        contents = _contents(directory)
        if contents is None or not contents.complete:
            return None
        try:
            return _opened(directory, contents)
        except TableDamaged:
            tries += 1
            if tries == _TRIES or contents == _contents(directory):
                raise


def known(directory: Path) -> Contents:
    """What the table consists of; of one that is not there, nothing. No slab is opened.

    Raises:
        TableDamaged: It is not what was written.
        SpoolFailed: It cannot be read.
    """
    before = None
    while contents := _contents(directory):
        missing = _missing(directory, contents)
        if missing is None:
            return contents
        if contents == before:  # else it was merged away meanwhile
            raise TableDamaged(f"{missing}: it is not there, or its size differs: {_REMEDY}")
        before = contents
    return Contents()


def _missing(directory: Path, contents: Contents) -> Path | None:
    """The first slab that is not there as the contents have it."""
    for slab in (slab for layer in contents.layers for slab in layer):
        path = directory / file_name(slab.number)
        try:
            if path.stat().st_size == slab.bytes:
                continue
        except OSError:
            pass
        return path
    return None


def _contents(directory: Path) -> Contents | None:
    try:
        return read(directory)
    except ValueError as damage:
        raise TableDamaged(f"{directory}: {damage}: {_REMEDY}") from damage


def _opened(directory: Path, contents: Contents) -> Snapshot:
    slabs = {
        record.number: Slab(directory / file_name(record.number), record, _nobody)
        for layer in contents.layers
        for record in layer
    }
    layers = tuple(
        tuple(Part(slabs[record.number], record.start) for record in layer) for layer in contents.layers
    )
    return Snapshot(known_at=contents.known_at, layers=layers)


def _nobody() -> None:
    """Who writes the table finds damage by itself."""
