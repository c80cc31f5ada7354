"""Cost growth: the bridge alone, with more events, more audiences, more users; draws the curves.

Each point is a topic of its own, made, read and deleted; with `--rounds` it is read as often, and medians
are kept. Each point is compared with the row's first. In the row of audiences the events and their users are
the same, only split in one file an audience. The quota is raised there from the platform's 20 files an hour
to what that needs, as else the run would wait for hours; and as each file has an SSH session of its own,
which 20 an hour never feel, its rates are given without the sessions too ("less uploads").
From the root: python -m bench.growth
"""

import json
import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from bench import chart, report
from bench.bars import FALL
from bench.programs import bridge
from bench.report import Bar
from bench.result import Load, middle
from bench.scene import broker, loaded, machine
from tests.parts.kafka import Kafka

MILLION = 1_000_000
ROWS = {
    "events": [Load(events=number * MILLION) for number in (1, 4, 16, 40)],
    "audiences": [Load(audiences=number) for number in (1, 10, 100, 500)],
    "users": [Load(users=number) for number in (MILLION // 10, MILLION, 10 * MILLION)],
}
RATES = {"rate": "events/s", "built_rate": "less uploads", "ingest_rate": "ingest alone"}
MEMORY = 0.1  # how much more or less it may be at 40 M events than at 4 M


@dataclass(frozen=True, kw_only=True)
class Point:
    """One of a row."""

    at: int
    """The number of events, audiences or users."""
    medians: dict[str, float | None]


def points(kafka: Kafka, row: str, scale: float, seed: int, rounds: int) -> Iterator[Point]:
    """The points of a row, at a part of its size."""
    for whole in ROWS[row]:
        load = replace(whole, events=int(whole.events * scale), users=int(whole.users * scale), seed=seed)
        changes = {
            "stream": {"clients": load.clients},
            "account": {"quota": {"guard": "0s", "files_per_hour": max(20, 2 * load.audiences)}},
        }
        with loaded(kafka, load):
            medians = middle([bridge(kafka, load, **changes) for _ in range(rounds)])
        at = getattr(load, row)
        print(f"{row} {at:,}: {medians['rate']:,.0f} events/s", file=sys.stderr)
        yield Point(at=at, medians=medians)


def table(row: str, found: list[Point]) -> str:
    """After each rate its change from the row's first point."""
    rows = []
    for point in found:
        each = point.medians
        rates = [f"{each[rate]:,.0f} ({change(found, point, rate):+.0%})" for rate in RATES]
        times = [f"{each['upload_seconds']:.1f}", f"{each['cpu_seconds']:.1f}"]
        sizes = [f"{each['peak_bytes'] / 1e6:,.0f}", f"{each['file_bytes'] / 1e6:.1f}"]
        rows.append([f"{point.at:,}", *rates, *times, *sizes, f"{each['memberships']:,.0f}"])
    head = [row, *RATES.values(), "upload s", "CPU s", "peak MB", "file MB", "memberships"]
    return report.table(head, rows)


def change(found: list[Point], point: Point, figure: str) -> float:
    """From the row's first point, as a part of it."""
    return point.medians[figure] / found[0].medians[figure] - 1


def bars(row: str, found: list[Point]) -> Iterator[Bar]:
    """The bars of a row."""
    for rate, name in RATES.items():
        fall = max(0.0, -min(change(found, point, rate) for point in found))
        title = f"{name}: largest fall along {row}"
        yield Bar(name=title, goal=f"below {FALL:.0%}", measured=f"{fall:.0%}", met=fall < FALL)
    peaks = {point.at: point.medians["peak_bytes"] for point in found}
    if row == "events" and {4 * MILLION, 40 * MILLION} <= peaks.keys():
        more = peaks[40 * MILLION] / peaks[4 * MILLION] - 1
        title = "peak memory at 40 M events against 4 M"
        yield Bar(name=title, goal=f"within {MEMORY:.0%}", measured=f"{more:+.0%}", met=abs(more) <= MEMORY)


def known(folder: Path) -> dict[str, object]:
    """The rows that were measured before."""
    path = folder / "growth.json"
    return json.loads(path.read_text(encoding="utf-8"))["rows"] if path.exists() else {}


def main() -> None:
    parser = report.arguments(__doc__, scale=(1.0, "part of the events and users that a full run has"))
    parser.add_argument("--row", choices=ROWS, action="append", help="this one only; may be given again")
    parser.add_argument("--rounds", type=int, default=3, help="how often each point is measured (3)")
    options = parser.parse_args()
    folder = report.destination(options)
    with broker() as kafka:
        for row in options.row or ROWS:
            found = list(points(kafka, row, options.scale, options.seed, options.rounds))
            print(f"{table(row, found)}\n\n{report.verdict(bars(row, found))}\n")
            if folder:
                figures = [{"at": point.at} | point.medians for point in found]
                rows = known(folder) | {row: figures}
                report.save("growth", folder, {"machine": machine(), "rows": rows})
    if folder:
        chart.draw(folder)


if __name__ == "__main__":
    main()
