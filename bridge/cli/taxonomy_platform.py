"""`s2s-bridge taxonomy list`, `get`, `grants` and `pull`: what the platform holds."""

import json
import sys
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer
from rich.console import RenderableType
from rich.text import Text

from bridge.cli import tables
from bridge.cli.options import ConfigFile
from bridge.cli.taxonomy_account import AccountName, TaxonomyId, account_of
from bridge.cli.taxonomy_files import write
from bridge.cli.taxonomy_tree import page
from bridge.platform.segments import Held, Listing
from bridge.taxonomy import Form, Permissions, form_of, lost, written

AsJson = Annotated[bool, typer.Option("--json", help="One JSON object.")]


def list_(
    config: ConfigFile,
    account: AccountName = None,
    like: Annotated[
        str | None,
        typer.Option("--name", metavar="LIKE", help="With a node of such a name.", show_default="any"),
    ] = None,
    buyable: Annotated[bool, typer.Option("--buyable", help="With a segment that can be bought.")] = False,
    as_json: AsJson = False,
) -> None:
    """List the taxonomies at the platform."""
    with account_of(config, account).client() as client:
        listing = client.list(like=like, buyable=True if buyable else None)
    if as_json:
        print(json.dumps(asdict(listing)))
    else:
        tables.show(_listed(listing))
    if not listing.whole:
        print("the platform's list is not whole; narrow it with --name", file=sys.stderr)


def get(
    taxonomy_id: TaxonomyId, config: ConfigFile, account: AccountName = None, as_json: AsJson = False
) -> None:
    """Show one taxonomy at the platform, with its ids."""
    with account_of(config, account).client() as client:
        held = client.get(taxonomy_id)
    if as_json:
        print(written(held.taxonomy, Form.JSON), end="")
    else:
        tables.show(_held(held))


def grants(
    config: ConfigFile,
    account: AccountName = None,
    vendor: Annotated[
        int | None,
        typer.Option("--vendor", metavar="N", min=1, help="A data vendor.", show_default="the account's"),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """List whom the platform lets taxonomies be permitted to."""
    chosen = account_of(config, account)
    with chosen.client() as client:
        granted = client.grants(vendor or chosen.settings.vendor_id)
    if as_json:
        print(json.dumps(asdict(granted)))
    else:
        tables.show(_granted(granted))


def pull(
    taxonomy_id: TaxonomyId,
    config: ConfigFile,
    output: Annotated[
        Path,
        typer.Option("-o", "--output", metavar="FILE", help="The suffix tells its form.", show_default=False),
    ],
    account: AccountName = None,
    force: Annotated[bool, typer.Option("--force", help="Write FILE over what is there.")] = False,
) -> None:
    """Write a taxonomy of the platform into a file, with its ids and permissions."""
    form = form_of(output)
    with account_of(config, account).client() as client:
        held = client.get(taxonomy_id)
    write(output, written(held.taxonomy, form), force=force)
    if form is Form.CSV and (left := lost(held.taxonomy)):
        print(f"{output}: a CSV has no place for {', '.join(left)}", file=sys.stderr)


def _listed(listing: Listing) -> Iterator[RenderableType]:
    table = tables.table(None, "id+", "name", "updated")
    for one in listing.taxonomies:
        table.add_row(*map(Text, (str(one.id), one.name, one.updated_on)))
    yield table if listing.taxonomies else Text("none")


def _held(held: Held) -> Iterator[RenderableType]:
    yield from page(held.taxonomy)
    if held.updated_on:
        yield Text(f"updated_on: {held.updated_on}")


def _granted(granted: Permissions) -> Iterator[RenderableType]:
    table = tables.table(None, "kind", "id+")
    for kind, ids in asdict(granted).items():
        for one in sorted(ids):
            table.add_row(kind, str(one))
    yield table if table.row_count else Text("none")
