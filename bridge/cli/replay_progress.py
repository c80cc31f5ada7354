"""How far a replay is, of topics, files or dead letters: a bar on a terminal, a line in the log elsewhere."""

import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import structlog
from rich.console import Console
from rich.live import Live
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.text import Text

from bridge.clock import Clock
from bridge.config import LoggingSettings
from bridge.deliver.records import FileRecord
from bridge.observe.log import configure
from bridge.replay.reading import Tally
from bridge.service.replays.delivery import Delivery
from bridge.service.replays.rehearsal import Share
from bridge.units import format_size, plural

log = structlog.get_logger()

EVERY = 10.0
"""Seconds between two lines in the log."""

_REFRESH = 0.25


@dataclass(kw_only=True, slots=True)
class Shown:
    """What the delivery's line is made of."""

    delivery: Delivery | None = None
    """The last look; None: there was none yet."""


def log_beside(settings: LoggingSettings, clock: Clock) -> None:
    """Set up the log; on a terminal the bar tells what lines at level info would."""
    quiet = sys.stderr.isatty() and settings.level == "info"
    configure(form=settings.format, level="warning" if quiet else settings.level, clock=clock)


@contextmanager
def reading(tally: Tally, replay: str | None, *, shown: bool) -> Iterator[None]:
    """Tells how much is read as long as the block runs; `replay` is its id, None where there is none yet."""
    began = time.monotonic()
    if not shown:
        with _every(EVERY, lambda: _log_reading(tally, replay, time.monotonic() - began)):
            yield
        return
    bar = Progress(
        TextColumn("reading"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[rate]:>12,.0f} events/s, left:"),
        TimeRemainingColumn(),
        console=Console(stderr=True),
    )
    task = bar.add_task("reading", total=None, rate=0.0)

    def update() -> None:
        total = None if tally.left is None else tally.events + tally.left
        rate = tally.events / max(_REFRESH, time.monotonic() - began)
        bar.update(task, completed=tally.events, total=total, rate=rate)

    with bar, _every(_REFRESH, update):
        yield
        update()


def deliver(
    work: Callable[[threading.Event, Callable[[Delivery], None]], bool], replay: str, stop: threading.Event
) -> bool:
    """Do the work, a replay's delivery, and print each file as it arrives; False: stopped before the end.

    `replay`: its id.
    """
    told = 0

    def tell(delivery: Delivery) -> None:
        nonlocal told
        shown.delivery = delivery
        for file in delivery.uploaded[told:]:
            print(_line(file), flush=True)
        told = len(delivery.uploaded)

    with delivering(replay, shown=sys.stderr.isatty()) as shown:
        done = work(stop, tell)
    sent = total(shown.delivery.uploaded if shown.delivery is not None else ())
    if done:
        print(f"delivered: {sent}")
    else:
        print(f"stopped; delivered so far: {sent}. A running bridge goes on, or the same command")
    return done


def tell_translated(tally: Tally, *, dry: bool) -> None:
    """What became of memberships of a partner's user ids, where there were any."""
    translated = tally.translated
    if translated is None or not (translated.matched or translated.unmatched):
        return
    parked = "would be parked" if dry else "parked until a browser of theirs is known"
    print(
        f"translated: {translated.matched:,} memberships of known users; {translated.unmatched:,} of unknown "
        f"users {parked}"
    )


def total(parts: Sequence[FileRecord | Share]) -> str:
    """What several files, or shares of a forecast, are together."""
    memberships, size = sum(one.memberships for one in parts), sum(one.bytes for one in parts)
    files = sum(one.files if isinstance(one, Share) else 1 for one in parts)
    return f"{memberships:,} memberships in {plural(files, 'file')}, {format_size(size)}"


def _line(file: FileRecord) -> str:
    content = f"{file.memberships:,} memberships, {format_size(file.bytes)}"
    return f"uploaded: {file.name}  {file.audience.label}  {content}"


@contextmanager
def delivering(replay: str, *, shown: bool) -> Iterator[Shown]:
    """Tells what waits as long as the block runs."""
    state = Shown()
    if not shown:
        with _every(EVERY, lambda: _log_delivery(replay, state)):
            yield state
        return
    with Live(
        console=Console(stderr=True), get_renderable=lambda: _delivery_line(state), refresh_per_second=4
    ):
        yield state


def _log_reading(tally: Tally, replay: str | None, seconds: float) -> None:
    rate = tally.events / max(_REFRESH, seconds)
    log.info(
        "replay_reading",
        replay=replay,
        events=tally.events,
        memberships=tally.memberships,
        events_left=tally.left,
        events_per_second=round(rate),
        seconds_left=None if tally.left is None or not rate else round(tally.left / rate),
    )


def _log_delivery(replay: str, state: Shown) -> None:
    delivery = state.delivery
    if delivery is not None:
        log.info(
            "replay_delivering",
            replay=replay,
            audiences_left=len(delivery.waiting),
            memberships_left=_waiting(delivery),
            files=len(delivery.uploaded),
        )


def _delivery_line(state: Shown) -> Text:
    if state.delivery is None:
        return Text("delivering")
    left = len(state.delivery.waiting)
    return Text(
        f"delivering: {len(state.delivery.uploaded):,} files sent; at most {_waiting(state.delivery):,} "
        f"memberships of {plural(left, 'audience')} wait for their turn"
    )


def _waiting(delivery: Delivery) -> int:
    return sum(pending.memberships for pending in delivery.waiting.values())


@contextmanager
def _every(seconds: float, work: Callable[[], None]) -> Iterator[None]:
    """Does the work again and again in a thread of its own, as long as the block runs."""
    ended = threading.Event()

    def repeat() -> None:
        while not ended.wait(seconds):
            work()

    thread = threading.Thread(target=repeat, name="progress", daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()
