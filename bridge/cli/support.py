"""`s2s-bridge support taxonomy` and `support revenue-share`: what only the platform's support can do."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from bridge.cli.asking import MEMORY, Again, MemoryFile, Outgoing, Recipient, Sender, ask, read, warn
from bridge.errors import UsageError
from bridge.support.memory import Memory
from bridge.support.request import (
    MOST_ATTACHED,
    Attachment,
    Request,
    RevenueShareRequest,
    TaxonomyRequest,
    percent,
)
from bridge.taxonomy import Form, Reading, Rules, read_bytes

app = typer.Typer(
    help="Write what the platform's support is asked for by mail.",
    add_completion=False,
    rich_markup_mode=None,
    no_args_is_help=False,
)

MOST_FAULTS = 20
"""Printed; the others are counted."""

TAXONOMY_OUTPUT = Path("taxonomy.eml")
REVENUE_SHARE_OUTPUT = Path("revenue-share.eml")

Output = Annotated[
    Path, typer.Option("--output", metavar="FILE", help="The message, a new .eml file; - is standard output.")
]
VendorId = Annotated[
    int,
    typer.Option("--vendor-id", metavar="N", min=1, help="From the partnerships team.", show_default=False),
]
Updated = Annotated[
    int | None,
    typer.Option(
        "--taxonomy-id",
        metavar="N",
        min=1,
        help="The taxonomy to update; without: a new one.",
        show_default=False,
    ),
]
Hashed = Annotated[bool, typer.Option("--hashed", help="Codes are texts, which a CSV cannot say of itself.")]
BelowWholesale = Annotated[
    bool, typer.Option("--below-wholesale", help="Allow a retail price below its wholesale price.")
]
TaxonomyId = Annotated[
    int, typer.Option("--taxonomy-id", metavar="N", min=1, help="The taxonomy.", show_default=False)
]
Percent = Annotated[
    str,
    typer.Option("--percent", metavar="P", help="0 to 100, at most two decimals.", show_default=False),
]


@app.command("taxonomy")
def taxonomy(
    file: Annotated[Path, typer.Argument(metavar="FILE.csv", show_default=False)],
    *,
    vendor_id: VendorId,
    sender: Sender,
    recipient: Recipient,
    taxonomy_id: Updated = None,
    output: Output = TAXONOMY_OUTPUT,
    memory: MemoryFile = MEMORY,
    again: Again = False,
    hashed: Hashed = False,
    below_wholesale: BelowWholesale = False,
) -> None:
    """Write the mail that hands a taxonomy's CSV to support, to create one or to update one."""
    outgoing = Outgoing(sender=sender, recipient=recipient, output=output, memory=memory)
    attachment = _attached(file)
    # What is attached is what was checked, and no second look at the file.
    reading = read_bytes(
        attachment.content, str(file), Form.CSV, Rules(hashed=hashed, below_wholesale=below_wholesale)
    )
    _tell_faults(file, reading)
    if not reading.good:
        raise typer.Exit(1)
    request = TaxonomyRequest(vendor_id=vendor_id, taxonomy_id=taxonomy_id, attachment=attachment)
    _ask(outgoing, request, again=again)


@app.command("revenue-share")
def revenue_share(
    *,
    taxonomy_id: TaxonomyId,
    share: Percent,
    sender: Sender,
    recipient: Recipient,
    output: Output = REVENUE_SHARE_OUTPUT,
    memory: MemoryFile = MEMORY,
    again: Again = False,
) -> None:
    """Write the mail that asks for a revenue share on one taxonomy."""
    outgoing = Outgoing(sender=sender, recipient=recipient, output=output, memory=memory)
    try:
        request = RevenueShareRequest(taxonomy_id=taxonomy_id, percent=percent(share))
    except ValueError as error:
        raise UsageError(f"--percent {error}") from None
    _ask(outgoing, request, again=again)


def _attached(file: Path) -> Attachment:
    """The CSV, as it is."""
    if file.suffix.lower() != ".csv":
        raise UsageError(f"{file} is no .csv; support takes CSV alone: convert it first")
    try:
        return Attachment(name=file.name, content=read(file, MOST_ATTACHED))
    except ValueError as error:
        raise UsageError(f"{file} {error}") from None


def _tell_faults(file: Path, reading: Reading) -> None:
    """As `taxonomy check` tells them, but on stderr: stdout may be the message."""
    for fault in reading.faults[:MOST_FAULTS]:
        print(fault, file=sys.stderr)
    further = len(reading.faults) + reading.further - MOST_FAULTS
    if further > 0:
        print(f"{file}: {further:,} more faults", file=sys.stderr)


def _ask(outgoing: Outgoing, request: Request, *, again: bool) -> None:
    """All of the request, or none of it. What is told goes to stderr: stdout may be the message."""
    (only,) = request.asks

    def choose(known: Memory) -> Request | None:
        if not again and known.holds(only):
            return None
        newest = known.newest(only)
        if newest is not None and newest.what != only.what:
            warn((f"{only.about}: {newest.what} was asked at {newest.at}; this takes its place",))
        return request

    if ask(outgoing, choose) is None:
        told = f"nothing new: this was asked before ({outgoing.memory}); --again asks again"
    else:
        told = f"{outgoing.shown}: {request.subject}, for {outgoing.recipient}; send it as it is"
    print(told, file=sys.stderr)
