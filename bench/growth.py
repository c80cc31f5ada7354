"""Cost growth: the bridge alone, with more events, more audiences, more users; draws the curves.

Each point is a topic of its own, made, read and deleted; with `--rounds` it is read as often, and medians
are kept. Each point is compared with the row's first. In the row of audiences the events and their users are
the same, only split in one file an audience. The quota is raised there from the platform's 20 files an hour
to what that needs, as else the run would wait for hours; and as each file has an SSH session of its own,
which 20 an hour never feel, its rates are given without the sessions too ("less uploads").
From the root: python -m bench.growth
"""

import argparse
import json
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from bench import chart
from bench.result import Load, middle
from bench.scene import RESULTS, bridge, broker, loaded, machine, save
from tests.parts.kafka import Kafka

MILLION = 1_000_000
ROWS = {
    "events": [Load(events=number * MILLION) for number in (1, 4, 16, 40)],
    "audiences": [Load(audiences=number) for number in (1, 10, 100, 500)],
    "users": [Load(users=number) for number in (MILLION // 10, MILLION, 10 * MILLION)],
}
RATES = {
    "rate": "events/s",
    "built_rate": "less uploads",
    "ingest_rate": "ingest alone",
}
FALL = 0.2
MEMORY = 0.1


@dataclass(frozen=True, kw_only=True)
class Point:
    """One of a row."""

    at: int
    """The number of events, audiences or users."""
    load: Load
    medians: dict[str, float | None]


def points(kafka: Kafka, row: str, scale: float, rounds: int) -> Iterator[Point]:
    """The points of a row, at a part of its size."""
    for load in ROWS[row]:
        scaled = Load(
            events=int(load.events * scale), users=int(load.users * scale), audiences=load.audiences
        )
        changes = {
            "stream": {"clients": scaled.clients},
            "account": {"quota": {"guard": "0s", "files_per_hour": max(20, 2 * scaled.audiences)}},
        }
        with loaded(kafka, scaled):
            results = [bridge(kafka, scaled, **changes) for _ in range(rounds)]
        medians = middle(results)
        print(f"{row} {getattr(scaled, row):,}: {medians['rate']:,.0f} events/s", file=sys.stderr)
        yield Point(at=getattr(scaled, row), load=scaled, medians=medians)


def table(row: str, found: list[Point]) -> str:
    """Markdown; after each rate its change from the row's first point."""
    names = " | ".join(RATES.values())
    lines = [
        f"| {row} | {names} | upload s | CPU s | peak MB | file MB | memberships |",
        "|--:|--:|--:|--:|--:|--:|--:|--:|--:|",
    ]
    for point in found:
        each = point.medians
        rates = " | ".join(f"{each[rate]:,.0f} ({gain(found, point, rate):+.0%})" for rate in RATES)
        lines.append(
            f"| {point.at:,} | {rates} | {each['upload_seconds']:.1f} | {each['cpu_seconds']:.1f} | "
            f"{each['peak_bytes'] / 1e6:,.0f} | {each['file_bytes'] / 1e6:.1f} | {each['memberships']:,.0f} |"
        )
    return "\n".join(lines)


def gain(found: list[Point], point: Point, rate: str) -> float:
    """Part of the first point's rate that is won; negative: lost."""
    return point.medians[rate] / found[0].medians[rate] - 1


def verdict(row: str, found: list[Point]) -> str:
    """The bars of a row, met or not."""
    lines = []
    for rate, name in RATES.items():
        worst = 1 - min(point.medians[rate] for point in found) / found[0].medians[rate]
        met = _met(worst < FALL)
        lines.append(f"{name}: largest fall along {row} {worst:.0%}, to be below {FALL:.0%}: {met}")
    peaks = {point.at: point.medians["peak_bytes"] for point in found}
    if row == "events" and {4 * MILLION, 40 * MILLION} <= peaks.keys():
        more = peaks[40 * MILLION] / peaks[4 * MILLION] - 1
        within = f"to be within {MEMORY:.0%}: {_met(abs(more) <= MEMORY)}"
        lines.append(f"peak memory at 40 M against 4 M events: {more:+.0%}, {within}")
    return "\n".join(lines)


def _met(met: bool) -> str:  # noqa: FBT001  # a word for it
    return "met" if met else "not met"


def figures(found: list[Point]) -> list[dict[str, object]]:
    """A row for growth.json."""
    return [{"at": point.at} | point.medians for point in found]


def known(folder: Path) -> dict[str, object]:
    """The rows that were measured before."""
    path = folder / "growth.json"
    return json.loads(path.read_text(encoding="utf-8"))["rows"] if path.exists() else {}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--row", choices=ROWS, action="append", help="this one only; may be given again")
    parser.add_argument("--scale", type=float, default=1.0, help="part of the events and users")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--results", type=Path, help="where figures and chart go, if --scale is not 1")
    options = parser.parse_args()
    folder = options.results or (RESULTS if options.scale == 1 else None)
    with broker() as kafka:
        for row in options.row or ROWS:
            found = list(points(kafka, row, options.scale, options.rounds))
            print(f"{table(row, found)}\n{verdict(row, found)}\n")
            if folder:
                save("growth", {"machine": machine(), "rows": known(folder) | {row: figures(found)}}, folder)
    if folder:
        chart.draw(folder)


if __name__ == "__main__":
    main()
