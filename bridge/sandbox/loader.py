"""Applies an audience file to the platform's state, or rejects it (seed s2s_data_import, Audience File).

Pure: bytes, time and rules in, a verdict out. A file is rejected before anything of it is applied: for its
name, its gzip, its header. A line is refused on its own.
"""

from collections.abc import Callable, Iterable
from itertools import chain

from bridge.audience import names
from bridge.audience.audience import Audience
from bridge.audience.audience_file import MOST_HEADER_LINES
from bridge.audience.file_header import check_header
from bridge.audience.file_text import BadGzip, Line, split, unpack
from bridge.audience.header import Header
from bridge.sandbox.efficiency import Efficiency
from bridge.sandbox.platform import Platform
from bridge.sandbox.rules import Rules
from bridge.sandbox.statements import REMOVE, Refused, Statements, parsed
from bridge.sandbox.verdict import MOST_FAULTS, LineFault, Status, Verdict, rejected

Content = Callable[[], Iterable[bytes]]
"""The bytes of a gzip file, from their beginning at each call."""


def load(platform: Platform, content: Content, name: str, *, now: int, rules: Rules) -> Verdict:
    """Apply a file, and tell what became of it.

    Args:
        platform: What it is applied to.
        content: Read twice: whether it is whole must be known before the first row counts.
        name: Of the file on the server.
        now: The moment of processing, epoch seconds: what a timestamp of 0 means.
        rules: The platform's settings.
    """
    try:
        file = names.parse(name)
    except ValueError as error:
        return rejected(str(error))
    try:
        for _ in unpack(content()):
            pass
    except BadGzip as error:
        return rejected(str(error))
    lines = iter(split(unpack(content())))
    head: list[Line] = []
    behind = None
    for line in lines:
        if not line.text.strip() or not _is_header(line.text) or len(head) == MOST_HEADER_LINES:
            behind = line
            break
        head.append(line)
    for number, reason in check_header(head, name, behind):
        return rejected(f"line {number}: {reason}")
    header = Header.parse(line.text.decode("ascii", "replace") for line in head)
    audience = _audience(header, file.client, rules.account)
    unknown = _unknown(header, rules)
    if unknown:
        return rejected(unknown, audience.label)
    first = next(lines, None)
    if first is None:
        return rejected("the file has no rows", audience.label)
    return _Loading(platform, audience, now, rules).all_of(chain([first], lines))


def _is_header(text: bytes) -> bool:
    """`Name:` before any space, as of a header's field."""
    field, colon, _ = text.partition(b":")
    return bool(colon) and field.strip().isalpha()


def _audience(header: Header, client: str, account: str) -> Audience:
    return Audience(
        account=account,
        client=client,
        user_namespace=header.user_namespace,
        user_table_id=header.user_table_id,
        segment_namespace=header.segment_namespace,
        mobile=header.mobile,
        hashed=header.hash_segments,
    )


def _unknown(header: Header, rules: Rules) -> str:
    """What the header names that the platform does not know; empty: nothing."""
    if rules.segment_namespaces and header.segment_namespace not in rules.segment_namespaces:
        return f"unknown SegmentNamespace {header.segment_namespace}"
    if header.user_table_id and rules.table_ids is not None and header.user_table_id not in rules.table_ids:
        return f"unknown UserTableId {header.user_table_id}"
    return ""


class _Loading:
    """One file while its rows are applied."""

    def __init__(self, platform: Platform, audience: Audience, now: int, rules: Rules) -> None:
        self._platform = platform
        self._audience = audience
        self._now = now
        self._placeholder = rules.placeholder
        self._efficiency = Efficiency()
        self._accepted = self._refused = 0
        self._adds = self._removals = self._remove_alls = self._bare = 0
        self._faults: list[LineFault] = []

    def all_of(self, lines: Iterable[Line]) -> Verdict:
        for line in lines:
            try:
                row = parsed(line, self._audience)
            except Refused as refused:
                self._refused += 1
                if len(self._faults) < MOST_FAULTS:
                    self._faults.append(LineFault(line=line.number, reason=str(refused)))
            else:
                self._apply(row, line.length)
        return self._verdict()

    def _apply(self, row: Statements, length: int) -> None:
        self._platform.apply(self._audience, row, self._now)
        self._efficiency.feed(row.user, length)
        self._accepted += 1
        self._remove_alls += row.remove_all
        for code, timestamp in row.segments:
            self._removals += timestamp == REMOVE
            self._adds += timestamp != REMOVE and code != self._placeholder
            self._bare += timestamp is None

    def _verdict(self) -> Verdict:
        whole = self._accepted > 0
        return Verdict(
            status=Status.LOADED if whole else Status.REJECTED,
            reason="" if whole else "every line was refused",
            audience=self._audience.label,
            lines_accepted=self._accepted,
            lines_refused=self._refused,
            faults=tuple(self._faults),
            users=self._efficiency.users,
            adds=self._adds,
            removals=self._removals,
            remove_alls=self._remove_alls,
            split_users=self._efficiency.split_users,
            without_timestamp=self._bare,
        )
