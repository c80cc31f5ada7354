"""What a replay is asked for, and what of it is written down so that only the same goes on."""

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Self

import polars as pl

from bridge.audience.rows import historical
from bridge.config import Config, Stream
from bridge.errors import UsageError
from bridge.ingest.partition import Partition
from bridge.units import parse_duration

NOW = "now"
"""How people write the moment of asking; `-30d` is thirty days before it."""

_EPOCH = datetime.fromtimestamp(0, UTC)
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9.-]{0,63}")
_PLACE = re.compile(r"(?P<topic>[A-Za-z0-9._-]+):(?P<number>\d{1,9}):(?P<offset>\d{1,18})")


@dataclass(frozen=True, kw_only=True, slots=True)
class Bounds:
    """Which events are meant, by their event time."""

    since: int | None
    """The first instant, epoch ms; None: there is none."""
    until: int | None
    """The instant after the last one, epoch ms; None: there is none."""

    @classmethod
    def parse(cls, since: str | None, until: str | None, *, now: int) -> Self:
        """Of two times as people write them: `2026-11-01T00:00:00Z`, also with another offset, or a date.

        Or by the moment of asking, `now` (epoch ms): `-30d`, `now`.

        Raises:
            UsageError: One is no time, or they are the wrong way round.
        """
        bounds = cls(since=_instant("--from", since, now), until=_instant("--to", until, now))
        if bounds.since is not None and bounds.until is not None and bounds.since >= bounds.until:
            raise UsageError(f"--from {since} is not before --to {until}: give the earlier time first")
        return bounds

    def revise(self, rows: pl.DataFrame) -> pl.DataFrame:
        """The accepted rows (`rows.schema`) that matter, with historical timestamps.

        What is older than the first instant neither is sent nor decides; what is newer than the last decides.
        """
        kept = rows if self.since is None else rows.filter(pl.col("event_time") >= self.since)
        return kept.with_columns(historical(pl.lit(value=True)))


@dataclass(frozen=True, kw_only=True, slots=True)
class Request:
    """One replay, as it was asked for."""

    name: str
    """What it is called."""
    bounds: Bounds
    """Which events are meant."""
    streams: tuple[str, ...] = ()
    """Names of the streams; empty: all."""
    from_offsets: Mapping[Partition, int]
    """Where to begin in these partitions, and to read no others; empty: by time."""
    force: bool = False
    """Adds beyond the horizon are sent too."""
    relative: bool = False
    """Its times were told by the moment of asking, which is another one at each call."""

    def parameters(self) -> dict[str, object]:
        """What tells it from another replay of the same name, as JSON has it."""
        return {
            "from": self.bounds.since,
            "to": self.bounds.until,
            "streams": sorted(self.streams),
            "from_offsets": [
                f"{at.topic}:{at.number}:{offset}" for at, offset in sorted(self.from_offsets.items())
            ],
            "force": self.force,
        }

    def begun(self, asked: Mapping[str, object]) -> Self:
        """This request as it was when the replay that goes on was begun: with the times of that moment.

        Args:
            asked: What was written down then (`parameters`).
        """
        if not self.relative:
            return self
        since, until = asked["from"], asked["to"]
        bounds = Bounds(since=since, until=until)  # type: ignore[arg-type]  # we wrote them
        return replace(self, bounds=bounds)


def chosen(config: Config, names: tuple[str, ...]) -> tuple[Stream, ...]:
    """The streams of these names, in the order of the configuration; of none: all.

    Raises:
        UsageError: There is no such stream.
    """
    known = [stream.name for stream in config.streams]
    for name in names:
        if name not in known:
            raise UsageError(
                f"--stream {name}: there is no such stream; the configuration has {', '.join(known)}"
            )
    return tuple(stream for stream in config.streams if not names or stream.name in names)


def complete(config: Config, streams: tuple[Stream, ...]) -> bool:
    """Whether no other stream feeds an audience of these: then their topics tell all that is newer.

    Those of streams with `identify` do not: opt-outs are in no topic of events, nor is what was sent by
    mappings that are gone.
    """
    if any(stream.identify is not None for stream in streams):
        return False
    own = {audience for stream in streams for audience in stream.audiences()}
    others = (stream for stream in config.streams if stream not in streams)
    return not any(audience in own for stream in others for audience in stream.audiences())


def checked_name(name: str) -> str:
    """The name, if it can be one.

    Raises:
        UsageError: It cannot: it becomes part of a folder's name.
    """
    if not _NAME.fullmatch(name):
        raise UsageError(
            f"--name {name}: is no name: write up to 64 letters, digits, hyphens and dots, and begin with a "
            f"letter or digit"
        )
    return name


def default_name(*parts: object) -> str:
    """The name of a replay that was given none: the same request has the same."""
    return "replay-" + hashlib.blake2b(repr(parts).encode(), digest_size=4).hexdigest()


def parse_places(texts: tuple[str, ...]) -> dict[Partition, int]:
    """Offsets by partition, of `TOPIC:PARTITION:OFFSET`.

    Raises:
        UsageError: A text is none, or a partition is named twice.
    """
    found: dict[Partition, int] = {}
    for text in texts:
        place = _PLACE.fullmatch(text)
        if place is None:
            raise UsageError(
                f"--from-offset {text}: write TOPIC:PARTITION:OFFSET, as in acme.segments:0:1500"
            )
        at = Partition(place["topic"], int(place["number"]))
        if at in found:
            raise UsageError(
                f"--from-offset {text}: partition {at.number} of {at.topic} is named twice; keep one"
            )
        found[at] = int(place["offset"])
    return found


def is_relative(text: str | None) -> bool:
    """Whether a time is told by the moment of asking."""
    return text is not None and (text == NOW or text.startswith("-"))


def _instant(option: str, text: str | None, now: int) -> int | None:
    if text is None:
        return None
    try:
        if is_relative(text):
            return now - (0 if text == NOW else parse_duration(text[1:]))
        written = datetime.fromisoformat(text)
        read = written if written.tzinfo else written.replace(tzinfo=UTC)
        return (read.astimezone(UTC) - _EPOCH) // timedelta(milliseconds=1)
    except (ValueError, OverflowError):
        raise UsageError(
            f"{option} {text}: is no time; write it as 2026-11-01T00:00:00Z, as -30d, or now"
        ) from None
