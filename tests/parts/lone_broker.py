"""A broker that answers by heart: what it can do, who is in its cluster, where its one partition ends."""

import contextlib
import socket
import struct
import threading
from typing import Self

LIST_OFFSETS, METADATA, API_VERSIONS = 2, 3, 18

ABILITIES = {LIST_OFFSETS: 2, METADATA: 4, API_VERSIONS: 3}
"""The newest version of each question that it understands: of the first two a late one with fixed lengths."""

CLUSTER = "lone"
TOPIC = "acme"
END = 7
"""Where the topic's only partition ends."""


class LoneBroker:
    """Listens on loopback. Used as a context manager."""

    def __init__(self) -> None:
        self.counts_itself = True
        """Whether it is among the brokers: one that comes back is not at once."""
        self.has_topic = True
        self.leads = True
        """Whether the topic's partition has a leader."""
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]

    def __enter__(self) -> Self:
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    @property
    def bootstrap(self) -> str:
        return f"127.0.0.1:{self.port}"

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        answers = {LIST_OFFSETS: _offsets, METADATA: self._metadata, API_VERSIONS: _abilities}
        with contextlib.suppress(OSError), client, client.makefile("rb") as requests:
            while size := requests.read(4):
                kind, _, number = struct.unpack(">hhi", requests.read(int.from_bytes(size))[:8])
                answer = number.to_bytes(4) + answers[kind]()
                client.sendall(len(answer).to_bytes(4) + answer)

    def _metadata(self) -> bytes:
        """How long to wait, brokers (id, host, port, no rack), cluster, controller, topics."""
        broker = struct.pack(">i", 1) + _text("127.0.0.1") + struct.pack(">ih", self.port, -1)
        return b"".join(
            [
                struct.pack(">ii", 0, self.counts_itself) + broker * self.counts_itself,
                _text(CLUSTER) + struct.pack(">i", 1 if self.counts_itself else -1),
                struct.pack(">i", self.has_topic) + self._topic() * self.has_topic,
            ]
        )

    def _topic(self) -> bytes:
        """No error, name, not internal, one partition: no error, number, leader, replicas, those in sync."""
        partition = struct.pack(">hiiiiii", 0, 0, 1 if self.leads else -1, 1, 1, 1, 1)
        return struct.pack(">h", 0) + _text(TOPIC) + struct.pack(">bi", 0, 1) + partition


def _offsets() -> bytes:
    """How long to wait, one topic, its one partition: number, no error, no timestamp, offset."""
    return struct.pack(">ii", 0, 1) + _text(TOPIC) + struct.pack(">iihqq", 1, 0, 0, -1, END)


def _abilities() -> bytes:
    """No error, a short array (question, oldest version, newest, no tags), how long to wait, no tags."""
    each = [struct.pack(">hhhb", kind, 0, newest, 0) for kind, newest in ABILITIES.items()]
    return struct.pack(">hb", 0, len(each) + 1) + b"".join(each) + struct.pack(">ib", 0, 0)


def _text(text: str) -> bytes:
    return struct.pack(">h", len(text)) + text.encode()
