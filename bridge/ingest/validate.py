"""Which events a stream accepts, and the memberships that they make: the second half of contract.md's table.

Everything is done on whole columns: an accepted event costs no Python call, a refused one costs a few for its
detail. An event is accepted or refused as a whole; where it breaks several rules, the first in the order of
the contract's table is the reason.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Self, TypeAlias

import numpy as np
import polars as pl
from numpy.typing import NDArray

from bridge.audience import rows, uuids
from bridge.audience.audience import MM, Audience
from bridge.audience.roster import WHOSE, Roster
from bridge.config.model import Stream
from bridge.ingest.events import Reason, Refusal
from bridge.segments.codes import Sighting
from bridge.segments.watch import Watching

LARGEST_SEGMENT = 2_147_483_647
"""The platform's segment ids are 32 bit (seed s2s_data_import, Segment ID)."""

LATEST_TIMESTAMP = 4_133_980_799
"""The last second of the year 2100; whoever gives milliseconds is far past it."""

_PARTNER_ID = r"^[\x21-\x7E]{1,256}$"
_HASHED_SEGMENT = r"^[\x21-\x39\x3B-\x7E]{1,256}$"
_ACCEPTED = 255

_Flags: TypeAlias = NDArray[np.bool_] | np.bool_
_Codes: TypeAlias = NDArray[np.int64] | int


@dataclass(frozen=True, kw_only=True, slots=True)
class Sorted:
    """What became of a batch of events."""

    frames: tuple[pl.DataFrame, ...]
    """Rows of audiences with the same columns: `index` (UInt32, as in the events), `audience` (UInt32, of
    the validator's roster) and the columns of `rows.schema` without the event's place in Kafka, in order of
    (index, element), one row for an event's segment. None is empty."""
    refused: tuple[Refusal, ...]
    """The refused events by ascending index; none of their rows is in a frame."""
    sighting: Sighting | None = None
    """What the segments show of the stream's taxonomy: those of all events that no other rule refuses; None:
    no taxonomy is known."""


@dataclass(frozen=True, kw_only=True, slots=True)
class _Fault:
    """One row of the contract's table, looked up in a batch."""

    reason: Reason
    found: _Flags
    """For each event, or for all of them alike: whether it breaks the rule."""
    detail: Callable[[int], str]
    """What is wrong with the event at this position; called for refused ones only."""


@dataclass(frozen=True, slots=True)
class _Choice:
    """What an event may name in one of its columns."""

    names: tuple[str, ...]
    """The stream's default, then the further ones."""
    codes: dict[str | None, int]
    """Position in `names` for each value that an event may have: null is the default."""

    @classmethod
    def of(cls, default: str | None, further: tuple[str, ...]) -> Self:
        """A choice between a default (None: of nothing, which cannot be named) and further names."""
        names = (default or "", *(name for name in further if name != default))
        codes: dict[str | None, int] = {None: 0}
        codes.update({name: code for code, name in enumerate(names) if name})
        return cls(names, codes)

    @property
    def unknown(self) -> int:
        """The code of a name that is not among these."""
        return len(self.names)

    def choose(self, named: pl.Series) -> _Codes:
        """Each value's position in `names`, else `unknown`; one number where all values are the same."""
        first = named.first()
        alike = named.is_null() if first is None else named.eq_missing(first)
        if alike.all():
            return self.codes.get(None if first is None else str(first), self.unknown)
        return named.replace_strict(self.codes, default=self.unknown, return_dtype=pl.Int64).to_numpy()


@dataclass(frozen=True, slots=True)
class _Elements:
    """The segments of all events of a batch, one after the other."""

    owner: NDArray[np.intp]
    """Position of the element's event in the batch."""
    columns: pl.DataFrame
    """`segment` and `timestamp`."""

    def where(self, kept: _Flags) -> Self:
        """The elements that a flag is set for."""
        if kept.all():
            return self
        return type(self)(self.owner[kept], self.columns.filter(pl.Series(kept)))


