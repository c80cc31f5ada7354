"""What a partner's rows become once their users are known: pure rules, as columns."""

from dataclasses import dataclass

import numpy as np
import polars as pl

from bridge.audience.audience import Audience
from bridge.audience.merge import first_of
from bridge.audience.rows import REMOVE, everything, schema

LAST = 2**64 - 1
"""Rank of an opt-out in the order of writes: of all writes of its instant it is the latest."""


MOST_BROWSERS = 100
"""Of one user; who has more is no person but a fault of a page, or somebody's who brings browsers to an id of
theirs, and would fill memory and files."""


def bounded(mappings: pl.DataFrame) -> pl.DataFrame:
    """The mappings, of each id the newest `MOST_BROWSERS` alone.

    Args:
        mappings: At least id and synced_at, sorted by id.
    """
    ids = mappings["id"]
    if not (ids == ids.shift(MOST_BROWSERS)).any():
        return mappings
    newest = pl.col("synced_at").rank("ordinal", descending=True).over("id")
    return mappings.filter(newest <= MOST_BROWSERS)


@dataclass(frozen=True, kw_only=True, slots=True)
class Mapped:
    """What some rows became."""

    rows: pl.DataFrame
    """A row for each browser of each row's user; the columns of `rows.schema` of the resolved audience."""
    matched: int
    """How many of the rows are of users who are known."""


def mapped(target: Audience, rows: pl.DataFrame, mappings: pl.DataFrame) -> Mapped:
    """The rows, once for each browser of their user; their place in the order of writes stays.

    What happened up to its user's opt-out is left out, as are users without a mapping.

    Args:
        target: The resolved audience.
        rows: Columns of the unresolved audience (`rows.schema`), as runs have them: rows of one user lie
            together, so that a text is looked up once for all of them. More columns do no harm.
        mappings: id, hi, lo and opted_out_at (epoch ms), as `Reader.join` gives them.
    """
    begins = rows.select(first_of(["user"])).to_series()
    group = begins.cum_sum().alias("group")  # from 1 on
    groups = pl.DataFrame({"group": group.filter(begins), "id": rows["user"].filter(begins)})
    known = groups.join(mappings.select("id", "hi", "lo", "opted_out_at"), on="id", how="inner").drop("id")
    sizes = np.bincount(group.to_numpy(), minlength=1)
    found = rows.drop("user").with_columns(group).join(known, on="group", how="inner")
    return Mapped(
        rows=found.filter(pl.col("event_time") > pl.col("opted_out_at")).select(*schema(target)),
        matched=int(sizes[known["group"].unique().to_numpy()].sum()),
    )


def taken_back(
    target: Audience, opted_out: pl.DataFrame, live: pl.DataFrame, newest: pl.DataFrame
) -> pl.DataFrame:
    """A remove_all for each browser of those who have opted out.

    It is a write of the opt-out's instant, and a later one where something newer of the user was translated
    before the opt-out was known: that goes too, unless the browser was synced again since.

    Args:
        target: The resolved audience.
        opted_out: id, hi, lo and opted_out_at (epoch ms), as `Changes.opted_out_since` gives them.
        live: Of the same ids, id, hi and lo of the mappings that are true nevertheless.
        newest: Of those of them that anything was translated of, `user` and the newest `event_time`.

    Returns:
        The columns of `rows.schema` of the target.
    """
    pair = ["id", "hi", "lo"]
    again = live.select(pair).with_columns(synced_again=True)
    known = opted_out.join(newest.select(id="user", translated="event_time"), on="id", how="left").join(
        again, on=pair, how="left"
    )
    until = pl.when(pl.col("synced_again").is_null()).then(pl.max_horizontal("opted_out_at", "translated"))
    browsers = known.select("hi", "lo", event_time=until.otherwise("opted_out_at"))
    columns = schema(target)
    constants = {
        "segment": everything(target),
        "timestamp": REMOVE,
        "source": LAST,
        "partition": 0,
        "offset": 0,
    }
    return (
        browsers.group_by("hi", "lo")
        .agg(pl.col("event_time").max())
        .with_columns(pl.lit(value, dtype=columns[name]).alias(name) for name, value in constants.items())
        .select(*columns)
    )
