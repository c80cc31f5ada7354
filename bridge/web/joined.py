"""A transport that joins small writes: what is written in one step of the loop goes out in one call.

uvicorn writes the head and the body of an answer apart. Each write is a call of the system and a packet, and
wakes up whoever waits for the answer.
"""

import asyncio

LARGEST = 65_536
"""Bytes that are held back: so a body of any length meets the transport's own bounds."""


class JoinedWrites(asyncio.Transport):
    """Stands before another transport, and is one to whoever writes."""

    def __init__(self, transport: asyncio.Transport, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__()
        self._transport = transport
        self._loop = loop
        self._held: list[bytes] = []
        self._size = 0

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Hold back, until the step is over or it is much."""
        if not data:
            return
        if not self._held:
            self._loop.call_soon(self._send)
        self._held.append(bytes(data))
        self._size += len(data)
        if self._size >= LARGEST:
            self._send()

    def close(self) -> None:
        """When all is sent."""
        self._send()
        self._transport.close()

    def abort(self) -> None:
        """At once."""
        self._held.clear()
        self._size = 0
        self._transport.abort()

    def is_closing(self) -> bool:
        """Whether it is closed, or soon will be."""
        return self._transport.is_closing()

    def get_extra_info(self, name: str, default: object = None) -> object:
        """What there is to know of the connection."""
        return self._transport.get_extra_info(name, default)

    def pause_reading(self) -> None:
        """Take no more."""
        self._transport.pause_reading()

    def resume_reading(self) -> None:
        """Take again."""
        self._transport.resume_reading()

    def _send(self) -> None:
        if self._held:
            data = b"".join(self._held)
            self._held.clear()
            self._size = 0
            self._transport.write(data)