class Validator:
    """The rules of one stream."""

    def __init__(self, stream: Stream, roster: Roster, watch: Watching | None = None) -> None:
        """`watch`: by which segments are judged; None: the stream names no taxonomy."""
        self._stream = stream
        self._roster = roster
        self._watch = watch
        self._numbers: dict[int, int] = {}
        self._clients = _Choice.of(stream.client, tuple(stream.clients))
        self._tables = stream.event_tables
        self._users = _Choice.of(next(iter(self._tables)), tuple(self._tables))
        self._segments = _Choice.of(stream.segment_namespace, tuple(stream.segment_namespaces))

    def sort_out(self, events: pl.DataFrame, now: int) -> Sorted:
        """Accept or refuse each event (of `events.events_schema`, by ascending index) as read at `now`."""
        if events.is_empty():
            return Sorted(frames=(), refused=())
        mobile = self._mobile(events["mobile"])
        clients, users, segments = (
            self._clients.choose(events["client"]),
            self._users.choose(events["user_namespace"]),
            self._segments.choose(events["segment_namespace"]),
        )
        columns, user_faults = _judge_users(events["user_id"], mobile, self._are_uuids(mobile, users))
        elements = _explode(events["segments"])
        counts = np.bincount(elements.owner, minlength=len(events))
        emptied = _flags(events["remove_all"])
        faults = [
            *user_faults,
            _fault(Reason.UNKNOWN_CLIENT, clients == self._clients.unknown, "the stream has no such client"),
            _fault(
                Reason.UNKNOWN_NAMESPACE,
                np.logical_or(users == self._users.unknown, segments == self._segments.unknown),
                "the stream has no such user or segment namespace",
            ),
            _fault(Reason.NO_SEGMENTS, ~emptied & (counts == 0), "neither segments nor remove_all"),
            self._judge_segments(elements),
            _judge_timestamps(elements),
            self._judge_times(events["event_time"], now),
        ]
        verdict = _verdict(faults, len(events))
        sighting = self._sight(elements, verdict)
        if sighting is not None and sighting.memberships and self._stream.unknown_segments == "refuse":
            faults.append(_judge_unknown(elements, sighting))
            verdict = _verdict(faults, len(events))
        accepted = pl.DataFrame(
            {"index": events["index"], **columns, "event_time": events["event_time"], "emptied": emptied}
        ).with_columns(self._codes(mobile, clients, users, segments).alias(WHOSE))
        kept = verdict == _ACCEPTED
        refused = _refusals(events["index"], verdict, faults) if not kept.all() else ()
        if refused:
            accepted = accepted.filter(pl.Series(kept))
            elements = elements.where(kept[elements.owner])
            elements = _Elements((np.cumsum(kept) - 1)[elements.owner], elements.columns)
        return Sorted(frames=self._frames(accepted, elements), refused=refused, sighting=sighting)

    def _mobile(self, named: pl.Series) -> _Flags:
        """Whether each event is of a device: the stream's inventory is stronger than the event."""
        if self._stream.inventory == "event":
            return _flags(named)
        return np.bool_(self._stream.inventory == "mobile")

    def _are_uuids(self, mobile: _Flags, users: _Codes) -> _Flags:
        """Whether each event's user id has to be a UUID."""
        return np.logical_or(mobile, users == self._users.codes.get(MM, -1))

    def _judge_segments(self, elements: _Elements) -> _Fault:
        """Find segments that the platform or the stream's placeholder rule out."""
        segments, placeholder = elements.columns["segment"], self._stream.placeholder_segment
        if self._stream.hash_segments:
            good = segments.str.contains(_HASHED_SEGMENT) & (segments != str(placeholder))
            return _element_fault(
                Reason.INVALID_SEGMENT_ID,
                elements,
                good,
                lambda _: "a segment is not 1 to 256 bytes of 0x21-0x7E without a colon, or the placeholder",
            )
        good = segments.is_between(1, LARGEST_SEGMENT) & (segments != placeholder)
        return _element_fault(
            Reason.INVALID_SEGMENT_ID,
            elements,
            good,
            lambda at: f"segment_id {segments[at]} is not 1..{LARGEST_SEGMENT}, or the placeholder",
        )

    def _judge_times(self, times: pl.Series, now: int) -> _Fault:
        """Find event times that cannot be, or that would win for ever."""
        latest = now + self._stream.max_future

        def detail(at: int) -> str:
            return f"event_time {times[at]} is not positive, or later than {latest} (read at {now})"

        return _Fault(
            reason=Reason.INVALID_EVENT_TIME, found=~_flags(times.is_between(1, latest)), detail=detail
        )

    def _sight(self, elements: _Elements, verdict: NDArray[np.uint8]) -> Sighting | None:
        """What the elements of accepted events show of the stream's taxonomy."""
        if self._watch is None or not len(codes := self._watch.codes()):
            return None
        accepted = elements.where((verdict == _ACCEPTED)[elements.owner])
        return codes.sight(accepted.columns["segment"])

    def _codes(self, mobile: _Flags, clients: _Codes, users: _Codes, segments: _Codes) -> pl.Expr | pl.Series:
        """One number of our own for each event's audience; `_audience` is the inverse."""
        codes = np.asarray(mobile, dtype=np.int64)
        for choice, chosen in (
            (self._clients, clients),
            (self._users, users),
            (self._segments, segments),
        ):
            codes = codes * (choice.unknown + 1) + chosen
        return pl.lit(int(codes), dtype=pl.Int64) if codes.ndim == 0 else pl.Series(codes)

    def _number(self, code: int) -> int:
        """The number in the roster of an audience's code; worked out once."""
        if code not in self._numbers:
            self._numbers[code] = self._roster.number(self._audience(code))
        return self._numbers[code]

    def _audience(self, code: int) -> Audience:
        """The audience of a number from `_codes`, none of whose parts is unknown."""
        code, segment = divmod(code, self._segments.unknown + 1)
        code, user = divmod(code, self._users.unknown + 1)
        mobile, client = divmod(code, self._clients.unknown + 1)
        namespace = self._users.names[user]
        return Audience(
            account=self._stream.account_for(mobile=bool(mobile)),
            client=self._clients.names[client],
            user_namespace=namespace,
            user_table_id=self._tables[namespace],
            segment_namespace=self._segments.names[segment],
            mobile=bool(mobile),
            hashed=self._stream.hash_segments,
            unresolved=namespace == self._stream.unresolved_namespace,
        )

    def _frames(self, accepted: pl.DataFrame, elements: _Elements) -> tuple[pl.DataFrame, ...]:
        """The rows of accepted events, those with UUIDs apart from those with other ids."""
        if accepted.is_empty():
            return ()
        hashed = self._stream.hash_segments
        accepted, numbers = self._numbered(accepted)
        frame = _expand(accepted, _last_of_each(elements), "" if hashed else 0).with_columns(
            pl.col("segment").cast(pl.String if hashed else pl.UInt32)
        )
        alike: dict[tuple[str, ...], list[int]] = {}
        for number in numbers:
            alike.setdefault(tuple(rows.user_columns(self._roster[number])), []).append(number)
        return tuple(
            (frame if len(alike) == 1 else frame.filter(pl.col(WHOSE).is_in(some))).select(
                "index", WHOSE, *user, "segment", "timestamp", "event_time"
            )
            for user, some in alike.items()
        )

    def _numbered(self, accepted: pl.DataFrame) -> tuple[pl.DataFrame, list[int]]:
        """The events with their audiences' numbers in the roster in place of ours, and which occur."""
        codes = accepted[WHOSE]
        present = [codes[0]] if codes.min() == codes.max() else np.flatnonzero(np.bincount(codes)).tolist()
        numbers = [self._number(int(code)) for code in present]
        if len(present) == 1:
            whose: pl.Expr | pl.Series = pl.lit(numbers[0], dtype=pl.UInt32)
        else:
            table = np.zeros(present[-1] + 1, dtype=np.uint32)
            table[present] = numbers
            whose = pl.Series(table[codes.to_numpy()])
        return accepted.with_columns(whose.alias(WHOSE)), numbers


