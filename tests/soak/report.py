"""What a soak tells at its end: how it went by the minute, and what each invariant came to."""

from collections.abc import Iterator, Sequence

from tests.soak.flat import Course
from tests.soak.judge import Finding
from tests.soak.samples import Sample

MB = 1_000_000

COLUMNS = (
    "till s", "events", "files", "process", "RSS MB", "fds", "threads", "runs", "history MB", "making MB",
    "letters MB", "ledger MB",
)  # fmt: skip


def series(samples: Sequence[Sample], step: float) -> Iterator[str]:
    """A row for each so many seconds: what was reached, and of what goes up and down the highest."""
    yield _row(COLUMNS)
    for start in _starts(samples, step):
        part = [sample for sample in samples if start <= sample.at < start + step]
        if part:
            yield _row(_cells(part))


def flatness(courses: Sequence[Course]) -> Iterator[str]:
    """A row for each measure of each long process, and of the spool."""
    for one in courses:
        yield (
            f"{one.what:36} middle third {_figure(one.middle):>8}  last third {_figure(one.last):>8}"
            f"  at most {_figure(one.most):>8}  {'flat' if one.flat else 'GROWS'}"
        )


def verdicts(findings: Sequence[Finding]) -> Iterator[str]:
    """A row for each invariant, and below it what is wrong."""
    for one in findings:
        yield f"{one.invariant:20} {'BROKEN' if one.faults else 'holds':7} {one.said}"
        yield from (f"    {fault}" for fault in one.faults)


def _starts(samples: Sequence[Sample], step: float) -> list[float]:
    last = samples[-1].at if samples else 0.0
    return [number * step for number in range(int(last // step) + 1)]


def _cells(part: Sequence[Sample]) -> list[str]:
    newest = part[-1]
    sizes = [f"{max(getattr(one, name) for one in part) / MB:.2f}" for name in ("history", "making")]
    kept = [f"{getattr(newest, name) / MB:.2f}" for name in ("letters", "ledger")]
    return [
        f"{newest.at:.0f}",
        str(newest.events),
        str(newest.arrived),
        str(newest.life),
        f"{max(one.memory for one in part) / MB:.0f}",
        *(str(max(getattr(one, name) for one in part)) for name in ("descriptors", "threads", "runs")),
        *sizes,
        *kept,
    ]


def _row(cells: Sequence[str]) -> str:
    return "  ".join(f"{cell:>10}" for cell in cells)


def _figure(value: float) -> str:
    return f"{value / MB:.1f} MB" if value >= MB / 10 else f"{value:.0f}"
