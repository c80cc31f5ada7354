"""Values of a document with the place of each, as JSON and YAML both are read to."""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum, auto

from bridge.taxonomy.fault import Faults, Place, Unreadable, quoted
from bridge.taxonomy.rules import MOST_LEVELS, MOST_NODES

MOST_VALUES = 20 * MOST_NODES
"""Of a document."""

MOST_NESTING = 2 * MOST_LEVELS + 8
"""A level of the tree is a list in a mapping; around it stand an answer's."""


class Kind(Enum):
    """What a value was written as."""

    TEXT = auto()
    """In quotes."""
    NUMBER = auto()
    """A JSON number; its text is as it was written."""
    BOOLEAN = auto()
    """JSON's true or false."""
    PLAIN = auto()
    """YAML without quotes: the field's own type says what it means."""
    NULL = auto()
    LIST = auto()
    MAPPING = auto()


@dataclass(frozen=True, slots=True)
class Value:
    """One value."""

    place: Place
    """Where it begins."""
    kind: Kind
    text: str = ""
    """Of a scalar."""
    elements: tuple["Value", ...] = ()
    """Of a list."""
    pairs: dict[str, "Pair"] | None = None
    """Of a mapping."""

    def __iter__(self) -> Iterator["Value"]:
        """A list's elements."""
        return iter(self.elements)

    def get(self, key: str) -> "Value | None":
        """What stands under a key, if this is a mapping where it is not null."""
        pair = (self.pairs or {}).get(key)
        return None if pair is None or pair.value.kind is Kind.NULL else pair.value


@dataclass(frozen=True, slots=True)
class Pair:
    """A key's place, and its value."""

    place: Place
    value: Value


class Bounds:
    """Counts what is read, so that a small file cannot stand for much."""

    def __init__(self, faults: Faults) -> None:
        self._faults = faults
        self._values = 0

    def take(self, place: Place, depth: int) -> None:
        """Another value is about to be read.

        Raises:
            Unreadable: It is one too many, or too deep.
        """
        self._values += 1
        if self._values > MOST_VALUES:
            raise Unreadable(place, f"holds more than {MOST_VALUES:,} values", "is it a taxonomy?")
        if depth > MOST_NESTING:
            raise Unreadable(place, "is nested too deeply", f"write {MOST_LEVELS} levels of nodes at most")

    def put(self, pairs: dict[str, Pair], key: str, pair: Pair) -> None:
        """Take a key into its mapping, once."""
        if key in pairs:
            what = f"{quoted(key)} stands in line {pairs[key].place.line} too"
            self._faults.add(pair.place, "", what, "keep one")
        else:
            pairs[key] = pair