def _flags(values: pl.Series) -> NDArray[np.bool_]:
    """A Boolean column; null is false."""
    return values.fill_null(value=False).to_numpy()


def _fault(reason: Reason, found: "bool | _Flags", detail: str) -> _Fault:
    """A fault that needs no more words than its rule."""
    return _Fault(
        reason=reason,
        found=found if isinstance(found, np.ndarray) else np.bool_(found),
        detail=lambda _: detail,
    )


def _judge_users(
    texts: pl.Series, mobile: _Flags, are_uuids: _Flags
) -> tuple[dict[str, pl.Series], list[_Fault]]:
    """The user columns (`hi` and `lo`, or `user`, or all where both kinds of id occur), and their faults."""
    columns: dict[str, pl.Series] = {}
    invalid = zero = np.zeros(len(texts), dtype=np.bool_)
    if are_uuids.any():
        hi, lo, parsed = uuids.parse(texts)
        columns |= {"hi": hi, "lo": lo}
        ok = parsed.to_numpy()
        zero = are_uuids & ok & _flags((hi | lo) == 0)
        invalid = are_uuids & (~ok | (zero & ~mobile))
    if not are_uuids.all():
        columns["user"] = texts
        invalid = invalid | (~are_uuids & ~_flags(texts.str.contains(_PARTNER_ID)))

    def detail(at: int) -> str:
        if np.broadcast_to(are_uuids, len(texts))[at]:
            return "the user id is not 8-4-4-4-12 hex, or is all zeros"
        return "the user id is not 1 to 256 bytes of 0x21-0x7E"

    return columns, [
        _Fault(reason=Reason.INVALID_USER_ID, found=invalid, detail=detail),
        _fault(Reason.ZERO_DEVICE_ID, zero & mobile, "the device id is all zeros: tracking is limited"),
    ]


def _explode(segments: pl.Series) -> _Elements:
    """The elements of a column of lists, in order."""
    counts = segments.list.len().fill_null(0).to_numpy()
    positions = np.arange(len(segments))
    single = counts.min() == 1 == counts.max()
    owner = positions if single else np.repeat(positions, counts)
    elements = segments.explode(empty_as_null=False, keep_nulls=False).struct.unnest()
    return _Elements(owner, elements.select(segment="segment_id", timestamp="timestamp"))


