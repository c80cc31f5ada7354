"""What is wrong in a taxonomy file: records, for people and for programs alike."""

from collections import Counter
from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple

MOST_KEPT = 1_000
"""Of a file's faults; the others are counted."""

_QUOTED = 40
"""Characters of a value that a fault quotes."""


class Severity(StrEnum):
    """What comes of it."""

    FAULT = "fault"
    """`check` fails, and nothing is converted."""
    MENDED = "mended"
    """`check` fails; `convert` mends it."""
    WARNING = "warning"
    """`check` succeeds; the platform may see it otherwise."""


class Place(NamedTuple):
    """Where something stands, both from 1."""

    line: int
    column: int
    """Of a CSV the number of the column, else that of the character."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Fault:
    """One fault."""

    file: str
    """As it was named."""
    line: int
    """From 1."""
    column: int
    """Of a CSV the number of the column, else that of the character; from 1."""
    field: str
    """The column's or key's name; empty: the file or line as a whole."""
    what: str
    """What is wrong."""
    remedy: str
    """What to do."""
    severity: Severity
    """What comes of it."""

    @property
    def reason(self) -> str:
        """What stands behind the place: `code: is empty; write the segment's code`."""
        mark = "warning: " if self.severity is Severity.WARNING else ""
        field = f"{self.field}: " if self.field else ""
        return f"{mark}{field}{self.what}; {self.remedy}"

    def __str__(self) -> str:
        """The line that a person reads: `FILE:LINE:COLUMN: reason`."""
        return f"{self.file}:{self.line}:{self.column}: {self.reason}"


class Wrong(Exception):  # noqa: N818  # it names a state, which becomes a fault
    """One value is wrong; who knows its place makes a fault of it."""

    def __init__(self, what: str, remedy: str) -> None:
        self.what = what
        self.remedy = remedy
        super().__init__(what, remedy)


class Unreadable(Exception):  # noqa: N818  # it names a state, which becomes a fault
    """From this place on the file is not read."""

    def __init__(self, place: Place, what: str, remedy: str) -> None:
        self.place = place
        self.what = what
        self.remedy = remedy
        super().__init__(place, what, remedy)


class Faults:
    """Those of one file, as they are found."""

    def __init__(self, file: str) -> None:
        self.counts = Counter[Severity]()
        self._file = file
        self._kept: list[Fault] = []

    def add(
        self, place: Place, field: str, what: str, remedy: str, severity: Severity = Severity.FAULT
    ) -> None:
        """Note one."""
        self.counts[severity] += 1
        if len(self._kept) < MOST_KEPT:
            line, column = place
            self._kept.append(
                Fault(
                    file=self._file,
                    line=line,
                    column=column,
                    field=field,
                    what=what,
                    remedy=remedy,
                    severity=severity,
                )
            )

    def kept(self) -> tuple[Fault, ...]:
        """The first ones that were found, in the order of their places."""
        return tuple(sorted(self._kept, key=lambda fault: (fault.line, fault.column)))


def quoted(text: str) -> str:
    """A value as a fault may show it: short, and nothing in it acts on a terminal."""
    shown = text if len(text) <= _QUOTED else text[: _QUOTED - 1] + "…"
    return "'" + "".join(c if c.isprintable() else f"\\u{ord(c):04x}" for c in shown) + "'"
