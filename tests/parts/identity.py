"""The identity table in tests: what is told to it, and a dict that says what it must answer."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import polars as pl

from bridge.sync.table.contents import TopicIdentity
from bridge.sync.table.merging import Sizes
from bridge.sync.table.rows import WINDOW
from bridge.sync.table.table import Table
from tests.parts.clocks import HandClock

TOPIC = TopicIdentity(cluster_id="cluster", topic_id="topic")
SMALL = Sizes(slab_rows=8, range_rows=6, block_rows=3)
"""So that a few rows are several slabs, ranges and blocks."""


class Told(NamedTuple):
    """A message of the topic. `browser`: the MM UUID as a number; 0: an opt-out."""

    id: str
    browser: int
    at: int
    forgotten: bool = False
    namespace: str = "acme"


def window(told: list[Told]) -> pl.DataFrame:
    """The messages as the follower hands them over."""
    rows = [(one.namespace, one.id, 0, one.browser, one.forgotten, one.at, "") for one in told]
    return pl.DataFrame(rows, schema=WINDOW, orient="row")


def opened(directory: Path, **more) -> Table:
    """The table in that folder, of the topic `TOPIC`."""
    table = Table.open(directory, clock=HandClock(0), sizes=SMALL, **more)
    if table.topic != TOPIC:
        table.restart(TOPIC, 0)
    return table


@dataclass
class Model:
    """All that was told, and what follows from it, by the rules read one by one."""

    told: set[Told] = field(default_factory=set)

    def newest(self, namespace: str, id_: str, browser: int) -> int | None:
        """When the key's newest word was said that no tombstone forgot."""
        own = [one for one in self.told if one[:2] == (id_, browser) and one.namespace == namespace]
        forgotten = max((one.at for one in own if one.forgotten), default=0)
        return max((one.at for one in own if not one.forgotten and one.at > forgotten), default=None)

    def opted_out_at(self, namespace: str, id_: str) -> int:
        """0: never."""
        return self.newest(namespace, id_, 0) or 0

    def live(self, namespace: str) -> dict[tuple[str, int], tuple[int, int]]:
        """(id, browser) to (synced_at, opted_out_at)."""
        found = {}
        for id_, browser in {one[:2] for one in self.told if one.namespace == namespace and one.browser}:
            at, ended = self.newest(namespace, id_, browser), self.opted_out_at(namespace, id_)
            if at is not None and at > ended:
                found[id_, browser] = (at, ended)
        return found


def joined(table: Table, ids: list[str], namespace: str = "acme") -> dict[tuple[str, int], tuple[int, int]]:
    """(id, browser) to (synced_at, opted_out_at), as the table has it."""
    frame = table.snapshot().reader(namespace, SMALL.range_rows).join(pl.Series(sorted(ids), dtype=pl.String))
    assert frame["id"].is_sorted()
    return {(row["id"], row["lo"]): (row["synced_at"], row["opted_out_at"]) for row in frame.to_dicts()}
