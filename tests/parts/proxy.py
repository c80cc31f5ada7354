"""A TCP proxy on loopback that breaks connections at a chosen byte."""

import contextlib
import socket
import threading
from typing import TYPE_CHECKING

from tests.parts.waiting import until

if TYPE_CHECKING:
    from collections.abc import Callable


class Proxy:
    """Forwards to a port of this machine; the limits count over one connection and may be set at any time."""

    def __init__(self, target: int, port: int = 0) -> None:
        self.cut_after: int | None = None
        """Bytes from the client after which both sides are reset."""
        self.swallow_after: int | None = None
        """Bytes to the client after which replies vanish, while the connection stays."""
        self.stall_after: int | None = None
        """Bytes from the client after which no more go on, until this is None again."""
        self.stalled = False
        """Whether anything had to wait for that, so far."""
        self.cuts: list[int] = []
        """What `cut_after` is to be for each connection to come, in this order; empty: as it is."""
        self.lose_reply_to: Callable[[bytes], bool] | None = None
        """The reply to the first bytes of the client that this is true of is lost, and the connection."""
        self.lose_request: Callable[[bytes], bool] | None = None
        """The first bytes of the client that this is true of are lost, and the connection."""
        self.lose_reply_when: Callable[[], bool] | None = None
        """The first bytes of the server that come while this is true are lost, and the connection."""
        self.alter_request: Callable[[bytes], bytes] | None = None
        """What the client's bytes are turned into, as many as they are."""
        self.alter_reply: Callable[[bytes], bytes] | None = None
        """What the server's bytes are turned into, as many as they are."""
        self.lost = 0
        """Replies and requests that were lost so far."""
        self.sent = 0
        """Bytes from the client, of the newest connection."""
        self._target = target
        self._lose_next_reply = False
        self._listener = socket.create_server(("127.0.0.1", port))
        self.port = self._listener.getsockname()[1]
        self._open: list[socket.socket] = []
        threading.Thread(target=self._accept, daemon=True).start()

    def lose_next_reply(self) -> None:
        """Drop the next bytes of the server, and the client's connection with them."""
        self._lose_next_reply = True

    def cut(self) -> None:
        """Reset every connection that is open now."""
        self._reset(self._open)
        self._open = []

    def close(self) -> None:
        self._reset([self._listener, *self._open])

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                try:
                    server = socket.create_connection(("127.0.0.1", self._target))
                except ConnectionRefusedError:
                    client.close()
                    continue
                self._open += [client, server]
                self.sent = 0
                if self.cuts:
                    self.cut_after = self.cuts.pop(0)
                doomed = threading.Event()
                for pump in (self._forward, self._answer):
                    threading.Thread(target=pump, args=(client, server, doomed), daemon=True).start()

    def _forward(self, client: socket.socket, server: socket.socket, doomed: threading.Event) -> None:
        with contextlib.suppress(OSError):
            while data := client.recv(16_384):
                if self.cut_after is not None and self.sent + len(data) > self.cut_after:
                    server.sendall(data[: self.cut_after - self.sent])
                    break
                self._stall(len(data))
                self.sent += len(data)
                if self.lose_request is not None and self.lose_request(data):
                    self.lose_request = None
                    self.lost += 1
                    break
                if self.lose_reply_to is not None and self.lose_reply_to(data):
                    self.lose_reply_to = None
                    doomed.set()
                server.sendall(data if self.alter_request is None else self.alter_request(data))
        self._reset([client, server])

    def _stall(self, size: int) -> None:
        def passes() -> bool:
            return self.stall_after is None or self.sent + size <= self.stall_after

        self.stalled = self.stalled or not passes()
        until(passes, "the end of the stall", 120)

    def _answer(self, client: socket.socket, server: socket.socket, doomed: threading.Event) -> None:
        answered = 0
        with contextlib.suppress(OSError):
            while data := server.recv(16_384):
                if self._is_to_be_lost() or doomed.is_set():
                    self.lost += 1
                    break
                answered += len(data)
                if self.swallow_after is None or answered <= self.swallow_after:
                    client.sendall(data if self.alter_reply is None else self.alter_reply(data))
        self._reset([client])

    def _is_to_be_lost(self) -> bool:
        lost = self._lose_next_reply
        self._lose_next_reply = False
        if self.lose_reply_when is not None and self.lose_reply_when():
            self.lose_reply_when = None
            lost = True
        return lost

    def _reset(self, sockets: list[socket.socket]) -> None:
        for one in sockets:
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
            one.close()
