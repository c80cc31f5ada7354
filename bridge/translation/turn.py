"""All that is to be translated at one look at the spool and the identity table, piece by piece.

1. Rows that came since the last turn, by all mappings.
2. Rows that were there before, by the mappings that became known since.
3. What those have to be taken out of who have opted out since.

A turn that is begun again, or by a table that was made anew, says things twice: a delivery leaves out what
it knows (design.md, invariant 1).
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import polars as pl

from bridge.audience.audience import Audience
from bridge.audience.rows import schema
from bridge.spool.run import Run
from bridge.sync.table.snapshot import Snapshot
from bridge.translation.joining import join
from bridge.translation.progress import Progress
from bridge.translation.rules import bounded, mapped, taken_back
from bridge.translation.shelf import Shelf, unresolved


@dataclass(frozen=True, kw_only=True, slots=True)
class Tally:
    """Of a turn, or of a piece of it."""

    matched: int = 0
    """Memberships that came since the last turn, whose users are known; read twice, they count twice."""
    unmatched: int = 0
    """The same of users that are not known: they are parked."""
    found: int = 0
    """Memberships from before for browsers that became known since."""
    taken_back: int = 0
    """Browsers taken out of an audience, for an opt-out."""
    left_out: int = 0
    """Browsers that get nothing, as their user has too many (`rules.MOST_BROWSERS`)."""

    def __add__(self, other: "Tally") -> "Tally":
        return Tally(
            matched=self.matched + other.matched,
            unmatched=self.unmatched + other.unmatched,
            found=self.found + other.found,
            taken_back=self.taken_back + other.taken_back,
            left_out=self.left_out + other.left_out,
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class Piece:
    """Some of what a turn comes to."""

    audience: Audience
    """The resolved audience."""
    rows: pl.DataFrame
    """Its rows (`rows.schema`), in any order."""
    oldest_read_at: int
    """When the first of their events was read, epoch ms; of what became known since, now."""
    tally: Tally


@dataclass(frozen=True, kw_only=True, slots=True)
class Turn:
    """What there is to translate, and by what."""

    runs: tuple[Run, ...]
    """All live runs."""
    snapshot: Snapshot
    """The identity table."""
    done: Progress
    """How far it was done before."""
    known: Mapping[str, frozenset[Audience]]
    """The resolved audiences that anything was ever sent to, by the namespace of the ids translated."""
    now: int
    """Epoch ms."""

    @property
    def progress(self) -> Progress:
        """How far it is done after this turn."""
        newest = max((run.number for run in self.runs), default=0)
        return Progress(run=max(newest, self.done.run), known_at=self.snapshot.known_at)

    @property
    def _known_at(self) -> int:
        """What was known then is done; nothing is, by a table that began anew with an earlier clock."""
        return self.done.known_at if self.done.known_at <= self.snapshot.known_at else 0

    def pieces(self) -> Iterator[Piece]:
        """All of it; each is of bounded size.

        Raises:
            RunDamaged: A block of a run is not what was written.
            TableDamaged: One of the table is not.
        """
        sources = unresolved(self.runs)
        for source in sources:
            yield from self._new(source)
            yield from self._found(source)
        for namespace in sorted({source.user_namespace for source in sources} | self.known.keys()):
            own = [source for source in sources if source.user_namespace == namespace]
            yield from self._taken_back(namespace, own)

    def _new(self, source: Audience) -> Iterator[Piece]:
        for joined in join(source, self.runs, self.done.run, self.snapshot):
            yield Piece(
                audience=source.resolved,
                rows=joined.found.rows,
                oldest_read_at=joined.oldest_read_at,
                tally=Tally(
                    matched=joined.found.matched,
                    unmatched=len(joined.waiting) - joined.found.matched,
                    left_out=joined.left_out,
                ),
            )

    def _found(self, source: Audience) -> Iterator[Piece]:
        shelf = Shelf(source, self.runs)
        for changed in self._changed(source.user_namespace):
            mappings = bounded(changed)
            yield _nothing(source.resolved, self.now, left_out=len(changed) - len(mappings))
            for rows in shelf.of_users(mappings["id"].unique(maintain_order=True), self.done.run):
                found = mapped(source.resolved, rows, mappings).rows
                yield Piece(
                    audience=source.resolved,
                    rows=found,
                    oldest_read_at=self.now,
                    tally=Tally(found=len(found)),
                )

    def _changed(self, namespace: str) -> Iterator[pl.DataFrame]:
        if self.done.run:
            yield from self.snapshot.changes(namespace).since(self._known_at)

    def _taken_back(self, namespace: str, sources: Sequence[Audience]) -> Iterator[Piece]:
        changes, others = self.snapshot.changes(namespace), self.snapshot.reader(namespace)
        shelves = {source.resolved: Shelf(source, self.runs) for source in sources}
        targets = self.known.get(namespace, frozenset()) | shelves.keys()
        if not targets:
            return
        for opted_out in changes.opted_out_since(self._known_at):  # of nobody too: to be seen working
            ids = opted_out["id"].unique(maintain_order=True)
            live = others.join(ids)
            for target in sorted(targets):
                translated = shelves[target].of_users(ids, self.done.run) if target in shelves else ()
                rows = taken_back(target, opted_out, live, _newest(translated))
                yield Piece(
                    audience=target,
                    rows=rows,
                    oldest_read_at=self.now,
                    tally=Tally(taken_back=len(rows)),
                )


def _nothing(audience: Audience, now: int, *, left_out: int) -> Piece:
    """What looks for long and finds little is to be seen working."""
    none = schema(audience).to_frame()
    return Piece(audience=audience, rows=none, oldest_read_at=now, tally=Tally(left_out=left_out))


def _newest(rows: Iterable[pl.DataFrame]) -> pl.DataFrame:
    """Of each user the newest event time."""
    empty = pl.DataFrame(schema={"user": pl.String(), "event_time": pl.Int64()})
    each = (some.group_by("user").agg(pl.col("event_time").max()) for some in rows)
    return pl.concat([empty, *each])
