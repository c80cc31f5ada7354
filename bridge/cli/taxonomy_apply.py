"""`s2s-bridge taxonomy plan` and `apply`: a file's taxonomy at the platform, seen before it is done."""

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import Annotated

import typer

from bridge.cli import tables
from bridge.cli.options import ConfigFile
from bridge.cli.taxonomy_account import AccountName, SegmentsAccount, account_of
from bridge.cli.taxonomy_files import BelowWholesale, File, Hashed, taxonomy_of, write
from bridge.cli.taxonomy_plan import drawn, tree
from bridge.errors import BridgeError, UsageError
from bridge.platform import applying
from bridge.platform.api import CallFailed
from bridge.platform.applying import Applied, Verdict
from bridge.platform.plan import Document, Plan, disagreements, faults, planned
from bridge.platform.segments import Held, Segments
from bridge.taxonomy import Permissions, Rules, Taxonomy, names
from bridge.units import parse_duration

FAILED = 1
CHANGES = 3
"""Exit code of `plan --exit-code` where something would be changed; 2 is wrong usage."""

_BASIS = "based_on"
"""A key that only a plan has."""

LARGEST_PLAN = 64_000_000
"""Bytes of a plan's file."""

Id = Annotated[
    int | None,
    typer.Option(
        "--id",
        metavar="N",
        min=1,
        help="The taxonomy at the platform.",
        show_default="as FILE says, or the one of its name",
    ),
]


@dataclass(frozen=True, kw_only=True, slots=True)
class Target:
    """What is to be where."""

    file: Path
    taxonomy: Taxonomy
    account: SegmentsAccount
    taxonomy_id: int | None
    """None: the one of its name, if there is one."""


def plan(
    file: File,
    *,
    config: ConfigFile,
    account: AccountName = None,
    taxonomy_id: Id = None,
    hashed: Hashed = False,
    below_wholesale: BelowWholesale = False,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object.")] = False,
    out: Annotated[
        Path | None,
        typer.Option("--out", metavar="PLAN", help="Keep it for apply --plan.", show_default=False),
    ] = None,
    exit_code: Annotated[
        bool, typer.Option("--exit-code", help="End with 3 where something would be changed.")
    ] = False,
) -> None:
    """Show what apply would change at the platform: + added, - removed, ~ changed, → moved."""
    if out is not None:
        _see_that_no_file_is_lost(out)
    rules = Rules(hashed=hashed, below_wholesale=below_wholesale)
    target = _target(file, rules, account_of(config, account), taxonomy_id)
    with target.account.client() as client:
        made = _made(target, client)
    told = json.dumps({"account": target.account.name} | made.to_json())
    if as_json:
        print(told)
    else:
        tables.show(drawn(made))
    if out is not None:
        write(out, told + "\n", force=True)
    if exit_code and made.difference:
        raise typer.Exit(CHANGES)


def apply(
    file: File,
    *,
    config: ConfigFile,
    account: AccountName = None,
    taxonomy_id: Id = None,
    hashed: Hashed = False,
    below_wholesale: BelowWholesale = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    kept: Annotated[
        Path | None,
        typer.Option("--plan", metavar="PLAN", help="Only what plan --out kept.", show_default=False),
    ] = None,
    allow_removals: Annotated[
        bool, typer.Option("--allow-removals", help="Segments, or much of the tree, may be lost by it.")
    ] = False,
    wait: Annotated[
        str, typer.Option("--wait", metavar="TIME", help="Look so long for the platform to show it.")
    ] = "30s",
) -> None:
    """Make the platform's taxonomy that of FILE: show the plan, ask, post the whole, read it back."""
    if not yes and not sys.stdin.isatty():
        raise UsageError("nobody can be asked without a terminal; look at the plan, then say --yes")
    try:
        settling = parse_duration(wait)
    except ValueError as error:
        raise UsageError(f"--wait {error}") from None
    rules = Rules(hashed=hashed, below_wholesale=below_wholesale)
    target = _target(file, rules, account_of(config, account), taxonomy_id)
    document = None if kept is None else _kept(kept)
    with target.account.client() as client:
        made = _made(target, client)
        if document is not None and not _is_kept(made, document, target):
            raise BridgeError(
                f"nothing was changed: {kept} is of another file or state of the platform; plan again"
            )
        tables.show(drawn(made))
        if not made.difference:
            return
        if made.removals and not allow_removals:
            raise BridgeError("nothing was changed: see what would be lost; then say --allow-removals")
        if not yes and not _agreed():
            print("Nothing was changed.")
            raise typer.Exit(FAILED)
        with _interrupted():
            result = applying.apply(made, client, target.account.clock, settling=settling)
    _tell(result, made, target)


