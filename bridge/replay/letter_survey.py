"""What the folder of dead letters holds, by reason and stream."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from bridge.ingest.dead_letters import DeadLetter
from bridge.replay.letters import LettersDamaged, letter_files, read_letters
from bridge.units import iso


@dataclass(kw_only=True, slots=True)
class LetterGroup:
    """The letters of one reason and stream."""

    reason: str
    """Why they were refused."""
    stream: str
    """Name of the stream that refused them."""
    detail: str
    """What is wrong with the newest."""
    first_read_at: int
    """When the oldest was read, epoch ms."""
    last_read_at: int
    """When the newest was read, epoch ms."""
    count: int = 0
    """How many there are."""
    topics: set[str] = field(default_factory=set)
    """Where they were read."""

    def add(self, letter: DeadLetter) -> None:
        """One more."""
        self.count += 1
        self.topics.add(letter.topic)
        self.first_read_at = min(self.first_read_at, letter.read_at)
        if letter.read_at >= self.last_read_at:
            self.last_read_at, self.detail = letter.read_at, letter.detail

    def to_json(self) -> dict[str, object]:
        """As `dead-letters list --json` has it."""
        return {
            "reason": self.reason,
            "stream": self.stream,
            "count": self.count,
            "first_read_at": iso(self.first_read_at),
            "last_read_at": iso(self.last_read_at),
            "topics": sorted(self.topics),
            "detail": self.detail,
        }


@dataclass(frozen=True, kw_only=True, slots=True)
class Survey:
    """What the folder holds."""

    groups: tuple[LetterGroup, ...]
    """The most first."""
    files: int
    """How many files."""
    bytes: int
    """Their bytes."""

    @property
    def letters(self) -> int:
        """How many could be read."""
        return sum(group.count for group in self.groups)

    def to_json(self) -> dict[str, object]:
        """The one object of `dead-letters list --json`."""
        return {
            "dead_letters": [group.to_json() for group in self.groups],
            "files": self.files,
            "bytes": self.bytes,
        }


def survey(directory: Path, damaged: Callable[[LettersDamaged], None]) -> Survey:
    """Count the letters of a folder; of a damaged file, which is told, those before the damage.

    Raises:
        BridgeError: The folder cannot be read.
    """
    groups: dict[tuple[str, str], LetterGroup] = {}
    files, size = letter_files(directory), 0
    for path in files:
        try:
            size += path.stat().st_size if path.exists() else 0
            for _, letter in read_letters(path):
                _group(groups, letter).add(letter)
        except LettersDamaged as damage:
            damaged(damage)
    ordered = sorted(groups.values(), key=lambda group: (-group.count, group.reason, group.stream))
    return Survey(groups=tuple(ordered), files=len(files), bytes=size)


def _group(groups: dict[tuple[str, str], LetterGroup], letter: DeadLetter) -> LetterGroup:
    key = letter.reason, letter.stream
    if key not in groups:
        groups[key] = LetterGroup(
            reason=letter.reason,
            stream=letter.stream,
            detail=letter.detail,
            first_read_at=letter.read_at,
            last_read_at=letter.read_at,
        )
    return groups[key]
