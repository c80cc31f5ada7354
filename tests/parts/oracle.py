"""The judge: the seed's rules and the contract's, read independently of the product.

It imports nothing of bridge/. A state is what the platform holds, or should hold:
state[audience][user][segment] = the timestamps that would be right.
"""

import re
import zlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

PLACEHOLDER = "9999999"
LONGEST_LINE = 7_999  # the seed: fewer than 8,000 characters; with its end
UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
NOBODY = "00000000-0000-0000-0000-000000000000"
OTHER_USER = re.compile(r"[!-~]{1,256}")
HASHED_SEGMENT = re.compile(r"[!-9;-~]{1,256}")
SEGMENT = re.compile(r"[1-9][0-9]{0,9}")
TIMESTAMP = re.compile(r"-1|0|[1-9][0-9]{0,9}")
NAME = re.compile(r"[A-Za-z0-9-]+(_[A-Za-z0-9-]+){0,2}_[0-9]{12}\.log\.gz")
FNAME = 0x08  # the flag of gzip's header that says that a file name follows

Element = tuple[str, int]
"""Segment and timestamp."""


@dataclass(frozen=True)
class Audience:
    """What one file may hold, as its name and header tell."""

    client: str | None
    user_namespace: str
    user_table_id: str | None
    segment_namespace: str
    mobile: bool
    hashed: bool


@dataclass(frozen=True, kw_only=True)
class AudienceFile:
    """A file that keeps the rules."""

    name: str
    audience: Audience
    rows: list[tuple[str, bool, list[Element]]]
    """A line each: user, whether it begins with -1, elements."""


State = dict[Audience, dict[str, dict[str, tuple[int, ...]]]]


class FaultError(AssertionError):
    """A file breaks a rule: `NAME:LINE: reason`."""


def read(path: Path, placeholder: str = PLACEHOLDER) -> AudienceFile:
    """Read strictly: anything that the seed or the contract does not allow raises FaultError."""
    text = _unpack(path)
    _check(text.endswith("\n"), path, 1, "the last line does not end with LF")
    lines = text.removesuffix("\n").split("\n")
    for number, line in enumerate(lines, start=1):
        _check(len(line) + 1 <= LONGEST_LINE, path, number, f"{len(line) + 1} characters with its end")
        _check(line.isascii() and line.isprintable(), path, number, "a character that is not printable ASCII")
    blank = lines.index("") if "" in lines else len(lines)
    audience = _header(path, lines[:blank])
    body = lines[blank + 1 :]
    _check(body, path, len(lines), "no rows")
    rows = [
        _row(path, number, line, audience, placeholder) for number, line in enumerate(body, start=blank + 2)
    ]
    _check_order(path, blank + 2, body, rows, audience)
    return AudienceFile(name=path.name, audience=audience, rows=rows)


def fold(files: Iterable[Path | AudienceFile], placeholder: str = PLACEHOLDER) -> State:
    """The platform's state after these files, applied in the order given."""
    state: State = {}
    for file in files:
        content = file if isinstance(file, AudienceFile) else read(file, placeholder)
        users = state.setdefault(content.audience, {})
        for user, everything, elements in content.rows:
            segments = users.setdefault(user, {})
            if everything:
                segments.clear()
            for segment, timestamp in elements:
                if timestamp == -1:
                    segments.pop(segment, None)
                elif segment != placeholder:
                    segments[segment] = (timestamp,)
    return _without_empty(state)


def last_write_wins(
    events: Iterable[Mapping[str, object]],
    *,
    client: str | None = None,
    user_namespace: str = "mm",
    table_ids: Mapping[str, str] | None = None,
    segment_namespace: str = "ep",
    hashed: bool = False,
) -> State:
    """The state that accepted events ask for, whatever way they took.

    An event has the contract's fields and topic, partition and offset; null or missing fields take
    the keywords' values, the stream's defaults. `table_ids` names the table of each namespace but mm.
    """
    state: State = {}
    for event in sorted(events, key=_moment):
        namespace = str(event.get("user_namespace") or user_namespace)
        mobile = bool(event.get("mobile"))
        audience = Audience(
            client=str(event.get("client") or client or "") or None,
            user_namespace=namespace,
            user_table_id=None if namespace == "mm" else (table_ids or {})[namespace],
            segment_namespace=str(event.get("segment_namespace") or segment_namespace),
            mobile=mobile,
            hashed=hashed,
        )
        user = str(event["user_id"])
        user = user.lower() if mobile or namespace == "mm" else user
        segments = state.setdefault(audience, {}).setdefault(user, {})
        if event.get("remove_all"):
            segments.clear()
        for element in event.get("segments") or ():
            segment, timestamp = str(element["segment_id"]), int(element["timestamp"])
            if timestamp == -1:
                segments.pop(segment, None)
            else:
                segments[segment] = _right_timestamps(timestamp, int(event["event_time"]))
    return _without_empty(state)


def same(state_files: State, state_events: State, most: int = 10) -> list[str]:
    """The differences, the first `most` of them; empty: the states are the same.

    A timestamp of 0 in an event may stand in a file as 0 or, sent again, as its event time.
    """
    differences = []
    for audience in sorted(state_files.keys() | state_events.keys(), key=repr):
        got, want = state_files.get(audience, {}), state_events.get(audience, {})
        for user in sorted(got.keys() | want.keys()):
            mine, theirs = got.get(user, {}), want.get(user, {})
            if mine == theirs:
                continue
            for segment in sorted(mine.keys() | theirs.keys()):
                have, right = mine.get(segment), theirs.get(segment)
                if have is None or right is None or not set(have) & set(right):
                    differences.append(f"{audience}: {user} {segment}: files {have}, events {right}")
    more = len(differences) - most
    return differences[:most] + ([f"and {more} more"] if more > 0 else [])


