"""Avro events of any framing: values that begin alike are read together."""

from collections.abc import Sequence
from operator import itemgetter
from typing import TYPE_CHECKING

import numpy as np

from bridge.ingest.avro_framing import BadValue, Framing
from bridge.ingest.events import Decoded, Positions, Refusal, gather

if TYPE_CHECKING:
    import polars as pl


class AvroEvents:
    """The events of a stream with this framing."""

    def __init__(self, framing: Framing, *, hashed: bool) -> None:
        self._framing = framing
        self._hashed = hashed
        self._beginning = itemgetter(slice(framing.size))

    def read(self, values: Sequence[bytes], index: Positions) -> Decoded:
        """What becomes of values at these positions."""
        frames: list[pl.DataFrame] = []
        refused: list[Refusal] = []
        for beginning, members in self._alike(values):
            group = values if members is None else [values[at] for at in members.tolist()]
            places = index if members is None else index[members]
            try:
                reader = self._framing.reader(beginning)
            except BadValue as bad:
                refused += [Refusal(index=at, reason=bad.reason, detail=bad.detail) for at in places.tolist()]
                continue
            more_frames, more_refused = reader.read(group, places)
            frames += more_frames
            refused += more_refused
        return gather(frames, refused, hashed=self._hashed)

    def _alike(self, values: Sequence[bytes]) -> list[tuple[bytes, Positions | None]]:
        """The beginnings, each with the positions of its values; None: all."""
        distinct = set(map(self._beginning, values))
        if len(distinct) == 1:
            return [(distinct.pop(), None)]
        groups: dict[bytes, list[int]] = {beginning: [] for beginning in distinct}
        for at, beginning in enumerate(map(self._beginning, values)):
            groups[beginning].append(at)
        return [(beginning, np.array(members, np.uint32)) for beginning, members in groups.items()]
