"""Events as bare Avro bodies of the product's schema."""

import io
from collections.abc import Iterable, Iterator
from pathlib import Path

import fastavro

from bridge import published
from bridge.demo.events import Event

NO_UTF_8 = b"\xff"
"""No character begins so."""


def schema_text(*, hashed: bool = False) -> str:
    """The schema of events, as it is published."""
    return published.schema_text("hashed_segment_membership.avsc" if hashed else "segment_membership.avsc")


def encode(events: Iterable[Event], schema: Path) -> Iterator[bytes]:
    """The body of each event; the user id of one that is to be undecodable is no UTF-8.

    Where bytes are missing, polars may write a panic on stderr, amid the display (see ingest.avro_block).
    """
    parsed = fastavro.schema.load_schema(str(schema))
    for event in events:
        body = io.BytesIO()
        fastavro.schemaless_writer(body, parsed, _record(event))
        text = body.getvalue()
        yield text[:1] + NO_UTF_8 + text[2:] if event.refused == "undecodable" else text


def _record(event: Event) -> dict[str, object]:
    return {
        "user_id": event.user_id,
        "mobile": event.mobile,
        "remove_all": event.remove_all,
        "segments": [{"segment_id": segment, "timestamp": at} for segment, at in event.segments],
        "event_time": event.event_time,
    }
