"""A TCP proxy on loopback that breaks connections at a chosen byte."""

import contextlib
import socket
import threading


class Proxy:
    """Forwards to a port of this machine; the limits count over one connection and may be set at any time."""

    def __init__(self, target: int) -> None:
        self.cut_after: int | None = None
        """Bytes from the client after which both sides are reset."""
        self.swallow_after: int | None = None
        """Bytes to the client after which replies vanish, while the connection stays."""
        self.sent = 0
        """Bytes from the client, of the newest connection."""
        self._target = target
        self._lose_next_reply = False
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self._open: list[socket.socket] = []
        threading.Thread(target=self._accept, daemon=True).start()

    def lose_next_reply(self) -> None:
        """Drop the next bytes of the server, and the client's connection with them."""
        self._lose_next_reply = True

    def close(self) -> None:
        self._reset([self._listener, *self._open])

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                server = socket.create_connection(("127.0.0.1", self._target))
                self._open += [client, server]
                self.sent = 0
                for pump in (self._forward, self._answer):
                    threading.Thread(target=pump, args=(client, server), daemon=True).start()

    def _forward(self, client: socket.socket, server: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := client.recv(16_384):
                if self.cut_after is not None and self.sent + len(data) > self.cut_after:
                    server.sendall(data[: self.cut_after - self.sent])
                    break
                self.sent += len(data)
                server.sendall(data)
        self._reset([client, server])

    def _answer(self, client: socket.socket, server: socket.socket) -> None:
        answered = 0
        with contextlib.suppress(OSError):
            while data := server.recv(16_384):
                if self._lose_next_reply:
                    self._lose_next_reply = False
                    break
                answered += len(data)
                if self.swallow_after is None or answered <= self.swallow_after:
                    client.sendall(data)
        self._reset([client])

    def _reset(self, sockets: list[socket.socket]) -> None:
        for one in sockets:
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
            one.close()
