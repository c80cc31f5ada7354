"""What is told of segments: those that nobody can buy, and those that no event used.

All of it is from the records in the spool (`segment_keeper`): beside a running bridge, or without one.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from bridge.clock import DAY, SECOND
from bridge.config import Config, Stream
from bridge.errors import BridgeError
from bridge.segments import stored
from bridge.segments.reading import read_taxonomy
from bridge.segments.seen import Seen
from bridge.segments.stored import UnknownSegment
from bridge.segments.unused import Unused, unused
from bridge.taxonomy import Taxonomy

TOP = 20
"""Unknown segments of a stream that `status` and the page tell."""


@dataclass(frozen=True, kw_only=True, slots=True)
class StreamSegments:
    """The unknown segments of a stream that names a taxonomy."""

    stream: str
    """Its name."""
    taxonomy: str
    """The taxonomy's file or id."""
    since: int | None
    """The day on which watching began; None: it has not."""
    until: int | None
    """The last day on which a bridge watched; None: none has."""
    unknown: tuple[UnknownSegment, ...]
    """The most frequent first."""

    def to_json(self) -> dict[str, object]:
        """One of `segments` in the JSON."""
        return {
            "stream": self.stream,
            "taxonomy": self.taxonomy,
            "watched_since": date_or_none(self.since),
            "watched_until": date_or_none(self.until),
            "unknown": [
                {
                    "code": one.code,
                    "memberships": one.memberships,
                    "first_day": date(one.first_day),
                    "last_day": date(one.last_day),
                }
                for one in self.unknown
            ],
        }


@dataclass(frozen=True, kw_only=True, slots=True)
class TaxonomyUse:
    """The codes of a taxonomy that no event used."""

    taxonomy: str
    """Its file or id."""
    streams: tuple[str, ...]
    """The streams that name it, and were asked for."""
    asked: int
    """For how many days, as asked."""
    unused: Unused | None
    """What is known; None: nothing yet."""
    paths: Mapping[str, str]
    """Where a code stands in the tree, as far as its file can be read."""

    def to_json(self) -> dict[str, object]:
        """One of `taxonomies` in the JSON."""
        known = self.unused
        return {
            "taxonomy": self.taxonomy,
            "streams": list(self.streams),
            "days_asked": self.asked,
            "days": None if known is None else known.days,
            "watched_since": None if known is None else date(known.since),
            "watched_until": None if known is None else date(known.until),
            "watched_days": None if known is None else known.watched,
            "segments": None if known is None else known.segments,
            "unused": [
                {
                    "code": one.code,
                    "path": self.paths.get(one.code),
                    "last_day": date_or_none(one.last_day),
                    "watched_since": date(one.known_since),
                }
                for one in (known.codes if known is not None else ())
            ],
        }


def unknown_segments(config: Config, streams: Sequence[Stream], most: int | None) -> Iterator[StreamSegments]:
    """Of each of these streams that names a taxonomy, the `most` frequent (None: all that are kept).

    Raises:
        BridgeError: A record cannot be read.
    """
    for stream in streams:
        if stream.taxonomy is not None:
            found = stored.load_unknown(stored.path_of(config.spool.directory, stream.name))
            yield StreamSegments(
                stream=stream.name,
                taxonomy=str(stream.taxonomy),
                since=None if found is None else found.since,
                until=None if found is None else found.until,
                unknown=() if found is None else tuple(found.unknown[:most]),
            )


def top(config: Config) -> tuple[tuple[StreamSegments, ...], tuple[str, ...]]:
    """Of all streams the first `TOP`; and what could not be read."""
    found: list[StreamSegments] = []
    notes: list[str] = []
    for stream in config.streams:
        try:
            found += unknown_segments(config, (stream,), TOP)
        except BridgeError as error:
            notes.append(str(error))
    return tuple(found), tuple(notes)


def unused_codes(config: Config, streams: Sequence[Stream], days: int) -> Iterator[TaxonomyUse]:
    """Of each taxonomy that these streams name the codes that no event of them used for so many days.

    Raises:
        BridgeError: A record cannot be read.
    """
    by_taxonomy: dict[int | Path, list[Stream]] = {}
    for stream in streams:
        if stream.taxonomy is not None:
            by_taxonomy.setdefault(stream.taxonomy, []).append(stream)
    for taxonomy, own in by_taxonomy.items():
        known = list(filter(None, (_seen(config, stream) for stream in own)))
        complete = len(known) == len(own)
        hashed = own[0].hash_segments
        held = read_taxonomy(taxonomy, hashed=hashed) if isinstance(taxonomy, Path) and complete else None
        yield TaxonomyUse(
            taxonomy=str(taxonomy),
            streams=tuple(stream.name for stream in own),
            asked=days,
            unused=unused(known, days) if complete else None,
            paths={} if held is None else _paths(held),
        )


def date(day: int) -> str:
    """`2026-11-01`."""
    return datetime.fromtimestamp(day * DAY // SECOND, UTC).strftime("%Y-%m-%d")


def date_or_none(day: int | None) -> str | None:
    """The same, where there may be none."""
    return None if day is None else date(day)


def _seen(config: Config, stream: Stream) -> Seen | None:
    """The record of a stream; None: its taxonomy was not read yet. Another one's codes tell nothing of it."""
    seen = stored.load(stored.path_of(config.spool.directory, stream.name))
    if seen is None or not seen.of(str(stream.taxonomy), hashed=stream.hash_segments):
        return None
    return seen if len(seen.codes) else None


def _paths(taxonomy: Taxonomy) -> dict[str, str]:
    return {node.code: " > ".join(path) for path, node in taxonomy.walk() if node.code is not None}
