"""Avro events of any framing: values that begin alike are read together."""

from operator import itemgetter
from typing import TYPE_CHECKING

import numpy as np

from bridge.ingest.avro_framing import BadValue, Framing
from bridge.ingest.events import Decoded, Refusal, gather
from bridge.ingest.values import Values

if TYPE_CHECKING:
    import polars as pl


class AvroEvents:
    """The events of a stream with this framing."""

    def __init__(self, framing: Framing, *, hashed: bool) -> None:
        self._framing = framing
        self._hashed = hashed

    def read(self, values: Values) -> Decoded:
        """What becomes of these values."""
        frames: list[pl.DataFrame] = []
        refused: list[Refusal] = []
        for beginning, group in _alike(values, self._framing.size):
            try:
                reader = self._framing.reader(beginning)
            except BadValue as bad:
                refused += [
                    Refusal(index=at, reason=bad.reason, detail=bad.detail) for at in group.index.tolist()
                ]
                continue
            more_frames, more_refused = reader.read(group)
            frames += more_frames
            refused += more_refused
        return gather(frames, refused, hashed=self._hashed)


def _alike(values: Values, size: int) -> list[tuple[bytes, Values]]:
    """The values apart by their first `size` bytes."""
    if values.begin_alike(size):
        return [(values.raw[0][:size], values)]
    groups: dict[bytes, list[int]] = {}
    for at, beginning in enumerate(map(itemgetter(slice(size)), values.raw)):
        groups.setdefault(beginning, []).append(at)
    return [(beginning, values.pick(np.array(members))) for beginning, members in groups.items()]
