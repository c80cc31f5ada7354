"""Ranges of users that have about as many rows each, so that work on them takes bounded memory."""

from collections.abc import Iterable, Iterator


def range_starts(fences: Iterable[tuple[str, int]], rows: int) -> Iterator[str]:
    """Where each range but the first begins.

    Args:
        fences: First user (`rows.user_key`) and rows of each block (`Run.fences`), of all runs, in any order.
        rows: About how many rows a range has; a block of each run more, at most.
    """
    start, filled = "", 0
    for first, count in sorted(fences):
        if filled >= rows and first > start:
            yield first
            start, filled = first, 0
        filled += count
