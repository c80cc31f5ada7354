"""SVG by hand: shapes and texts on a white sheet, and round numbers for its axes."""

from pathlib import Path
from xml.sax.saxutils import escape

INK = "#1f2937"
SOFT = "#6b7280"
GRID = "#e5e7eb"
FONT = "-apple-system, 'Segoe UI', Roboto, 'Helvetica Neue', Arial, sans-serif"


class Drawing:
    """A sheet in pixels; y runs downwards."""

    def __init__(self, width: float, height: float) -> None:
        size = f'width="{width:g}" height="{height:g}"'
        sheet = f'viewBox="0 0 {width:g} {height:g}" {size} font-family="{FONT}"'
        self._parts = [
            f'<svg xmlns="http://www.w3.org/2000/svg" {sheet}>',
            f'<rect {size} rx="8" fill="#ffffff"/>',
        ]

    def text(self, x: float, y: float, text: str, *, size: int = 12, fill: str = INK, **style: str) -> None:
        """`style`: further attributes; `anchor` and `weight` stand for the longer ones of SVG."""
        names = {"anchor": "text-anchor", "weight": "font-weight"}
        more = "".join(f' {names.get(name, name)}="{value}"' for name, value in style.items())
        place = f'x="{x:.1f}" y="{y:.1f}" font-size="{size}"{more}'
        self._parts.append(f'<text {place} fill="{fill}">{escape(text)}</text>')

    def label(self, x: float, y: float, text: str) -> None:
        """A value in a diagram: it keeps clear of the lines that it lies on."""
        halo = {"stroke": "#ffffff", "stroke-width": "4", "stroke-linejoin": "round"}
        for style in (halo, {}):
            self.text(x, y, text, size=11, anchor="middle", **style)

    def bar(self, x: float, y: float, width: float, height: float, fill: str) -> None:
        size = f'width="{max(width, 1):.1f}" height="{height:.1f}"'
        self._parts.append(f'<rect x="{x:.1f}" y="{y:.1f}" {size} rx="2" fill="{fill}"/>')

    def line(
        self, points: list[tuple[float, float]], *, stroke: str = GRID, width: float = 1, dash: str = ""
    ) -> None:
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
        style = f'stroke="{stroke}" stroke-width="{width:g}"' + (
            f' stroke-dasharray="{dash}"' if dash else ""
        )
        self._parts.append(f'<polyline points="{path}" fill="none" stroke-linejoin="round" {style}/>')

    def dot(self, x: float, y: float, fill: str) -> None:
        circle = f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3.5" fill="{fill}" stroke="#ffffff"/>'
        self._parts.append(circle)

    def save(self, path: Path) -> None:
        path.write_text("\n".join([*self._parts, "</svg>"]) + "\n", encoding="utf-8")


def ticks(highest: float, about: int = 5) -> list[float]:
    """Round numbers from 0 to the first that is not below `highest`, about so many steps."""
    rough = highest / about or 1.0
    power = 10.0 ** len(str(int(rough))) / 10
    step = next(power * factor for factor in (1, 2, 2.5, 5, 10) if power * factor >= rough)
    count = -int(-highest // step)
    return [step * number for number in range(count + 1)]


def short(number: float) -> str:
    """1234567 as 1.23 M, 250000 as 250 k; below 10000 in full."""
    for unit, size, least in ((" M", 1e6, 1e6), (" k", 1e3, 1e4)):
        if number >= least:
            return f"{number / size:.3g}{unit}"
    return f"{number:,.4g}"
