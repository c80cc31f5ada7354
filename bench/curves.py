"""The growth curves: a column for each row of growth.json, events a second above, memory below."""

from collections.abc import Callable
from math import log10
from pathlib import Path

from bench.bars import FALL, PEAK
from bench.drawing import GRID, SOFT, Drawing, short, ticks

WIDTH, LEFT, GAP, COLUMN = 960, 64, 36, 266
HIGH, LOW = (128, 200), (382, 90)  # the panels' tops and heights
ROWS = ("events", "audiences", "users")
INSET = 26  # from the panel's sides to its first and last point
SERIES = {
    "ingest_rate": ("ingest alone, to durable runs", "#93b4f5", ""),
    "built_rate": ("end to end less the SFTP sessions", "#2563eb", "5 4"),
    "rate": ("end to end", "#2563eb", ""),
}
MEMORY, BAR = "#b45309", "#dc2626"
LIMIT = PEAK / 1e6

Place = Callable[[float], float]


def growth(figures: dict, folder: Path) -> None:
    """Three columns that share their scales."""
    rows = {name: figures["rows"][name] for name in ROWS if name in figures["rows"]}
    points = [point for row in rows.values() for point in row]
    drawing = Drawing(WIDTH, 526)
    drawing.text(24, 34, "Cost growth", size=18, weight="600")
    drawing.text(24, 54, f"4 M events and 1 M users where not varied; {figures['machine']}", fill=SOFT)
    _legend(drawing)
    rates = ticks(1.1 * max(point[name] for point in points for name in SERIES), about=5)
    memory = ticks(1.2 * max(LIMIT, *(point["peak_bytes"] / 1e6 for point in points)), about=3)
    for number, (name, row) in enumerate(rows.items()):
        left = LEFT + number * (COLUMN + GAP)
        across = _across(row, left)
        above, below = _panel(drawing, left, HIGH, rates), _panel(drawing, left, LOW, memory)
        for series, (_, colour, dash) in SERIES.items():
            if series != "built_rate" or name == "audiences":
                _curve(drawing, [(across(one["at"]), above(one[series])) for one in row], colour, dash)
        for bar in (above((1 - FALL) * row[0]["rate"]), below(LIMIT)):
            drawing.line([(left, bar), (left + COLUMN, bar)], stroke=BAR, dash="2 3")
        _curve(drawing, [(across(one["at"]), below(one["peak_bytes"] / 1e6)) for one in row], MEMORY)
        for point in row:
            _labels(drawing, across(point["at"]), point, above, below)
        drawing.text(left + COLUMN / 2, sum(LOW) + 38, name, anchor="middle", weight="600")
    drawing.text(24, HIGH[0] - 14, "events per second", fill=SOFT, weight="600")
    drawing.text(24, LOW[0] - 14, "peak memory, MB", fill=SOFT, weight="600")
    drawing.save(folder / "growth.svg")


def _legend(drawing: Drawing) -> None:
    x = 24.0
    entries = [*SERIES.values(), (f"the bars: {FALL:.0%} below the first point, {LIMIT:.0f} MB", BAR, "2 3")]
    for text, colour, dash in entries:
        drawing.line([(x, 74), (x + 24, 74)], stroke=colour, width=2, dash=dash)
        drawing.text(x + 30, 78, text)
        x += 56 + 5.9 * len(text)


def _across(row: list[dict], left: float) -> Place:
    """Sizes on a logarithmic scale, from one side of the panel to the other."""
    low, high = log10(row[0]["at"]), log10(row[-1]["at"])
    width = COLUMN - 2 * INSET
    return lambda at: left + INSET + width * (log10(at) - low) / ((high - low) or 1.0)


def _panel(drawing: Drawing, left: float, place: tuple[float, float], marks: list[float]) -> Place:
    """Its grid, with numbers in the first column; gives the height of a value."""
    top, height = place

    def up(value: float) -> float:
        return top + height - height * value / marks[-1]

    for mark in marks:
        drawing.line([(left, up(mark)), (left + COLUMN, up(mark))], stroke=GRID)
        if left == LEFT:
            drawing.text(left - 8, up(mark) + 4, short(mark), size=11, fill=SOFT, anchor="end")
    return up


def _curve(drawing: Drawing, places: list[tuple[float, float]], colour: str, dash: str = "") -> None:
    drawing.line(places, stroke=colour, width=2, dash=dash)
    for x, y in places:
        drawing.dot(x, y, colour)


def _labels(drawing: Drawing, x: float, point: dict, above: Place, below: Place) -> None:
    """Values at the points, and the size below them."""
    drawing.label(x, above(point["rate"]) + 18, short(point["rate"]))
    drawing.label(x, above(point["ingest_rate"]) - 9, short(point["ingest_rate"]))
    memory = point["peak_bytes"] / 1e6
    drawing.label(x, below(memory) + 17, f"{memory:.0f}")
    drawing.text(x, sum(LOW) + 18, short(point["at"]), size=11, fill=SOFT, anchor="middle")
