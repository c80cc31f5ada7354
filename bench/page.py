"""What the page for people costs a bridge with many audiences and runs.

500 audiences, all of which wait, in 128 runs (above so many, neighbours are merged), and a ledger of 30 days
of 20 files an hour. Told are the first look, when no footer is known, those after it, and a page of what a
look has found. After a look nobody looks for nine times as long. From the root: python -m bench.page
"""

import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from bridge.audience.audience import Audience
from bridge.clock import DAY, SystemClock
from bridge.config import load
from bridge.deliver import statements
from bridge.deliver.file_state import FileState
from bridge.deliver.ledger import Ledger
from bridge.deliver.records import FileRecord, Outcome, Progress
from bridge.observe import log
from bridge.observe.health import Health
from bridge.observe.metrics import Metrics
from bridge.service.opening import LEDGER
from bridge.service.page.front import FrontPage
from bridge.service.page.rendering import rendered
from bridge.service.page.view import view
from bridge.service.telling.forecast import rest_of_day, slots
from bridge.service.telling.status import gather
from bridge.spool.spool import Spool
from tests.page.lively import CONFIGURATION
from tests.parts.audiences import DISPLAY, frame

AUDIENCES = 500
RUNS = 128
FILES = 30 * 24 * 20


def main() -> int:
    clock = SystemClock()
    log.configure(form="json", level="error", clock=clock)
    with tempfile.TemporaryDirectory() as directory:
        (Path(directory) / "bridge.yaml").write_text(CONFIGURATION)
        config = load(Path(directory) / "bridge.yaml", {})
        spool = Spool.open(config.spool.directory, clock=clock)
        whose = [replace(DISPLAY, account="display", client=f"Client{number}") for number in range(AUDIENCES)]
        fill(spool, whose, clock.now())
        deliver(config.spool.directory / LEDGER, spool, whose, clock.now())
        opened = Spool.open(config.spool.directory, clock=clock)
        first, _ = timed(lambda: gather(config, clock, opened))
        later, status = timed(lambda: gather(config, clock, opened))
        ahead, _ = timed(lambda: (slots(status, config), rest_of_day(status, config)))
        page = FrontPage(config, Health(lambda: True), Metrics(Health(lambda: True)), clock)
        page.opened = opened
        page()
        shown, html = timed(lambda: rendered(view(page.seen(), config, clock.now())))
    print(f"{AUDIENCES} audiences that wait, {RUNS} runs, {FILES:,} files of the ledger")
    print(f"first look                    {first:.2f} s")
    print(f"a later look                  {later:.2f} s")
    print(f"the forecast                  {ahead:.2f} s")
    print(f"a page of what was seen       {shown:.3f} s, {len(html) / 1000:.0f} kB")
    return 0


def timed(work: Callable[[], object]) -> tuple[float, object]:
    """Seconds of a processor, and what came out."""
    began = time.process_time()
    found = work()
    return time.process_time() - began, found


def fill(spool: Spool, whose: list[Audience], now: int) -> None:
    shards = {one: frame(one, [(1, 1, 0, now, 0, 0, 1)]) for one in whose}
    for _ in range(RUNS):
        spool.seal(shards=shards, oldest_read_at=dict.fromkeys(whose, now), positions=(), now=now)


def deliver(path: Path, spool: Spool, whose: list[Audience], now: int) -> None:
    """Files of the last 30 days, of which none covers the runs."""
    with Ledger.create(path, spool.id, now) as ledger:
        in_one_step = ledger._database.transaction()  # noqa: SLF001  # there is no other way, and it is quick
        with in_one_step as connection:
            for number in range(FILES):
                at = now - 30 * DAY + 30 * DAY * number // FILES
                file = FileRecord(
                    name=f"{number}.log.gz",
                    audience=whose[number % AUDIENCES],
                    state=FileState.BUILT,
                    path="",
                    bytes=10_000_000,
                    lines=1,
                    memberships=1_500_000,
                    sha256="ab" * 32,
                    created_at=at,
                    uploaded_at=None,
                    detail="",
                    progress=Progress(start="", stop=None, run=0, newest_event_time=at, removals_only=False),
                )
                statements.insert_file(connection, file)
                attempt = statements.insert_attempt(connection, file, at)
                statements.close_attempt(connection, attempt, at, Outcome.UPLOADED, reason="", detail="")
                built = statements.known_file(connection, file.name)
                statements.write_uploaded(connection, built, at, "")


if __name__ == "__main__":
    sys.exit(main())
