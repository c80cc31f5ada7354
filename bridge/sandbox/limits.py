"""The quotas (seed, Line length and limits)."""

from dataclasses import dataclass

GB = 1_000_000_000


@dataclass(frozen=True, kw_only=True, slots=True)
class Limits:
    """What the server takes."""

    files_per_hour: int = 20
    """Begins anew on the hour, UTC."""
    bytes_per_day: int = 5 * GB
    """Begins anew at midnight, UTC."""
    bytes_per_file: int = 4 * GB
    temporary_suffix: str = ".part"
    """A file of such a name has not arrived yet."""
