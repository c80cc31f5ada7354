"""A tiny HTTP server on loopback, down to the bytes: whatever a platform's API may do to who asks it."""

import json
import socket
import ssl
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Self

Answer = Callable[[socket.socket], None]
"""Writes to the connection, which is closed behind it."""


@dataclass(frozen=True)
class Asked:
    """One request."""

    method: str
    target: str
    headers: dict[str, str]
    """By name, in lower case."""
    body: bytes


def said(content: object, status: int = 200, **headers: str) -> Answer:
    """A whole answer; what is no bytes is written as JSON, underscores in names of headers as hyphens."""
    body = content if isinstance(content, bytes) else json.dumps(content).encode()
    lines = [f"HTTP/1.1 {status} Said", f"Content-Length: {len(body)}", "Connection: close"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return raw("\r\n".join(lines).encode() + b"\r\n\r\n" + body)


def raw(content: bytes) -> Answer:
    """These bytes, and no more: the connection is cut."""
    return lambda connection: connection.sendall(content)


class Answering:
    """Answers each request by the next of `answers`, then with the last one; `asked` are the requests.

    `silence` is set at its end: an answer that waits for it holds nobody up.
    """

    def __init__(self, *answers: Answer, tls: ssl.SSLContext | None = None) -> None:
        self.answers = list(answers)
        self.asked: list[Asked] = []
        self.silence = threading.Event()
        self._tls = tls
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self.url = f"{'https' if tls else 'http'}://127.0.0.1:{self.port}"

    def __enter__(self) -> Self:
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.silence.set()
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def never(self, _connection: socket.socket) -> None:
        """No answer."""
        self.silence.wait()

    def dripping(self, first: bytes) -> Answer:
        """`first`, and then a byte now and then, for ever."""

        def drip(connection: socket.socket) -> None:
            connection.sendall(first)
            while not self.silence.wait(0.05):
                connection.sendall(b"x")

        return drip

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        with suppress(OSError, ValueError):
            if self._tls is not None:
                connection = self._tls.wrap_socket(connection, server_side=True)
            with connection:
                self.asked.append(_request(connection))
                answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
                answer(connection)


def _request(connection: socket.socket) -> Asked:
    with connection.makefile("rb") as reader:
        method, target, _ = reader.readline().decode().split()
        headers = dict[str, str]()
        while line := reader.readline().decode().strip():
            name, _, value = line.partition(":")
            headers[name.lower()] = value.strip()
        body = reader.read(int(headers.get("content-length", "0")))
    return Asked(method=method, target=target, headers=headers, body=body)
