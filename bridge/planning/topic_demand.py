"""What comes of each audience, told from the topics (`plan --from-topics`), read without a group.

How much comes is told from Kafka's own timestamps (`flow`). Of what it is, from the newest events of each
stream: decoded and judged as in earnest, merged, and compressed as a file is. One stream after the other, and
of each only so many events and bytes, so that time and memory are bounded.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from math import ceil

import polars as pl
from confluent_kafka import TIMESTAMP_NOT_AVAILABLE, Message

from bridge.audience.audience import Audience
from bridge.audience.lines import render
from bridge.audience.merge import latest
from bridge.audience.rows import schema
from bridge.clock import SECOND
from bridge.config import Config, Stream
from bridge.deliver.capped_gzip import CappedGzip
from bridge.errors import BridgeError
from bridge.ingest.topics import Topics
from bridge.planning.demand import Demand, Demands, different, scaled, together
from bridge.service.accepted import Accepted, accept
from bridge.service.flow import Flow
from bridge.service.newest import Newest, Reader
from bridge.service.nowhere import Nowhere
from bridge.service.outside import Outside
from bridge.units import format_duration, iso

EVENTS = 50_000
"""Of each stream so many are looked at, the newest."""

MOST_BYTES = 64_000_000
"""Their values and keys are no more bytes than that."""

LEAST_OF_EACH = 20
"""Offsets of each partition that are looked at, at least."""


@dataclass(frozen=True, kw_only=True, slots=True)
class _Found:
    """What a stream's topics tell."""

    demands: tuple[Demand, ...]
    flow: Flow
    notes: tuple[str, ...]


def from_topics(config: Config, outside: Outside, events_per_second: float | None = None) -> Demands:
    """What comes of each audience.

    Args:
        config: The configuration.
        outside: What is outside.
        events_per_second: As if so many events came, spread as those that do come; None: as many as come.

    Raises:
        BridgeError: Kafka or the registry failed, or nothing is known: no topic has an event that is good,
            or nothing came within a day and no rate is given.
    """
    with Reader(config.kafka, Topics(config.streams), outside.topic_ids, outside.clock) as reader:
        found = [_of_stream(config, outside, reader, stream) for stream in config.streams]
    notes = tuple(note for one in found for note in one.notes)
    if not any(one.demands for one in found):
        raise BridgeError(f"nothing can be told from the topics: {'; '.join(notes)}")
    weights = [one.flow.per_second for one in found]
    if not any(weights):
        if events_per_second is None:
            raise BridgeError(f"{'; '.join(notes)}: say how many come with --events-per-second, too")
        weights = [float(one.flow.kept) for one in found]  # what is kept tells how the streams compare
    streams = zip(found, weights, strict=True)
    each = together(demand.times(weight) for one, weight in streams for demand in one.demands)
    demands = Demands(each=each, basis=notes)
    return demands if events_per_second is None else scaled(demands, events_per_second, sum(weights))


def _of_stream(config: Config, outside: Outside, reader: Reader, stream: Stream) -> _Found:
    """The stream's demands for one message a second, and how many come."""
    flow = reader.flow(stream)
    partitions = max(1, flow.partitions)
    of_each = max(LEAST_OF_EACH, ceil(2 * EVENTS / partitions))
    newest = reader.newest(stream, EVENTS, most_bytes=MOST_BYTES, of_each=of_each)
    if not newest.messages:
        return _Found(
            demands=(), flow=flow, notes=(f"stream {stream.name}: its topics hold no event: not planned",)
        )
    accepted = accept(config, stream, newest, outside)
    level = config.roll.compression_level
    demands = tuple(
        measured(*as_known(audience, rows), str(stream.placeholder_segment), level).times(
            1 / len(newest.messages)
        )
        for audience, rows in accepted.rows.items()
    )
    return _Found(demands=demands, flow=flow, notes=tuple(_notes(stream, flow, newest, accepted)))


def as_known(audience: Audience, rows: pl.DataFrame) -> tuple[Audience, pl.DataFrame]:
    """The rows of an unresolved audience as if each user was known, in one browser each."""
    if not audience.unresolved:
        return audience, rows
    user, target = pl.col("user"), audience.resolved
    return target, rows.with_columns(hi=user.hash(1), lo=user.hash(2)).select(*schema(target))


def measured(audience: Audience, rows: pl.DataFrame, placeholder: str, level: int) -> Demand:
    """An audience's demand, as if these rows of its events, unmerged, came within a second.

    What a file takes for users is told from the compressed ids alone, for memberships from the rest.
    """
    merged = latest(audience, rows)
    text = render(audience, merged, placeholder).text
    ids = list(dict.fromkeys(line.split(b" ", 1)[0] for line in text.splitlines()))
    of_ids = _compressed(b"\n".join(ids), level)
    of_rest = max(0, _compressed(text, level) - of_ids)
    events = rows.select(pl.struct("source", "partition", "offset").n_unique()).item()
    return Demand(
        audience=audience,
        events=events,
        memberships=len(rows),
        bytes_per_membership=of_rest / len(merged),
        different=different(len(rows), len(merged)),
        bytes_per_user=of_ids / len(ids),
        users=different(events, len(ids)),
    )


def _compressed(text: bytes, level: int) -> int:
    member = CappedGzip(Nowhere(), limit=2**62, level=level)
    member.write(text)
    member.close()
    return member.bytes


def _notes(stream: Stream, flow: Flow, newest: Newest, accepted: Accepted) -> Iterator[str]:
    """What a stream was told from."""
    name, messages = f"stream {stream.name}", newest.messages
    if flow.since is not None:
        rate = f"{flow.per_second:,.3g}" if flow.per_second < 1 else f"{flow.per_second:,.1f}"
        yield f"{name}: {rate} events a second over the last {format_duration(flow.since)}"
    elif all(message.timestamp()[0] == TIMESTAMP_NOT_AVAILABLE for message in messages):
        yield f"{name}: its messages have no timestamps, so how many come is not known: counted as none"
    else:
        yield f"{name}: nothing came within a day; the newest is of {iso(_time(messages[-1]))}"
    if stream.identify is not None:
        yield f"{name}: every user of {stream.identify.from_} counts as known, each in one browser"
    rows = sum(len(one) for one in accepted.rows.values())
    yield f"{name}: its newest {len(messages):,} events, of {_span(messages)}, hold {rows:,} memberships"
    if accepted.refused:
        reasons = ", ".join(f"{count:,} {reason}" for reason, count in accepted.refused.most_common())
        yield f"{name}: refused of them: {reasons}"


def _time(message: Message) -> int:
    return message.timestamp()[1]


def _span(messages: list[Message]) -> str:
    span = max(0, _time(messages[-1]) - _time(messages[0]))
    return format_duration(span - span % SECOND if span > SECOND else span)
