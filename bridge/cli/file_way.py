"""What `s2s-bridge status --file` shows to people."""

from collections.abc import Iterator

from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from bridge.cli import tables
from bridge.clock import SECOND
from bridge.deliver.records import FileRecord, Try
from bridge.service.telling.file_way import FileWay, RunState, RunWay, spans
from bridge.units import format_size, iso

STATES = {
    RunState.LIVE: "as it was",
    RunState.MERGED: "now in {now}: its offsets are those of all of these",
    RunState.RETIRED: "retired: its offsets are not known any more",
}
"""What became of a run, for people."""


def page(way: FileWay) -> Iterator[RenderableType]:
    """The file, what it is made of, how it was tried, and what is to be done."""
    yield _facts(way)
    yield Text()
    yield from _made_of(way)
    yield Text()
    yield _attempts(way.tried.tries) if way.tried.tries else Text("no attempt yet")
    if way.to_do:
        yield Text()
        yield Text(f"To do: {way.to_do}")


def _facts(way: FileWay) -> Table:
    file = way.file
    table = Table(box=None, pad_edge=False, show_header=False)
    facts = {
        "file": file.name,
        "state": _state(way),
        "account": file.audience.account,
        "audience": file.audience.label,
        "replay": file.replay,
        "holds": "removals alone, ahead of the rest" if file.progress.removals_only else "",
        "reserved": _time(file.reserved_at),
        "built": _time(file.created_at),
        "uploaded": _time(file.uploaded_at) or "not yet",
        "processed": _time(file.processed_at),
        "size": f"{format_size(file.bytes)} ({file.bytes:,} bytes)",
        "lines": f"{file.lines:,}" + taken(file, "; the platform"),
        "memberships": f"{file.memberships:,}",
        "sha256": file.sha256,
        "header": ", ".join(f"{name}: {text}" for name, text in way.header.items()),
    }
    for name, text in facts.items():
        if text:
            table.add_row(Text(name, style="dim"), text)
    return table


def _state(way: FileWay) -> str:
    late = ", overdue: the platform has not said what became of it" if way.overdue else ""
    detail = f": {way.file.detail}" if way.file.detail else ""
    return f"{way.file.state}{late}{detail}"


def taken(file: FileRecord, before: str = "") -> str:
    """What the platform's log counts of a file's lines, in words behind `before`; empty: nothing."""
    counts = ((file.lines_accepted, "took"), (file.lines_refused, "refused"))
    words = [f"{what} {count:,}" for count, what in counts if count is not None]
    return f"{before} {', '.join(words)}" if words else ""


def _made_of(way: FileWay) -> Iterator[RenderableType]:
    upto = way.file.progress.run
    if way.runs is None:
        yield Text(f"Runs: all that waited up to run {upto}; an older version built it, and noted no more")
        return
    table = tables.table("Runs", "run", "sealed", "what became of it")
    for run in way.runs:
        table.add_row(_numbers(run.made_of.low, run.made_of.number), _sealed(run), _became(run))
    yield table
    places = spans(way.runs)
    if places:
        yield Text()
        yield _offsets(places)


def _numbers(low: int, number: int) -> str:
    return str(number) if low == number else f"{low} to {number}, merged"


def _sealed(run: RunWay) -> str:
    first, last = _time(run.oldest_sealed_at), _time(run.sealed_at)
    return first if first == last else f"{first} to {last}"


def _became(run: RunWay) -> str:
    now = "" if run.now is None else f"run {_numbers(run.now.low, run.now.number)}"
    return STATES[run.state].format(now=now)


def _offsets(places: dict[tuple[str, int], tuple[int | None, int]]) -> Table:
    table = tables.table("Offsets taken", "topic", "partition", "from", "to")
    for (topic, partition), (first, behind) in places.items():
        table.add_row(topic, str(partition), "not known" if first is None else str(first), str(behind - 1))
    return table


def _attempts(tries: tuple[Try, ...]) -> Table:
    table = tables.table("Attempts", "", "began", "ended", "outcome", "reason", "detail")
    for number, attempt in enumerate(tries, start=1):
        table.add_row(
            str(number),
            _time(attempt.started_at),
            _time(attempt.ended_at) or "open",
            "" if attempt.outcome is None else str(attempt.outcome),
            attempt.reason,
            _detail(attempt),
        )
    return table


def _detail(attempt: Try) -> str:
    clock = (
        f"the server's clock differs by {attempt.skew / SECOND:+g} s" if abs(attempt.skew) >= SECOND else ""
    )
    return "; ".join(filter(None, [attempt.detail, clock]))


def _time(instant: int | None) -> str:
    return "" if instant is None else iso(instant)
