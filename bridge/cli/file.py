"""`s2s-bridge file check`, `file show` and `file sample`: audience files, looked at."""

import json
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Annotated

import typer

from bridge.audience.audience_file import Fault, Row, check
from bridge.audience.file_summary import Summary, summarise
from bridge.cli.file_sample import file_sample
from bridge.errors import UsageError

app = typer.Typer(
    help="Look at audience files.", add_completion=False, rich_markup_mode=None, no_args_is_help=False
)

app.command("sample")(file_sample)

CHUNK = 1 << 18
MOST_FAULTS = 20
"""Printed a file; the others are counted."""
FIRST_ROWS = 10
WIDTH = 110
"""Characters of a row, where it is one of the first."""


@app.command("check")
def check_files(files: Annotated[list[Path], typer.Argument(metavar="FILE...", show_default=False)]) -> None:
    """Check audience files against the format: `FILE:LINE: reason`."""
    faulty = [path for path in files if _print_faults(path)]
    if faulty:
        raise typer.Exit(1)


@app.command("show")
def show(
    file: Annotated[Path, typer.Argument(metavar="FILE", show_default=False)],
    user: Annotated[str | None, typer.Option("--user", metavar="ID", help="Only this user's rows.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object.")] = False,
) -> None:
    """Show an audience file's header, counts and first rows."""
    summary = summarise(_chunks(file), user=user, first_rows=FIRST_ROWS)
    if as_json:
        print(json.dumps(_object(file, summary)))
    elif user is not None:
        print(*(list(map(_line, summary.rows)) or [f"{file}: no rows of this user"]), sep="\n")
        if summary.further_rows:
            print(f"… and {summary.further_rows:,} more lines of this user")
    else:
        print(*_page(summary), sep="\n")


def _chunks(path: Path) -> Iterator[bytes]:
    try:
        with path.open("rb") as file:
            while chunk := file.read(CHUNK):
                yield chunk
    except OSError as error:
        raise UsageError(f"cannot read {path}: {error.strerror}; name an audience file") from None


def _print_faults(path: Path) -> int:
    """How many there are."""
    faults: Iterator[Fault] = check(_chunks(path), path.name)
    shown = 0
    for fault in islice(faults, MOST_FAULTS):
        shown += 1
        print(f"{path}:{fault.line}: {fault.reason}")
    further = sum(1 for _ in faults)
    if further:
        print(f"{path}: {further} more faults")
    return shown


def _page(summary: Summary) -> Iterator[str]:
    yield from (f"{name}: {text}" for name, text in summary.header.fields().items())
    yield ""
    yield f"{summary.users:,} users on {summary.lines:,} lines"
    yield f"{summary.adds:,} adds, {summary.removals:,} removals, {summary.remove_alls:,} remove-alls"
    ratio = f"{summary.ratio:g} to 1"
    yield f"{summary.bytes:,} bytes of gzip, {summary.text_bytes:,} bytes of text, {ratio}"
    yield ""
    for row in summary.rows:
        line = _line(row)
        yield line if len(line) <= WIDTH else f"{line[: WIDTH - 1]}…"
    if summary.lines > len(summary.rows):
        yield f"… and {summary.lines - len(summary.rows):,} more lines"


def _line(row: Row) -> str:
    statements = [code if timestamp is None else f"{code}:{timestamp}" for code, timestamp in row.segments]
    return " ".join([row.user, *["-1"][: row.remove_all], *statements])


def _object(path: Path, summary: Summary) -> dict[str, object]:
    counts = ("users", "lines", "adds", "removals", "remove_alls", "bytes", "text_bytes", "ratio")
    return {
        "file": str(path),
        "header": summary.header.fields(),
        **{name: getattr(summary, name) for name in counts},
        "rows": [
            {
                "user": row.user,
                "remove_all": row.remove_all,
                "segments": [{"segment": code, "timestamp": timestamp} for code, timestamp in row.segments],
            }
            for row in summary.rows
        ],
        "further_rows": summary.further_rows,
    }
