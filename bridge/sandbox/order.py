"""When a file is processed after it was received; out of order, if wanted."""

from dataclasses import dataclass
from random import Random


@dataclass(frozen=True, kw_only=True, slots=True)
class Order:
    """Of processing. A file's delay hangs on the seed and its name alone: the same run, the same order."""

    delay: int = 0
    """Of each file, ms."""
    spread: int = 0
    """Up to so many ms more, drawn for each file: a later one may come first. 0: in the order of arrival."""
    seed: int = 1

    def due_at(self, name: str, received_at: int) -> int:
        """When a file is to be processed, epoch ms."""
        drawn = Random(f"{self.seed}:{name}").randint(0, self.spread)  # noqa: S311  # no secret hangs on it
        return received_at + self.delay + drawn
