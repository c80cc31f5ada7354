"""How far a demo is: a live display on a terminal, in a pipe a line whenever something happens."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime

from rich.console import Console, Group
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from bridge.clock import HOUR, MINUTE, SECOND
from bridge.demo.outcome import File, Look
from bridge.units import format_size

Tell = Callable[[Look], None]

NEWEST = 4
"""Files that the live display names."""

OFTEN = 30 * MINUTE
"""In a pipe at least a line so often, by the demo's clock."""


@contextmanager
def progress(console: Console) -> Iterator[Tell]:
    """What to tell of each look, as long as the block runs."""
    if not console.is_terminal or console.is_dumb_terminal:
        yield Lines(console).tell
        return
    with Live(console=console, transient=True, auto_refresh=False) as live:
        yield lambda look: live.update(display(look), refresh=True)


def clock_time(at: int) -> str:
    """Hour and minute, UTC."""
    return datetime.fromtimestamp(at / SECOND, UTC).strftime("%H:%M")


class Lines:
    """Prints what is new in a look."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._files = 0
        self._due = 0
        self._full_hour = 0

    def tell(self, look: Look) -> None:
        """Print what is new."""
        for file in look.files[self._files :]:
            self._print(file.at, f"arrived: {_file(file)}")
        self._files = len(look.files)
        hour = look.now // HOUR
        full = _waits_for_slot(look) and hour != self._full_hour
        if full or look.now >= self._due:
            self._full_hour = hour if full else self._full_hour
            self._due = look.now + OFTEN
            self._print(look.now, f"{look.read:,} of {look.events:,} events read; {waits_for(look)}")

    def _print(self, at: int, text: str) -> None:
        self._console.print(f"{clock_time(at)}  {text}", soft_wrap=True)


def display(look: Look) -> Group:
    """All of a look."""
    grid = Table.grid(padding=(0, 2))
    grid.add_column(style="dim")
    grid.add_column(no_wrap=True)
    grid.add_row("demo time", Text(f"{clock_time(look.now)} UTC", "bold"))
    grid.add_row("read", _bar(look))
    grid.add_row("refused", Text(f"{look.refused:,}"))
    grid.add_row("slots", _slots(look))
    grid.add_row("now", Text(waits_for(look), "yellow" if _waits_for_slot(look) else ""))
    grid.add_row("arrived", Text(f"{len(look.files)} files"))
    for file in look.files[-NEWEST:]:
        grid.add_row("", Text(f"{clock_time(file.at)}  {_file(file)}", "green"))
    return Group(grid)


def waits_for(look: Look) -> str:
    """What is to happen next, in words."""
    if not look.read:
        return "the bridge joins its consumer group"
    if _waits_for_slot(look):
        return f"no slot left: {look.pending:,} memberships wait for {clock_time(_next_hour(look.now))}"
    if look.pending:
        return f"{look.pending:,} memberships wait until they are due"
    return "nothing waits"


def _waits_for_slot(look: Look) -> bool:
    """The bridge tells of the slots only when it looks, which it does not right after a new hour."""
    arrived = any(file.at // HOUR == look.now // HOUR for file in look.files)
    return look.pending > 0 and look.slots_left == 0 and arrived


def _next_hour(at: int) -> int:
    return at - at % HOUR + HOUR


def _bar(look: Look) -> Table:
    line = Table.grid(padding=(0, 1))
    line.add_row(
        ProgressBar(
            total=look.events, completed=look.read, width=40, complete_style="cyan", finished_style="cyan"
        ),
        Text(f"{look.read:,} of {look.events:,} events"),
    )
    return line


def _slots(look: Look) -> Text:
    if not look.read:
        return Text("")
    used = look.slots - look.slots_left
    return (
        Text("■" * used, "green")
        .append("□" * look.slots_left, "dim")
        .append(
            f"  {look.slots_left} of {look.slots} files left until {clock_time(_next_hour(look.now))}",
            "not bold default",
        )
    )


def _file(file: File) -> str:
    return f"{file.name}  {file.audience}, {format_size(file.bytes)}"
