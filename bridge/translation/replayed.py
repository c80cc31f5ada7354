"""A replay is translated once, when all of it is read and before any of it is delivered.

1. Rows of known users are sealed into the replay itself. Those of users who are not known yet are parked: in
   a live run, so that the live translation finds them once a browser of theirs is known.
2. With the last of them the replay says so (`progress`), durably.
3. The unresolved audiences leave its runs.

Killed in between, it is done again, or gone on with behind 2. Rows that are said twice lose nothing.
"""

from collections.abc import Callable

import polars as pl

from bridge.audience.audience import Audience
from bridge.audience.merge import latest
from bridge.audience.rows import schema
from bridge.spool.run import Run
from bridge.spool.store import RunStore
from bridge.sync.table.snapshot import Snapshot
from bridge.translation.joining import Joined, join
from bridge.translation.progress import Progress
from bridge.translation.shelf import unresolved
from bridge.translation.translator import Collected
from bridge.translation.turn import Piece, Tally


def translate(
    store: RunStore,
    snapshot: Snapshot,
    *,
    parking: RunStore | None,
    until: int | None,
    now: Callable[[], int],
    watch: Callable[[], None],
) -> Tally:
    """Translate all that waits of it; what this call came to, of what is to be sent: matched and unmatched.

    Args:
        store: The replay's runs; all of it is read.
        snapshot: The identity table.
        parking: The live runs; None: the replay is only looked at, and nothing is parked.
        until: Rows of events from this instant on (epoch ms) decide about the others, and are never sent:
            they are not parked. None: there are none such.
        now: The clock, epoch ms.
        watch: Called again and again; what it raises ends this, and the same call goes on.

    Raises:
        RunDamaged: A run is not what was written.
        TableDamaged: The table is not; it is made anew by itself.
        SpoolFull: There is no room.
        SpoolFailed: The disk failed.
    """
    runs = store.runs()
    done, newest = Progress.of(runs), _newest_unresolved(runs)
    translated, parked, tally = Collected(), Collected(), Tally()
    for source in unresolved(runs):
        for joined in join(source, runs, done.run, snapshot):
            watch()
            resolved, waits = _divided(source, joined, until)
            tally += resolved.tally + waits.tally
            translated.add(resolved)
            if translated.full:
                translated.seal(store, now())
            if parking is not None:
                parked.add(waits)
                if parked.full:
                    parked.seal(parking, now())
    if parking is not None and parked.rows:
        parked.seal(parking, now())
    if newest > done.run:  # what is parked is durable before that is said
        progress = Progress(run=newest, known_at=snapshot.known_at)
        translated.seal(store, now(), progress.positions())
    _drop_unresolved(store, watch)
    return tally


def _divided(source: Audience, joined: Joined, until: int | None) -> tuple[Piece, Piece]:
    """The rows of known users, those that only decide too; and those that are to be parked."""
    unknown = joined.unknown
    matched = _sent(joined.waiting, until).height - _sent(unknown, until).height
    waits = unknown if until is None else _sent(latest(source, unknown), until)
    return (
        Piece(
            audience=source.resolved,
            rows=joined.found.rows,
            oldest_read_at=joined.oldest_read_at,
            tally=Tally(matched=matched),
        ),
        Piece(
            audience=source,
            rows=waits.select(*schema(source)),
            oldest_read_at=joined.oldest_read_at,
            tally=Tally(unmatched=waits.height),
        ),
    )


def _sent(rows: pl.DataFrame, until: int | None) -> pl.DataFrame:
    """Without those that only decide."""
    return rows if until is None else rows.filter(pl.col("event_time") < until)


def _newest_unresolved(runs: tuple[Run, ...]) -> int:
    return max((run.number for run in runs if unresolved([run])), default=0)


def _drop_unresolved(store: RunStore, watch: Callable[[], None]) -> None:
    """The unresolved audiences leave the runs: what is sealed meanwhile may have merged some of them."""
    for run in store.runs():
        if gone := frozenset(unresolved([run])):
            watch()
            store.rewrite(run, gone, watch)
