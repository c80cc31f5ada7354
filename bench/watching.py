"""What is seen of a bridge from outside while it runs."""

from dataclasses import dataclass, field
from pathlib import Path

from bench import child


@dataclass
class Watch:
    """Sees from outside when the bridge is ready and when its files land, in seconds since its start."""

    address: str
    root: Path
    ready: float | None = None
    landed: dict[str, float] = field(default_factory=dict)

    def __call__(self, now: float) -> None:
        if self.ready is None and child.page(self.address, "/readyz") is not None:
            self.ready = now
        for path in self.root.glob("*.log.gz"):
            self.landed.setdefault(path.name, now)
