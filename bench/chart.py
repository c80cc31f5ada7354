"""Draws what was measured: results/rates.svg from bench.json, results/growth.svg from growth.json.

From the root: python -m bench.chart
"""

import argparse
import json
from pathlib import Path

from bench import curves
from bench.drawing import SOFT, Drawing, short, ticks
from bench.report import RESULTS

WIDTH, TOP, ROW, BAR = 960, 96, 34, 18
LABELS = 236  # the width of the column of names
VALUE = 72  # of the text beside the longest bar
PEER, OURS, PART = "#9ca3af", "#2563eb", "#93b4f5"

Bars = list[tuple[str, float | None, str]]  # name, value, colour


def draw(folder: Path) -> None:
    """Both pictures, as far as their figures are there."""
    for name, picture in (("bench", rates), ("growth", curves.growth)):
        path = folder / f"{name}.json"
        if path.exists():
            picture(json.loads(path.read_text(encoding="utf-8")), folder)


def rates(figures: dict, folder: Path) -> None:
    """Two panels with a row a program: events a second, and the megabytes of what was written."""
    programs = sorted(figures["programs"].values(), key=lambda one: one["median"]["rate"])
    speed: Bars = []
    bytes_: Bars = []
    for program in programs:
        name, median = program["name"], program["median"]
        ours = name.startswith("s2s-bridge")
        speed.append((name, median["rate"], OURS if ours else PEER))
        bytes_.append((name, median["file_bytes"] / 1e6 or None, OURS if ours else PEER))
        if median["ingest_rate"] is not None:
            speed.append((f"{name}, ingest alone", median["ingest_rate"], PART))
            bytes_.append(("", None, PART))
    drawing = Drawing(WIDTH, TOP + len(speed) * ROW + 56)
    load = figures["load"]
    drawing.text(24, 34, "From a Kafka topic to a file", size=18, weight="600")
    size = figures["topic_bytes"] / 1e6
    what = f"{short(load['events'])} events ({size:,.0f} MB) of {short(load['users'])} users"
    rounds = len(programs[0]["rounds"])
    drawing.text(24, 54, f"{what}; medians of {rounds} rounds; {figures['machine']}", fill=SOFT)
    _names(drawing, speed)
    _panel(drawing, "events per second", speed, x=LABELS + 24, width=430, form=",.0f")
    _panel(drawing, "MB written, gzip", bytes_, x=LABELS + 484, width=216, form=",.1f")
    drawing.save(folder / "rates.svg")


def _names(drawing: Drawing, rows: Bars) -> None:
    for number, (name, _, colour) in enumerate(rows):
        weight = "600" if colour == OURS else "400"
        drawing.text(LABELS + 12, TOP + number * ROW + 22, name, anchor="end", weight=weight)


def _panel(drawing: Drawing, title: str, rows: Bars, *, x: float, width: float, form: str) -> None:
    highest = max(value or 0 for _, value, _ in rows)
    scale, bottom = (width - VALUE) / highest, TOP + len(rows) * ROW + 4
    drawing.text(x, TOP - 10, title, weight="600", fill=SOFT)
    for mark in ticks(highest, about=4):
        at = x + mark * scale
        if at <= x + width:
            drawing.line([(at, TOP), (at, bottom)])
            drawing.text(at, bottom + 18, short(mark), size=11, fill=SOFT, anchor="middle")
    for number, (_, value, colour) in enumerate(rows):
        y = TOP + number * ROW + (ROW - BAR) / 2
        if value is not None:
            drawing.bar(x, y, value * scale, BAR, colour)
            drawing.text(x + value * scale + 6, y + 13, format(value, form))


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--results", type=Path, default=RESULTS, metavar="FOLDER", help="where the figures are"
    )
    draw(parser.parse_args().results)


if __name__ == "__main__":
    main()
