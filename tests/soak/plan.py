"""What will happen to the parts, and when: drawn from a seed, before anything starts."""

import random
from dataclasses import dataclass

FIRST = 4.0
"""Seconds until the first incident: the bridge has started."""

PAUSE = (2.0, 7.0)
"""Seconds from the begin of one incident to that of the next; of different parts they may overlap."""

REST = 2.0
"""Seconds between two incidents of one part."""

ENDING = 0.45
"""Only in this part of the time the bridge is ended: its last life is long enough to show what grows."""

ENDINGS = ("killed", "terminated")
"""What ends the bridge."""

WEIGHTS = {"bridge": 4, "sshd": 4, "network": 4, "broker": 2}

KINDS: dict[str, dict[str, tuple[float, float]]] = {
    "bridge": {"killed": (0, 0), "terminated": (0, 0), "frozen": (2, 6)},
    "sshd": {"stopped": (1, 5), "frozen": (2, 8), "restarted": (0, 0), "sessions killed": (0, 0)},
    "network": {"cut": (0, 0), "cut after": (3, 8), "silent after": (3, 8), "a reply lost": (0, 0)},
    "broker": {"frozen": (2, 6), "killed": (1, 3), "restarted": (0, 0)},
}
"""What may happen to each part, and how many seconds that holds, from and to; 0: it is over at once."""


@dataclass(frozen=True, kw_only=True)
class Incident:
    """One thing that happens to one part."""

    at: float
    """Seconds after the start."""
    part: str
    """To whom."""
    kind: str
    """What."""
    hold: float
    """Seconds until it is healed."""
    size: int
    """Bytes after which a connection is cut or falls silent."""

    def __str__(self) -> str:
        """As it is told."""
        size = f" {self.size} bytes" if self.kind.endswith("after") else ""
        hold = f" for {self.hold:.1f} s" if self.hold else ""
        return f"{self.part}: {self.kind}{size}{hold}"


def draw(seed: int, seconds: float) -> list[Incident]:
    """The incidents of so many seconds, in order of time; the same for the same arguments."""
    dice = random.Random(seed)
    free = dict.fromkeys(KINDS, 0.0)
    drawn: list[Incident] = []
    at = FIRST
    while at < seconds - 2:
        parts = [part for part in KINDS if free[part] <= at]
        if parts:
            part = dice.choices(parts, [WEIGHTS[each] for each in parts])[0]
            kinds = [kind for kind in KINDS[part] if at < ENDING * seconds or kind not in ENDINGS]
            kind = dice.choice(kinds)
            hold = dice.uniform(*KINDS[part][kind])
            drawn.append(Incident(at=at, part=part, kind=kind, hold=hold, size=int(10 ** dice.uniform(2, 5))))
            free[part] = at + hold + REST
        at += dice.uniform(*PAUSE)
    return drawn
