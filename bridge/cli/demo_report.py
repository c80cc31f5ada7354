"""What a demo came to: the files, a look into one, what was refused, and whether it is all true."""

from collections.abc import Iterator
from pathlib import Path

from rich.console import Console
from rich.table import Table
from rich.text import Text

from bridge.cli.demo_progress import clock_time
from bridge.demo.outcome import File, Outcome

FIRST_LINES = 12
"""Of the file that is shown: its header, the blank line, and some rows."""

MOST = 5
"""Of what is wrong."""


def report(console: Console, outcome: Outcome, kept: Path | None) -> None:
    """Print all of it.

    Args:
        console: Where to.
        outcome: What came of it.
        kept: Where everything lies; None: nowhere.
    """
    console.print(_table(outcome.files), Text())
    console.print(*_first_lines(outcome.files), Text(), sep="\n")
    console.print(*_verdict(outcome), Text(), sep="\n")
    console.print(*_where(outcome, kept), sep="\n", soft_wrap=True)


def _table(files: tuple[File, ...]) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 1, 0, 0), header_style="bold")
    table.add_column("file", no_wrap=True)
    table.add_column("audience", no_wrap=True)
    for name in ("time", "bytes", "lines", "memberships"):
        table.add_column(name, justify="right", no_wrap=True)
    for file in files:
        counts = (file.bytes, len(file.text.rows), file.text.memberships)
        table.add_row(file.name, file.audience, clock_time(file.at), *(f"{count:,}" for count in counts))
    return table


def _first_lines(files: tuple[File, ...]) -> Iterator[Text]:
    if not files:
        return
    file = files[0]
    yield Text(f"{file.name} begins", "bold")
    for line in file.text.lines[:FIRST_LINES]:
        yield Text(f"  {line}".rstrip(), "dim", no_wrap=True, overflow="ellipsis")
    yield Text(f"  … and {len(file.text.lines) - FIRST_LINES:,} more lines", "dim")


def _verdict(outcome: Outcome) -> Iterator[Text]:
    refused, meant = (
        ", ".join(f"{reason} {count}" for reason, count in sorted(reasons.items()))
        for reasons in (outcome.refused, outcome.meant_refused)
    )
    same = outcome.refused == outcome.meant_refused
    yield _judged(same, f"refused: {refused}", "" if same else f"it should be: {meant}")
    counted = f"the server counted at most {outcome.busiest_hour} files in any hour; it takes {outcome.slots}"
    yield _judged(not outcome.violations, counted, *outcome.violations[:MOST])
    keep = "keep" if not outcome.faults else "do not keep"
    yield _judged(not outcome.faults, f"the files {keep} the rules of the format", *outcome.faults[:MOST])
    state = f"{outcome.memberships:,} memberships of {outcome.users:,} users"
    if outcome.differences:
        said = f"folded files and folded events differ in {len(outcome.differences):,} memberships of {state}"
    else:
        said = f"folded files equal folded events: {state}"
    yield _judged(not outcome.differences, said, *outcome.differences[:MOST])
    if outcome.good:
        yield Text("All is as it should be.", "bold green")
    else:
        yield Text("Something is wrong: please report it, with the directory.", "bold red")


def _judged(good: bool, said: str, *details: str) -> Text:
    text = Text("✓ " if good else "✗ ", "green" if good else "bold red").append(said, "default not bold")
    for detail in filter(None, details):
        text.append(f"\n    {detail}", "default not bold")
    return text


def _where(outcome: Outcome, kept: Path | None) -> Iterator[Text]:
    if kept is None:
        yield Text("It was all in a temporary directory, which is gone; --directory D keeps it.")
        return
    yield Text(f"All of it is in {kept}: bridge.yaml, bridge.log, spool, server. To look on:")
    yield Text(f"  s2s-bridge status --config {kept / 'bridge.yaml'}")
    if outcome.files:
        yield Text(f"  s2s-bridge file show {kept / 'server' / outcome.files[0].name}")
