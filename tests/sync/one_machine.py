"""docs/user-sync.md, On one machine: its commands are run, its addresses opened in a browser, in their order.

`make docs-user-sync` writes what they say into the document; a test keeps it true. Ids are random, and not
compared. The ports of the document stand for free ones.
"""

import argparse
import os
import re
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Self

from playwright.sync_api import BrowserContext, sync_playwright

from tests.parts.tools import found
from tests.parts.waiting import free_port, until
from tests.sync.world import browser

DOCUMENT = Path(__file__).parents[2] / "docs" / "user-sync.md"

SECTION = re.compile(r"(?<=^## On one machine\n).*?(?=^## )", re.DOTALL | re.MULTILINE)
PART = re.compile(r"```(yaml)?\n(.*?)```\n|<(http://[^>]+)>", re.DOTALL)
PORT = re.compile(r"\b(?:8000|8081|8090|8091|2222)\b")
BACKGROUND = " &"


class Machine:
    """A folder, a browser, and what runs in the background."""

    def __init__(self, folder: Path, person: BrowserContext) -> None:
        self._folder = folder
        self._person = person
        self._running = ExitStack()
        self._ports: dict[str, str] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._running.close()

    def told(self, section: str) -> str:
        """The section, with what its commands have said now."""
        return PART.sub(self._done, section)

    def _done(self, part: re.Match[str]) -> str:
        kind, block, address = part.groups()
        if address:
            self._wait()
            self._person.new_page().goto(self._here(address), wait_until="networkidle")
            return part[0]
        if kind:
            (self._folder / "bridge.yaml").write_text(self._here(block))
            return part[0]
        commands = [line for line in block.splitlines() if line.startswith("$ ")]
        return "```\n" + "".join(self._said(line) for line in commands) + "```\n"

    def _said(self, line: str) -> str:
        command = self._here(line.removeprefix("$ "))
        if command.endswith(BACKGROUND):
            self._running.enter_context(self._started(command.removesuffix(BACKGROUND)))
            return f"{line}\n"
        self._wait()
        done = subprocess.run(
            ["bash", "-c", command], cwd=self._folder, env=_environment(), capture_output=True, check=False
        )
        said = (done.stdout + done.stderr).decode()
        for shown, port in self._ports.items():
            said = said.replace(port, shown)
        return f"{line}\n{said}"

    @contextmanager
    def _started(self, command: str) -> Iterator[None]:
        process = subprocess.Popen(["bash", "-c", f"exec {command}"], cwd=self._folder, env=_environment())
        try:
            yield
        finally:
            process.terminate()
            process.wait(30)

    def _wait(self) -> None:
        """Until all that was named is listened on."""
        for port in self._ports.values():
            until(lambda port=port: _listened_on(int(port)), f"port {port}")

    def _here(self, text: str) -> str:
        """With free ports for those of the document."""
        return PORT.sub(lambda port: self._ports.setdefault(port[0], str(free_port())), text)


def document(folder: Path, chromium: str) -> str:
    """The whole text, as its commands say it now."""
    (folder / "empty").mkdir()
    with (
        sync_playwright() as playwright,
        browser(playwright.chromium, chromium, folder / "profile") as one,
        Machine(folder / "empty", one) as machine,
    ):
        return SECTION.sub(lambda section: machine.told(section[0]), DOCUMENT.read_text())


def compared(text: str) -> str:
    """Without the ids."""
    return re.sub(
        r"(?m)^acme [\w-]{22}( [0-9a-f-]{36})?$", lambda key: f"acme ID{' UUID' * bool(key[1])}", text
    )


def _environment() -> dict[str, str]:
    return os.environ | {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}


def _listened_on(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def main() -> int:
    argparse.ArgumentParser(description="Writes docs/user-sync.md anew.").parse_args()
    chromium = found("chromium")
    if chromium is None:
        print("chromium is missing: tests/parts/install.sh brings it", file=sys.stderr)
        return 1
    with tempfile.TemporaryDirectory() as folder:
        DOCUMENT.write_text(document(Path(folder), chromium))
    print(f"{DOCUMENT.name}: written")
    return 0


if __name__ == "__main__":
    sys.exit(main())
