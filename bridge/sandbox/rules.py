"""What the platform was told of its partner, and how strict it is."""

from dataclasses import dataclass

INEFFICIENT = 0.10
"""Part of a file's users on needless lines, above which automatic processing is suspended, if it may be."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Rules:
    """Settings of the loader."""

    account: str
    """The log-in: what is loaded belongs to it."""
    segment_namespaces: frozenset[str] = frozenset()
    """Those that are the partner's; empty: any."""
    table_ids: frozenset[str] | None = None
    """UserTableIds that are known; None: any."""
    placeholder: str = "9999999"
    """The segment that does not exist: whoever is put into it is in no segment more."""
    suspend_above: float | None = None
    """Part of a file's users on needless lines above which nothing is processed any more; None: a warning."""