def _judge_timestamps(elements: _Elements) -> _Fault:
    """Find timestamps below -1, or milliseconds."""
    timestamps = elements.columns["timestamp"]
    return _element_fault(
        Reason.INVALID_TIMESTAMP,
        elements,
        timestamps.is_between(rows.REMOVE, LATEST_TIMESTAMP),
        lambda at: (
            f"timestamp {timestamps[at]} is not {rows.REMOVE}..{LATEST_TIMESTAMP}: seconds, up to 2100"
        ),
    )


def _judge_unknown(elements: _Elements, sighting: Sighting) -> _Fault:
    """Find segments that nobody can buy; a removal of one takes its user out of it, and does no harm."""
    segments, unknown = elements.columns["segment"], sighting.unknown["segment"]
    removal = elements.columns["timestamp"] == rows.REMOVE
    # a text may be anything, a user's id by mistake
    name = "a segment" if segments.dtype == pl.String else "segment {}"
    return _element_fault(
        Reason.UNKNOWN_SEGMENT,
        elements,
        ~segments.is_in(unknown.implode()) | removal,
        lambda at: f"{name.format(segments[at])} is none that the stream's taxonomy holds for sale",
    )


def _element_fault(
    reason: Reason, elements: _Elements, good: pl.Series, detail: Callable[[int], str]
) -> _Fault:
    """The fault of the events that own an element that is not good (null is not); told of the first such."""
    bad = np.flatnonzero(~_flags(good))
    if not len(bad):
        return _fault(reason, np.bool_(False), "")  # noqa: FBT003  # numpy's constructor takes no names
    owners, first = np.unique(elements.owner[bad], return_index=True)
    told = dict(zip(owners.tolist(), bad[first].tolist(), strict=True))
    found = np.zeros(int(elements.owner[-1]) + 1, dtype=np.bool_)
    found[owners] = True
    return _Fault(reason=reason, found=found, detail=lambda at: detail(told[at]))


def _verdict(faults: list[_Fault], events: int) -> NDArray[np.uint8]:
    """For each event the position of its first fault, or `_ACCEPTED`."""
    verdict = np.full(events, _ACCEPTED, dtype=np.uint8)
    for rank, fault in reversed(list(enumerate(faults))):
        verdict[np.flatnonzero(fault.found) if fault.found.ndim else fault.found] = rank
    return verdict


def _refusals(indices: pl.Series, verdict: NDArray[np.uint8], faults: list[_Fault]) -> tuple[Refusal, ...]:
    """What to say of the events that are not accepted."""
    refused = np.flatnonzero(verdict != _ACCEPTED).tolist()
    ranked = zip(refused, indices.gather(refused).to_list(), verdict[refused].tolist(), strict=True)
    return tuple(
        Refusal(index=index, reason=faults[rank].reason, detail=faults[rank].detail(at))
        for at, index, rank in ranked
    )


def _last_of_each(elements: _Elements) -> _Elements:
    """Of elements with the same event and segment the last one (contract.md, Events)."""
    owner, segments = elements.owner, elements.columns["segment"]
    if len(owner) < 2 or (owner[1:] != owner[:-1]).all():  # noqa: PLR2004  # one cannot have a twin
        return elements
    if segments.dtype == pl.String:
        keys = pl.DataFrame({"owner": owner, "segment": segments}).to_struct()
    else:
        packed = owner << 32 | segments.to_numpy()
        if (packed[1:] > packed[:-1]).all():  # ascending, as most sources write them: no twins
            return elements
        keys = pl.Series(packed)
    return elements.where(keys.is_last_distinct().to_numpy())


def _expand(accepted: pl.DataFrame, elements: _Elements, everything: int | str) -> pl.DataFrame:
    """A row for each element, with its event's columns; before them one for the event's remove_all."""
    emptied = accepted["emptied"].to_numpy()
    if not emptied.any():
        single = len(elements.owner) == len(accepted)
        events = accepted if single else accepted[elements.owner]
        return events.hstack(elements.columns.get_columns())
    counts = np.bincount(elements.owner, minlength=len(accepted)) + emptied
    owner = np.repeat(np.arange(len(accepted)), counts)
    is_element = np.ones(len(owner), dtype=np.bool_)
    is_element[(np.cumsum(counts) - counts)[emptied]] = False
    leading = pl.DataFrame(
        {"segment": [everything], "timestamp": [rows.REMOVE]}, schema=elements.columns.schema
    )
    source = np.where(is_element, np.cumsum(is_element), 0)
    return accepted[owner].hstack(pl.concat([leading, elements.columns])[source].get_columns())
