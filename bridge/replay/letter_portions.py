"""Which dead letters are asked for, and some of them at a time."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from bridge.ingest.dead_letters import DeadLetter
from bridge.replay.letters import LettersDamaged, letter_files, read_letters

MOST_LETTERS = 10_000
"""Letters of a portion, at most."""

MOST_BYTES = 16_000_000
"""Bytes of keys and values from which on no more letters join a portion."""


class Place(NamedTuple):
    """Where a letter lies."""

    path: Path
    """Its file."""
    line: int
    """Its line in there, from 1."""
    letter: DeadLetter
    """The letter."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Portion:
    """Some letters."""

    places: tuple[Place, ...]
    """The letters."""
    ended: tuple[Path, ...]
    """The files that are read to their ends with them."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Found:
    """What a folder holds of the letters that are asked for."""

    files: tuple[Path, ...]
    """The whole files that hold any."""
    letters: int
    """How many these hold."""
    damaged: tuple[LettersDamaged, ...]
    """What is wrong with the other files."""


def look_through(directory: Path, reason: str | None) -> Found:
    """Find the letters of a reason (None: of any).

    Of a damaged file none counts: what was taken of it would stay in there, to be taken again and again.

    Raises:
        BridgeError: The folder cannot be read.
    """
    counts: dict[Path, int] = {}
    damaged: list[LettersDamaged] = []
    for path in letter_files(directory):
        try:
            counts[path] = sum(1 for _ in _of(path, reason))
        except LettersDamaged as damage:
            damaged.append(damage)
    return Found(
        files=tuple(path for path, count in counts.items() if count),
        letters=sum(counts.values()),
        damaged=tuple(damaged),
    )


def portions(files: Iterable[Path], reason: str | None) -> Iterator[Portion]:
    """All letters of a reason (None: of any) in some files; a portion may be of several, or a part of one.

    Raises:
        LettersDamaged: A file is not what it was when it was looked through.
    """
    places: list[Place] = []
    ended: list[Path] = []
    size = 0
    for path in files:
        for line, letter in _of(path, reason):
            places.append(Place(path, line, letter))
            size += len(letter.key or b"") + len(letter.value or b"")
            if len(places) >= MOST_LETTERS or size >= MOST_BYTES:
                yield Portion(places=tuple(places), ended=tuple(ended))
                places, ended, size = [], [], 0
        ended.append(path)
    yield Portion(places=tuple(places), ended=tuple(ended))


def _of(path: Path, reason: str | None) -> Iterator[tuple[int, DeadLetter]]:
    return (one for one in read_letters(path) if reason is None or one[1].reason == reason)
