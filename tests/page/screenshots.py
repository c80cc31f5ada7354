"""Takes docs/page-light.png, page-dark.png and page-phone.png, of a lively day that a seed has made.

Run by `make screenshots`.
"""

import os
import sys
import tempfile
from pathlib import Path

from playwright.sync_api import sync_playwright

from tests.page.lively import Lively
from tests.page.palette import smaller
from tests.parts.tools import found

DOCS = Path(__file__).parents[2] / "docs"

PICTURES = {
    "page-light.png": {"viewport": {"width": 1280, "height": 800}, "color_scheme": "light"},
    "page-dark.png": {"viewport": {"width": 1280, "height": 800}, "color_scheme": "dark"},
    "page-phone.png": {"viewport": {"width": 390, "height": 844}, "color_scheme": "light"},
}


def take(folder: Path, chromium: str) -> list[Path]:
    """The pictures, in this folder."""
    taken = []
    with (
        tempfile.TemporaryDirectory() as directory,
        Lively(Path(directory)) as scene,
        scene.serve() as server,
        sync_playwright() as playwright,
    ):
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        for name, how in PICTURES.items():
            tab = browser.new_context(**how).new_page()
            tab.goto(f"http://127.0.0.1:{server.port}/")
            (folder / name).write_bytes(smaller(tab.screenshot(full_page=True), browser))
            taken.append(folder / name)
        browser.close()
    return taken


def main() -> int:
    chromium = found("chromium")
    if chromium is None:
        print("chromium is missing: tests/parts/install.sh brings it", file=sys.stderr)
        return 1
    for path in take(Path(os.environ.get("PICTURES", DOCS)), chromium):
        print(f"{path.name}: {path.stat().st_size / 1000:.0f} kB")
    return 0


if __name__ == "__main__":
    sys.exit(main())