def _unpack(path: Path) -> str:
    data = path.read_bytes()
    _check(data[:2] == b"\x1f\x8b", path, 1, "no gzip file")
    _check(not data[3] & FNAME, path, 1, "gzip's header holds a file name")
    gzip = zlib.decompressobj(zlib.MAX_WBITS | 16)
    text = gzip.decompress(data)
    _check(gzip.eof, path, 1, "the gzip member is cut short")
    _check(not gzip.unused_data, path, 1, "something follows the first gzip member")
    return text.decode("latin-1")


def _header(path: Path, lines: list[str]) -> Audience:
    fields = [line.partition(": ") for line in lines]
    names, values = [field[0] for field in fields], {field[0]: field[2] for field in fields}
    foreign = values.get("UserNamespace") != "mm"
    wanted = ["Version", "FileIdentifier", "DateCreated", "UserNamespace"]
    wanted += ["UserTableId"] * foreign + ["SegmentNamespace", "Mobile", "HashSegments"]
    _check(names == wanted, path, 1, f"header fields {names}")
    _check(all(values.values()), path, 1, "a header field without a value")
    _check(values["Version"] == "3", path, 1, "Version is not 3")
    _check(NAME.fullmatch(path.name), path, 1, "not a file name of the platform")
    _check(values["FileIdentifier"] == path.name, path, 2, "FileIdentifier is not the file's name")
    _check(SEGMENT.fullmatch(values["DateCreated"]), path, 3, "DateCreated is no Unix time")
    _check({values["Mobile"], values["HashSegments"]} <= {"0", "1"}, path, 1, "a flag that is not 0 or 1")
    parts = path.name.split("_")
    return Audience(
        client=parts[2] if len(parts) == 4 else None,
        user_namespace=values["UserNamespace"],
        user_table_id=values.get("UserTableId"),
        segment_namespace=values["SegmentNamespace"],
        mobile=values["Mobile"] == "1",
        hashed=values["HashSegments"] == "1",
    )


def _row(
    path: Path, number: int, line: str, audience: Audience, placeholder: str
) -> tuple[str, bool, list[Element]]:
    user, *tokens = line.split(" ")
    uuids = audience.mobile or audience.user_namespace == "mm"
    _check((UUID if uuids else OTHER_USER).fullmatch(user), path, number, "not a user id")
    _check(not (uuids and user == NOBODY), path, number, "the id of nobody")
    everything = tokens[:1] == ["-1"]
    tokens = tokens[everything:]
    _check(tokens, path, number, "no segment")
    elements = [_element(path, number, token, hashed=audience.hashed) for token in tokens]
    if everything:
        _check(all(stamp != -1 for _, stamp in elements), path, number, "a removal after a leading -1")
    if any(segment == placeholder for segment, _ in elements):
        _check(everything and elements == [(placeholder, 0)], path, number, "a placeholder out of place")
    return user, everything, elements


def _element(path: Path, number: int, token: str, *, hashed: bool) -> Element:
    segment, _, timestamp = token.partition(":")
    valid = HASHED_SEGMENT.fullmatch(segment) if hashed else SEGMENT.fullmatch(segment)
    _check(valid and (hashed or int(segment) < 2**31), path, number, f"not a segment: {token!r}")
    _check(TIMESTAMP.fullmatch(timestamp), path, number, f"not a timestamp: {token!r}")
    return segment, int(timestamp)


def _check_order(
    path: Path,
    first: int,
    lines: list[str],
    rows: list[tuple[str, bool, list[Element]]],
    audience: Audience,
) -> None:
    last: dict[str, str | int] = {}
    for index, (user, everything, elements) in enumerate(rows):
        number = first + index
        if index and rows[index - 1][0] == user:
            token = lines[index].split(" ")[1]
            _check(not everything, path, number, "-1 on a further line of a user")
            _check(
                len(lines[index - 1]) + len(" " + token) + 1 > LONGEST_LINE, path, number, "a needless split"
            )
        else:
            _check(index == 0 or rows[index - 1][0] < user, path, number, "users are not sorted")
            last = {}
        for segment, _ in elements:
            key = segment if audience.hashed else int(segment)
            _check("key" not in last or last["key"] < key, path, number, f"segment {segment} out of order")
            last["key"] = key


def _moment(event: Mapping[str, object]) -> tuple[int, str, int, int]:
    return int(event["event_time"]), str(event["topic"]), int(event["partition"]), int(event["offset"])


def _right_timestamps(timestamp: int, event_time: int) -> tuple[int, ...]:
    return (timestamp,) if timestamp else (0, event_time // 1000)


def _without_empty(state: State) -> State:
    full = {
        audience: {user: segments for user, segments in users.items() if segments}
        for audience, users in state.items()
    }
    return {audience: users for audience, users in full.items() if users}


def _check(held: object, path: Path, line: int, reason: str) -> None:
    if not held:
        raise FaultError(f"{path.name}:{line}: {reason}")
