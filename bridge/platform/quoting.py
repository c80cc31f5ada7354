"""What the platform says, fit for a line of ours: a message, the log, a page."""

LONGEST_QUOTE = 200
"""Characters of what the platform says that are repeated."""


def printable(said: object) -> str:
    """A text's first characters, what cannot be printed as spaces; empty: it is no text."""
    text = said if isinstance(said, str) else ""
    return "".join(character if character.isprintable() else " " for character in text[:LONGEST_QUOTE])
