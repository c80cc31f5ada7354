"""The rules for a file's header (seed s2s_data_import, Audience File; contract.md, Audience files)."""

import re
from collections.abc import Iterator, Sequence

from bridge.audience.audience import MM
from bridge.audience.file_text import Line
from bridge.audience.header import FIELDS, OPTIONAL, VERSION

_FIELD = re.compile(r"([A-Za-z]+): ([!-~]+)")

_VALUES = {
    "Version": (re.compile(str(VERSION)), f"is {VERSION} for new integrations"),
    "DateCreated": (re.compile("[1-9][0-9]{0,10}"), "is a Unix timestamp in seconds"),
    "Mobile": (re.compile("[01]"), "is 0 or 1"),
    "HashSegments": (re.compile("[01]"), "is 0 or 1"),
}
"""Fields with few right values: what they match, and how that is told."""


def check_header(lines: Sequence[Line], name: str, behind: Line | None) -> Iterator[tuple[int, str]]:
    """Line number and reason of every fault.

    Args:
        lines: The header's.
        name: What FileIdentifier must be.
        behind: The line behind the header; None: the file ends there.
    """
    found: dict[str, str] = {}
    for line in lines:
        yield from ((line.number, reason) for reason in _check_line(line, name, found))
    last = lines[-1].number if lines else 1
    yield from ((last, f"the header has no {field}") for field in _missing(found))
    if behind is None or behind.text.strip():
        yield (behind.number if behind else last), "no blank line between the header and the rows"
    if behind is None:
        yield last, "the file has no rows"


def _check_line(line: Line, name: str, found: dict[str, str]) -> Iterator[str]:
    """Faults of one field; it is added to those found."""
    match = _FIELD.fullmatch(line.text.decode("ascii", "replace").removesuffix("\r"))
    if match is None:
        yield "a header line reads `Field: value`, with one space"
        return
    field, value = match.groups()
    if field not in FIELDS:
        yield f"unknown header field; the fields are {', '.join(FIELDS)}"
        return
    if field in found:
        yield f"{field} stands twice in the header"
    elif any(FIELDS.index(field) < FIELDS.index(other) for other in found):
        yield f"{field} stands out of order; the order is {', '.join(FIELDS)}"
    found.setdefault(field, value)
    pattern, rule = _VALUES.get(field, (None, ""))
    if pattern is not None and pattern.fullmatch(value) is None:
        yield f"{field} {rule}"
    if field == "FileIdentifier" and value != name:
        yield f"FileIdentifier is not the file's name {name}"
    if field == OPTIONAL and found.get("UserNamespace") == MM:
        yield f"{OPTIONAL} stands only with a UserNamespace other than {MM}"


def _missing(found: dict[str, str]) -> Iterator[str]:
    for field in FIELDS:
        needed = field != OPTIONAL or found.get("UserNamespace", MM) != MM
        if needed and field not in found:
            yield field
