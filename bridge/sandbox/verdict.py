"""What became of a file."""

from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Self

MOST_FAULTS = 10
"""Of a file, that are kept; all are counted."""


class Status(StrEnum):
    """How far a file has come; the last two are final."""

    RECEIVED = "received"
    """It waits for its turn, or processing is suspended."""
    LOADED = "loaded"
    """Its accepted lines are applied."""
    REJECTED = "rejected"
    """Nothing of it is applied."""


@dataclass(frozen=True, kw_only=True, slots=True)
class LineFault:
    """Why a line was refused; the reason holds no user id."""

    line: int
    """From 1, the header's lines among them."""
    reason: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Verdict:
    """What the loader says of a file."""

    status: Status
    reason: str = ""
    """Why it was rejected."""
    audience: str = ""
    """Whose memberships it held, for people; empty where that could not be told."""
    lines_accepted: int = 0
    lines_refused: int = 0
    faults: tuple[LineFault, ...] = ()
    """Of the refused lines, the first MOST_FAULTS."""
    users: int = 0
    """Different ones in accepted lines."""
    adds: int = 0
    """Statements that put a user into a segment."""
    removals: int = 0
    """Statements that take a user out of one."""
    remove_alls: int = 0
    """Lines that begin with -1."""
    split_users: int = 0
    """Users on more lines than they need."""
    without_timestamp: int = 0
    """Statements without a timestamp, taken as now."""

    @property
    def inefficiency(self) -> float:
        """Part of the users that stand on more lines than they need."""
        return self.split_users / self.users if self.users else 0.0

    @property
    def warnings(self) -> tuple[str, ...]:
        """What is not as it should be, and was taken nevertheless."""
        said = []
        if self.split_users:
            said.append(
                f"{self.split_users} of {self.users} users stand on more lines than needed; combine them"
            )
        if self.without_timestamp:
            said.append(f"{self.without_timestamp} statements without a timestamp were taken as now")
        return tuple(said)

    @property
    def remarks(self) -> tuple[str, ...]:
        """Why it was rejected, the refused lines that are kept, and the warnings, for people."""
        lines = tuple(f"line {fault.line}: {fault.reason}" for fault in self.faults)
        return tuple(text for text in (self.reason, *lines, *self.warnings) if text)

    def to_json(self) -> dict[str, object]:
        """All fields by name."""
        return asdict(self)

    @classmethod
    def from_json(cls, fields: dict[str, object]) -> Self:
        """Inverse of `to_json`."""
        faults = tuple(LineFault(**one) for one in fields["faults"])  # type: ignore[attr-defined]  # ours
        known = fields | {"status": Status(str(fields["status"])), "faults": faults}
        return cls(**known)  # type: ignore[arg-type]  # as written by to_json


def rejected(reason: str, audience: str = "") -> Verdict:
    """The verdict on a file of which nothing is applied."""
    return Verdict(status=Status.REJECTED, reason=reason, audience=audience)
