"""Taxonomy files of the command: read with every fault told, and written whole."""

import os
from itertools import islice
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Annotated

import typer

from bridge.errors import BridgeError, UsageError
from bridge.taxonomy import Reading, Rules, Taxonomy, read

MOST_FAULTS = 20
"""Printed a file; the others are counted."""

File = Annotated[Path, typer.Argument(metavar="FILE", help=".csv, .yaml or .json.", show_default=False)]
Hashed = Annotated[
    bool, typer.Option("--hashed", help="Codes are texts (use_hash), which a CSV cannot say of itself.")
]
BelowWholesale = Annotated[
    bool, typer.Option("--below-wholesale", help="Allow a retail price below its wholesale price.")
]


def taxonomy_of(file: Path, rules: Rules) -> Taxonomy:
    """What a file holds; where faults forbid it they are printed, and the command ends with 1."""
    reading = read(file, rules)
    if reading.taxonomy is None:
        print_faults(file, reading)
        raise typer.Exit(1)
    return reading.taxonomy


def write(target: Path, text: str, *, force: bool) -> None:
    """Under the final name there is the old file or the whole new one.

    Raises:
        UsageError: There is one, and not `force`.
        BridgeError: It cannot be written.
    """
    if target.exists() and not force:
        raise UsageError(f"{target} is there already; name another file, or write over it with --force")
    try:
        with NamedTemporaryFile(
            "w", dir=target.parent, prefix=f".{target.name[:64]}.", encoding="utf-8", newline="", delete=False
        ) as file:
            temporary = Path(file.name)
            try:
                file.write(text)
                file.flush()
                os.fsync(file.fileno())
                temporary.chmod(0o666 & ~_umask())
                temporary.replace(target)
            except BaseException:
                temporary.unlink(missing_ok=True)
                raise
    except OSError as error:
        raise BridgeError(
            f"cannot write {target}: {error.strerror}; name a folder that can be written"
        ) from None


def _umask() -> int:
    umask = os.umask(0o077)
    os.umask(umask)
    return umask


def print_faults(file: Path, reading: Reading) -> None:
    """The first ones, a line each."""
    for fault in islice(reading.faults, MOST_FAULTS):
        print(fault)
    further = len(reading.faults) + reading.further - MOST_FAULTS
    if further > 0:
        print(f"{file}: {further:,} more faults")
