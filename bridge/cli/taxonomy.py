"""`s2s-bridge taxonomy check`, `convert` and `show`: what segments are called and cost.

What is at the platform has verbs of its own: `taxonomy_platform` looks, `taxonomy_apply` changes.
"""

import json
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from bridge.cli import tables, taxonomy_apply, taxonomy_platform
from bridge.cli.taxonomy_files import BelowWholesale, File, Hashed, print_faults, taxonomy_of, write
from bridge.cli.taxonomy_tree import page
from bridge.taxonomy import Form, Reading, Rules, form_of, lost, read, read_bytes, written

app = typer.Typer(
    help="Check, convert and draw taxonomies; see and change them at the platform.",
    add_completion=False,
    rich_markup_mode=None,
    no_args_is_help=False,
)


@app.command("check")
def check(
    file: File,
    hashed: Hashed = False,
    below_wholesale: BelowWholesale = False,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object.")] = False,
) -> None:
    """Check a taxonomy against the format: `FILE:LINE:COLUMN: reason`."""
    reading = read(file, Rules(hashed=hashed, below_wholesale=below_wholesale))
    if as_json:
        print(json.dumps(_object(file, reading)))
    else:
        print_faults(file, reading)
    if not reading.good:
        raise typer.Exit(1)


@app.command("convert")
def convert(
    source: Annotated[Path, typer.Argument(metavar="FROM", show_default=False)],
    target: Annotated[Path, typer.Argument(metavar="TO", show_default=False)],
    hashed: Hashed = False,
    below_wholesale: BelowWholesale = False,
    force: Annotated[bool, typer.Option("--force", help="Write TO over what is there.")] = False,
) -> None:
    """Write a taxonomy in another form, told by the suffixes: .csv, .yaml, .json (as the API takes it).

    Parents that have no row are added, letters that are not Latin become HTML entities in CSV and JSON.
    """
    form = form_of(target)
    rules = Rules(hashed=hashed, below_wholesale=below_wholesale)
    taxonomy = taxonomy_of(source, rules)
    text = written(taxonomy, form)
    write(target, text, force=force)
    if form is Form.CSV and (left := lost(taxonomy)):
        print(f"{target}: a CSV has no place for {', '.join(left)}", file=sys.stderr)
    hashed_rules = Rules(hashed=taxonomy.use_hash, below_wholesale=below_wholesale)
    again = read_bytes(text.encode(), str(target), form, hashed_rules)
    print_faults(target, again)
    if not again.good:
        raise typer.Exit(1)


@app.command("show")
def show(file: File, hashed: Hashed = False) -> None:
    """Draw a taxonomy's tree, with codes, users and prices."""
    tables.show(page(taxonomy_of(file, Rules(hashed=hashed, below_wholesale=True))))


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


app.command("list")(taxonomy_platform.list_)
app.command("get")(taxonomy_platform.get)
app.command("grants")(taxonomy_platform.grants)
app.command("pull")(taxonomy_platform.pull)
app.command("plan")(taxonomy_apply.plan)
app.command("apply")(taxonomy_apply.apply)
