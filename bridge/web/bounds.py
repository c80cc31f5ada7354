"""What the clients of a port may take, all together and each."""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True, slots=True)
class Bounds:
    """Beyond each of these somebody is cut off; the defaults are for a port that few ask, and seldom."""

    connections: int = 64
    """Open at once; a further one takes the place of whoever has kept us waiting the longest."""
    request_seconds: float = 10.0
    """For a whole request: since the connection was made, or since the answer before.

    Between requests uvicorn waits 5 s for the first byte of the next."""
    answer_seconds: float = 30.0
    """Since the request, until its answer is made and taken."""
    request_bytes: int = 16_384
    """Of a request, with its headers and its body."""
    stop_seconds: int = 1
    """For the answers that are under way when the server stops."""
