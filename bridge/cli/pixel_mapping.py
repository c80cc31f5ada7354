"""`s2s-bridge pixel-mapping`: ask the platform's automated process to fill external data segments."""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import typer

from bridge.cli.asking import MEMORY, MOST_BYTES, Again, MemoryFile, Outgoing, Sender, ask, read, warn
from bridge.errors import UsageError
from bridge.support.address import PIXEL_MAPPING
from bridge.support.mapping import Findings, Placed, find, lines
from bridge.support.memory import Memory
from bridge.support.request import PixelMappingRequest
from bridge.units import plural

MOST_FAULTS = 20
"""Printed; the others are counted."""
FAULTY_FILE, FAULTY_ARGUMENT = 1, 2

OUTPUT = Path("pixel-mapping.eml")

Mappings = Annotated[
    list[str],
    typer.Argument(
        metavar="FILE|NS:CODE=MT_ID...",
        show_default=False,
        help="Mappings, and files with one on each line.",
    ),
]
Recipient = Annotated[str, typer.Option("--to", metavar="ADDRESS", help="Where the automated process reads.")]
Output = Annotated[
    Path, typer.Option("--output", metavar="FILE", help="The message, a new .eml file; - is standard output.")
]
Hashed = Annotated[
    bool, typer.Option("--hashed", help="Codes are texts, as in streams with hash_segments: true.")
]


def pixel_mapping(
    mappings: Mappings,
    *,
    sender: Sender,
    recipient: Recipient = PIXEL_MAPPING,
    output: Output = OUTPUT,
    memory: MemoryFile = MEMORY,
    again: Again = False,
    hashed: Hashed = False,
) -> None:
    """Write the mail that maps segment codes to external data segments; what was asked is not asked again."""
    outgoing = Outgoing(sender=sender, recipient=recipient, output=output, memory=memory)
    found = find(_texts(mappings), hashed=hashed)
    if found.faults:
        _refuse(found, mappings)
    if not found.mappings:
        raise UsageError("no mapping is given; write NS:CODE=MT_ID, or name a file that holds some")
    warn(found.warnings)
    written = ask(outgoing, lambda known: _request(found, known, again=again))
    # Standard output may be the message.
    print(_told(found, written, outgoing), file=sys.stderr)


def _is_file(argument: str) -> bool:
    """An argument with a colon before any slash is a mapping, any other a file."""
    return ":" not in argument.partition("/")[0]


def _texts(arguments: list[str]) -> Iterator[Placed]:
    for number, argument in enumerate(arguments, 1):
        if not _is_file(argument):
            yield Placed(place=f"argument {number}", text=argument)
            continue
        try:
            yield from lines(argument, read(Path(argument), MOST_BYTES).decode())
        except UnicodeDecodeError:
            raise UsageError(f"{argument} is no text; write NS:CODE=MT_ID on each line") from None


def _refuse(found: Findings, arguments: list[str]) -> None:
    """All or nothing: half of a request would have to be kept in mind by a person."""
    for fault in found.faults[:MOST_FAULTS]:
        print(" ".join(str(fault).split()), file=sys.stderr)
    if len(found.faults) > MOST_FAULTS:
        print(f"{len(found.faults) - MOST_FAULTS} more faults", file=sys.stderr)
    in_argument = not {fault.at.text for fault in found.faults}.isdisjoint(arguments)
    raise typer.Exit(FAULTY_ARGUMENT if in_argument else FAULTY_FILE)


def _request(found: Findings, known: Memory, *, again: bool) -> PixelMappingRequest | None:
    """Of the mappings those that are to be asked."""
    whole = PixelMappingRequest(mappings=found.mappings)
    asked = zip(whole.mappings, whole.asks, strict=True)
    new = tuple(mapping for mapping, one in asked if again or not known.holds(one))
    if not new:
        return None
    request = PixelMappingRequest(mappings=new)
    warn(tuple(_remarks(request, known)))
    return request


def _remarks(request: PixelMappingRequest, known: Memory) -> Iterator[str]:
    """What was asked before and is not the same."""
    for one in request.asks:
        newest = known.newest(one)
        if newest is not None and newest.what != one.what:
            yield f"{one.about} was asked for {newest.what} at {newest.at}: now it is for {one.what}"
        others = [other.about for other in known.others(one)]
        if others:
            further = f" and {len(others) - 1:,} more" if others[1:] else ""
            yield f"{one.what} was asked for {others[0]}{further}, too: right if these are of two agencies"


def _told(found: Findings, written: PixelMappingRequest | None, outgoing: Outgoing) -> str:
    asked_before = len(found.mappings) - (0 if written is None else len(written.mappings))
    if written is None:
        count = plural(asked_before, "mapping")
        return f"nothing new: {count} asked before ({outgoing.memory}); --again asks again"
    before = f", {asked_before:,} asked before" if asked_before else ""
    return (
        f"{outgoing.shown}: {plural(len(written.mappings), 'mapping')} for {outgoing.recipient}{before}; "
        f"send it as it is, as plain text"
    )
