"""What is declared of an action: its level, what it means, and which fields its lines have."""

from dataclasses import dataclass
from enum import StrEnum


class Level(StrEnum):
    """How much it matters, the least first."""

    DEBUG = "debug"
    """For those who look for a fault."""
    INFO = "info"
    """What is done with the data, step by step."""
    WARNING = "warning"
    """Out of the ordinary; it goes on by itself, or says what would help."""
    ERROR = "error"
    """Something was not done; what that means for the data is said."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Action:
    """One kind of log line."""

    name: str
    """What happened, snake_case: the line's `action`."""
    level: Level
    """Of each of its lines."""
    meaning: str
    """For those who read the log."""
    fields: tuple[str, ...]
    """What each of its lines has beside `timestamp`, `level` and `action`; declared in `fields`."""


def debug(name: str, meaning: str, *fields: str) -> Action:
    """An action of level debug."""
    return Action(name=name, level=Level.DEBUG, meaning=meaning, fields=fields)


def info(name: str, meaning: str, *fields: str) -> Action:
    """An action of level info."""
    return Action(name=name, level=Level.INFO, meaning=meaning, fields=fields)


def warning(name: str, meaning: str, *fields: str) -> Action:
    """An action of level warning."""
    return Action(name=name, level=Level.WARNING, meaning=meaning, fields=fields)


def error(name: str, meaning: str, *fields: str) -> Action:
    """An action of level error."""
    return Action(name=name, level=Level.ERROR, meaning=meaning, fields=fields)
