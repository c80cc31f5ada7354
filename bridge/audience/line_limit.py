"""How long a line may be, and where the user of a longer one goes on in a further line."""

from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

LINE_LIMIT = 8_000
"""Each line must be fewer than this many characters, its end included (seed: Line length)."""

Places: TypeAlias = NDArray[np.int64]


def further_lines(first: Places, sizes: Places, id_sizes: Places) -> list[int]:
    """The rows that open a further line of their user; each line before takes as much as fits.

    Users who fit, nearly all, cost no step of their own.

    Args:
        first: The first row of each user.
        sizes: Bytes of what each row says, with the space before it.
        id_sizes: Bytes of each user's id.
    """
    ends = np.cumsum(sizes)
    last = np.append(first[1:], len(sizes))
    before = ends[first] - sizes[first]
    room = LINE_LIMIT - 1 - len("\n") - id_sizes
    places: list[int] = []
    for user in np.flatnonzero(ends[last - 1] - before > room).tolist():
        at, done = int(first[user]), before[user]
        while True:
            at += int(np.searchsorted(ends[at : last[user]], done + room[user], side="right"))
            if at == last[user]:
                break
            places.append(at)
            done = ends[at - 1]
    return places
