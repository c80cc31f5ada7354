"""The port between the collector and what it reads from: Kafka, or archived files."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Protocol

from bridge.errors import BridgeError
from bridge.ingest.partition import Partition

if TYPE_CHECKING:
    from bridge.ingest.message import Message
    from bridge.ingest.positions import Identity


class SourceUnavailable(BridgeError):  # noqa: N818  # it names a state, as people say it
    """The source does not answer now; the same call may succeed later."""


class Owner(Protocol):
    """Who takes the messages, and is told whose partitions are whose.

    Contract: called within `poll` or `close`, never in between.
    """

    def started(self, starts: Mapping[Partition, int]) -> None:
        """These partitions are ours now, from these offsets on."""
        ...

    def revoked(self, partitions: frozenset[Partition]) -> None:
        """These partitions go to another member on return: the last moment to commit them."""
        ...

    def lost(self, partitions: frozenset[Partition]) -> None:
        """These partitions may be another member's already: they must not be committed."""
        ...

    def ended(self, partition: Partition, offset: int) -> None:
        """Nothing below this offset is left to read."""
        ...


class Source(Protocol):
    """Events with their places.

    Contract: within a partition messages come by ascending offset; none is left out from the start that
    `Owner.started` told on, as long as the partition is assigned.
    """

    @property
    def identity(self) -> "Identity":
        """What positions stand under; complete for every topic that was assigned."""
        ...

    @property
    def assigned(self) -> frozenset[Partition]:
        """The partitions that are ours in this generation."""
        ...

    def open(self) -> Mapping[Partition, int]:
        """Begin; returns where the partitions end now, if reading is to stop there, else nothing.

        Raises:
            SourceUnavailable: It may be tried again.
            BridgeError: It need not.
        """
        ...

    def poll(self, max_messages: int, timeout: int) -> "Sequence[Message]":
        """Messages of assigned partitions; waits up to `timeout` ms for them.

        Raises:
            BridgeError: The run cannot go on.
        """
        ...

    def pause(self, streams: frozenset[str]) -> None:
        """Exactly the partitions of these streams are not read, those assigned later among them."""
        ...

    def commit(self, offsets: Mapping[Partition, int], run: int) -> None:
        """Begin to commit the next offsets of those partitions that are ours, as held by runs up to this one.

        It does not wait; later polls see to it that it is done.
        """
        ...

    def settle(self) -> None:
        """Wait a few seconds for commits to be done; nothing more is read.

        Raises:
            BridgeError: As `poll`.
        """
        ...

    def lag(self) -> Mapping[Partition, int]:
        """How many offsets of each assigned partition are not yet read, as far as it is known by now."""
        ...

    def close(self) -> None:
        """Leave.

        Raises:
            BridgeError: The owner failed to seal what it was told to.
        """
        ...
