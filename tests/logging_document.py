"""docs/logging.md: the list of actions, and one file's way, told by a real deliverer on a hand-moved clock.

`make docs-logging` writes it; a test keeps it true. Bytes, hashes and seconds of the examples may differ
between machines, and are not compared.
"""

import argparse
import io
import random
import re
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, redirect_stdout
from dataclasses import replace
from pathlib import Path
from unittest.mock import patch

import structlog

from bridge import cli
from bridge.actions import ROOMS, Action
from bridge.actions.fields import IDS, OTHERS
from bridge.clock import SECOND, Clock
from bridge.observe.log import configure
from tests.parts.audiences import DISPLAY
from tests.parts.delivering import Fault, Site, Write

DOCUMENT = Path(__file__).parents[1] / "docs" / "logging.md"

TEXT = Path(__file__).with_suffix(".md")
"""What stands around the lists and the examples."""

CONFIGURATION = """\
kafka: {{bootstrap_servers: "kafka:9092"}}
spool: {{directory: {directory}}}
accounts:
  - name: a
    agency: Agency
    partner: Partner
    sftp: {{host: sftp.example.com, username: agency, password_file: password, host_key: ssh-ed25519 AAAA}}
streams:
  - {{name: acme, topics: [t], format: json, segment_namespace: ep, account: a, client: Acme}}
"""


def document() -> str:
    """The whole text."""
    name, lines, shown = _delivery()
    return TEXT.read_text().format(
        ids=_fields(IDS),
        others=_fields(OTHERS),
        actions="\n".join(_room(room, actions) for room, actions in ROOMS.items()),
        name=name,
        lines=lines,
        shown=shown,
    )


def compared(text: str) -> str:
    """What must be the same everywhere."""
    text = re.sub(r'("(?:bytes|seconds)": )[\d.]+', r"\1…", text)
    text = re.sub(r"\b[0-9a-f]{64}\b", "…", text)
    return re.sub(r"(size +).*", r"\1…", text)


def _fields(fields: Mapping[str, str]) -> str:
    rows = [f"| `{name}` | {meaning} |" for name, meaning in fields.items()]
    return "\n".join(["| field | what it is |", "|---|---|", *rows])


def _room(room: str, actions: tuple[Action, ...]) -> str:
    head = [f"### {room}", "| action | level | what it means | fields |", "|---|---|---|---|"]
    return "\n".join([*head, *map(_row, actions), ""])


def _row(action: Action) -> str:
    fields = ", ".join(f"`{field}`" for field in action.fields)
    return f"| `{action.name}` | {action.level} | {action.meaning} | {fields} |"


def _delivery() -> tuple[str, str, str]:
    """A file's name, its lines in the log, and what `status --file` shows before its third attempt."""
    acme = replace(DISPLAY, client="Acme")
    random.seed(1)  # the pauses after failures have jitter
    with tempfile.TemporaryDirectory() as folder, _logged() as (log, listen):
        site = Site(Path(folder))
        listen(site.clock)
        site.give(Write(1, 7, audience=acme), Write(2, 7, audience=acme), placed=True)
        site.clock.move(30 * SECOND)
        site.give(Write(3, 7, audience=acme), placed=True)
        faults = [Fault.UNREACHABLE, Fault.CUT]
        site.remote.fault = lambda _: faults.pop(0) if faults else None
        site.until(lambda: not faults)
        (name,) = site.ledger.names()
        shown = _shown(site, Path(folder), name)
        listen(site.clock)  # the command has set up its own log
        site.arrives()
    return name, "\n".join(line for line in log.getvalue().splitlines() if name in line), shown


@contextmanager
def _logged() -> Iterator[tuple[io.StringIO, Callable[[Clock], None]]]:
    """Where the log goes, and what makes it go there."""
    log = io.StringIO()
    try:
        yield log, lambda clock: configure(form="json", level="info", clock=clock, stream=log)
    finally:
        structlog.reset_defaults()


def _shown(site: Site, folder: Path, name: str) -> str:
    path, out = folder / "bridge.yaml", io.StringIO()
    path.write_text(CONFIGURATION.format(directory=site.spool.directory))
    with redirect_stdout(out), patch("bridge.cli.status.SystemClock", lambda: site.clock):
        cli.main(["status", "--config", str(path), "--file", name])
    return out.getvalue().rstrip()


if __name__ == "__main__":
    argparse.ArgumentParser(description="Writes docs/logging.md.").parse_args()
    DOCUMENT.write_text(document())
    print(f"{DOCUMENT.relative_to(Path.cwd())}: written")
