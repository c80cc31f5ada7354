"""What the ingest thread tells about itself: the port that metrics and the progress line implement."""

from typing import Protocol


class IngestObserver(Protocol):
    """Called from the ingest thread, many times a second: it returns at once and never raises."""

    def consumed(self, stream: str, events: int) -> None:
        """So many events (tombstones included) of a stream were read from Kafka."""
        ...

    def polled(self, topic: str, events: int) -> None:
        """So many of them were a topic's."""
        ...

    def refused(self, stream: str, reason: str, events: int) -> None:
        """So many events of a stream go to the dead letters for a reason (contract.md)."""
        ...

    def tombstones(self, stream: str, events: int) -> None:
        """So many events of a stream had no value and were skipped."""
        ...

    def collected(self, stream: str, memberships: int) -> None:
        """So many rows of a stream came into the window, the rows of remove_alls among them."""
        ...

    def unknown_segments(self, stream: str, memberships: int) -> None:
        """So many memberships of a stream are of segments that its taxonomy does not hold for sale."""
        ...

    def window_bytes(self, size: int) -> None:
        """The memory that the unsealed rows take."""
        ...

    def sealed(self, run_number: int, memberships: int) -> None:
        """A run with so many rows, before its merge, is on disk."""
        ...

    def lag(self, topic: str, partition: int, events: int) -> None:
        """So many offsets of an assigned partition are not yet read."""
        ...

    def assigned(self, assigned: bool) -> None:  # noqa: FBT001  # a state, the method's only argument
        """Whether the bridge holds any partition now."""
        ...

    def unreadable(self, topic: str, unreadable: bool) -> None:  # noqa: FBT001  # as above
        """Whether a topic of the configuration cannot be read."""
        ...

    def answered(self, now: int) -> None:
        """Kafka has answered at this instant; from any thread."""
        ...

    def beat(self, now: int) -> None:
        """The thread came round its loop at this instant."""
        ...


class SilentObserver:
    """An observer that nobody listens to."""

    def consumed(self, stream: str, events: int) -> None:
        """Nothing."""

    def polled(self, topic: str, events: int) -> None:
        """Nothing."""

    def refused(self, stream: str, reason: str, events: int) -> None:
        """Nothing."""

    def tombstones(self, stream: str, events: int) -> None:
        """Nothing."""

    def collected(self, stream: str, memberships: int) -> None:
        """Nothing."""

    def unknown_segments(self, stream: str, memberships: int) -> None:
        """Nothing."""

    def window_bytes(self, size: int) -> None:
        """Nothing."""

    def sealed(self, run_number: int, memberships: int) -> None:
        """Nothing."""

    def lag(self, topic: str, partition: int, events: int) -> None:
        """Nothing."""

    def assigned(self, assigned: bool) -> None:  # noqa: FBT001  # as in IngestObserver
        """Nothing."""

    def unreadable(self, topic: str, unreadable: bool) -> None:  # noqa: FBT001  # as in IngestObserver
        """Nothing."""

    def answered(self, now: int) -> None:
        """Nothing."""

    def beat(self, now: int) -> None:
        """Nothing."""
