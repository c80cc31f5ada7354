"""What each bench leaves behind: tables in Markdown, bars that are met or not, figures in a folder.

Figures go to bench/results only from a run of full size, one whose sizes are the defaults; from any run to
the folder of `--results`.
"""

import json
import os
import platform
import re
from argparse import ArgumentParser, Namespace, RawDescriptionHelpFormatter
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

RESULTS = Path(__file__).parent / "results"
NUMBER = re.compile(r"[-+]?\d")


@dataclass(frozen=True, kw_only=True)
class Bar:
    """What is to be reached, and what was."""

    name: str
    goal: str
    measured: str
    met: bool


def verdict(bars: Iterable[Bar]) -> str:
    """The bars as a table."""
    rows = [(bar.name, bar.goal, bar.measured, "yes" if bar.met else "no") for bar in bars]
    return table(["", "to reach", "measured", "met"], rows)


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Markdown; columns of numbers are aligned to the right."""
    rows = list(rows)
    lines = [head, [_rule([cell for cell in column if cell]) for column in zip(*rows, strict=True)], *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _rule(cells: list[str]) -> str:
    return "--:" if cells and all(map(NUMBER.match, cells)) else "---"


def arguments(doc: str, **sizes: tuple[float | str, str]) -> ArgumentParser:
    """The options of a bench: `--seed`, `--results`, and its sizes, each a default and what it means."""
    parser = ArgumentParser(description=doc, formatter_class=RawDescriptionHelpFormatter)
    for name, (default, meaning) in (sizes | {"seed": (1, "of the random numbers")}).items():
        explained = f"{meaning} ({default:,})" if isinstance(default, int) else f"{meaning} ({default})"
        parser.add_argument(f"--{name}", type=type(default), default=default, help=explained)
    parser.add_argument("--results", type=Path, metavar="FOLDER", help="where the figures go, at any size")
    parser.set_defaults(full={name: default for name, (default, _) in sizes.items()})
    return parser


def destination(options: Namespace) -> Path | None:
    """Where the figures go; None: nowhere, the run being smaller or larger than a full one."""
    full = all(getattr(options, name) == default for name, default in options.full.items())
    return options.results or (RESULTS if full else None)


def save(name: str, folder: Path | None, figures: dict[str, object], bars: Sequence[Bar] = ()) -> None:
    """Keep what was measured, if there is a folder for it."""
    if folder:
        folder.mkdir(parents=True, exist_ok=True)
        judged = {"bars": [asdict(bar) for bar in bars]} if bars else {}
        (folder / f"{name}.json").write_text(json.dumps(figures | judged, indent=1) + "\n", encoding="utf-8")


def processor() -> str:
    """What the figures were measured on."""
    info = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    model = next((line.partition(": ")[2] for line in info if line.startswith("model name")), "unknown")
    return f"{len(os.sched_getaffinity(0))} cores of {model}, Python {platform.python_version()}"
