"""What an event's fields are called: in the archive, and in what is made of it."""

import contextlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TypeVar

from bridge.ingest.avro_types import UnusableSchema
from bridge.ingest.events import names_in_topic

T = TypeVar("T")


@dataclass(frozen=True, kw_only=True, slots=True)
class Fields:
    """The fields of a stream's events."""

    mapped: Mapping[str, str]
    """`fields` of the stream: our name to the topic's."""
    hashed: bool
    """Segment ids are texts."""

    @property
    def names(self) -> dict[str, str]:
        """Each of our names to the topic's."""
        return names_in_topic(self.mapped)

    def first_found(self, find: Callable[[Mapping[str, str]], T]) -> T:
        """What `find` makes of the stream's `fields`, or else of our own names: set-aside events have these.

        Raises:
            UnusableSchema: Of neither; the text is about the stream's `fields`.
        """
        try:
            return find(self.mapped)
        except UnusableSchema:
            with contextlib.suppress(UnusableSchema):
                return find({})
            raise
