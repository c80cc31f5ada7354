"""Two audiences of different kinds, and rows for them."""

import polars as pl

from bridge.audience.audience import Audience
from bridge.audience.rows import schema

DISPLAY = Audience(
    account="a",
    client="",
    user_namespace="mm",
    user_table_id="",
    segment_namespace="ep",
    mobile=False,
    hashed=False,
)
HASHED = Audience(
    account="a",
    client="",
    user_namespace="xx",
    user_table_id="7",
    segment_namespace="ep",
    mobile=False,
    hashed=True,
)


def frame(audience, rows):
    """Rows (user, segment, timestamp, event time, source, partition, offset) as columns of the audience."""
    columns = {
        "segment": [(f"s{row[1]}" if row[1] else "") if audience.hashed else row[1] for row in rows],
        "timestamp": [-1 if row[1] == 0 else row[2] for row in rows],
        "event_time": [row[3] for row in rows],
        "source": [row[4] for row in rows],
        "partition": [row[5] for row in rows],
        "offset": [row[6] for row in rows],
    }
    users = (
        {"hi": [row[0] // 2 for row in rows], "lo": [row[0] for row in rows]}
        if audience.uuids
        else {"user": [f"u{row[0]}" for row in rows]}
    )
    return pl.DataFrame(users | columns, schema=schema(audience))
