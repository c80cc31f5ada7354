"""docs/audience-segments.md, with what its commands say today: `python -m tests.platform.document`.

The commands run one after the other in a folder with acme.yaml, the seed's example, and bridge.yaml, which
names a sandbox.
"""

import io
import re
import shutil
import subprocess
import tempfile
from contextlib import chdir, redirect_stderr, redirect_stdout
from pathlib import Path

from bridge.cli import main
from tests.parts.vendor import Vendor

ROOT = Path(__file__).parents[2]
DOCUMENT = ROOT / "docs" / "audience-segments.md"
EXAMPLE = ROOT / "tests" / "taxonomy" / "fixtures" / "seed_example.yaml"

BLOCK = re.compile(r"```\n(\$ .*?)```\n", re.DOTALL)
NAME = "s2s-bridge "


def made_anew(text: str, vendor: Vendor, folder: Path) -> str:
    """The document's text, each block with what its commands say in the folder, which is the vendor's."""
    shutil.copy(EXAMPLE, folder / "acme.yaml")
    with vendor.running():
        vendor.write_config()
        with chdir(folder):
            return BLOCK.sub(lambda block: f"```\n{_block(block[1])}```\n", text)


def _block(text: str) -> str:
    return "".join(_said(line) for line in text.splitlines() if line.startswith("$ "))


def _said(line: str) -> str:
    """A command's line, and what it says."""
    command = line.removeprefix("$ ")
    if not command.startswith(NAME):
        shown = subprocess.run(command, shell=True, check=True, capture_output=True, text=True).stdout
        return f"{line}\n{shown}"
    out = io.StringIO()
    with redirect_stdout(out), redirect_stderr(out):
        main(command.removeprefix(NAME).split())
    return f"{line}\n{out.getvalue()}"


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as temporary:
        DOCUMENT.write_text(made_anew(DOCUMENT.read_text(), Vendor(Path(temporary)), Path(temporary)))
