"""The rows of an unresolved audience, joined with the identity table."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import polars as pl

from bridge.audience.audience import Audience
from bridge.spool.run import Run
from bridge.sync.table.snapshot import Snapshot
from bridge.translation.rules import Mapped, bounded, mapped
from bridge.translation.shelf import Shelf


@dataclass(frozen=True, kw_only=True, slots=True)
class Joined:
    """Rows of some users, and what the table makes of them."""

    waiting: pl.DataFrame
    """All of them, as they were collected (`rows.sealed_schema`)."""
    mappings: pl.DataFrame
    """Those of their users, as `Reader.join` gives them."""
    found: Mapped
    """What they became."""
    oldest_read_at: int
    """When the first of all events joined was read, epoch ms."""
    left_out: int
    """Mappings of users with too many, which are not among these."""

    @property
    def unknown(self) -> pl.DataFrame:
        """The rows of users who are not known, as they were collected."""
        known = self.mappings.select("id").unique()
        return self.waiting.join(known, left_on="user", right_on="id", how="anti")


def join(source: Audience, runs: Sequence[Run], above: int, snapshot: Snapshot) -> Iterator[Joined]:
    """All rows of the audience that were sealed in runs above this number, in pieces of bounded size.

    All rows of a user are in one piece.

    Raises:
        RunDamaged: A block of a run is not what was written.
        TableDamaged: One of the table is not.
    """
    own = [run for run in runs if run.number > above and source in run.audiences]
    if not own:
        return
    oldest = min(run.audiences[source].oldest_read_at for run in own)
    reader = snapshot.reader(source.user_namespace)
    for waiting in Shelf(source, own).above(above):
        known = reader.join(waiting["user"].unique().sort())
        mappings = bounded(known)
        yield Joined(
            waiting=waiting,
            mappings=mappings,
            found=mapped(source.resolved, waiting, mappings),
            oldest_read_at=oldest,
            left_out=len(known) - len(mappings),
        )
