"""What the bridge makes of some messages, as it would in earnest: decoded, judged, apart by audience."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

import polars as pl

from bridge.audience.audience import Audience
from bridge.audience.roster import Roster
from bridge.audience.rows import source_rank
from bridge.config import Config, Stream
from bridge.ingest.decode import decoder_for
from bridge.ingest.intake import Intake, pieces
from bridge.ingest.registry import Registry
from bridge.ingest.window import Window
from bridge.service.newest import Newest
from bridge.service.outside import Outside
from bridge.service.taxonomies import judged_beside


@dataclass(frozen=True, kw_only=True, slots=True)
class Accepted:
    """What became of the messages."""

    rows: Mapping[Audience, pl.DataFrame]
    """Memberships of each audience that has any: columns of `rows.schema`, not merged."""
    refused: Counter[str]
    """How many were refused, by reason."""


def accept(config: Config, stream: Stream, newest: Newest, outside: Outside) -> Accepted:
    """Decode and judge each message (at least one) of a stream.

    Raises:
        BridgeError: A schema or the stream's taxonomy is not to be had.
    """
    registry = Registry(config.schema_registry, outside.clock) if config.schema_registry else None
    roster = Roster()
    watch = judged_beside(config).get(stream.name)
    intake, window = Intake(stream, decoder_for(stream, registry), roster, watch), Window(roster)
    refused: Counter[str] = Counter()
    for piece in pieces(newest.messages, outside.clock.now()):
        read = intake.read(piece, source_rank(newest.cluster_id, newest.topic_ids[piece.topic]))
        refused.update(str(letter.reason) for letter in read.refused)
        for frame in read.frames:
            window.add(frame, read_at=piece.read_at)
    if registry is not None:
        registry.close()
    return Accepted(rows=window.drain().shards(), refused=refused)
