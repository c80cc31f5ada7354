"""Carries a turn out: its rows are sealed into the spool, and with the last of them how far it came."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import closing

import polars as pl

from bridge.ahead import ahead
from bridge.audience.audience import Audience
from bridge.spool.footer import Position
from bridge.spool.store import RunStore
from bridge.translation.turn import Piece, Tally, Turn

SEALED_ROWS = 1_000_000
"""About how many rows are in memory before they are sealed: 60 MB, and as much again while that lasts."""


class Collected:
    """Rows that are not sealed yet."""

    def __init__(self) -> None:
        self._frames: dict[Audience, list[pl.DataFrame]] = {}
        self._oldest_read_at: dict[Audience, int] = {}
        self.rows = 0
        """How many."""

    @property
    def full(self) -> bool:
        """They are to be sealed before more is read."""
        return self.rows >= SEALED_ROWS

    def add(self, piece: Piece) -> None:
        """Take them."""
        if piece.rows.is_empty():
            return
        audience, oldest = piece.audience, piece.oldest_read_at
        self._frames.setdefault(audience, []).append(piece.rows)
        self._oldest_read_at[audience] = min(oldest, self._oldest_read_at.get(audience, oldest))
        self.rows += len(piece.rows)

    def seal(self, store: RunStore, now: int, positions: Sequence[Position] = ()) -> None:
        """They are a run, and here there is nothing any more.

        Raises:
            SpoolFull, SpoolFailed: As `RunStore.seal`.
        """
        store.seal(
            shards={audience: pl.concat(frames) for audience, frames in self._frames.items()},
            oldest_read_at=self._oldest_read_at,
            positions=positions,
            now=now,
        )
        self._frames, self._oldest_read_at, self.rows = {}, {}, 0


def carry_out(
    turn: Turn, store: RunStore, now: Callable[[], int], watch: Callable[[], None]
) -> Mapping[Audience, Tally]:
    """Translate all that the turn holds; what it came to, by resolved audience.

    Where it ends early, what was sealed stays, and the next turn says it again.

    Args:
        turn: What there is to do.
        store: The live runs.
        now: The clock, epoch ms.
        watch: Called again and again; what it raises ends the turn.

    Raises:
        RunDamaged: A run is not what was written.
        TableDamaged: The table is not; it is made anew by itself.
        SpoolFull: There is no room.
        SpoolFailed: The disk failed.
    """
    collected, tallies = Collected(), dict[Audience, Tally]()
    with closing(ahead(turn.pieces())) as pieces:
        for piece in pieces:
            watch()
            tallies[piece.audience] = tallies.get(piece.audience, Tally()) + piece.tally
            collected.add(piece)
            if collected.full:
                collected.seal(store, now())
    collected.seal(store, now(), turn.progress.positions())
    return tallies
