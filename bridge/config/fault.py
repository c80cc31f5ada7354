"""A fault of the configuration: where it is, what is wrong, what to do."""

import difflib
from collections.abc import Iterable
from dataclasses import dataclass

from bridge.errors import UsageError

Location = tuple[str | int, ...]
"""Keys and list positions from the top of the document."""


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault. Its text quotes no value: an environment variable may have put a secret there."""

    path: Location
    """Where it is; empty: the document as a whole."""
    what: str
    """`what; remedy`."""

    def __str__(self) -> str:
        """The line that a person reads: `streams[0].clinet: unknown key; did you mean client?`."""
        return f"{written(self.path) or 'configuration'}: {self.what}"


class ConfigurationError(UsageError):
    """The configuration cannot be used; `faults` holds a line for every fault."""

    def __init__(self, file: str, faults: Iterable[str]) -> None:
        self.file = file
        self.faults = tuple(faults)
        super().__init__(
            f"{file}: {len(self.faults)} faults in the configuration, the first: {self.faults[0]}"
        )

    def __reduce__(self) -> tuple[type["ConfigurationError"], tuple[str, tuple[str, ...]]]:
        return type(self), (self.file, self.faults)


def written(path: Location) -> str:
    """The path as people write it: `accounts[0].sftp.host`."""
    steps = (f"[{step}]" if isinstance(step, int) else f".{step}" for step in path)
    return "".join(steps).removeprefix(".")


def unknown_key(key: str, known: Iterable[str]) -> str:
    """The text for a key that is not known: it names the nearest one that is."""
    (nearest,) = difflib.get_close_matches(key, list(known), n=1, cutoff=0.0)
    return f"unknown key; did you mean {nearest}?"
