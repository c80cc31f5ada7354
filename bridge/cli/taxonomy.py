"""`s2s-bridge taxonomy check`, `convert` and `show`: what segments are called and cost."""

import json
import os
import sys
from collections.abc import Iterator
from dataclasses import asdict
from itertools import islice
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Annotated

import typer
from rich.console import RenderableType
from rich.text import Text

from bridge.cli import tables
from bridge.errors import BridgeError, UsageError
from bridge.taxonomy import (
    Form,
    Node,
    Reading,
    Rules,
    Taxonomy,
    form_of,
    lost,
    price_text,
    read,
    read_bytes,
    written,
)
from bridge.units import plural

app = typer.Typer(
    help="Check, convert and draw taxonomies.",
    add_completion=False,
    rich_markup_mode=None,
    no_args_is_help=False,
)

MOST_FAULTS = 20
"""Printed a file; the others are counted."""

_File = Annotated[Path, typer.Argument(metavar="FILE", help=".csv, .yaml or .json.", show_default=False)]
_Hashed = Annotated[
    bool, typer.Option("--hashed", help="Codes are texts (use_hash), which a CSV cannot say of itself.")
]
_BelowWholesale = Annotated[
    bool, typer.Option("--below-wholesale", help="Allow a retail price below its wholesale price.")
]


@app.command("check")
def check(
    file: _File,
    hashed: _Hashed = False,
    below_wholesale: _BelowWholesale = False,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object.")] = False,
) -> None:
    """Check a taxonomy against the format: `FILE:LINE:COLUMN: reason`."""
    reading = read(file, Rules(hashed=hashed, below_wholesale=below_wholesale))
    if as_json:
        print(json.dumps(_object(file, reading)))
    else:
        _print_faults(file, reading)
    if not reading.good:
        raise typer.Exit(1)


@app.command("convert")
def convert(
    source: Annotated[Path, typer.Argument(metavar="FROM", show_default=False)],
    target: Annotated[Path, typer.Argument(metavar="TO", show_default=False)],
    hashed: _Hashed = False,
    below_wholesale: _BelowWholesale = False,
    force: Annotated[bool, typer.Option("--force", help="Write TO over what is there.")] = False,
) -> None:
    """Write a taxonomy in another form, told by the suffixes: .csv, .yaml, .json (as the API takes it).

    Parents that have no row are added, letters that are not Latin become HTML entities in CSV and JSON.
    """
    form = form_of(target)
    rules = Rules(hashed=hashed, below_wholesale=below_wholesale)
    taxonomy = _taxonomy(source, rules)
    text = written(taxonomy, form)
    _write(target, text, force=force)
    if form is Form.CSV and (left := lost(taxonomy)):
        print(f"{target}: a CSV has no place for {', '.join(left)}", file=sys.stderr)
    hashed_rules = Rules(hashed=taxonomy.use_hash, below_wholesale=below_wholesale)
    again = read_bytes(text.encode(), str(target), form, hashed_rules)
    _print_faults(target, again)
    if not again.good:
        raise typer.Exit(1)


@app.command("show")
def show(file: _File, hashed: _Hashed = False) -> None:
    """Draw a taxonomy's tree, with codes, users and prices."""
    tables.show(_page(_taxonomy(file, Rules(hashed=hashed, below_wholesale=True))))


def _taxonomy(file: Path, rules: Rules) -> Taxonomy:
    reading = read(file, rules)
    if reading.taxonomy is None:
        _print_faults(file, reading)
        raise typer.Exit(1)
    return reading.taxonomy


def _write(target: Path, text: str, *, force: bool) -> None:
    """Under the final name there is the old file or the whole new one."""
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


def _print_faults(file: Path, reading: Reading) -> None:
    for fault in islice(reading.faults, MOST_FAULTS):
        print(fault)
    further = len(reading.faults) + reading.further - MOST_FAULTS
    if further > 0:
        print(f"{file}: {further:,} more faults")


def _object(file: Path, reading: Reading) -> dict[str, object]:
    taxonomy = reading.taxonomy
    return {
        "file": str(file),
        "good": reading.good,
        "nodes": None if taxonomy is None else taxonomy.nodes,
        "segments": None if taxonomy is None else taxonomy.segments,
        "faults": [asdict(fault) for fault in reading.faults],
        "further_faults": reading.further,
    }


def _page(taxonomy: Taxonomy) -> Iterator[RenderableType]:
    id_column = ["id+"] if any(node.id is not None for _, node in taxonomy.walk()) else []
    table = tables.table(None, "name", "code", "users+", "wholesale+", "retail+", *id_column)
    for drawn, node in _drawn(taxonomy.root, "", ""):
        uniques = "" if node.uniques is None else f"{node.uniques:,}"
        texts = (node.code or "", uniques, price_text(node.wholesale_cpm), price_text(node.retail_cpm))
        ids = [Text("" if node.id is None else str(node.id))] if id_column else []
        name = Text.assemble((drawn, "dim"), (node.name, "" if node.buyable else "bold"))
        table.add_row(name, *map(Text, texts), *ids)
    yield table
    yield Text()
    categories = taxonomy.nodes - taxonomy.segments
    kinds = plural(categories, "category").replace("categorys", "categories")
    yield Text(f"{plural(taxonomy.segments, 'segment')} to be bought, {kinds}")
    yield from map(Text, _facts(taxonomy))


def _drawn(node: Node, before: str, below: str) -> Iterator[tuple[str, Node]]:
    """Every node with the lines that lead to it."""
    yield before, node
    for child in node.children:
        last = child is node.children[-1]
        yield from _drawn(child, below + ("└── " if last else "├── "), below + ("    " if last else "│   "))


def _facts(taxonomy: Taxonomy) -> Iterator[str]:
    for name in ("taxonomy_id", "vendor_id", "audience_vendor_id", "revenue_share_pct", "visibility"):
        value = getattr(taxonomy, name)
        if value is not None:
            yield f"{name}: {value}"
    if taxonomy.use_hash:
        yield "use_hash: true"
    if taxonomy.permissions is not None:
        for kind, ids in asdict(taxonomy.permissions).items():
            yield f"{kind}: {', '.join(map(str, ids)) or 'none'}"
