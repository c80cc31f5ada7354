"""What was asked already: JSON Lines, one for each thing asked, of which the newest about a thing counts."""

from collections.abc import Iterable
from typing import Self

import msgspec

from bridge.support.request import Ask
from bridge.units import iso


class Asked(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A line of the memory."""

    kind: str
    """As Ask has it."""
    about: str
    """As Ask has it."""
    what: str
    """As Ask has it."""
    at: str
    """When the request was written, UTC, ISO 8601."""
    message_id: str
    """Of that request, without brackets."""


class MemoryDamaged(ValueError):  # noqa: N818  # it names a state
    """A line is none of ours; the message names its number and what is wrong."""


class Memory:
    """What was asked, as a file's text says it."""

    def __init__(self, asked: Iterable[Asked]) -> None:
        self._newest = {(one.kind, one.about): one for one in asked}
        self._same: dict[tuple[str, str], list[Asked]] = {}
        for one in self._newest.values():
            self._same.setdefault((one.kind, one.what), []).append(one)

    @classmethod
    def parse(cls, text: str) -> Self:
        """The memory that is written so; blank lines do not matter.

        Raises:
            MemoryDamaged: A line cannot be read: what it said would be asked again.
        """
        lines = enumerate(text.split("\n"), 1)
        return cls(_line(number, line) for number, line in lines if line.strip())

    def newest(self, ask: Ask) -> Asked | None:
        """What was asked last about the same thing."""
        return self._newest.get((ask.kind, ask.about))

    def others(self, ask: Ask) -> list[Asked]:
        """Other things of its kind that are to become the same."""
        return [one for one in self._same.get((ask.kind, ask.what), []) if one.about != ask.about]

    def holds(self, ask: Ask) -> bool:
        """The same was asked, and nothing else about the thing since."""
        newest = self.newest(ask)
        return newest is not None and newest.what == ask.what


def appended(text: str, asks: Iterable[Ask], at: int, message_id: str) -> str:
    """The memory's text with these asks.

    Args:
        text: As it was; kept, byte for byte.
        asks: What the request asked for.
        at: When, epoch milliseconds.
        message_id: Of the request.
    """
    lines = [
        msgspec.json.encode(
            Asked(kind=ask.kind, about=ask.about, what=ask.what, at=iso(at), message_id=message_id)
        ).decode()
        for ask in asks
    ]
    before = text if not text or text.endswith("\n") else f"{text}\n"
    return before + "".join(f"{line}\n" for line in lines)


def _line(number: int, line: str) -> Asked:
    try:
        return msgspec.json.decode(line, type=Asked)
    except msgspec.MsgspecError as error:
        raise MemoryDamaged(f"{number}: is no request that was asked ({error}); mend or remove it") from None
