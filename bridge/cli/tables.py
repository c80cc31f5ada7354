"""What commands show to people: tables without lines, and texts between them.

Every text is shown as it is: what a server said may have brackets, which rich would take for its own marks.
"""

from collections.abc import Iterable

from rich.console import Console, RenderableType
from rich.table import Table

WIDTH = 1000
"""Characters a line may have: no cell is cut or broken, and a narrow window wraps the line by itself."""


def table(title: str | None, *columns: str) -> Table:
    """A table without lines; a column whose name ends with a + holds numbers."""
    made = Table(title=title, title_justify="left", title_style="bold", box=None, pad_edge=False)
    for column in columns:
        number = column.endswith("+")
        made.add_column(column.rstrip("+"), justify="right" if number else "left", header_style="dim")
    return made


def show(parts: Iterable[RenderableType]) -> None:
    """Print them, one below the other."""
    console = Console(width=WIDTH, highlight=False, markup=False, emoji=False)
    with console.capture() as capture:
        console.print(*parts, sep="\n")
    print(*(line.rstrip() for line in capture.get().splitlines()), sep="\n")