def _target(file: Path, rules: Rules, account: SegmentsAccount, taxonomy_id: int | None) -> Target:
    taxonomy = taxonomy_of(file, rules)
    if taxonomy_id is not None and taxonomy.taxonomy_id not in (None, taxonomy_id):
        raise UsageError(
            f"--id {taxonomy_id} is not the taxonomy_id {taxonomy.taxonomy_id} of {file}; keep one"
        )
    return Target(
        file=file, taxonomy=taxonomy, account=account, taxonomy_id=taxonomy_id or taxonomy.taxonomy_id
    )


def _made(target: Target, client: Segments) -> Plan:
    """The plan; where the file cannot be applied every fault is printed, and the command ends with 1."""
    taxonomy, vendor_id = target.taxonomy, target.account.settings.vendor_id
    held = _held(target, client)
    made = planned(held, taxonomy, vendor_id)
    permissions = made.wanted.permissions
    granted = client.grants(vendor_id) if permissions not in (None, Permissions()) else None
    for warning in disagreements(made.wanted, target.account.streams):
        print(f"warning: {warning}", file=sys.stderr)
    wrong = list(faults(held, taxonomy, vendor_id, granted))
    for fault in wrong:
        print(f"{target.file}: {fault}", file=sys.stderr)
    if wrong:
        raise typer.Exit(FAILED)
    return made


def _held(target: Target, client: Segments) -> Held | None:
    taxonomy_id = target.taxonomy_id
    if taxonomy_id is None:
        taxonomy_id = applying.found(client, target.taxonomy.root.name)
        return None if taxonomy_id is None else client.get(taxonomy_id)
    try:
        return client.get(taxonomy_id)
    except CallFailed as failure:
        if failure.status != HTTPStatus.NOT_FOUND:
            raise
        raise BridgeError(
            f"the platform has no taxonomy {taxonomy_id}; correct --id or taxonomy_id"
        ) from None


def _kept(path: Path) -> Document:
    document = _loaded(path)
    if document is None:
        raise UsageError(f"{path} is no plan; name what plan --out wrote")
    return document


def _see_that_no_file_is_lost(out: Path) -> None:
    """A plan is written over an earlier one, and over nothing else: a taxonomy's file may lie there."""
    if out.exists() and _BASIS not in (_loaded(out) or {}):
        raise UsageError(f"--out {out} is there already, and no plan; name another file")


def _loaded(path: Path) -> Document | None:
    """The JSON object in a file; None: there is none in it."""
    try:
        with path.open("rb") as file:
            content = file.read(LARGEST_PLAN + 1)
        document = json.loads(content) if len(content) <= LARGEST_PLAN else None
    except OSError as error:
        raise UsageError(f"cannot read {path}: {error.strerror}; name what plan --out wrote") from None
    except (ValueError, RecursionError):
        document = None
    return document if isinstance(document, dict) else None


def _is_kept(made: Plan, document: Document, target: Target) -> bool:
    return document.get("account") == target.account.name and made.same_as(document)


def _agreed() -> bool:
    print("\nApply this? Only yes will do: ", end="", flush=True)
    return sys.stdin.readline().strip() == "yes"


@contextmanager
def _interrupted() -> Iterator[None]:
    try:
        yield
    except KeyboardInterrupt:
        print("interrupted: it is not known what was done; plan again before anything else", file=sys.stderr)
        raise


def _tell(result: Applied, made: Plan, target: Target) -> None:
    """What is known, and what to do; only what is done ends with 0."""
    which = made.name if result.taxonomy_id is None else f"taxonomy {result.taxonomy_id}"
    lost = f" ({result.lost})" if result.lost else ""
    match result.verdict:
        case Verdict.DONE:
            print(f"\nDone: {which} is as {target.file} says, read back from the platform.")
            if made.taxonomy_id is None and made.wanted.description:
                print("But its description is not there yet: a creation takes none; apply again")
            _offer_pull(result, made, target)
            return
        case Verdict.DIFFERENT:
            tables.show(tree(result.missing))
            for path, number in result.strangers:
                print(f"{names.written(path)}: id {number} is not there")
            what = (
                f"{which} was changed, and is not as {target.file} says: what is missing stands above{lost}"
            )
        case Verdict.NOT_SHOWN:
            what = (
                f"not known whether it is done: the platform shows {which} as it was{lost}; "
                f"it may take a while: plan again before anything else"
            )
        case Verdict.NOT_KNOWN:
            what = (
                f"not known whether it is done{lost}, and the platform cannot be looked at: {result.unseen}; "
                f"plan again before anything else"
            )
    raise BridgeError(what)


def _offer_pull(result: Applied, made: Plan, target: Target) -> None:
    """New ids are best kept in the file, which is nobody's to write but its owner's."""
    if target.file.suffix.lower() != ".csv" and any(node.id is None for _, node in made.wanted.walk()):
        pull = f"taxonomy pull {result.taxonomy_id} --config ... -o {target.file} --force"
        print(f"To have its ids in the file: s2s-bridge {pull}")
