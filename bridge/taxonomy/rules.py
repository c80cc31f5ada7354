"""What is settable about the rules, and the bounds of what is read."""

from dataclasses import dataclass

MOST_NODES = 100_000
"""Of a taxonomy: the largest that are traded have some ten thousand, and a tree is held in memory."""

MOST_LEVELS = 32
"""Of a path, its root among them; traded taxonomies have up to ten."""

LONGEST_NAME = 255
"""Characters of a name as it is sent (seed: Segment Name)."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Rules:
    """What a file cannot say of itself."""

    hashed: bool = False
    """Codes are texts, even where the file has no use_hash, such as a CSV."""
    below_wholesale: bool = False
    """A retail price may be below its wholesale price."""
    any_places: bool = False
    """Prices may have more than two decimals, as what the platform computed may have."""
