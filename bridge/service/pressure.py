"""Which streams pause when the spool fills up (design.md, invariant 6)."""

from collections.abc import Iterable, Mapping

from bridge.config import Stream

CROWDED = 0.9
"""From this part of `spool.max_bytes` on the account that holds the most takes in no more."""

RELIEVED = 0.8
"""History is given up until the spool is down to this part."""

REPLAYS = 0.5
"""No more than this part of `spool.max_bytes` is for replays."""

FULL = 0.95
"""From this part of `spool.max_bytes` on replays take nothing more, though history makes way for them."""

SMALL_FILE = 0.025
"""A file of this part of `spool.max_bytes` may be built however full the spool is."""


def paused_streams(
    streams: Iterable[Stream], held: Mapping[str, int], usage: int, max_bytes: int
) -> frozenset[str]:
    """Names of the streams that take in nothing more for now.

    One account that cannot deliver does not stop the others: those that hold most go first. At `max_bytes`
    all stop.

    Args:
        streams: All streams.
        held: Undelivered bytes in the spool by account.
        usage: Bytes that the spool takes, once its history is gone.
        max_bytes: `spool.max_bytes`.
    """
    if not crowded(usage, max_bytes):
        return frozenset()
    if usage >= max_bytes or not held:
        return frozenset(stream.name for stream in streams)
    fullest = max(held, key=lambda account: (held[account], account))
    return frozenset(
        stream.name
        for stream in streams
        if fullest in {stream.account_for(mobile=mobile) for mobile in (False, True)}
    )


def excess(usage: int, max_bytes: int) -> int:
    """How many bytes of history must go; 0: none."""
    return usage - int(RELIEVED * max_bytes) if crowded(usage, max_bytes) else 0


def file_room(usage: int, max_bytes: int) -> int:
    """How large a file may be built: it lies in the spool until it is uploaded.

    It takes at most half of the room left, so that an account whose server is out of reach leaves some
    to the others; and never less than a small part, or a full spool could not drain.
    """
    return max(int(SMALL_FILE * max_bytes), (max_bytes - usage) // 2)


def room_for_replays(replays: int, usage: int, max_bytes: int) -> bool:
    """Whether replays, which take so many bytes of what is used, may take more beside live data."""
    return replays < REPLAYS * max_bytes and usage < FULL * max_bytes


def crowded(usage: int, max_bytes: int) -> bool:
    """Room is running out."""
    return usage >= CROWDED * max_bytes
