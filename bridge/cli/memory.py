"""What Python and the C library do with memory by default, and what fits a process that reads for months."""

import ctypes
import gc

COLLECT_AFTER = 1_000_000
"""New objects before Python looks for cycles. A batch of messages is many objects that come and go together,
none of them in a cycle; looking through them at the default of 700 took half of the time of consume().
Housekeeping looks for cycles every minute."""

_M_ARENA_MAX = -8  # mallopt(3)
_ARENAS = 1
"""glibc gives each thread a heap of its own. Messages come from librdkafka's threads and are freed in ours;
what is free in one heap serves no other, and memory grew by 15 MB with each sealed window."""


def fit() -> None:
    """Set both, for the whole process; before its threads begin."""
    gc.set_threshold(COLLECT_AFTER)
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)  # glibc's alone
    if mallopt is not None:
        mallopt(_M_ARENA_MAX, _ARENAS)
