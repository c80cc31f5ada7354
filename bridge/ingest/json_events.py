"""JSON events: msgspec reads each into a struct in one C call, and columns are drawn from these so too."""

from collections.abc import Mapping, Sequence
from itertools import chain
from operator import attrgetter
from typing import Annotated

import msgspec
import numpy as np
import polars as pl

from bridge.errors import UsageError
from bridge.ingest.events import (
    ELEMENT,
    FIELDS,
    REQUIRED,
    Decoded,
    Positions,
    Reason,
    Refusal,
    complete,
    events_schema,
    gather,
    names_in_topic,
    nest,
)
from bridge.ingest.values import Values

_Whole = Annotated[int, msgspec.Meta(ge=-(2**63), le=2**63 - 1)]

_TYPES: dict[str, object] = {
    "user_id": str,
    "mobile": bool | None,
    "client": str | None,
    "user_namespace": str | None,
    "segment_namespace": str | None,
    "remove_all": bool | None,
    "event_time": _Whole,
}


class JsonEvents:
    """The events of a stream; `fields` as in the configuration."""

    def __init__(self, fields: Mapping[str, str], *, hashed: bool) -> None:
        names = names_in_topic(fields)
        missing = [ours for ours in (*REQUIRED, *ELEMENT) if ours not in names]
        if missing:
            name = missing[0]
            raise UsageError(
                f"fields: {name} is the name of another field; name the topic's under fields.{name}"
            )
        self._hashed = hashed
        self._ours = [ours for ours in FIELDS if ours in names and ours != "segments"]
        self._segments = "segments" in names
        self._decoder = msgspec.json.Decoder(_event_type(names, hashed=hashed))

    def read(self, values: Values) -> Decoded:
        """What becomes of these values."""
        try:
            # msgspec skips what it does not know without looking at its UTF-8
            b"\n".join(values.raw).decode()
            events = list(map(self._decoder.decode, values.raw))
            return gather([self._table(events, values.index)], [], hashed=self._hashed)
        except (ValueError, RecursionError):  # msgspec's own errors and UnicodeDecodeError are ValueErrors
            return self._read_singly(values)

    def _read_singly(self, values: Values) -> Decoded:
        events: list[object] = []
        good: list[int] = []
        refused: list[Refusal] = []
        for at, value in zip(values.index.tolist(), values.raw, strict=True):
            try:
                value.decode()
                events.append(self._decoder.decode(value))
                good.append(at)
            except (ValueError, RecursionError) as error:
                refused.append(Refusal(index=at, reason=Reason.UNDECODABLE, detail=_detail(error)))
        return gather([self._table(events, np.array(good, np.uint32))], refused, hashed=self._hashed)

    def _table(self, events: Sequence[object], index: Positions) -> pl.DataFrame:
        schema = events_schema(hashed=self._hashed)
        columns = {
            ours: pl.Series(list(map(attrgetter(ours), events)), dtype=schema[ours]) for ours in self._ours
        }
        if self._segments:
            lists: list[Sequence[object]] = [some or () for some in map(attrgetter("segments"), events)]
            elements = list(chain.from_iterable(lists))
            columns["segments"] = nest(
                list(map(len, lists)),
                *(list(map(attrgetter(name), elements)) for name in ELEMENT),
                hashed=self._hashed,
            )
        return complete(pl.DataFrame({"index": pl.Series(index), **columns}), hashed=self._hashed)


def _event_type(names: Mapping[str, str], *, hashed: bool) -> type[msgspec.Struct]:
    """A struct of our fields, read from the topic's names; null is as good as missing."""
    element = msgspec.defstruct(
        "Element",
        [("segment_id", str if hashed else _Whole), ("timestamp", _Whole)],
        rename={ours: names[ours] for ours in ELEMENT},
        gc=False,
    )
    types = _TYPES | {"segments": list[element] | None}  # type: ignore[valid-type]  # made just now
    return msgspec.defstruct(
        "Event",
        [
            (ours, types[ours]) if ours in REQUIRED else (ours, types[ours], None)
            for ours in sorted(FIELDS, key=lambda ours: ours not in REQUIRED)
            if ours in names
        ],
        rename={ours: names[ours] for ours in FIELDS if ours in names},
        gc=False,
    )


def _detail(error: Exception) -> str:
    """What is wrong with a value. msgspec names kinds and places, never values."""
    match error:
        case msgspec.DecodeError():
            return str(error)
        case UnicodeDecodeError():
            return "a text is no UTF-8"
        case RecursionError():
            return "nested too deeply"
        case _:
            return f"no such JSON ({type(error).__name__})"
