"""A load, and what a program took for it."""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

from bench.measure import Usage
from bench.produce import PARTITIONS, names


@dataclass(frozen=True, kw_only=True)
class Load:
    """What is in the topic; equal loads have equal bytes."""

    events: int = 4_000_000
    users: int = 1_000_000
    seed: int = 1
    audiences: int = 1
    partitions: int = PARTITIONS

    @property
    def clients(self) -> list[str]:
        """Those that the events name; of one audience none."""
        return names(self.audiences)


@dataclass(frozen=True, kw_only=True)
class Result:
    """What one program took for the load."""

    name: str
    events: int
    seconds: float
    """From the first message to the finished output."""
    usage: Usage
    size: int
    """Bytes of the output."""
    ingest: float | None = None
    """The bridge's seconds until all events were durable in runs."""
    uploads: float | None = None
    """Seconds of these in the bridge's sessions with the server, log-in included."""
    memberships: int | None = None
    """Delivered by the bridge."""

    @property
    def rate(self) -> float:
        """Events a second."""
        return self.events / self.seconds

    @property
    def ingest_rate(self) -> float:
        """Events a second into durable runs."""
        return self.events / (self.ingest or self.seconds)

    @property
    def built_rate(self) -> float:
        """Events a second, were there no sessions with the server."""
        return self.events / (self.seconds - (self.uploads or 0.0))

    def figures(self) -> dict[str, float | None]:
        """For the files in results/: seconds, bytes, and events a second."""
        return {
            "events": self.events,
            "seconds": round(self.seconds, 3),
            "rate": round(self.rate),
            "ingest_seconds": self.ingest and round(self.ingest, 3),
            "ingest_rate": round(self.ingest_rate) if self.ingest else None,
            "upload_seconds": self.uploads and round(self.uploads, 3),
            "built_rate": round(self.built_rate) if self.uploads else None,
            "whole_seconds": round(self.usage.wall, 3),
            "cpu_seconds": round(self.usage.cpu, 2),
            "peak_bytes": self.usage.peak,
            "file_bytes": self.size,
            "memberships": self.memberships,
        }


def middle(results: Sequence[Result]) -> dict[str, float | None]:
    """The median of each figure."""
    figures = [result.figures() for result in results]
    return {
        name: None if None in (each := [one[name] for one in figures]) else median(each)
        for name in figures[0]
    }
